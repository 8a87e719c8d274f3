"""The engine for the makespan, which asks whether a schedule is done by D.

There is one iff the tardiness is 0 where all are due at D (`completion_costs.by_deadline`). On one
thread schedules of little such tardiness are sought, for D some way below the best makespan: that
is a better guide than the makespan, which most changes of a schedule leave as it is. On another
prices refute deadlines, each beginning from the prices that refuted the one before, stretched in
time; exhaustive searches on these prices go on from there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import numpy as np

from ...models.instance import Instance, IntArray
from ...models.mixed.problem import is_limited, without_limits
from ...models.mixed.schedule import MixedSchedule
from ..best_so_far import BestSoFar
from ..certificates.mixed.by_deadline import DeadlineProof
from ..certificates.mixed.configuration_prices import ConfigurationPriceProof
from ..certificates.mixed.exhaustive_search import ExhaustiveSearch
from ..limits import Budget, Incumbent
from ..random_stream import random_stream
from ..stages import Driver, Limits, Stage
from ..workers import Found, Mailbox
from .bounds.column_types import column_types
from .bounds.configuration import ConfigurationPrices, deadline_prices
from .completion_costs import FINEST_SCALE, by_deadline
from .engine import (
    CONFIGURATIONS,
    EXHAUSTION,
    MOST_EXHAUSTED,
    PLACEMENTS_PER_UNIT,
    SCHEDULES,
    UNITS_PER_PRICE_STEP,
    Parameters,
    has_configurations,
)
from .exact.excess import excess_terms
from .exact.proof import is_applicable
from .exact.search import OutOfLimits, SearchLimits, search_states
from .proofs.price_tables import price_table
from .search.multistart import anneal_in_runs
from .search.place import place_rest
from .search.recipe import MOST_ANNEALED_CELLS
from .within_limits import within_limits

#: Deadlines of the tardiness that guides schedules, as parts of the best makespan, in turn; seconds
#: for each, and into how many turns work is divided.
AIMS = (0.92, 0.96, 0.85, 0.98)
TURN_SECONDS = 2.0
TURNS = 8

#: By which part the next deadline to be refuted is later than the last, at first; prices for
#: blocks of so many rounds, and of fewer where the last were too coarse.
STEP = 0.04
BLOCKS = (8, 4, 2)

#: Share of the time left, or of the work, for prices that refute one deadline.
ONE_DEADLINE = 0.12

#: Share of the time left, or of the work, for a search of small instances just below the best.
AT_ONCE = 0.5

#: The first price of a token, in what a round is worth.
TOKEN_PRICE = 0.02


def shorten_and_prove(
    search: BestSoFar[MixedSchedule],
    *,
    time_limit: float = math.inf,
    work_limit: int | None = None,
    threads: int | None,
    seed: int,
) -> None:
    """Search for schedules and bounds until they meet or the limits are reached.

    Parameters
    ----------
    search : BestSoFar
        Of the makespan; has a schedule and a bound already; what is found goes there.
    time_limit : float
        Seconds from now on.
    work_limit : int or None
        Units of work for each stage; with it the clock plays no part.
    threads : int or None
        With 1, the bounds come after the schedules; else both run at once.
    seed : int
        Seed of the schedule search.
    """
    driver = Driver(search, time_limit, work_limit, threads)
    engine = _Makespan(driver, seed)
    driver.run([engine.schedules()], engine.proofs())


@dataclass(slots=True)
class _Makespan:
    """The stages, and what they know of deadlines.

    Attributes
    ----------
    refuted : int
        No schedule is done by this deadline.
    prices : ndarray of int64, shape (D + 1, K), or None
        The last prices, those of a deadline D.
    """

    driver: Driver[MixedSchedule]
    seed: int
    parameters: Parameters = field(default_factory=Parameters)
    refuted: int = 0
    prices: IntArray | None = None

    @property
    def search(self) -> BestSoFar[MixedSchedule]:
        return self.driver.search

    @property
    def mailbox(self) -> Mailbox[MixedSchedule]:
        return self.driver.mailbox

    @property
    def relaxed(self) -> Instance:
        """What bounds and proofs are of: the instance without limits on a round."""
        return without_limits(self.search.instance)

    def best(self) -> int:
        """Return the best makespan."""
        return int(self.mailbox.best().completion(self.search.instance).max())

    def schedules(self) -> Stage:
        """Return the search for schedules, with the time that it gets."""
        seconds = self.mailbox.seconds_left
        if not self.driver.parallel:
            seconds *= self.parameters.alone_share
        return Stage(SCHEDULES, self.shorten, seconds=seconds)

    def proofs(self) -> Iterator[Stage]:
        """Yield refutations by prices, then exhaustive searches."""
        if not has_configurations(self.search):
            return
        known = self.search.bound
        self.refuted = 0 if known is None or is_limited(self.search.instance) else int(known) - 1
        seconds = ONE_DEADLINE * self.mailbox.seconds_left
        step, block = max(1, int(STEP * self.refuted)), 0
        small = self.search.instance.n <= MOST_EXHAUSTED
        finest = 1 if small else len(BLOCKS)
        while block < finest and self.refuted + 1 < self.best():
            deadline = min(self.refuted + step, self.best() - 1)
            run = partial(self.price, deadline, BLOCKS[block])
            yield Stage(CONFIGURATIONS, run, seconds=seconds, share=ONE_DEADLINE)
            if self.refuted < deadline:
                step = max(1, (deadline - self.refuted) // 2)
                block += deadline == self.refuted + 1
        if small and self.refuted + 1 < self.best():
            seconds = AT_ONCE * self.mailbox.seconds_left
            run = partial(self.search_states, self.best() - 1)
            yield Stage(EXHAUSTION, run, seconds=seconds, share=AT_ONCE)
        while is_applicable(self.relaxed) and self.refuted + 1 < self.best():
            before = self.refuted, self.best()
            yield Stage(EXHAUSTION, partial(self.search_states, self.refuted + 1))
            if before == (self.refuted, self.best()):
                return

    def shorten(self, limits: Limits) -> None:
        """Anneal towards deadlines some way below the best makespan."""
        instance, stream = self.search.instance, random_stream(self.seed)
        best = Incumbent(instance, self.mailbox.best(), self._found, lambda c: int(c.max()))
        if instance.n * best.value > MOST_ANNEALED_CELLS:
            return
        budget = Budget(limits.seconds, limits.steps(per_unit=PLACEMENTS_PER_UNIT), limits.stop)
        for turn in count():
            aim = max(self.refuted, int(AIMS[turn % len(AIMS)] * best.value))
            if budget.is_spent or self.refuted + 1 >= best.value:
                return
            share = TURN_SECONDS / limits.seconds if limits.work is None else 1 / (TURNS - turn)
            part = budget.part(min(1.0, share))
            anneal_in_runs(instance, part, best, stream, by_deadline(instance, aim))
            budget.settle(part)

    def _found(self, schedule: MixedSchedule, makespan: int) -> None:
        self.mailbox.put(Found(SCHEDULES, schedule))

    def price(self, deadline: int, block: int, limits: Limits) -> None:
        """Climb to prices that refute a deadline."""
        found = self._prices(deadline, block, limits)
        self.prices = found.price
        if found.bound > 0:
            proof = ConfigurationPriceProof(table=price_table(self.relaxed, found))
            self._refuted(deadline, proof, CONFIGURATIONS)

    def _prices(self, deadline: int, block: int, limits: Limits) -> ConfigurationPrices:
        """Climb from the last prices, stretched, until the bound is above 0."""
        return deadline_prices(
            self.relaxed,
            self.mailbox.best(),
            self._stretched(deadline),
            block=block,
            time_limit=limits.seconds,
            work_limit=limits.steps(units=2 * UNITS_PER_PRICE_STEP),
            stop=limits.stop,
        )

    def _stretched(self, deadline: int) -> IntArray:
        """Return the last prices, slower; prices of memory that are always the same at first."""
        if self.prices is None:
            size = column_types(self.relaxed).size
            rows = np.tile((FINEST_SCALE * TOKEN_PRICE * size).astype(np.int64), (deadline + 1, 1))
        else:
            last = self.prices.shape[0] - 1
            rows = self.prices[np.arange(deadline + 1) * last // deadline]
        rows[0] = 0
        return rows

    def search_states(self, deadline: int, limits: Limits) -> None:
        """Search states for a schedule that is done by a deadline, after better prices."""
        relaxed = self.relaxed
        work = None if limits.work is None else int(ONE_DEADLINE * limits.work)
        seconds, began = ONE_DEADLINE * limits.seconds, self.search.seconds
        prices = self._prices(deadline, 1, Limits(seconds, work, limits.stop))
        self.prices, table = prices.price, price_table(relaxed, prices)
        if prices.bound > 0:
            self._refuted(deadline, ConfigurationPriceProof(table=table), CONFIGURATIONS)
            return
        by_work, given = self.driver.by_work, self.parameters
        memory = given.memory_by_work if by_work else given.memory
        left = None if by_work else limits.seconds - (self.search.seconds - began)
        within = SearchLimits(left, limits.work, memory, limits.stop)
        threads = 2 if self.driver.parallel else 1
        costs = by_deadline(relaxed, deadline)
        try:
            terms, base = excess_terms(relaxed, prices, 0, within.check, costs=costs)
            start = search_states(terms, base, 0, within, threads=threads)
        except OutOfLimits:
            return
        if start is None:
            self._refuted(deadline, ExhaustiveSearch(value=1, table=table), EXHAUSTION)
            return
        kept = within_limits(self.search.instance, MixedSchedule(place_rest(relaxed, start)))
        self.mailbox.put(Found(EXHAUSTION, kept))

    def _refuted(
        self, deadline: int, proof: ConfigurationPriceProof | ExhaustiveSearch, by: str
    ) -> None:
        self.refuted = max(self.refuted, deadline)
        claim = DeadlineProof(value=deadline + 1, proof=proof)
        self.mailbox.put(Found(by, bound=(claim.value, claim)))
