"""Instances of few classes: spaced starts, the program of equal requests, and class prices.

They run before the engine, since searches over orders start what fits and cannot wait.
"""

from __future__ import annotations

from ...models.mixed.schedule import MixedSchedule
from ..best_so_far import BestSoFar
from ..certificates.mixed.equal_requests import EqualRequestsProof
from ..compiled import PHASE
from ..recipe import Options
from .bounds.class_prices import CLASS_PRICES, class_prices
from .equal_requests.recipe import EQUAL, MOST_WORK, are_equal, equal_requests
from .equal_requests.warm_up import compile_equal_requests, equal_requests_are_compiled
from .search.spacing import SPACING, are_few_classes, spaced_schedule
from .within_limits import within_limits

#: Parts of the time for spacings, for the program of equal requests and for class prices; the least
#: work for these; steps of the program in a second and in a unit of work, about.
SPACING_SHARE, EQUAL_SHARE, CLASS_PRICE_SHARE = 0.1, 0.4, 0.4
LEAST_UNITS = 10_000
STEPS_PER_SECOND, STEPS_PER_UNIT = 50_000_000, 500


def by_class(search: BestSoFar[MixedSchedule], options: Options) -> None:
    """Space the starts of each class, and solve the program of equal requests, where all are."""
    if search.objective != "latency" or search.proved or not are_few_classes(search.instance):
        return
    if not equal_requests_are_compiled():
        search.off_the_clock(PHASE, compile_equal_requests)
    by_clock = options.work_limit is None
    until = search.seconds + SPACING_SHARE * search.seconds_left
    start = spaced_schedule(
        search.instance, seed=options.seed, stop=lambda: by_clock and search.seconds > until
    )
    if start is not None:
        search.offer(MixedSchedule(start), SPACING)
    search.tell(SPACING)
    if are_equal(search.instance) and not search.proved:
        _try_equal(search, options.work_limit)
    if not search.proved and (options.work_limit is None or options.work_limit > LEAST_UNITS):
        _price_classes(search, by_clock)


def _price_classes(search: BestSoFar[MixedSchedule], by_clock: bool) -> None:
    """Bound by class prices, in a part of the time."""
    assert search.schedule is not None
    seconds = 0.5 * CLASS_PRICE_SHARE * search.seconds_left
    found = class_prices(
        search.instance,
        search.schedule,
        seconds=seconds if by_clock else None,
    )
    if found is not None:
        search.proved_bound(CLASS_PRICES, *found)
    search.tell(CLASS_PRICES)


def _try_equal(search: BestSoFar[MixedSchedule], work_limit: int | None) -> None:
    """Solve the program of equal requests, in a part of the time."""
    by_clock, left = work_limit is None, EQUAL_SHARE * search.seconds_left
    until = search.seconds + left
    steps = left * STEPS_PER_SECOND if work_limit is None else work_limit * STEPS_PER_UNIT
    found = equal_requests(
        search.instance,
        latency=int(search.value) if search.value is not None else None,
        work=int(min(MOST_WORK, steps)),
        stop=lambda: by_clock and search.seconds > until,
    )
    if found is not None:
        schedule = found.schedule and within_limits(search.instance, found.schedule)
        if schedule is not None:
            search.offer(schedule, EQUAL)
        proof = EqualRequestsProof(value=found.bound, rounds=found.rounds)
        search.proved_bound(EQUAL, found.bound, proof)
    search.tell(EQUAL)
