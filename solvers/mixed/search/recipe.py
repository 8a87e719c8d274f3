"""Improve a schedule: the recipe that picks the search by size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ....models.blocks import moved_to_zero
from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ....models.mixed.feasibility import check_mixed
from ....models.mixed.problem import require_mixed
from ....models.mixed.schedule import MixedSchedule
from ...limits import Budget, Incumbent
from ...random_stream import Stream, random_stream
from ..completion_costs import CompletionCosts
from . import beam
from .greedy import greedy_starts
from .large_neighbourhood import Neighbourhood
from .multistart import anneal_in_runs
from .place import MOST_ROUNDS, place_all
from .priced_orders import priced_starts

#: Up to this many requests × rounds, all requests are annealed together; beyond, windows of them.
MOST_ANNEALED_REQUESTS = 300
MOST_ANNEALED_CELLS = 4_000_000

#: Up to this many requests, and requests × rounds, beams come first.
MOST_BEAM_REQUESTS = 150
MOST_BEAM_CELLS = 200_000

#: Their share of the budget; beyond this many requests annealing gains more than wide beams do.
BEAM_SHARE, BEAM_SHARE_BEYOND = 0.7, 0.05
BEYOND = 44

#: Share of the budget for schedules guided by memory prices, on larger instances.
PRICED_SHARE = 0.3

#: Share of what is left then for busy stretches, each searched on its own, by how much they wait.
STRETCH_SHARE = 0.8

#: Of the starts of a larger instance, this many are compacted, the best; the best of them goes on.
COMPACTED = 4


def improve_schedule(
    instance: Instance,
    schedule: MixedSchedule,
    *,
    costs: CompletionCosts | None = None,
    time_limit: float,
    work_limit: int | None = None,
    seed: int = 0,
    stop: Callable[[], bool] | None = None,
    found: Callable[[MixedSchedule, int], None] | None = None,
) -> MixedSchedule:
    """Search for a schedule of smaller total latency until the time is up.

    Greedy schedules come first. Then instances of up to `MOST_BEAM_REQUESTS` requests are
    searched by beams of doubling widths, those of up to `MOST_ANNEALED_REQUESTS` annealed as a
    whole, run after run; larger ones busy stretch by busy stretch, and then window by window.
    Where completions cost something else, instances are annealed as a whole up to
    `MOST_ANNEALED_CELLS` requests × rounds, and larger ones keep the best greedy schedule.

    Parameters
    ----------
    instance : Instance
        The instance (unit-time law).
    schedule : MixedSchedule
        A feasible schedule of it. Aborted runs only cost: they are left out of the search.
    costs : CompletionCosts, optional
        What completions cost; their latency by default.
    time_limit : float
        Seconds of wall-clock time, ≥ 0.
    work_limit : int, optional
        Placements of a request on the KV profile, about, ≥ 0. With it the result does not depend
        on the clock: the time limit is not used.
    seed : int
        Random seed, ≥ 0.
    stop : callable, optional
        Asked about every 20 ms; the search ends when it returns True.
    found : callable, optional
        Called with each improved schedule and what it costs in steps (its total latency), which
        falls from call to call.

    Returns
    -------
    MixedSchedule
        The best schedule found; feasible, and never worse than the one given.

    Raises
    ------
    InputError
        If mixed batching cannot express the instance, the schedule violates a rule, or a limit or
        the seed is out of range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> one_by_one = MixedSchedule([0, 4])
    >>> improve_schedule(instance, one_by_one, time_limit=0, work_limit=100).start.tolist()
    [0, 3]
    """
    _check_arguments(instance, schedule, time_limit, work_limit, seed)
    budget = Budget(time_limit, work_limit, stop)
    if costs is None:
        incumbent = Incumbent(instance, schedule, found)
        _search(instance, budget, incumbent, random_stream(seed))
    else:
        per_step = costs

        def steps(completion: IntArray) -> int:
            return per_step.of(completion) // per_step.scale

        incumbent = Incumbent(instance, schedule, found, steps)
        _search_costs(instance, budget, incumbent, random_stream(seed), costs)
    return incumbent.schedule


def _search_costs(
    instance: Instance,
    budget: Budget,
    incumbent: Incumbent,
    stream: Stream,
    costs: CompletionCosts,
) -> None:
    """Improve the incumbent where completions cost something else than their latency."""
    worth = (costs.rate + costs.fixed / instance.output) / costs.scale
    for start in greedy_starts(instance, worth):
        if budget.is_spent:
            return
        budget.work += instance.n
        incumbent.offer(start)
    rounds = int(incumbent.schedule.completion(instance).max() - instance.arrival.min())
    if instance.n * rounds <= MOST_ANNEALED_CELLS:
        anneal_in_runs(instance, budget, incumbent, stream, costs)


def _search(instance: Instance, budget: Budget, incumbent: Incumbent, stream: Stream) -> None:
    """Improve the incumbent by what fits the size."""
    starts = _first_starts(instance, incumbent.schedule, budget, incumbent)
    rounds = int(incumbent.schedule.completion(instance).max() - instance.arrival.min())
    if budget.is_spent or rounds > MOST_ROUNDS:
        return
    if instance.n <= MOST_ANNEALED_REQUESTS and instance.n * rounds <= MOST_ANNEALED_CELLS:
        if instance.n <= MOST_BEAM_REQUESTS and instance.n * rounds <= MOST_BEAM_CELLS:
            part = budget.part(BEAM_SHARE if instance.n <= BEYOND else BEAM_SHARE_BEYOND)
            exhausted = beam.widen(instance, part, incumbent)
            budget.settle(part)
            if exhausted:
                return
        anneal_in_runs(instance, budget, incumbent, stream)
    else:
        whole = Neighbourhood(instance, starts[0])
        if len(whole.stretches()) > 1:
            whole.compact(budget, incumbent)
            _search_stretches(instance, whole, budget, incumbent, stream)
        else:
            whole = _best_compacted(instance, starts, budget, incumbent)
        whole.improve(budget, incumbent, stream)


def _best_compacted(
    instance: Instance, starts: list[IntArray], budget: Budget, incumbent: Incumbent
) -> Neighbourhood:
    """Compact the best starts, those guided by prices among them, and take what is best then."""
    starts = _with_priced(instance, starts, budget, incumbent)
    compacted = [Neighbourhood(instance, start) for start in starts[:COMPACTED]]
    for neighbourhood in compacted:
        neighbourhood.compact(budget, incumbent)
    return min(compacted, key=lambda neighbourhood: int(neighbourhood.start.sum()))


def _search_stretches(
    instance: Instance,
    whole: Neighbourhood,
    budget: Budget,
    incumbent: Incumbent,
    stream: Stream,
) -> None:
    """Search busy stretches on their own, those that wait most first.

    What orders one of them well need not be good for the others.
    """
    stretches = whole.stretches()
    waits = [int((whole.start[each] - whole.release[each]).sum()) for each in stretches]
    share, left = budget.part(STRETCH_SHARE), sum(waits)
    for j in sorted(range(len(waits)), key=lambda j: -waits[j]):
        if share.is_spent or waits[j] == 0:
            break
        members = stretches[j]
        alone, shift = moved_to_zero(instance, members)
        first = shift - whole.origin
        best = Incumbent(alone, MixedSchedule(whole.start[members] - first), None)
        before = best.value
        part = share.part(waits[j] / left)
        _search(alone, part, best, stream)
        share.settle(part)
        start = best.schedule.start + first
        adopted = whole.adopt(members, start, budget, incumbent)
        if best.value < before and not adopted and j + 1 < len(stretches):
            part = share.part(waits[j] / left)
            both = np.concatenate([members, stretches[j + 1]])
            better = _next_gives_way(instance, whole, both, start, part, stream)
            share.settle(part)
            whole.adopt(both, better, budget, incumbent)
        left -= waits[j]
    budget.settle(share)


def _next_gives_way(
    instance: Instance,
    whole: Neighbourhood,
    both: IntArray,
    start: IntArray,
    budget: Budget,
    stream: Stream,
) -> IntArray:
    """Starts of two stretches of which the first, given its starts, runs on into the second."""
    alone, shift = moved_to_zero(instance, both)
    first = shift - whole.origin
    wanted = whole.start[both]
    wanted[: start.size] = start
    placed = place_all(alone, np.argsort(wanted, kind="stable"))
    if placed is None:
        return whole.start[both]
    best = Incumbent(alone, MixedSchedule(placed), None)
    Neighbourhood(alone, placed).improve(budget, best, stream)
    return best.schedule.start + first


def _first_starts(
    instance: Instance, schedule: MixedSchedule, budget: Budget, incumbent: Incumbent
) -> list[IntArray]:
    """Starts of the given schedule and of the greedy ones, the best first."""
    starts = [schedule.start]
    for start in greedy_starts(instance):
        if budget.is_spent:
            break
        budget.work += instance.n
        incumbent.offer(start)
        starts.append(start)
    return sorted(starts, key=lambda start: int(start.sum()))


def _with_priced(
    instance: Instance, starts: list[IntArray], budget: Budget, incumbent: Incumbent
) -> list[IntArray]:
    """Add the starts of schedules guided by memory prices; the best first."""
    part = budget.part(PRICED_SHARE)
    priced = priced_starts(instance, part, incumbent)
    budget.settle(part)
    return sorted([*starts, *priced], key=lambda start: int(start.sum()))


def _check_arguments(
    instance: Instance,
    schedule: MixedSchedule,
    time_limit: float,
    work_limit: int | None,
    seed: int,
) -> None:
    require_mixed(instance)
    if not time_limit >= 0:
        raise InputError(f"time_limit: expected at least 0 seconds, found {time_limit}")
    if work_limit is not None and work_limit < 0:
        raise InputError(f"work_limit: expected at least 0 placements, found {work_limit}")
    if seed < 0:
        raise InputError(f"seed: expected an integer of at least 0, found {seed}")
    violations = check_mixed(instance, schedule)
    if violations:
        raise InputError(f"schedule: must be feasible, found: {violations[0].message}")
