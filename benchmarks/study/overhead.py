"""Overhead of the study runner over its cells' own time, at 10,000 small cells.

    python benchmarks/study/overhead.py [--seeds 2000] [--jobs 1] [--work 300]

Each seed makes one instance of arrival model 1 with six requests, solved within a work limit and
run by four policies: five cells. A cell's own time is what its worker spends on making the
instance, solving or simulating, checking the schedule and computing its figures; where the first
cell of a kind loads compiled code, that is left out. Everything else that the command does is
overhead: starting Python and loading the package, here and in the server that workers come from;
handing cells out, keeping and counting what comes back; the table, the statistics and the summary.

There are two ratios. That of CPU time adds up all processes, and can be measured while other work
runs (it is then somewhat higher: cells that take longer travel in smaller groups). That of
wall-clock time, where several processes count their cells' time divided by their number, is worth
something only where nothing else runs. A plain loop over the same cells would load the package once
as well: so there is also the ratio without what the server takes to load it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import psutil

from batchprophet.online.study import Cell, CellResult, LocalProcesses, read_study, run_study

STUDY = """
name = "overhead"
seeds = {{ first = 1, count = {seeds} }}
policies = ["mc-sf", "mc-benchmark", "sorted-f", "vllm"]
instances = [{{ family = "arrival-model-1", settings = {{ n = 6 }} }}]
limits = [{{ work = {work} }}]
"""

#: Own time of one cell: wall-clock and CPU seconds, and whether it was the first of its kind in
#: its process.
Own = tuple[float, float, bool]

Run = Callable[[str, Sequence[Cell]], list[CellResult]]

_seen: set[str] = set()


def measured(run: Run, version: str, cells: Sequence[Cell]) -> tuple[list[CellResult], list[Own]]:
    """Run a chunk in a worker, with the clocks around each cell's own work."""
    from batchprophet.online.study import cell_runner as work

    real, own = work._run, list[Own]()

    def timed(cell: Cell) -> tuple[str, dict[str, Any]]:
        wall, cpu = time.perf_counter(), time.process_time()
        found = real(cell)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        own.append((wall, cpu, cell.group not in _seen))
        _seen.add(cell.group)
        return found

    work._run = timed
    try:
        return run(version, cells), own
    finally:
        work._run = real


class Measured(Executor):
    """An executor whose workers report their cells' own time."""

    def __init__(self, executor: Executor, own: list[Own]) -> None:
        self.executor, self.own = executor, own

    def submit(self, run: Run, /, *args: Any, **options: Any) -> Future[Any]:
        outer: Future[Any] = Future()

        def hand_on(inner: Future[Any]) -> None:
            if error := inner.exception():
                outer.set_exception(error)
                return
            results, own = inner.result()
            self.own.extend(own)
            outer.set_result(results)

        self.executor.submit(measured, run, *args, **options).add_done_callback(hand_on)
        return outer


class MeasuredProcesses(LocalProcesses):
    """Processes of this machine whose cells' own time is known; and when the last cell was done."""

    def __init__(self, jobs: int) -> None:
        super().__init__(jobs)
        self.own: list[Own] = []
        self.finished = 0.0

    def open(self) -> Executor:
        return Measured(super().open(), self.own)

    def close(self) -> None:
        super().close()
        self.finished = time.process_time()


def main() -> None:
    loaded = time.process_time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--work", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.toml").write_text(STUDY.format(seeds=options.seeds, work=options.work))
        engine = MeasuredProcesses(options.jobs)  # first, as the command line does
        run_study(read_study(folder / "study.toml"), folder, engine=engine)
    here, me = time.process_time(), psutil.Process()
    wall = time.time() - me.create_time()
    # The server, which has waited for its workers, is still there.
    servers = [child.cpu_times() for child in me.children()]
    server = sum(times.user + times.system for times in servers)
    workers = sum(times.children_user + times.children_system for times in servers)
    inside = sum(cpu for _, cpu, _ in engine.own)
    first_wall, first_cpu, firsts = map(sum, zip(*(o for o in engine.own if o[2]), strict=True))
    count = len(engine.own) - firsts
    own_wall = sum(seconds for seconds, _, first in engine.own if not first) / options.jobs
    own_cpu = inside - first_cpu

    def share(part: float) -> str:
        return f"{part:7.2f} s = {part / own_cpu:.2%}"

    print(f"{count:,} cells, {1000 * own_cpu / count:.2f} ms of CPU each: {own_cpu:.2f} s")
    print(f"overhead, CPU:        {share(here + server + workers - inside)}, of which")
    print(f"  loading here:       {share(loaded)}")
    print(f"  server of workers:  {share(server)}")
    print(f"  in workers:         {share(workers - inside)}")
    print(f"  handing out, store: {share(engine.finished - loaded)}")
    print(f"  table, summary:     {share(here - engine.finished)}")
    print(f"without the server:   {share(here + workers - inside)}")
    extra = wall - own_wall - first_wall / options.jobs
    print(f"overhead, wall-clock: {extra:7.2f} s = {extra / own_wall:.2%}")
    print(f"left out: {firsts} first cells of a kind in a process, {first_cpu:.2f} s of CPU")


if __name__ == "__main__":
    main()
