"""The engine for the total latency of separate batching: its stages, by clock and by work.

By clock, schedules are found on one thread, by annealing and beams, bounds on the other.

- Where the GPU's path has a table of costs to go and requests are not too many: prices of the path,
  then the exhaustive search that they guide; up to `MOST_PROFILED` requests it also gets prices of
  profiles, for all states and for later stages of the best schedule, as soon as they are found.
- Where it has none (affine batch times) and there are no more than `MOST_PROFILED` requests: prices
  of profiles, beams, prices of stages, exhaustive search.
- Else: waits and stalls, the class relaxation and prices of the path, whichever are small enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from ...models.instance import Instance
from ...models.separate.schedule import SeparateSchedule
from ..best_so_far import BestSoFar
from ..relaxation import Relaxation
from ..relaxation import stages as relaxation_stages
from ..stages import Driver, Limits, Stage
from ..workers import Found, Mailbox
from .bounds.class_relaxation import class_prices, end_of_relaxation, has_class_bound
from .bounds.gpu_path_prices import has_path, path_prices, proof_of
from .bounds.profile_prices import ProfilePrices, most_running, profile_prices, stages_of
from .bounds.profile_prices import Stage as Later
from .bounds.waits_and_stalls import MOST_MEMORY, waits_and_stalls, work_of
from .exact.gpu_path_lookahead import PathTable, path_table, search_proof
from .exact.search import beam, is_applicable, may_be_guided, search_states
from .parameters import Parameters
from .search.list_encodings import encodings_by_starts
from .search.recipe import improve_separate
from .search.schedule_builder import schedule_of
from .search.tail_search import improve_tail

#: Most requests for which the costs to go of profiles are worth their time.
MOST_PROFILED = 30

#: Work units, of about ten microseconds: placements in the annealing, steps from prompt batch to
#: prompt batch, expansions, steps of the profiles' and of the path's prices.
PLACEMENTS_PER_UNIT, STALL_STEPS_PER_UNIT, UNITS_PER_EXPANSION = 20, 2_000, 4
UNITS_PER_STEP, UNITS_PER_PATH_STEP = 10_000, 400

#: Names of what finds schedules and proves bounds.
ANNEALING, BEAMS, TAILS = "annealing", "beams", "best endings"
PROFILES, EXHAUSTION = "profile prices", "exhaustive search"
CLASSES, PATH = "class relaxation", "prices of the GPU's walk"
STALLS = "waits and stalls"

Search = BestSoFar[SeparateSchedule]
Lane = Iterable[Stage]


def improve_and_prove(
    search: Search,
    *,
    work_limit: int | None = None,
    threads: int | None,
    seed: int,
    states: bool = True,
    relaxations: tuple[Relaxation, ...] = (),
) -> None:
    """Search for schedules and bounds until they meet or the limits are reached.

    Parameters
    ----------
    search : BestSoFar
        Has a schedule already, and the time limit; what is found goes there.
    work_limit : int or None
        Units of work for each stage; with it the clock plays no part.
    threads : int or None
        With 1, what else runs at once is done one after the other.
    seed : int
        Seed of the annealing.
    states : bool
        Whether work may go to searches of states.
    relaxations : tuple of Relaxation
        Other regimes to bound the instance in, where it has no prices of its own.
    """
    driver = Driver(search, work=work_limit, threads=threads)
    engine = _Engine(driver, seed, relaxations)
    plan = [(engine.by_work(states),)] if driver.by_work else engine.by_clock()
    for lanes in plan:
        driver.run(*lanes)


@dataclass(slots=True)
class _Engine:
    """The stages, and the prices that they share."""

    driver: Driver[SeparateSchedule]
    seed: int
    relaxations: tuple[Relaxation, ...] = ()
    parameters: Parameters = field(default_factory=Parameters)
    profiles: list[ProfilePrices] = field(default_factory=list)
    table: PathTable | None = None
    runs: int = -1

    @property
    def search(self) -> Search:
        return self.driver.search

    @property
    def instance(self) -> Instance:
        return self.search.instance

    @property
    def mailbox(self) -> Mailbox[SeparateSchedule]:
        return self.driver.mailbox

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.mailbox.seconds_left

    @property
    def exhaustible(self) -> bool:
        """Whether states can be searched without a table of costs to go."""
        return is_applicable(self.instance)

    @property
    def searchable(self) -> bool:
        """Whether states can be searched with what there is."""
        guided = self.table is not None and may_be_guided(self.instance)
        return guided or self.exhaustible

    @property
    def priced(self) -> bool:
        """Whether profiles have prices."""
        return most_running(self.instance) is not None

    @property
    def profiled(self) -> bool:
        """Whether prices of profiles are worth their time."""
        return self.priced and self.instance.n <= MOST_PROFILED

    @property
    def latency(self) -> int:
        """Total latency of the best schedule so far."""
        assert self.search.value is not None
        return int(self.search.value)

    def by_work(self, states: bool) -> Iterator[Stage]:
        """Yield all stages, one after the other."""
        for memory in (1, MOST_MEMORY):
            yield Stage(STALLS, partial(self.wait_and_stall, memory))
        yield Stage(ANNEALING, self.anneal)
        yield Stage(PATH, partial(self.price_path, self.parameters.path_steps), self._has_classes)
        if self.priced and (self.instance.n <= MOST_PROFILED or self.table is None):
            yield Stage(PROFILES, self.price)
        yield from self._relaxed()
        if states and self.searchable:
            yield Stage(EXHAUSTION, self.beam_and_search)

    def by_clock(self) -> Iterator[tuple[Lane, ...]]:
        """Yield lanes that run at once, as the instance's size allows."""
        if self.exhaustible:
            first = partial(self.search_states, expansions=self.parameters.first_expansions)
            yield ([Stage(EXHAUSTION, first)],)
        if may_be_guided(self.instance) and self._has_costs_to_go():
            yield from self._guided_by_path_bound()
        elif self.exhaustible and self.profiled:
            yield from self._guided_by_profiles()
        else:
            yield from self._bounded()

    def _has_classes(self) -> bool:
        end = end_of_relaxation(self.instance, self.mailbox.best())
        return has_class_bound(self.instance, end)

    def _has_costs_to_go(self) -> bool:
        """Whether prices of the GPU's path can be found, and a table of its costs to go."""
        end = end_of_relaxation(self.instance, self.mailbox.best())
        return self._has_classes() and has_path(self.instance, end)

    def _guided_by_path_bound(self) -> Iterator[tuple[Lane, ...]]:
        """Prices of the GPU's path, then exhaustive search; schedules and more prices beside it."""
        yield self._stalls()
        price = partial(self.price_path, self.parameters.path_steps)
        seconds = self.parameters.path_share * self.left
        path = Stage(PATH, price, seconds=seconds)
        states = Stage(EXHAUSTION, self.search_states, self._can_search)
        if self.driver.parallel:
            yield [path, states], self._beside() if self.profiled else self._turns()
            return
        yield ([path],)
        yield ([Stage(ANNEALING, self.anneal, seconds=seconds)],)
        if self.profiled:
            yield (self._profile_prices(),)
        yield ([states],)

    def _can_search(self) -> bool:
        return self.table is not None or self.exhaustible

    def _guided_by_profiles(self) -> Iterator[tuple[Lane, ...]]:
        """First prices, beams, prices of stages, proof."""
        given, seconds = self.parameters, self.parameters.first_share * self.left
        anneal = Stage(ANNEALING, self.anneal, seconds=seconds)
        yield [anneal], [Stage(PROFILES, self.price, seconds=seconds)]
        yield ([self._first_beams(given.beam_share * self.left)],)
        later = stages_of(self.instance, self.mailbox.best(), given.stages)
        seconds = given.stage_share * self.left / (1 if self.driver.parallel else len(later))
        yield tuple(
            [Stage(PROFILES, partial(self.price_later, each), seconds=seconds)] for each in later
        )
        states: Lane = [Stage(EXHAUSTION, self.search_states)]
        beams: Lane = [Stage(BEAMS, partial(self.beams, self._ever_wider()))]
        yield (states, beams) if self.driver.parallel else (states,)

    def _bounded(self) -> Iterator[tuple[Lane, ...]]:
        """Schedules beside bounds; states are searched last where there are few."""
        yield self._stalls()
        seconds = self.left / (1 if self.driver.parallel else 2)
        if self._has_classes():
            path = Stage(PATH, partial(self.price_path, None), seconds=seconds)
            yield [path], self._schedules(seconds)
        elif self.priced:
            price = Stage(PROFILES, self.price, seconds=seconds)
            yield [price], [Stage(ANNEALING, self.anneal, seconds=seconds)]
        else:
            seconds = self.left * (self.parameters.long_share if self.exhaustible else 1.0)
            turns = 1 if self.driver.parallel or not list(self._relaxed()) else 2
            yield self._schedules(seconds / turns), self._relaxed(seconds / turns)
        if self.exhaustible:
            yield ([Stage(EXHAUSTION, self.search_states)],)

    def _relaxed(self, seconds: float = math.inf) -> Iterator[Stage]:
        """Yield bounds of other regimes."""
        return relaxation_stages(self.relaxations, self.driver, seconds)

    def _stalls(self) -> tuple[Lane, ...]:
        memories = (1, MOST_MEMORY)
        return tuple([Stage(STALLS, partial(self.wait_and_stall, each))] for each in memories)

    def _schedules(self, seconds: float) -> Iterator[Stage]:
        """Yield annealing, then beams, with prices to guide them."""
        given, beams = self.parameters, self.exhaustible and self.priced
        long = given.long_share if beams else 1.0
        yield Stage(ANNEALING, self.anneal, seconds=long * seconds)
        if beams:
            rest = (1 - given.long_share) * seconds
            yield Stage(PROFILES, self.price, seconds=given.guide_share * rest)
            wider = partial(self.beams, self._ever_wider())
            yield Stage(BEAMS, wider, seconds=(1 - given.guide_share) * rest)

    def _turns(self) -> Iterator[Stage]:
        """Yield annealing and tail searches by turns."""
        seconds = self.parameters.turn_share * self.left
        while True:
            yield Stage(ANNEALING, self.anneal, seconds=seconds)
            yield Stage(TAILS, self.search_tail, lambda: self.table is not None)

    def _beside(self) -> Iterator[Stage]:
        """Yield schedules, and prices of profiles for the exhaustive search that runs beside."""
        given, seconds = self.parameters, self.left
        yield Stage(ANNEALING, self.anneal, seconds=given.first_share * seconds)
        yield from self._profile_prices()
        yield self._first_beams(given.beam_share * seconds)
        yield Stage(ANNEALING, self.anneal)

    def _profile_prices(self) -> Iterator[Stage]:
        """Yield prices of profiles, for all states and for those of later stages."""
        given, seconds = self.parameters, self.parameters.profile_share * self.left
        yield Stage(PROFILES, self.price, seconds=seconds)
        for later in stages_of(self.instance, self.mailbox.best(), given.stages):
            price = partial(self.price_later, later)
            yield Stage(PROFILES, price, seconds=seconds / len(given.stages))

    def _first_beams(self, seconds: float) -> Stage:
        return Stage(BEAMS, partial(self.beams, self.parameters.widths), seconds=seconds)

    def _ever_wider(self) -> Iterator[int]:
        return (self.parameters.widths[-1] * self.parameters.wider**k for k in count(1))

    def stop(self) -> bool:
        """Whether to end a stage: by work none ends early, so that its bounds have their proofs."""
        return not self.driver.by_work and self.mailbox.stop.is_set()

    def anneal(self, limits: Limits) -> None:
        """Improve the schedule by annealing, each time with other random numbers."""
        self.runs += 1
        improve_separate(
            self.instance,
            self.mailbox.best(),
            time_limit=limits.seconds,
            work_limit=limits.steps(per_unit=PLACEMENTS_PER_UNIT),
            seed=self.seed + self.runs,
            stop=self.stop,
            found=lambda schedule, _: self.mailbox.put(Found(ANNEALING, schedule)),
        )

    def wait_and_stall(self, memory: int, limits: Limits) -> None:
        """Bound by waits and stalls, and schedules with the prompt batches of its path."""
        steps, units = work_of(self.instance, memory), limits.steps(per_unit=STALL_STEPS_PER_UNIT)
        most = self.parameters.stall_steps * limits.seconds if units is None else units
        if steps is None or steps > most:
            return
        found = waits_and_stalls(self.instance, memory)
        self.mailbox.put(Found(STALLS, bound=(found.bound, found.proof)))
        if found.starts is not None:
            for name, encoding in encodings_by_starts(self.instance, found.starts):
                self.mailbox.put(Found(name, schedule_of(self.instance, encoding)))

    def price_path(self, most_steps: int | None, limits: Limits) -> None:
        """Solve the class relaxation; climb from there to prices of the GPU's path."""
        search, schedule = self.search, self.mailbox.best()
        deadline = search.seconds + limits.seconds
        seconds = None if self.driver.by_work else limits.seconds
        begin = class_prices(self.instance, schedule, time_limit=seconds)
        if begin is None:
            return
        self.mailbox.put(Found(CLASSES, bound=(begin.bound, None)))
        if self.stop() or not has_path(self.instance, begin.end):
            return
        by_work = limits.steps(units=UNITS_PER_PATH_STEP)
        steps = [each for each in (most_steps, by_work) if each is not None]
        climbed = path_prices(
            self.instance,
            schedule,
            begin,
            time_limit=max(0.0, deadline - search.seconds),
            most_steps=min(steps, default=None),
            stop=self.stop,
            found=lambda bound: self.mailbox.put(Found(PATH, bound=(bound, None))),
        )
        proof = proof_of(self.instance, climbed.prices, begin.end)
        self.mailbox.put(Found(PATH, bound=(climbed.bound, proof)))
        self.table = path_table(self.instance, climbed.prices, begin.end, self.latency)

    def price(self, limits: Limits) -> None:
        """Climb to the first prices of profiles, or go on from them."""
        steps = limits.steps(units=UNITS_PER_STEP)
        prices = profile_prices(
            self.instance,
            self.latency,
            begin=self.profiles[0] if self.profiles else None,
            time_limit=limits.seconds,
            stop=self.stop,
            most_steps=self.parameters.first_steps if steps is None else max(1, steps),
        )
        self.profiles[:1] = [prices]
        self.mailbox.put(Found(PROFILES, bound=(prices.bound, None)))

    def price_later(self, later: Later, limits: Limits) -> None:
        """Climb to prices for a later stage of the best schedule."""
        prices = profile_prices(
            self.instance,
            later.latency_to_come(self.instance, self.mailbox.best()),
            begin=self.profiles[0],
            stage=later,
            time_limit=limits.seconds,
            stop=self.stop,
            most_steps=self.parameters.later_steps,
        )
        self.profiles.append(prices)

    def search_tail(self, limits: Limits) -> None:
        """Replace ends of the schedule by the best ones."""
        better = improve_tail(
            self.instance,
            self.mailbox.best(),
            self.table,
            time_limit=limits.seconds,
            stop=self.stop,
        )
        self.mailbox.put(Found(TAILS, better))

    def beam_and_search(self, limits: Limits) -> None:
        """Search states by two beams, then exhaustively."""
        if self.exhaustible:
            self.beams(self.parameters.widths[:2], limits)
        self.search_states(limits)

    def beams(self, widths: Iterable[int], limits: Limits) -> None:
        """Improve the schedule by beams of some widths."""
        deadline = self.search.seconds + limits.seconds
        for width in widths:
            if self.stop() or self.search.seconds >= deadline:
                return
            schedule, _ = beam(
                self.instance,
                self.mailbox.best(),
                width,
                prices=self.profiles,
                time_limit=deadline - self.search.seconds,
                work_limit=limits.steps(units=UNITS_PER_EXPANSION),
                stop=self.stop,
            )
            self.mailbox.put(Found(BEAMS, schedule))

    def search_states(self, limits: Limits, expansions: int | None = None) -> None:
        """Search the states exhaustively."""
        outcome = search_states(
            self.instance,
            self.mailbox.best(),
            prices=self.profiles,
            path=self.table,
            time_limit=limits.seconds,
            work_limit=limits.steps(units=UNITS_PER_EXPANSION)
            if expansions is None
            else expansions,
            stop=self.stop,
            found=None if self.driver.by_work else self._hand_in,
            known=lambda: self.latency,
        )
        self._hand_in(outcome.schedule, outcome.bound)

    def _hand_in(self, schedule: SeparateSchedule, bound: int) -> None:
        proof = search_proof(self.instance, self.table, bound)
        self.mailbox.put(Found(EXHAUSTION, schedule, (bound, proof)))
