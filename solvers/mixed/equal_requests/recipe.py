"""Equal requests: an optimal or good schedule, and a bound, by programs over patterns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....models.instance import Instance, IntArray
from ....models.mixed.schedule import MixedSchedule
from ..search.polish import left_shift
from ..search.profile import add_run
from .counts import Counts, best_gaps, counts
from .labels import NONE, Labels, Releases, TooMany, best_of, first_labels, follow, releases
from .patterns import MOST_BLOCKS, Grid, Patterns, below_grid, on_grid, patterns

#: What the search of equal requests is called.
EQUAL = "equal requests"

#: Patterns, and entries of the tables by their number, at most.
MOST_PATTERNS = 1_000_000
MOST_ENTRIES = 40_000_000

#: Entries times steps per pattern, at most: a second holds some 10⁸.
MOST_WORK = 800_000_000

#: Labels of one request in a beam, and where all are wanted.
BEAM_WIDTH = 1000
MOST_LABELS = 400_000

#: Labels of all requests together that are kept to read a schedule back.
MOST_KEPT = 24_000_000

#: Parts of the gap that are searched, from the smallest on.
SHARES = (0.125, 0.25, 0.5, 1.0)

#: Rounds of a block that are tried, each this many times the one before, about.
COARSER = 1.25


@dataclass(frozen=True, slots=True)
class EqualRequests:
    """What was found of an instance of equal requests.

    Attributes
    ----------
    schedule : MixedSchedule or None
        A feasible schedule.
    bound : int
        No schedule has a smaller total latency; 0 if nothing was proved.
    rounds : int
        Rounds of a block of the grid that the bound is proved on.
    """

    schedule: MixedSchedule | None
    bound: int
    rounds: int


def are_equal(instance: Instance) -> bool:
    """Whether all requests have the same prompt and output lengths."""
    s, o = instance.prompt, instance.output
    return bool((s == s[0]).all() and (o == o[0]).all())


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class _Program:
    """Patterns, their tables and the releases."""

    graph: Patterns
    table: Counts
    release: Releases

    @property
    def n(self) -> int:
        return self.release.round.size

    def unhindered(self) -> IntArray | None:
        """Starts with the least sum where releases allow them, in blocks."""
        starts = self.release.round[0] // self.graph.grid.rounds
        starts += np.cumsum(best_gaps(self.graph, self.table, self.n))
        late = self.release.round > self.graph.grid.rounds * starts
        return None if late.any() else starts

    def search(self, budget: int, width: int | None, stop: Callable[[], bool]) -> _Found:
        """Find starts of a sum of at most `budget`, the least of all where no width is given."""
        labels, history, kept = first_labels(self.release), [], 0
        history.append(labels)
        for j in range(1, self.n):
            if stop():
                raise TooMany
            labels = follow(self.graph, self.table, self.release, labels, j, budget, MOST_LABELS)
            if width is not None or int(labels.count[0]) < labels.key.shape[0] // 4:
                labels = best_of(labels, width or int(labels.count[0]))
            kept += int(labels.count[0])
            if kept > MOST_KEPT:
                raise TooMany
            history.append(labels._replace(slot=labels.slot[:0]))
            if int(labels.count[0]) == 0:
                return _Found(None, budget + 1)
        best = int(np.argmin(labels.total[: int(labels.count[0])]))
        return _Found(_read_back(history, best), int(labels.total[best]))


@dataclass(frozen=True, slots=True)
class _Found:
    """Blocks of the starts, None where there are none within the budget; their sum in rounds."""

    blocks: IntArray | None
    total: int


def _read_back(history: list[Labels], place: int) -> IntArray:
    blocks = np.empty(len(history), np.int64)
    for j in range(len(history) - 1, -1, -1):
        blocks[j] = int(history[j].key[place, 0]) & 0xFFFFFFFF
        place = int(history[j].parent[place])
    return blocks


def equal_requests(
    instance: Instance,
    *,
    latency: int | None = None,
    work: int = MOST_WORK,
    stop: Callable[[], bool] = _never,
) -> EqualRequests | None:
    """Search the starts of equal requests (mixed batching, total latency).

    On the finest grid that is small enough: for blocks of one round the program is exact; on
    coarser ones the schedule starts at multiples of q rounds before it is compacted, and the bound
    is that of `patterns.below_grid`.

    Parameters
    ----------
    instance : Instance
        The instance.
    latency : int, optional
        Total latency of a schedule that is known: bounds need not exceed it.
    work : int
        Steps between patterns in the tables, at most; a second holds some 10⁸.
    stop : callable
        Asked between requests; True ends the search.

    Returns
    -------
    EqualRequests or None
        None where requests differ, or no grid is small enough.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> twelve = Instance(
    ...     gpu=Gpu(kv_capacity=144), arrival=[0] * 12, prompt=[8] * 12, output=[40] * 12
    ... )
    >>> found = equal_requests(twelve)
    >>> found.bound, int(found.schedule.completion(twelve).sum())
    (1104, 1104)
    """
    if not are_equal(instance):
        return None
    order = np.argsort(instance.arrival, kind="stable")
    arrival = instance.arrival[order]
    least = int((instance.output - instance.arrival).sum())
    below = _finest(instance, arrival, below_grid, work)
    if below is None:
        return None
    exact = below.graph.grid.rounds == 1
    on = below if exact else _finest(instance, arrival, on_grid, work)
    schedule = None
    if on is not None and not stop():
        schedule = _schedule(instance, order, on, stop)
    if schedule is not None:
        found = int(schedule.start.sum()) + least
        latency = found if latency is None else min(found, latency)
    bound = below.release.rest[0] + least
    if latency is not None and bound < latency:
        better, bound = _prove(below, int(bound) - least, latency - least, stop)
        bound += least
        if exact and better is not None:
            schedule = MixedSchedule(_in_order(order, better))
    return EqualRequests(schedule, int(bound), below.graph.grid.rounds)


def _finest(
    instance: Instance, arrival: IntArray, grid: Callable[[int, int, int, int], Grid], work: int
) -> _Program | None:
    """Return the program on the finest grid that is small enough; None if there is none."""
    s, o, M = int(instance.prompt[0]), int(instance.output[0]), int(instance.gpu.kv_capacity)
    n, rounds = instance.n, max(1, -(-o // MOST_BLOCKS))
    while rounds <= o:
        most = min(MOST_PATTERNS, MOST_ENTRIES // n)
        graph = patterns(grid(s, o, M, rounds), most)
        if graph is not None and n * graph.gap.size <= work:
            table = counts(graph, n)
            release = arrival if grid is below_grid else -(-arrival // rounds) * rounds
            return _Program(graph, table, releases(graph, table, release))
        rounds = max(rounds + 1, int(COARSER * rounds))
    return None


def _schedule(
    instance: Instance, order: IntArray, program: _Program, stop: Callable[[], bool]
) -> MixedSchedule | None:
    """Return a schedule on the grid, each start then as early as fits; None if stopped."""
    blocks = program.unhindered()
    if blocks is None:
        try:
            blocks = program.search(NONE, BEAM_WIDTH, stop).blocks
        except TooMany:
            return None
    if blocks is None:
        return None
    start = _in_order(order, program.graph.grid.rounds * blocks)
    o, M = int(instance.output[0]), int(instance.gpu.kv_capacity)
    held = np.zeros(int(start.max()) + o + 2, np.int64)
    for k in start:
        add_run(held, int(instance.prompt[0]), o, int(k))
    left_shift(instance.arrival, instance.prompt, instance.output, M, start, held)
    return MixedSchedule(start)


def _in_order(order: IntArray, sorted_starts: IntArray) -> IntArray:
    """Starts by request, given in order of arrival."""
    start = np.empty_like(sorted_starts)
    start[order] = sorted_starts
    return start


def _prove(
    program: _Program, low: int, high: int, stop: Callable[[], bool]
) -> tuple[IntArray | None, int]:
    """Raise a bound on the sum of starts towards `high`; return better starts, and the bound."""
    for share in SHARES:
        budget = low + max(0, int(share * (high - low)) - 1)
        try:
            found = program.search(budget, None, stop)
        except TooMany:
            break
        if found.blocks is not None:
            return program.graph.grid.rounds * found.blocks, found.total
        low = budget + 1
    return None, low
