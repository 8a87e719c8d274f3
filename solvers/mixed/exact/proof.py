"""Prove a schedule optimal, or find a better one: the exact method for sums over completions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ....models.errors import InputError
from ....models.instance import Instance
from ....models.mixed.feasibility import check_mixed
from ....models.mixed.schedule import MixedSchedule
from ..bounds.configuration import ConfigurationPrices
from ..completion_costs import CompletionCosts, latency_costs
from ..search.place import place_rest
from .excess import excess_terms
from .layer import MOST_REQUESTS, WAITING
from .search import OutOfLimits, SearchLimits, search_states

#: A search should take about this many times as long as the one before it.
GROWTH = 6.0

#: Share of the gap that the first two searches look at each.
FIRST_SHARE = 0.1

#: A proof that would take this many times the time left, extrapolated from the searches so far, is
#: given up where that is asked for.
HOPELESS = 6.0

#: A search of fewer states tells nothing about that.
TELLING = 50_000


@dataclass(frozen=True, slots=True)
class ExactOutcome:
    """What was found and proved.

    Attributes
    ----------
    schedule : MixedSchedule
        The best schedule known, never worse than the given one.
    bound : int
        No schedule costs fewer steps (no smaller total latency).
    nodes : int
        States expanded.
    complete : bool
        Whether the schedule is optimal: it costs `bound` steps.
    """

    schedule: MixedSchedule
    bound: int
    nodes: int
    complete: bool


def is_applicable(instance: Instance) -> bool:
    """Whether a state of the search has room for the instance."""
    return instance.n <= MOST_REQUESTS and int(instance.output.max()) < WAITING


def prove(
    instance: Instance,
    schedule: MixedSchedule,
    prices: ConfigurationPrices,
    *,
    costs: CompletionCosts | None = None,
    bound: int = 0,
    time_limit: float | None = None,
    work_limit: int | None = None,
    memory_limit: int = 2**32,
    threads: int = 1,
    give_up: bool = False,
    stop: Callable[[], bool] | None = None,
    found: Callable[[MixedSchedule, int], None] | None = None,
) -> ExactOutcome:
    """Search all schedules that cost at most V steps, for V rising from the bound of the prices.

    Each search that finds nothing proves that the optimum exceeds V; one that finds a schedule
    finds an optimal one. V rises such that each search takes some times as long as the one before.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching), see `is_applicable`.
    schedule : MixedSchedule
        A feasible schedule.
    prices : ConfigurationPrices
        Prices for the instance and the costs: the closer their bound, the smaller the search.
    costs : CompletionCosts, optional
        What completions cost; the total latency by default.
    bound : int
        A lower bound in steps, known from elsewhere.
    time_limit : float, optional
        Seconds of wall-clock time.
    work_limit : int, optional
        States to expand; with it and without a time limit the result depends on nothing else.
    memory_limit : int
        Bytes for the states.
    threads : int
        Threads that share the states; of equal schedules another may be found by more.
    give_up : bool
        Whether to end where the growth from search to search tells that the limits are far too
        small.
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
        If the schedule is infeasible or evicts, the prices are not the instance's, or the instance
        is too large.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.mixed.bounds.configuration import configuration_prices
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> schedule = MixedSchedule([0, 4])
    >>> prices = configuration_prices(instance, schedule, work_limit=10)
    >>> outcome = prove(instance, schedule, prices)
    >>> outcome.bound, outcome.complete  # by starts 0 and 3, or 1 and 2
    (7, True)
    """
    _check(instance, schedule)
    if costs is None:
        costs = latency_costs(instance)
    scale = costs.scale
    limits = SearchLimits(time_limit, work_limit, memory_limit, stop)
    value = costs.of(schedule.completion(instance)) // scale
    excess, priced = excess_terms(instance, prices, value, costs=costs)
    alone = costs.of(instance.arrival + instance.output) // scale
    bound = max(bound, -(-priced // scale), alone)
    tried: list[tuple[int, int]] = []
    try:
        while bound < value:
            if give_up and _work_to_go(value, tried) > HOPELESS * limits.work_left():
                break
            target = _next_target(bound, value, tried)
            before = limits.nodes
            start = search_states(excess, priced, target, limits, threads=threads)
            if start is not None:
                schedule = MixedSchedule(place_rest(instance, start))
                value = bound = costs.of(schedule.completion(instance)) // scale
            else:
                bound = target + 1
                tried.append((target, limits.nodes - before))
            if found is not None:
                found(schedule, bound)
    except OutOfLimits:
        pass
    return ExactOutcome(schedule, bound, limits.nodes, bound == value)


def _check(instance: Instance, schedule: MixedSchedule) -> None:
    if not is_applicable(instance):
        raise InputError(
            f"instance: expected at most {MOST_REQUESTS} requests of output below {WAITING}, "
            f"found {instance.n} and {int(instance.output.max())}"
        )
    violations = check_mixed(instance, schedule)
    if violations:
        raise InputError(f"schedule: expected a feasible schedule: {violations[0].message}")


def _next_target(bound: int, value: int, tried: list[tuple[int, int]]) -> int:
    """Choose the steps up to which to search next, fewer than `value`."""
    if not tried:
        return min(value - 1, bound + int(FIRST_SHARE * (value - bound)))
    target = tried[-1][0]
    if len(tried) == 1:
        return min(value - 1, target + max(1, int(FIRST_SHARE * (value - bound))))
    reach = target + max(1, int(math.log(GROWTH) / _rate(tried)))
    return value - 1 if reach >= value - 2 else reach


def _rate(tried: list[tuple[int, int]]) -> float:
    """By which power of e the work grows per round of the target, by the last two searches."""
    (before, fewer), (target, nodes) = tried[-2:]
    return math.log(max(1.05, nodes / max(1, fewer))) / (target - before)


def _work_to_go(value: int, tried: list[tuple[int, int]]) -> float:
    """States of a search up to ``value − 1``, as far as the last two tell; 0 if they do not."""
    if len(tried) < 2 or tried[-1][1] < TELLING:
        return 0.0
    target, nodes = tried[-1]
    return nodes * math.exp(min(700.0, _rate(tried) * (value - 1 - target)))
