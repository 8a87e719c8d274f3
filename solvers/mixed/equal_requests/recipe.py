"""Equal requests: an optimal or good schedule, and a bound, by programs over patterns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....models.instance import Instance, IntArray
from ....models.mixed.schedule import MixedSchedule
from ..search.polish import left_shift
from ..search.profile import add_run
from .counts import best_gaps, counts
from .labels import NONE, Labels, Program, TooMany, best_of, first_labels, follow, releases
from .patterns import MOST_BLOCKS, Grid, below_grid, on_grid, patterns

#: What the search of equal requests is called.
EQUAL = "equal requests"

#: Patterns, and entries of the tables by their number, at most.
MOST_PATTERNS = 1_000_000
MOST_ENTRIES = 40_000_000

#: Requests squared times blocks, at most.
MOST_TOTAL = 2**40

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


def _unhindered(program: Program) -> IntArray | None:
    """Blocks of the starts with the least sum, where releases allow them."""
    q, release = program.graph.grid.rounds, program.release.round
    blocks = release[0] // q + np.cumsum(best_gaps(program.graph, program.table, release.size))
    return None if (release > q * blocks).any() else blocks


def _search(program: Program, budget: int, width: int | None, stop: Callable[[], bool]) -> _Found:
    """Find starts of a sum of at most `budget`, the least of all where no width is given."""
    labels, kept = first_labels(program.release, program.graph.grid.rounds), 1
    history = [labels]
    for j in range(1, program.release.round.size):
        labels = follow(program, labels, j, budget, MOST_LABELS, stop)
        count = int(labels.filled[0])
        if count == 0:
            return _Found(None, budget + 1)
        labels = best_of(labels, count if width is None else width)
        kept += int(labels.filled[0])
        if kept > MOST_KEPT:
            raise TooMany
        history.append(labels)
    best = int(np.argmin(labels.total))
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
        The total latency of a schedule that is known: bounds need not exceed it.
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
    if on is not None:
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
) -> Program | None:
    """Return the best program on a grid that is small enough; None if there is none.

    From coarse grids to fine ones: the patterns of the next may be too many. Bounds are the better
    the finer the grid, nearly; schedules where the output fits a number of blocks.
    """
    s, o, M = int(instance.prompt[0]), int(instance.output[0]), int(instance.gpu.kv_capacity)
    n, best = instance.n, None
    for rounds in _block_lengths(o):
        if n * n * (o // rounds + 1) >= MOST_TOTAL:
            continue
        graph = patterns(grid(s, o, M, rounds), min(MOST_PATTERNS, MOST_ENTRIES // n))
        if graph is None or n * graph.gap.size > work:
            break
        table = counts(graph, n)
        release = arrival if grid is below_grid else -(-arrival // rounds) * rounds
        found = Program(graph, table, releases(graph, table, release))
        better = best is None or found.release.rest[0] > best.release.rest[0]
        if better == (grid is below_grid) or best is None:
            best = found
    return best


def _block_lengths(o: int) -> list[int]:
    """Rounds of a block from coarse to fine."""
    lengths, rounds = [], max(1, -(-o // MOST_BLOCKS))
    while rounds <= max(1, o // 2):
        lengths.append(rounds)
        rounds = max(rounds + 1, round(COARSER * rounds))
    return lengths[::-1]


def _schedule(
    instance: Instance, order: IntArray, program: Program, stop: Callable[[], bool]
) -> MixedSchedule | None:
    """Return a schedule on the grid, each start then as early as fits; None if stopped."""
    blocks = _unhindered(program)
    if blocks is None:
        try:
            blocks = _search(program, NONE, BEAM_WIDTH, stop).blocks
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
    program: Program, low: int, high: int, stop: Callable[[], bool]
) -> tuple[IntArray | None, int]:
    """Raise a bound on the sum of starts towards `high`; return better starts, and the bound."""
    for share in SHARES:
        budget = low + max(0, int(share * (high - low)) - 1)
        try:
            found = _search(program, budget, None, stop)
        except TooMany:
            break
        if found.blocks is not None:
            return program.graph.grid.rounds * found.blocks, found.total
        low = budget + 1
    return None, low
