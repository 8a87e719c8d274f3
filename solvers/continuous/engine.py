"""The engine for continuous batching: schedules on one thread, bounds and proofs on another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...models.continuous.schedule import ContinuousSchedule
from ...models.objectives import Exact
from ..best_so_far import BestSoFar
from ..certificates.continuous.batch_length_prices import BatchLengthPriceProof
from ..certificates.continuous.continuous_search import ContinuousSearch
from ..recipe import Options
from ..stages import Driver, Limits, Stage
from ..workers import Found
from .bounds.charge import charge_bound
from .exact.prices import SCALE, Prices
from .exact.problem import is_applicable
from .exact.search import OBJECTIVES, search
from .search.recipe import Search

#: Names of the stages; what schedules are found by, the search for them says itself.
SCHEDULES = "schedule search"
EXACT = "search of states"
PRICES = "batch-length prices"

#: Up to this many requests the optimum is sought.
MOST_EXACT = 16

#: Share of the time for the search of states, if it does not end before.
EXACT_SHARE = 0.7

#: Work units of a node of the MILP.
UNITS_PER_NODE = 10

#: Work units of an expanded label.
UNITS_PER_LABEL = 1

#: Work units of a step of the ascent to prices, for each request.
UNITS_PER_PRICE_STEP = 30

#: Share of the time for schedules on the only thread.
ALONE_SHARE = 0.5

#: Work units of a step of the search for schedules: for all requests, and for three of them.
UNITS_PER_SEARCH_STEP = 8, 1


def improve_and_prove(
    known: BestSoFar[ContinuousSchedule], options: Options, seconds: float = math.inf
) -> None:
    """Search for schedules and bounds until they meet or the limits are reached."""
    driver = Driver(known, min(seconds, options.seconds), options.work_limit, options.threads)
    engine = _Engine(driver, options.seed)
    driver.run([engine.schedules()], engine.proofs())


@dataclass(slots=True)
class _Engine:
    """The stages, and what they share."""

    driver: Driver[ContinuousSchedule]
    seed: int
    search: Search = field(init=False)

    def __post_init__(self) -> None:
        known = self.driver.search
        self.search = Search(known.instance, known.objective, self.seed, self._hand_in)

    def schedules(self) -> Stage:
        """Return the search for schedules, with the time that it gets."""
        seconds = self.driver.mailbox.seconds_left
        if not self.driver.parallel:
            seconds *= ALONE_SHARE
        return Stage(SCHEDULES, self.improve, seconds=seconds)

    def proofs(self) -> Iterator[Stage]:
        """Yield what proves bounds: the search of states where there are few requests."""
        seconds = EXACT_SHARE * self.driver.mailbox.seconds_left
        yield Stage(EXACT, self.search_states, self._is_small, seconds=seconds)
        yield Stage(PRICES, self.price, self._can_price)

    def _is_small(self) -> bool:
        known = self.driver.search
        small = known.instance.n <= MOST_EXACT and is_applicable(known.instance)
        return small and known.objective in OBJECTIVES

    def improve(self, limits: Limits) -> None:
        """Try rules, then anneal the best."""
        base, three = UNITS_PER_SEARCH_STEP
        steps = limits.steps(units=base + three * self.driver.search.instance.n // 3)
        self.search.try_rules(self.driver.search.schedule, limits)
        self.search.improve(Limits(limits.seconds, steps, limits.stop))

    def _can_price(self) -> bool:
        return self.driver.search.objective in BatchLengthPriceProof.objectives

    def price(self, limits: Limits) -> None:
        """Climb to prices that charge requests by the length of their batches."""
        mailbox = self.driver.mailbox
        bounds = charge_bound(
            self.driver.search.instance,
            mailbox.best(),
            objective=self.driver.search.objective,
            seconds=limits.seconds,
            steps=limits.steps(units=UNITS_PER_PRICE_STEP * self.driver.search.instance.n),
            stop=limits.stop,
        )
        for bound in bounds:
            mailbox.put(Found(PRICES, bound=bound))

    def search_states(self, limits: Limits) -> None:
        """Search states exhaustively."""
        known = self.driver.search
        outcome = search(
            known.instance,
            known.value,
            objective=known.objective,
            time_limit=limits.seconds,
            work_limit=limits.steps(units=UNITS_PER_LABEL),
            stop=limits.stop,
            found=self._hand_in_bound,
        )
        self._hand_in_bound(outcome.schedule, outcome.bound, outcome.prices)

    def _hand_in_bound(
        self, schedule: ContinuousSchedule | None, bound: Exact, prices: Prices
    ) -> None:
        proof = None
        if self.driver.search.objective == "latency":
            proof = ContinuousSearch(
                value=math.ceil(bound),
                scale=SCALE,
                cell=prices.cell,
                width=prices.width,
                kv=tuple(prices.block.tolist()),
                seat=tuple(prices.seat.tolist()),
            )
        self.driver.mailbox.put(Found(EXACT, schedule, (bound, proof)))

    def _hand_in(self, schedule: ContinuousSchedule, by: str) -> None:
        self.driver.mailbox.put(Found(by, schedule))
