"""The engine: schedules on one thread, bounds and proofs on another.

It is for sums over completions (`completion_costs`): the total latency, weighted completion,
tardiness, and the reward that is lost. Path graphs, and what bounds large instances, are for the
total latency alone.

Schedules obey limits on a round. Bounds and proofs are of the relaxation without such limits, whose
optimum is no larger: they stay valid, and may not meet the best schedule (`within_limits`).

The compiled searches release the interpreter, so the two threads use two cores (`workers`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

from ...models.instance import Instance
from ...models.mixed.problem import is_limited, without_limits
from ...models.mixed.schedule import MixedSchedule
from ...models.objectives import total_latency, value_step
from ..best_so_far import BestSoFar
from ..certificates.mixed.configuration_prices import ConfigurationPriceProof
from ..certificates.mixed.exhaustive_search import ExhaustiveSearch
from ..certificates.mixed.memory_prices import MemoryPriceProof
from ..certificates.mixed.path_search import PathSearch
from ..certificates.mixed.price_blocks import MemoryPrices
from ..certificates.mixed.price_table import PriceTable
from ..compiled import PHASE
from ..stages import Driver, Limits, Stage
from ..workers import Found, Mailbox
from .bounds import configuration
from .bounds.knapsack_prices import knapsack_price_bound
from .bounds.memory_prices import memory_price_bound
from .completion_costs import CompletionCosts, completion_costs, steps_of, value_of
from .exact import proof
from .path_graphs import sublimation
from .path_graphs.warm_up import compile_paths, paths_are_compiled
from .proofs.price_tables import price_table
from .search.recipe import improve_schedule
from .within_limits import within_limits

#: Up to this many requests the optimum is sought; of larger instances states are searched on better
#: prices only, to raise the bound.
MOST_EXHAUSTED = 30

#: Work units: one is about ten microseconds.
PLACEMENTS_PER_UNIT = 20
UNITS_PER_PRICE_STEP = 10
UNITS_PER_NODE = 1000
PRICES_PER_UNIT = 250

#: Names of what finds schedules and proves bounds.
SCHEDULES = "schedule search"
CONFIGURATIONS = "configuration prices"
EXHAUSTION = "exhaustive search"
MEMORY_PRICES = "memory prices"
KNAPSACK_PRICES = "knapsack prices"
PATHS = "path graphs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """How the engine divides its time and memory.

    Attributes
    ----------
    pricing_seconds, pricing_share : float
        Time for the first prices in seconds per request and round of the horizon, and at most this
        share of the time left.
    first_search, second_pricing, second_pricing_share, search_share : float
        Up to `MOST_EXHAUSTED` requests states are searched for this many times as long as the first
        prices took, then on better prices, which take this many times as long and at most this
        share of the time left, for this share of the time left; path graphs get the rest.
    schedule_share, large_schedule_share : float
        Share of the time for schedules beside a search of states, up to `MOST_EXHAUSTED` requests
        and beyond.
    alone_share, memory_alone_share : float
        Share of the time for schedules on the only thread, before prices on configurations and
        before prices on memory.
    least_seconds : float
        Seconds that searches of schedules and the first one of states get at least.
    memory, memory_by_work : int
        Bytes for the states of a search, by clock and by work.
    memory_prices : tuple of (int, int)
        Blocks of rounds and steps per level of the first memory prices, and of later ones.
    knapsack_steps : int
        Steps of the search for knapsack prices.
    """

    pricing_seconds: float = 4e-4
    pricing_share: float = 0.25
    first_search: float = 2.0
    second_pricing: float = 4.0
    second_pricing_share: float = 0.2
    search_share: float = 0.6
    schedule_share: float = 0.05
    large_schedule_share: float = 0.6
    alone_share: float = 0.3
    memory_alone_share: float = 0.6
    least_seconds: float = 2.0
    memory: int = 9 * 2**28
    memory_by_work: int = 2**32
    memory_prices: tuple[tuple[int, int], ...] = ((1024, 200), (4096, 1000), (2**16, 200))
    knapsack_steps: int = 4000


def improve_and_prove(
    search: BestSoFar[MixedSchedule],
    *,
    time_limit: float = math.inf,
    work_limit: int | None = None,
    threads: int | None,
    seed: int,
    paths: bool = True,
) -> None:
    """Search for schedules and bounds until they meet or the limits are reached.

    Parameters
    ----------
    search : BestSoFar
        Has a schedule already; what is found goes there.
    time_limit : float
        Seconds from now on.
    work_limit : int or None
        Units of work for each stage; with it the clock plays no part.
    threads : int or None
        With 1, the bounds come after the schedules; else both run at once.
    seed : int
        Seed of the schedule search.
    paths : bool
        Whether work may go to path graphs.
    """
    driver = Driver(search, time_limit, work_limit, threads)
    engine = _Engine(driver, seed, paths)
    driver.run([engine.schedules()], engine.proofs())


def has_configurations(search: BestSoFar[MixedSchedule]) -> bool:
    """Whether the instance is of a size for configuration prices; there must be a schedule."""
    assert search.schedule is not None
    sum_over_completions = search.objective != "makespan"
    if sum_over_completions and completion_costs(search.instance, search.objective) is None:
        return False
    last_round = int(search.schedule.completion(search.instance).max())
    return configuration.is_applicable(search.instance, last_round)


@dataclass(slots=True)
class _Engine:
    """The stages, and the prices that they share."""

    driver: Driver[MixedSchedule]
    seed: int
    paths: bool
    parameters: Parameters = field(default_factory=Parameters)
    prices: configuration.ConfigurationPrices | None = None
    memory: tuple[Fraction, MemoryPrices] | None = None
    complete: bool = False

    @property
    def search(self) -> BestSoFar[MixedSchedule]:
        return self.driver.search

    @property
    def relaxed(self) -> Instance:
        """What bounds and proofs are of: the instance without limits on a round."""
        return without_limits(self.search.instance)

    @property
    def mailbox(self) -> Mailbox[MixedSchedule]:
        return self.driver.mailbox

    @property
    def costs(self) -> CompletionCosts | None:
        """What completions cost; None for the total latency of any size."""
        if self.search.objective == "latency":
            return None
        return completion_costs(self.search.instance, self.search.objective)

    @property
    def small(self) -> bool:
        """Whether the optimum is sought."""
        return self.search.instance.n <= MOST_EXHAUSTED

    @property
    def searchable(self) -> bool:
        """Whether states can be searched."""
        return proof.is_applicable(self.search.instance)

    def schedules(self) -> Stage:
        """Return the search for schedules, with the time that it gets."""
        given, seconds = self.parameters, self.mailbox.seconds_left
        configurations = has_configurations(self.search)
        if not self.driver.parallel:
            share = given.alone_share if configurations else given.memory_alone_share
            most = self._first_seconds() if configurations else math.inf
            seconds = min(share * seconds, most)
        elif configurations and self.searchable:  # the proof takes both threads then
            share = given.schedule_share if self.small else given.large_schedule_share
            seconds = max(given.least_seconds, share * seconds)
        return Stage(SCHEDULES, self.improve, seconds=seconds)

    def proofs(self) -> Iterator[Stage]:
        """Yield what proves bounds, as far as the size of the instance allows."""
        if has_configurations(self.search):
            yield from self._by_configurations()
            return
        if self.search.objective != "latency":
            return
        for blocks, steps in self.parameters.memory_prices[: 1 if self.driver.by_work else None]:
            yield Stage(MEMORY_PRICES, partial(self.price_memory, blocks, steps))
        yield Stage(KNAPSACK_PRICES, self.price_knapsacks)

    def _by_configurations(self) -> Iterator[Stage]:
        """Prices, then searches guided by them; again with more time for prices until proved."""
        given, mailbox = self.parameters, self.mailbox
        budget = min(self._first_seconds(), given.pricing_share * mailbox.seconds_left)
        first = Stage(CONFIGURATIONS, self.price, seconds=0.5 * budget, share=0.5)
        yield first
        yield first  # from there by another way of climbing
        if self.small and self.searchable:
            seconds = max(given.least_seconds, given.first_search * budget)
            yield Stage(EXHAUSTION, self.search_states, seconds=seconds)
        path_graphs = Stage(PATHS, self.search_paths, self._has_path_graphs)
        if self.driver.by_work:
            yield path_graphs
            return
        most = given.second_pricing_share * mailbox.seconds_left
        budget = min(given.second_pricing * budget, most)
        while not self.complete:
            yield Stage(CONFIGURATIONS, self.price, seconds=budget)
            if self.searchable:
                seconds = (given.search_share if self.small else 1.0) * mailbox.seconds_left
                yield Stage(EXHAUSTION, self.search_states, seconds=seconds)
            if not self.complete and (self.small or not self.searchable):
                yield path_graphs
            budget = 2 * budget

    def _first_seconds(self) -> float:
        """Seconds for the first prices, by the size of their table."""
        instance = self.search.instance
        horizon = int(self.mailbox.best().completion(instance).max())
        return self.parameters.pricing_seconds * instance.n * horizon

    def _has_path_graphs(self) -> bool:
        if self.search.objective != "latency":
            return False
        return self.paths and sublimation.is_applicable(self.search.instance)

    def improve(self, limits: Limits) -> None:
        """Search for schedules."""
        improve_schedule(
            self.search.instance,
            self.mailbox.best(),
            costs=self.costs,
            time_limit=limits.seconds,
            work_limit=limits.steps(per_unit=PLACEMENTS_PER_UNIT),
            seed=self.seed,
            stop=limits.stop,
            found=lambda schedule, _: self.mailbox.put(Found(SCHEDULES, schedule)),
        )

    def price_memory(self, blocks: int, steps: int, limits: Limits) -> None:
        """Climb to prices on memory."""
        found = memory_price_bound(
            self.relaxed,
            schedule=self.mailbox.best(),
            blocks=blocks,
            steps=steps,
            time_limit=0.8 * limits.seconds,
            keep_going=lambda _: not limits.stop(),
        )
        if self.memory is None or found.value > self.memory[0]:
            self.memory = found.value, found.prices
        bound = found.value, MemoryPriceProof(prices=found.prices)
        self.mailbox.put(Found(MEMORY_PRICES, bound=bound))

    def price_knapsacks(self, limits: Limits) -> None:
        """Climb from prices on memory to prices on presence as well."""
        assert self.memory is not None
        instance = self.relaxed
        completion = self.mailbox.best().completion(instance)
        found = knapsack_price_bound(
            instance,
            self.memory[1],
            target=int(total_latency(instance, completion)),
            steps=self.parameters.knapsack_steps,
            work_limit=limits.steps(per_unit=PRICES_PER_UNIT),
            time_limit=0.8 * limits.seconds,
            stop=limits.stop,
        )
        if found is not None:
            self.mailbox.put(Found(KNAPSACK_PRICES, bound=(found.value, found.proof)))

    def price(self, limits: Limits) -> None:
        """Climb to prices on configurations, or go on from those that there are."""
        self.prices = configuration.configuration_prices(
            self.relaxed,
            self.mailbox.best(),
            costs=self.costs,
            begin=self.prices,
            time_limit=limits.seconds,
            work_limit=limits.steps(units=UNITS_PER_PRICE_STEP),
            stop=limits.stop,
        )
        value = value_of(self.relaxed, self.search.objective, self.prices.bound)
        proof = ConfigurationPriceProof(table=self._table())
        self.mailbox.put(Found(CONFIGURATIONS, bound=(value, proof)))

    def search_states(self, limits: Limits) -> None:
        """Search states exhaustively."""
        assert self.prices is not None
        by_work, given = self.driver.by_work, self.parameters
        found = partial(self._hand_in, EXHAUSTION, ExhaustiveSearch, self._table())
        outcome = proof.prove(
            self.relaxed,
            self.mailbox.best(),
            self.prices,
            costs=self.costs,
            bound=0 if by_work else self._bound(),
            time_limit=limits.seconds,
            work_limit=limits.work,
            memory_limit=given.memory_by_work if by_work else given.memory,
            threads=2 if self.driver.parallel else 1,
            give_up=self.small and not by_work,
            stop=limits.stop,
            found=found,
        )
        found(outcome.schedule, outcome.bound)
        self.complete = outcome.complete

    def search_paths(self, limits: Limits) -> None:
        """Refute latencies by path graphs."""
        assert self.prices is not None
        if not self.driver.by_work and not paths_are_compiled():
            self.search.off_the_clock(PHASE, compile_paths)
        found = partial(self._hand_in, PATHS, PathSearch, self._table())
        outcome = sublimation.prove_by_paths(
            self.relaxed,
            self.mailbox.best(),
            self.prices,
            bound=self._bound(),
            time_limit=limits.seconds,
            work_limit=limits.work,
            threads=2 if self.driver.parallel else 1,
            stop=limits.stop,
            found=found,
        )
        if self.driver.by_work:
            found(outcome.schedule, outcome.bound)
        self.complete = outcome.complete

    def _table(self) -> PriceTable:
        assert self.prices is not None
        return price_table(self.relaxed, self.prices)

    def _bound(self) -> int:
        """Return the fewest steps that a schedule costs, by a bound of what is searched.

        Bounds by limits on a round are of something else.
        """
        known, objective = self.search.bound, self.search.objective
        if is_limited(self.search.instance) or known is None:
            return 0
        return math.ceil(steps_of(self.search.instance, objective, Fraction(known)))

    def _hand_in(
        self,
        by: str,
        kind: type[ExhaustiveSearch] | type[PathSearch],
        table: PriceTable,
        schedule: MixedSchedule,
        bound: int,
    ) -> None:
        """Hand in a schedule and a bound in steps."""
        objective = self.search.objective
        kept = within_limits(self.search.instance, schedule)
        value = value_of(self.relaxed, objective, bound)
        claim = kind(value=int(value / value_step(self.relaxed, objective)), table=table)
        self.mailbox.put(Found(by, kept, (value, claim)))
