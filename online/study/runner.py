"""The runner: hands cells to an engine, keeps what comes back, and survives what goes wrong."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field

from ...models.errors import BatchprophetError
from .cell import Cell
from .chunk import local_modules, run_chunk
from .engine import Engine
from .host import metadata_version
from .progress import Pace, StudyProgress
from .result import FAILED, LOST, CellResult
from .store import Store

#: Short cells travel together, as many as take about this long.
CHUNK_SECONDS = 0.5
MOST_IN_CHUNK = 256

#: Chunks handed out per slot: one runs, one waits, so that no slot idles.
CHUNKS_PER_SLOT = 2

#: A cell whose process ended is run alone; after this many of these ends it is given up.
MOST_ENDS = 3

#: Seconds between looks at what is out, and between reports of progress.
TICK_SECONDS = 0.5
TELL_SECONDS = 0.2


def run_cells(
    cells: Sequence[Cell],
    store: Store,
    engine: Engine,
    progress: Callable[[StudyProgress], None] | None = None,
) -> dict[str, CellResult]:
    """Run the cells that the store does not have, and keep results as soon as they come.

    Parameters
    ----------
    cells : sequence of Cell
        What must be done in the end.
    store : Store
        Where results are kept.
    engine : Engine
        Who runs them; it is left at the end, or closed at once where something goes wrong.
    progress : callable, optional
        Called with a `StudyProgress` at every step, at least twice a second.

    Returns
    -------
    dict of str to CellResult
        The results of all `cells`, by key.

    Raises
    ------
    KeyboardInterrupt
        As it comes; what is done is in the store.
    StoreError
        If the store cannot be written.
    BatchprophetError
        If the cluster has gone, or its workers run another version of the package.
    """
    wanted = {cell.key: cell for cell in cells}
    known = store.results()
    results = {key: known[key] for key in wanted if key in known}
    left = [cell for key, cell in wanted.items() if key not in results]
    if left:
        run = _Run(store, engine, results, len(wanted), Pace.of(left), progress)
        try:
            run.all(left)
        except BaseException:
            engine.close()
            raise
        engine.finish()
    return results


@dataclass(slots=True)
class _Run:
    """The state of one run: what waits, what is out, what is suspected of ending its process."""

    store: Store
    engine: Engine
    results: dict[str, CellResult]
    total: int
    pace: Pace
    progress: Callable[[StudyProgress], None] | None
    waiting: deque[Cell] = field(default_factory=deque)
    out: dict[Future[list[CellResult]], list[Cell]] = field(default_factory=dict)
    suspects: deque[tuple[Cell, int]] = field(default_factory=deque)
    alone: int = 0
    broken: bool = False
    failed: int = 0
    told: float = 0.0
    version: str = field(default_factory=lambda: metadata_version("batchprophet"))
    folder: str | None = field(default_factory=local_modules)

    def all(self, cells: Sequence[Cell]) -> None:
        """Run cells until none is left."""
        self.waiting.extend(cells)
        executor = self.engine.open()
        while self.waiting or self.suspects or self.out:
            if self.broken and not self.out:
                executor, self.broken = self.engine.open(), False
            self._hand_out(executor)
            done, _ = wait(self.out, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                self._take_in(future)
            self._tell()

    def _hand_out(self, executor: Executor) -> None:
        """Submit chunks; suspects one by one, with nothing beside them."""
        if self.alone and self.out:
            return
        self.alone = 0
        if self.suspects:
            if not self.out and not self.broken:
                cell, self.alone = self.suspects.popleft()
                self._submit(executor, [cell])
            return
        most = CHUNKS_PER_SLOT * self.engine.slots() if self.waiting else 0
        while self.waiting and not self.broken and len(self.out) < most:
            self._submit(executor, self._chunk())

    def _chunk(self) -> list[Cell]:
        """Take cells that together take about `CHUNK_SECONDS`; one of a group not seen yet."""
        chunk, seconds = [self.waiting.popleft()], self.pace.expected
        expected = seconds(chunk[0])
        while self.waiting and expected is not None and len(chunk) < MOST_IN_CHUNK:
            following = seconds(self.waiting[0])
            if following is None or expected + following > CHUNK_SECONDS:
                break
            expected += following
            chunk.append(self.waiting.popleft())
        return chunk

    def _submit(self, executor: Executor, chunk: list[Cell]) -> None:
        try:
            self.out[executor.submit(run_chunk, self.version, self.folder, chunk)] = chunk
        except self.engine.lost:  # it broke since: these cells have not begun
            self.broken = True
            self._put_back(chunk)

    def _take_in(self, future: Future[list[CellResult]]) -> None:
        chunk = self.out.pop(future)
        try:
            found = future.result()
        except self.engine.lost:
            self.broken = True
            self._suspect(chunk)
        except CancelledError as error:
            raise BatchprophetError(
                "the scheduler has gone; what is done is kept, run the same command again to go on"
            ) from error
        else:
            self._keep(chunk, found)

    def _suspect(self, chunk: list[Cell]) -> None:
        """Blame none yet: run each alone, and give up one that ends its process every time."""
        ends = self.alone + 1
        if ends <= MOST_ENDS:
            self.suspects.extend((cell, ends) for cell in chunk)
            return
        reason = f"the process that ran it ended, {MOST_ENDS} times with nothing beside it"
        lost = [
            CellResult(key=cell.key, outcome=LOST, record={"reason": reason}, seconds=0.0)
            for cell in chunk
        ]
        self._keep(chunk, lost)

    def _put_back(self, chunk: list[Cell]) -> None:
        if self.alone:
            self.suspects.appendleft((chunk[0], self.alone))
        else:
            self.waiting.extendleft(reversed(chunk))

    def _keep(self, chunk: list[Cell], found: list[CellResult]) -> None:
        """Keep what came of a chunk, in one transaction: it is in the store before it counts."""
        seeds = [cell.problem.seed for cell in chunk]
        self.store.keep_all(list(zip(found, seeds, strict=True)))
        for cell, result in zip(chunk, found, strict=True):
            self.results[result.key] = result
            self.pace.count(cell, result)
            self.failed += result.outcome in (FAILED, LOST)

    def _tell(self) -> None:
        seconds = time.perf_counter() - self.pace.began
        last = len(self.results) == self.total
        if self.progress is None or (seconds - self.told < TELL_SECONDS and not last):
            return
        self.told = seconds
        self.progress(
            StudyProgress(
                done=len(self.results),
                total=self.total,
                failed=self.failed,
                seconds=seconds,
                seconds_left=self.pace.seconds_left(self.engine.slots()),
            )
        )
