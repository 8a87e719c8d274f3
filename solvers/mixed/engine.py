"""The engine for the total latency: schedules on one thread, bounds and proofs on another.

The compiled searches release the interpreter, so the two threads use two cores (`desk`).
"""

from __future__ import annotations

import math
from functools import partial

from ...models.mixed.schedule import MixedSchedule
from ..best_so_far import BestSoFar
from ..certificates.mixed.configuration_prices import ConfigurationPriceProof
from ..certificates.mixed.exhaustive_search import ExhaustiveSearch
from ..certificates.mixed.memory_prices import MemoryPriceProof
from ..certificates.mixed.path_search import PathSearch
from ..certificates.mixed.price_table import PriceTable
from ..compiled import PHASE
from ..workers import Desk, Found
from .bounds import configuration
from .bounds.memory_prices import memory_price_bound
from .exact import proof
from .path_graphs import sublimation
from .path_graphs.warm_up import compile_paths, paths_are_compiled
from .proofs.price_tables import price_table
from .search.recipe import improve_schedule

#: Time for the first prices in seconds per request and round of the horizon, and at most which
#: share of the time left.
PRICING_SECONDS = 4e-4
PRICING_SHARE = 0.25

#: Up to so many requests the optimum is hoped for: states are searched exhaustively for some times
#: as long as the first prices took, then on better prices, which take some times as long, for a
#: share of the time left, and path graphs get the rest. For larger instances states are searched on
#: better prices only, to raise the bound. Schedules are searched beside for a share of the time.
MOST_EXHAUSTED = 30
FIRST_EXHAUSTION, SECOND_PRICING, SECOND_PRICING_SHARE, EXHAUSTION_SHARE = 2.0, 4.0, 0.2, 0.6
SEARCH_SHARE, LARGE_SEARCH_SHARE = 0.05, 0.6

#: Seconds that searches of schedules and the first one of states get at least.
LEAST_SECONDS = 2.0

#: Bytes for the states of an exhaustive search.
MEMORY = 9 * 2**28

#: Work units: one is about ten microseconds.
PLACEMENTS_PER_UNIT = 20
UNITS_PER_PRICE_STEP = 10
UNITS_PER_NODE = 1000

#: Blocks of rounds and steps per level of the first memory prices, and of the second.
MEMORY_BLOCKS_AND_STEPS = ((1024, 200), (4096, 1000))

#: Names of what proves bounds.
CONFIGURATIONS = "configuration prices"
EXHAUSTION = "exhaustive search"
MEMORY_PRICES = "memory prices"
PATHS = "path graphs"


def improve_and_prove(
    search: BestSoFar[MixedSchedule], *, time_limit: float, threads: int | None, seed: int
) -> None:
    """Search for schedules and bounds until they meet or the time is up.

    Parameters
    ----------
    search : BestSoFar
        Has a schedule already; what is found goes there.
    time_limit : float
        Seconds from now on.
    threads : int or None
        With 1, the bounds come after the schedules; else both run at once.
    seed : int
        Seed of the schedule search.
    """
    desk = Desk(search, deadline=search.seconds + time_limit)
    if threads == 1:
        desk.run(partial(_improve, desk, seed, _seconds_before_bounds(desk, time_limit)))
        if not search.proved:
            desk.run(partial(_prove, desk, 1))
    else:
        seconds = time_limit
        if has_configurations(search) and proof.is_applicable(search.instance):
            small = search.instance.n <= MOST_EXHAUSTED
            share = SEARCH_SHARE if small else LARGE_SEARCH_SHARE
            seconds = max(LEAST_SECONDS, share * time_limit)  # the proof takes both threads then
        desk.run(partial(_improve, desk, seed, seconds), partial(_prove, desk, 2))


def improve_and_prove_by_work(
    search: BestSoFar[MixedSchedule], work_limit: int, seed: int, *, paths: bool = True
) -> None:
    """Do the same, one after the other, with a limit on work: the clock plays no part."""
    instance = search.instance
    assert search.schedule is not None
    better = improve_schedule(
        instance,
        search.schedule,
        time_limit=0.0,
        work_limit=PLACEMENTS_PER_UNIT * work_limit,
        seed=seed,
    )
    search.offer(better, "schedule search")
    search.tell("schedule search")
    if not has_configurations(search):
        found = memory_price_bound(instance, schedule=better)
        search.proved_bound(MEMORY_PRICES, found.value, MemoryPriceProof(prices=found.prices))
        return
    steps = work_limit // UNITS_PER_PRICE_STEP
    prices = configuration.configuration_prices(instance, better, work_limit=steps // 2)
    prices = configuration.configuration_prices(
        instance, better, begin=prices, work_limit=steps // 2
    )
    table = price_table(instance, prices)
    search.proved_bound(CONFIGURATIONS, prices.bound, ConfigurationPriceProof(table=table))
    search.tell(CONFIGURATIONS)
    if not search.proved and instance.n <= MOST_EXHAUSTED and proof.is_applicable(instance):
        outcome = proof.prove(instance, better, prices, work_limit=work_limit)
        search.offer(outcome.schedule, EXHAUSTION)
        exhausted = ExhaustiveSearch(value=outcome.bound, table=table)
        search.proved_bound(EXHAUSTION, outcome.bound, exhausted)
    if paths and not search.proved and sublimation.is_applicable(instance):
        assert search.schedule is not None
        outcome = sublimation.prove_by_paths(
            instance,
            search.schedule,
            prices,
            bound=math.ceil(search.bound or 0),
            work_limit=work_limit,
        )
        search.offer(outcome.schedule, PATHS)
        refuted = PathSearch(value=outcome.bound, table=table)
        search.proved_bound(PATHS, outcome.bound, refuted)


def _seconds_before_bounds(desk: Desk[MixedSchedule], time_limit: float) -> float:
    """Seconds of schedule search on the only thread; memory prices need little after it."""
    if has_configurations(desk.search):
        return min(0.3 * time_limit, _first_seconds(desk))
    return 0.6 * time_limit


def _first_seconds(desk: Desk[MixedSchedule]) -> float:
    """Seconds for the first prices, by the size of their table."""
    horizon = int(desk.best().completion(desk.search.instance).max())
    return PRICING_SECONDS * desk.search.instance.n * horizon


def _improve(desk: Desk[MixedSchedule], seed: int, seconds: float) -> None:
    """Search for schedules."""
    improve_schedule(
        desk.search.instance,
        desk.best(),
        time_limit=min(seconds, desk.seconds_left),
        seed=seed,
        stop=desk.stop.is_set,
        found=lambda schedule, _: desk.findings.put(Found("schedule search", schedule)),
    )


def _prove(desk: Desk[MixedSchedule], threads: int) -> None:
    if has_configurations(desk.search):
        _prove_by_configurations(desk, threads)
    else:
        _bound_by_memory_prices(desk)


def has_configurations(search: BestSoFar[MixedSchedule]) -> bool:
    """Whether the instance is of a size for configuration prices; there must be a schedule."""
    assert search.schedule is not None
    last_round = int(search.schedule.completion(search.instance).max())
    return configuration.is_applicable(search.instance, last_round)


def _bound_by_memory_prices(desk: Desk[MixedSchedule]) -> None:
    """Prices on few blocks, soon, then on many."""
    for blocks, steps in MEMORY_BLOCKS_AND_STEPS:
        if desk.stop.is_set():
            return
        found = memory_price_bound(
            desk.search.instance,
            schedule=desk.best(),
            blocks=blocks,
            steps=steps,
            time_limit=0.8 * desk.seconds_left,
            keep_going=lambda _: not desk.stop.is_set(),
        )
        bound = found.value, MemoryPriceProof(prices=found.prices)
        desk.findings.put(Found(MEMORY_PRICES, bound=bound))


def _prove_by_configurations(desk: Desk[MixedSchedule], threads: int) -> None:
    """Prices, then searches guided by them; again with more time for prices until it is proved."""
    instance = desk.search.instance
    budget = min(_first_seconds(desk), PRICING_SHARE * desk.seconds_left)
    prices = _better_prices(desk, None, 0.5 * budget)
    prices = _better_prices(desk, prices, 0.5 * budget)  # from there by another way of climbing
    exhaustible, small = proof.is_applicable(instance), instance.n <= MOST_EXHAUSTED
    if exhaustible and small:
        seconds = max(LEAST_SECONDS, FIRST_EXHAUSTION * budget)
        if _exhaust(desk, prices, seconds, threads, give_up=True):
            return
    budget = min(SECOND_PRICING * budget, SECOND_PRICING_SHARE * desk.seconds_left)
    prices = _better_prices(desk, prices, budget)
    while desk.seconds_left > 0 and not desk.stop.is_set():
        if exhaustible:
            seconds = (EXHAUSTION_SHARE if small else 1.0) * desk.seconds_left
            if _exhaust(desk, prices, seconds, threads, give_up=small):
                return
        if sublimation.is_applicable(instance) and (small or not exhaustible):
            if not paths_are_compiled():
                desk.search.off_the_clock(PHASE, compile_paths)
            outcome = sublimation.prove_by_paths(
                instance,
                desk.best(),
                prices,
                bound=math.ceil(desk.search.bound or 0),
                time_limit=desk.seconds_left,
                threads=threads,
                stop=desk.stop.is_set,
                found=partial(_hand_in, desk, PATHS, PathSearch, price_table(instance, prices)),
            )
            if outcome.complete:
                return
        budget = 2 * budget
        prices = _better_prices(desk, prices, budget)


def _exhaust(
    desk: Desk[MixedSchedule],
    prices: configuration.ConfigurationPrices,
    seconds: float,
    threads: int,
    *,
    give_up: bool,
) -> bool:
    """Search states for so long at most; whether that proved the optimum."""
    instance, table = desk.search.instance, price_table(desk.search.instance, prices)
    outcome = proof.prove(
        instance,
        desk.best(),
        prices,
        bound=math.ceil(desk.search.bound or 0),
        time_limit=min(seconds, desk.seconds_left),
        memory_limit=MEMORY,
        threads=threads,
        give_up=give_up,
        stop=desk.stop.is_set,
        found=partial(_hand_in, desk, EXHAUSTION, ExhaustiveSearch, table),
    )
    _hand_in(desk, EXHAUSTION, ExhaustiveSearch, table, outcome.schedule, outcome.bound)
    return outcome.complete


def _better_prices(
    desk: Desk[MixedSchedule], begin: configuration.ConfigurationPrices | None, seconds: float
) -> configuration.ConfigurationPrices:
    prices = configuration.configuration_prices(
        desk.search.instance,
        desk.best(),
        begin=begin,
        time_limit=min(seconds, desk.seconds_left),
        stop=desk.stop.is_set,
    )
    table = price_table(desk.search.instance, prices)
    desk.findings.put(
        Found(CONFIGURATIONS, bound=(prices.bound, ConfigurationPriceProof(table=table)))
    )
    return prices


def _hand_in(
    desk: Desk[MixedSchedule],
    by: str,
    kind: type[ExhaustiveSearch] | type[PathSearch],
    table: PriceTable,
    schedule: MixedSchedule,
    bound: int,
) -> None:
    desk.findings.put(Found(by, schedule, (bound, kind(value=bound, table=table))))
