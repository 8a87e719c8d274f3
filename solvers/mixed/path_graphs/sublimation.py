"""Successive sublimation: path graphs that remember more and more, each pruned by the one before.

See `expansion` for what a node remembers and why every graph relaxes the problem. With everything
remembered a path is a schedule. On the way, the costs to go guide an exhaustive search of states
(`guide`), which remembers everything and drops what is dominated. Sublimation as in Ibaraki,
*Successive sublimation methods for dynamic programming computation*, Annals of Operations Research
11 (1987).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ....models.mixed.feasibility import check_mixed
from ....models.mixed.schedule import MixedSchedule
from ....models.objectives import total_latency
from ..bounds.configuration import ConfigurationPrices
from ..exact.excess import Excess, excess_terms
from ..exact.layer import MOST_REQUESTS, WAITING
from ..exact.proof import ExactOutcome
from ..exact.search import OutOfLimits, SearchLimits, search_states
from .ascent import Ascent, ascend
from .build import ARC_BYTES, Coarser, OutOfRoom, build
from .guide import PathGuide
from .targets import next_target
from .terms import path_terms
from .tracking import Tracking, tracking

#: Requests known by name, and beside these by their rounds to go, before all are known by name.
STAGES = ((0, 1), (1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (4, 1), (6, 1))

#: From this many named requests on, a graph guides an exhaustive search of states.
GUIDES = 2

#: A state of that search costs about as much as this many nodes of a graph.
NODES_PER_STATE = 8

#: Requests more whose start is remembered in each of the last stages.
REMEMBERED_MORE = 3

#: Bytes for the graphs; the guided search may take a third as many beside them.
MEMORY = 5 * 2**29

#: No arc has room for a larger cost.
MOST_EXCESS = 2**31 - 1

#: No request number or output is larger: a byte each in a key.
MOST = 255


def is_applicable(instance: Instance) -> bool:
    """Whether a node's key has room for the instance."""
    return instance.n <= MOST and int(instance.output.max()) <= MOST


def prove_by_paths(
    instance: Instance,
    schedule: MixedSchedule,
    prices: ConfigurationPrices,
    *,
    bound: int = 0,
    time_limit: float | None = None,
    work_limit: int | None = None,
    memory_limit: int = MEMORY,
    threads: int = 1,
    stop: Callable[[], bool] | None = None,
    found: Callable[[MixedSchedule, int], None] | None = None,
) -> ExactOutcome:
    """Refute latencies from the prices' bound up, or find an optimal schedule.

    For a target V all schedules of latency at most V are looked at, in graphs that remember more
    from stage to stage. Either none is left (the optimum exceeds V), or the last graph's shortest
    path is an optimal schedule. V rises such that each target takes some times as long as the one
    before.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching), see `is_applicable`.
    schedule : MixedSchedule
        A feasible schedule.
    prices : ConfigurationPrices
        Prices for the instance: the closer their bound, the smaller the graphs.
    bound : int
        A lower bound known from elsewhere.
    time_limit : float, optional
        Seconds of wall-clock time.
    work_limit : int, optional
        Nodes to expand, about; with it and without a time limit the result depends on nothing else.
    memory_limit : int
        Bytes for the graphs; the guided search may take a third as many beside them.
    threads : int
        Threads of the guided search.
    stop : callable, optional
        Asked every few hundredths of a second; True ends the search.
    found : callable, optional
        Called with the best schedule and the bound whenever one of them is better.

    Returns
    -------
    ExactOutcome
        The best schedule, the bound, and whether they meet.

    Raises
    ------
    InputError
        If the schedule is infeasible, the prices are not the instance's, or the instance is too
        large.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.mixed.bounds.configuration import configuration_prices
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> schedule = MixedSchedule([0, 4])
    >>> prices = configuration_prices(instance, schedule, work_limit=10)
    >>> outcome = prove_by_paths(instance, schedule, prices)
    >>> outcome.bound, outcome.complete
    (7, True)
    """
    _check_size(instance)
    _check_schedule(instance, schedule)
    limits = SearchLimits(time_limit, work_limit, memory_limit, stop)
    value = _latency(instance, schedule)
    bound = max(bound, math.ceil(prices.bound), int(instance.output.sum()))
    ceiling, tried = value - 1, list[tuple[int, int]]()
    most_arcs = memory_limit // (3 * ARC_BYTES)
    try:
        while bound < value and bound <= ceiling:
            target = min(next_target(bound, value, tried, limits.work_left()), ceiling)
            before = limits.nodes
            try:
                better, proved = _refute(instance, prices, target, limits, most_arcs, threads)
            except OutOfRoom:
                ceiling = bound + (target - bound) // 2 if target > bound else bound - 1
                continue
            if better is not None:
                schedule = better
                value = _latency(instance, schedule)
            bound = max(bound, min(value, proved))
            tried.append((target, limits.nodes - before))
            if found is not None:
                found(schedule, bound)
    except OutOfLimits:
        pass
    return ExactOutcome(schedule, bound, limits.nodes, bound == value)


def least_up_to(
    instance: Instance,
    prices: ConfigurationPrices,
    target: int,
    *,
    time_limit: float | None = None,
    memory_limit: int = MEMORY,
) -> int | None:
    """Least total latency of a schedule if it is at most `target`, else ``target + 1``.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching), see `is_applicable`.
    prices : ConfigurationPrices
        Any prices ≥ 0; their `bound` is not used.
    target : int
        ≥ 0.
    time_limit, memory_limit
        As in `prove_by_paths`; None is returned if they do not suffice.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.mixed.bounds.configuration import configuration_prices
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> prices = configuration_prices(instance, MixedSchedule([0, 3]), work_limit=10)
    >>> least_up_to(instance, prices, 6), least_up_to(instance, prices, 20)
    (7, 7)
    """
    _check_size(instance)
    limits = SearchLimits(time_limit, None, memory_limit, None)
    try:
        most_arcs = memory_limit // (3 * ARC_BYTES)
        better, proved = _refute(instance, prices, target, limits, most_arcs, threads=1)
    except (OutOfLimits, OutOfRoom):
        return None
    return proved if better is None else _latency(instance, better)


def _check_size(instance: Instance) -> None:
    if not is_applicable(instance):
        raise InputError(
            f"instance: expected at most {MOST} requests of output at most {MOST}, "
            f"found {instance.n} and {int(instance.output.max())}"
        )


def _check_schedule(instance: Instance, schedule: MixedSchedule) -> None:
    violations = check_mixed(instance, schedule)
    if violations:
        raise InputError(f"schedule: expected a feasible schedule: {violations[0].message}")


def _latency(instance: Instance, schedule: MixedSchedule) -> int:
    return int(total_latency(instance, schedule.completion(instance)))


def _refute(
    instance: Instance,
    prices: ConfigurationPrices,
    target: int,
    limits: SearchLimits,
    most_arcs: int,
    threads: int,
) -> tuple[MixedSchedule | None, int]:
    """Return an optimal schedule if its latency is at most the target, and a lower bound."""
    before = limits.nodes
    excess, base = excess_terms(instance, prices, target, limits.check)
    terms = path_terms(instance, excess, base, target)
    if terms.limit < 0:
        return None, target + 1
    if terms.limit > MOST_EXCESS:
        raise OutOfRoom
    n = instance.n
    stages = [
        tracking(n, named, timed, hiding=True, remembered=[])
        for named, timed in STAGES
        if named < terms.most
    ]
    stages.append(tracking(n, terms.most, 0, hiding=False, remembered=[]))
    multiplier, coarser = np.zeros(n, np.int64), None
    while True:
        track = stages.pop(0)
        graph = build(terms, track, coarser, multiplier, limits, most_arcs)
        if graph is None:
            return None, target + 1
        state = ascend(terms, graph, multiplier, limits, free=not track.hiding)
        if state.graph is None:
            return None, target + 1
        if not track.hiding:
            schedule = _schedule(n, state)
            if schedule is not None:
                return schedule, terms.latency(state.value)
        if not stages:
            stages.append(_remembering_more(n, track, state))
        multiplier = state.multiplier
        coarser = Coarser(track, [layer.key for layer in state.graph.layers], state.costs.ahead)
        if track.hiding and track.named >= GUIDES:
            guide = PathGuide(excess, coarser, multiplier)
            work = limits.nodes - before
            search = _searched(excess, base, target, guide, limits, work, threads)
            if search is not None:
                return (None, target + 1) if search.start is None else _optimal(instance, search)


@dataclass(frozen=True, slots=True)
class _Search:
    """A completed exhaustive search: starts of least latency, or None if there are none."""

    start: IntArray | None


def _searched(
    excess: Excess,
    base: int,
    target: int,
    guide: PathGuide,
    limits: SearchLimits,
    work: int,
    threads: int,
) -> _Search | None:
    """Search states exhaustively with about as much work as the graphs took; None: not completed.

    Graphs and search so share the work, whichever is quicker to refute the target.
    """
    if excess.output.size > MOST_REQUESTS or int(excess.output.max()) >= WAITING:
        return None
    part = limits.part(threads * work // NODES_PER_STATE, limits.memory // 3)
    try:
        return _Search(search_states(excess, base, target, part, guide, threads=threads))
    except OutOfLimits:
        limits.check()
        return None
    finally:
        limits.spend(NODES_PER_STATE * part.nodes // threads, 0.0)


def _optimal(instance: Instance, search: _Search) -> tuple[MixedSchedule, int]:
    assert search.start is not None
    schedule = MixedSchedule(search.start)
    return schedule, _latency(instance, schedule)


def _schedule(n: int, state: Ascent) -> MixedSchedule | None:
    """Return the shortest path as a schedule, if every request starts once on it."""
    assert state.graph is not None
    path = state.graph.shortest_path(state.costs)
    if sorted(request for request, _ in path) != list(range(n)):
        return None
    start = np.empty(n, np.int64)
    for request, t in path:
        start[request] = t
    return MixedSchedule(start)


def _remembering_more(n: int, track: Tracking, state: Ascent) -> Tracking:
    """Remember the starts of those too that start too often or too seldom."""
    remembered = np.flatnonzero(track.bit >= 0).tolist()
    wrong = np.abs(state.visits - 1.0)
    wrong[remembered] = -1.0
    more = np.argsort(-wrong, kind="stable")[: min(REMEMBERED_MORE, n - len(remembered))]
    remembered = sorted([*remembered, *more.tolist()])
    return tracking(n, track.named, 0, hiding=False, remembered=remembered)
