"""The engine for the total latency of separate batching, on two threads.

Schedules are found on one thread, by annealing and beams, bounds on the other.

- Where the GPU's path has a table of costs to go and requests are not too many: prices of the path,
  then the exhaustive search that they lead; up to `MOST_PROFILED` requests it also gets prices of
  profiles, for all states and for later stages of the best schedule, as soon as they are found.
- Where it has none (affine batch times) and there are no more than `MOST_PROFILED` requests: prices
  of profiles, beams, prices of stages, exhaustive search.
- Else: waits and stalls, the class relaxation and prices of the path, whichever are small enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from ...models.instance import Instance
from ...models.separate.schedule import SeparateSchedule
from ..best_so_far import BestSoFar
from ..workers import Desk, Found
from .bounds.class_relaxation import class_prices, end_of_relaxation, has_class_bound
from .bounds.gpu_path_prices import has_path, path_prices, proof_of
from .bounds.profile_prices import ProfilePrices, Stage, most_running, profile_prices, stages_of
from .bounds.waits_and_stalls import MOST_MEMORY, WaitsAndStalls, waits_and_stalls, work_of
from .exact.gpu_path_lookahead import PathTable, path_table, search_proof
from .exact.search import beam, is_applicable, may_be_guided, search_states
from .search.list_encodings import encodings_by_starts
from .search.recipe import improve_separate
from .search.schedule_builder import schedule_of
from .search.tail_search import improve_tail

#: Most requests for which the costs to go of profiles are worth their time.
MOST_PROFILED = 30

#: States that are expanded before anything else: enough for tiny instances.
FIRST_EXPANSIONS = 3_000

#: Shares of the time for annealing beside the first prices, for the first beams, and for the prices
#: of later stages; of the annealing where no proof is in sight, and of the prices for its beams.
FIRST_SHARE, BEAM_SHARE, STAGE_SHARE = 0.15, 0.08, 0.2
LONG_SHARE, GUIDE_SHARE = 0.75, 0.3

#: Shares of the time for the path's prices, and for those of profiles beside the search that the
#: path leads.
PATH_SHARE, PROFILE_SHARE = 0.25, 0.15

#: Share of the time for one turn of annealing, where best endings come between.
TURN_SHARE = 0.15

#: Steps of the ascent to the first prices, to those of a stage, and to those of the path.
FIRST_STEPS, STAGE_STEPS, PATH_STEPS = 40, 20, 5_000

#: Stages: shares of the prompts that are done.
STAGES = (0.25, 0.6)

#: Widths of the first beams, and by how much later ones are wider than the last.
FIRST_WIDTHS, WIDER = (30, 300, 1000), 3

#: Work units, of about ten microseconds: placements in the annealing, expansions, steps of the
#: profiles' and of the path's prices.
PLACEMENTS_PER_UNIT, UNITS_PER_EXPANSION = 20, 4
UNITS_PER_STEP, UNITS_PER_PATH_STEP = 10_000, 400

#: Steps of the path from prompt batch to prompt batch, per unit and per second of the time limit:
#: more are not begun.
STALL_STEPS_PER_UNIT, STALL_STEPS_PER_SECOND = 2_000, 50_000_000

#: Names of what finds schedules and proves bounds.
ANNEALING, BEAMS, TAILS = "annealing", "beams", "best endings"
PROFILES, EXHAUSTION = "profile prices", "exhaustive search"
CLASSES, PATH = "class relaxation", "prices of the GPU's walk"
STALLS = "waits and stalls"

Search = BestSoFar[SeparateSchedule]


def improve_and_prove(search: Search, *, threads: int | None, seed: int) -> None:
    """Search for schedules and bounds until they meet or the time of the search is up.

    Parameters
    ----------
    search : BestSoFar
        Has a schedule already; what is found goes there.
    threads : int or None
        With 1, what else runs at once is done one after the other.
    seed : int
        Seed of the annealing.
    """
    desk = Desk(search, deadline=search.time_limit)
    work = _Work(desk, both=threads != 1, seed=seed)
    exhaustible = is_applicable(search.instance)
    if exhaustible:
        desk.run(partial(work.search_states, FIRST_EXPANSIONS))
    if search.proved:
        return
    priced = most_running(search.instance) is not None
    if may_be_guided(search.instance) and has_costs_to_go(search.instance, desk.best()):
        _guided_by_path_bound(work, priced)
    elif exhaustible and priced and search.instance.n <= MOST_PROFILED:
        _guided_by_profiles(work)
    else:
        _bounded(work, exhaustible, priced)


def has_costs_to_go(instance: Instance, schedule: SeparateSchedule) -> bool:
    """Whether prices of the GPU's path can be found, and a table of its costs to go."""
    end = end_of_relaxation(instance, schedule)
    return has_class_bound(instance, end) and has_path(instance, end)


def _guided_by_path_bound(work: _Work, priced: bool) -> None:
    """Prices of the GPU's path, then the exhaustive search; schedules and more prices beside it."""
    desk, n = work.desk, work.desk.search.instance.n
    work.run(*(partial(work.wait_and_stall, memory) for memory in (1, MOST_MEMORY)))
    if work.is_done():
        return
    profiled = priced and n <= MOST_PROFILED
    schedules = work.price_and_search if profiled else work.anneal_and_search_tails
    if work.both:
        desk.run(work.price_path_and_search, schedules)
        return
    seconds = PATH_SHARE * desk.seconds_left
    for part in (partial(work.path, seconds, PATH_STEPS), partial(work.anneal, seconds)):
        if not work.is_done():
            desk.run(part)
    if profiled and not work.is_done():
        desk.run(work.price_profiles)
    if not work.is_done() and (work.table is not None or is_applicable(desk.search.instance)):
        desk.run(work.search_states)


def _guided_by_profiles(work: _Work) -> None:
    """First prices, beams, prices of stages, proof."""
    desk = work.desk
    seconds = FIRST_SHARE * desk.seconds_left
    work.run(partial(work.anneal, seconds), partial(work.price, seconds))
    if work.is_done():
        return
    desk.run(partial(work.beams, FIRST_WIDTHS, BEAM_SHARE * desk.seconds_left))
    if work.is_done():
        return
    stages = stages_of(desk.search.instance, desk.best(), STAGES)
    seconds = STAGE_SHARE * desk.seconds_left / (1 if work.both else len(stages))
    work.run(*(partial(work.price_stage, stage, seconds) for stage in stages))
    if work.both:
        desk.run(work.search_states, partial(work.beams, None, math.inf))
    else:
        desk.run(work.search_states)


def _bounded(work: _Work, exhaustible: bool, priced: bool) -> None:
    """Schedules beside bounds; states are searched last where there are few."""
    desk = work.desk
    work.run(*(partial(work.wait_and_stall, memory) for memory in (1, MOST_MEMORY)))
    if work.is_done():
        return
    end = end_of_relaxation(desk.search.instance, desk.best())
    schedules = partial(work.search_schedules, exhaustible, priced)
    if has_class_bound(desk.search.instance, end):
        work.run(*work.shares(work.path, schedules))
    elif priced:
        work.run(*work.shares(work.price, work.anneal))
    else:
        desk.run(partial(schedules, (LONG_SHARE if exhaustible else 1.0) * desk.seconds_left))
    if exhaustible and not work.is_done():
        desk.run(work.search_states)


@dataclass(slots=True)
class _Work:
    """What the threads do, and the prices that they share."""

    desk: Desk[SeparateSchedule]
    both: bool
    seed: int
    profiles: list[ProfilePrices] = field(default_factory=list)
    table: PathTable | None = None
    runs: int = -1

    def is_done(self) -> bool:
        """Whether schedule and bound have met."""
        return self.desk.search.proved

    def run(self, *work: Callable[[], None]) -> None:
        """Do some work at once, or one after the other."""
        if self.both:
            self.desk.run(*work)
        else:
            for each in work:
                self.desk.run(each)

    def shares(self, *work: Callable[[float], None]) -> list[Callable[[], None]]:
        """Give each its time: all that is left, or equal parts where they do not run at once."""
        seconds = self.desk.seconds_left / (1 if self.both else len(work))
        return [partial(each, seconds) for each in work]

    def anneal(self, seconds: float) -> None:
        """Better the schedule by annealing, each time with other random numbers."""
        self.runs += 1
        improve_separate(
            self.desk.search.instance,
            self.desk.best(),
            time_limit=min(seconds, self.desk.seconds_left),
            seed=self.seed + self.runs,
            stop=self.desk.stop.is_set,
            found=lambda schedule, _: self.desk.findings.put(Found(ANNEALING, schedule)),
        )

    def search_schedules(self, exhaustible: bool, priced: bool, seconds: float) -> None:
        """Better the schedule by annealing, then by beams, with prices to guide them."""
        beams = exhaustible and priced
        self.anneal((LONG_SHARE if beams else 1.0) * seconds)
        if beams and not self.desk.stop.is_set():
            self.price(GUIDE_SHARE * (1 - LONG_SHARE) * seconds)
            self.beams(None, (1 - GUIDE_SHARE) * (1 - LONG_SHARE) * seconds)

    def wait_and_stall(self, memory: int) -> None:
        """Bound by waits and stalls, and schedules with the prompt batches of its path."""
        steps = work_of(self.desk.search.instance, memory)
        if steps is not None and steps < STALL_STEPS_PER_SECOND * self.desk.seconds_left:
            found = waits_and_stalls(self.desk.search.instance, memory)
            self.desk.findings.put(Found(STALLS, bound=(found.bound, found.proof)))
            for name, schedule in _schedules_of(self.desk.search.instance, found):
                self.desk.findings.put(Found(name, schedule))

    def path(self, seconds: float, most_steps: int | None = None) -> None:
        """Solve the class relaxation; climb from there to prices of the GPU's path."""
        search = self.desk.search
        deadline = search.seconds + min(seconds, self.desk.seconds_left)
        schedule = self.desk.best()
        begin = class_prices(search.instance, schedule, time_limit=deadline - search.seconds)
        if begin is None:
            return
        self.desk.findings.put(Found(CLASSES, bound=(begin.bound, None)))
        if self.desk.stop.is_set() or not has_path(search.instance, begin.end):
            return
        climbed = path_prices(
            search.instance,
            schedule,
            begin,
            time_limit=max(0.0, deadline - search.seconds),
            most_steps=most_steps,
            stop=self.desk.stop.is_set,
            found=lambda bound: self.desk.findings.put(Found(PATH, bound=(bound, None))),
        )
        proof = proof_of(search.instance, climbed.prices, begin.end)
        self.desk.findings.put(Found(PATH, bound=(climbed.bound, proof)))
        self.table = path_table(search.instance, climbed.prices, begin.end, self.latency())

    def price(self, seconds: float = math.inf) -> None:
        """Climb to the first prices, or go on from them."""
        prices = profile_prices(
            self.desk.search.instance,
            self.latency(),
            begin=self.profiles[0] if self.profiles else None,
            time_limit=min(seconds, self.desk.seconds_left),
            stop=self.desk.stop.is_set,
            most_steps=FIRST_STEPS,
        )
        self.profiles[:1] = [prices]
        self.desk.findings.put(Found(PROFILES, bound=(prices.bound, None)))

    def price_stage(self, stage: Stage, seconds: float) -> None:
        """Climb to prices for a stage of the best schedule."""
        prices = profile_prices(
            self.desk.search.instance,
            stage.latency_to_come(self.desk.search.instance, self.desk.best()),
            begin=self.profiles[0],
            stage=stage,
            time_limit=min(seconds, self.desk.seconds_left),
            stop=self.desk.stop.is_set,
            most_steps=STAGE_STEPS,
        )
        self.profiles.append(prices)

    def price_path_and_search(self) -> None:
        """Prices of the GPU's path, and the exhaustive search that they lead."""
        self.path(PATH_SHARE * self.desk.seconds_left, PATH_STEPS)
        if self.table is not None or is_applicable(self.desk.search.instance):
            self.search_states()

    def anneal_and_search_tails(self) -> None:
        """Annealing and best endings by turns."""
        seconds = TURN_SHARE * self.desk.seconds_left
        while not self.desk.stop.is_set() and self.desk.seconds_left > 0:
            self.anneal(seconds)
            if self.table is not None:  # found while the annealing went on
                better = improve_tail(
                    self.desk.search.instance,
                    self.desk.best(),
                    self.table,
                    time_limit=self.desk.seconds_left,
                    stop=self.desk.stop.is_set,
                )
                self.desk.findings.put(Found(TAILS, better))

    def price_and_search(self) -> None:
        """Schedules, and prices of profiles for the exhaustive search that runs beside."""
        seconds = self.desk.seconds_left
        self.anneal(FIRST_SHARE * seconds)
        self.price_profiles()
        if not self.desk.stop.is_set():
            self.beams(FIRST_WIDTHS, BEAM_SHARE * seconds)
        if not self.desk.stop.is_set():
            self.anneal(math.inf)

    def price_profiles(self) -> None:
        """Prices of profiles, for all states and for those of later stages."""
        seconds = PROFILE_SHARE * self.desk.seconds_left
        self.price(seconds)
        for stage in stages_of(self.desk.search.instance, self.desk.best(), STAGES):
            if not self.desk.stop.is_set():
                self.price_stage(stage, seconds / len(STAGES))

    def beams(self, widths: tuple[int, ...] | None, seconds: float) -> None:
        """Better the schedule by beams: of some widths, or ever wider ones."""
        deadline = self.desk.search.seconds + min(seconds, self.desk.seconds_left)
        k = 0
        while not self.desk.stop.is_set() and self.desk.search.seconds < deadline:
            if widths is not None and k == len(widths):
                return
            width = widths[k] if widths is not None else FIRST_WIDTHS[-1] * WIDER ** (k + 1)
            schedule, _ = beam(
                self.desk.search.instance,
                self.desk.best(),
                width,
                prices=self.profiles,
                time_limit=deadline - self.desk.search.seconds,
                stop=self.desk.stop.is_set,
            )
            self.desk.findings.put(Found(BEAMS, schedule))
            k += 1

    def search_states(self, expansions: int | None = None) -> None:
        """Search the states exhaustively."""
        if self.desk.stop.is_set():
            return
        outcome = search_states(
            self.desk.search.instance,
            self.desk.best(),
            prices=self.profiles,
            path=self.table,
            time_limit=self.desk.seconds_left,
            work_limit=expansions,
            stop=self.desk.stop.is_set,
            found=self._hand_in,
            known=self.latency,
        )
        self._hand_in(outcome.schedule, outcome.bound)

    def latency(self) -> int:
        """Total latency of the best schedule so far."""
        value = self.desk.search.value
        assert value is not None
        return int(value)

    def _hand_in(self, schedule: SeparateSchedule, bound: int) -> None:
        proof = search_proof(self.desk.search.instance, self.table, bound)
        self.desk.findings.put(Found(EXHAUSTION, schedule, (bound, proof)))


def _schedules_of(
    instance: Instance, found: WaitsAndStalls
) -> Iterator[tuple[str, SeparateSchedule]]:
    """Yield schedules with the prompt batches of the path, where it is known."""
    if found.starts is not None:
        for name, encoding in encodings_by_starts(instance, found.starts):
            yield name, schedule_of(instance, encoding)


def improve_and_prove_by_work(search: Search, work_limit: int, seed: int) -> None:
    """Do the same, one after the other, with a limit on work: the clock plays no part."""
    _stall_by_work(search, work_limit)
    improve_by_work(search, work_limit, seed)
    table, prices = price_by_work(search, work_limit)
    _search_by_work(search, table, prices, work_limit)


def improve_by_work(search: Search, work_limit: int, seed: int) -> None:
    """Anneal schedules."""
    assert search.schedule is not None
    work = PLACEMENTS_PER_UNIT * work_limit
    better = improve_separate(
        search.instance, search.schedule, time_limit=0.0, work_limit=work, seed=seed
    )
    search.offer(better, ANNEALING)


def price_by_work(search: Search, work_limit: int) -> tuple[PathTable | None, list[ProfilePrices]]:
    """Bound by prices of the GPU's path and of profiles; return what the exact search needs."""
    instance = search.instance
    priced = most_running(instance) is not None
    table = None if search.proved else price_path_by_work(search, work_limit)
    prices: list[ProfilePrices] = []
    if priced and not search.proved and (instance.n <= MOST_PROFILED or table is None):
        steps = max(1, work_limit // UNITS_PER_STEP)
        assert search.value is not None
        prices = [profile_prices(instance, int(search.value), most_steps=steps)]
        search.better_bound(PROFILES, prices[0].bound)
    search.tell(PROFILES)
    return table, prices


def _search_by_work(
    search: Search, table: PathTable | None, prices: list[ProfilePrices], work_limit: int
) -> None:
    """Search exhaustively, led by the path and the profiles."""
    assert search.schedule is not None
    instance, exhaustible = search.instance, is_applicable(search.instance)
    if (exhaustible or (table is not None and may_be_guided(instance))) and not search.proved:
        expansions = work_limit // UNITS_PER_EXPANSION
        for width in FIRST_WIDTHS[:2]:
            if exhaustible:
                schedule, _ = beam(
                    instance, search.schedule, width, prices=prices, work_limit=expansions
                )
                search.offer(schedule, BEAMS)
        outcome = search_states(
            instance, search.schedule, prices=prices, path=table, work_limit=expansions
        )
        search.offer(outcome.schedule, EXHAUSTION)
        proof = search_proof(instance, table, outcome.bound)
        if proof is None:
            search.better_bound(EXHAUSTION, outcome.bound)
        else:
            search.proved_bound(EXHAUSTION, outcome.bound, proof)
    search.tell(EXHAUSTION)


def _stall_by_work(search: Search, work_limit: int) -> None:
    for memory in (1, MOST_MEMORY):
        steps = work_of(search.instance, memory)
        if steps is not None and steps <= STALL_STEPS_PER_UNIT * work_limit:
            found = waits_and_stalls(search.instance, memory)
            search.proved_bound(STALLS, found.bound, found.proof)
            for name, schedule in _schedules_of(search.instance, found):
                search.offer(schedule, name)
    search.tell(STALLS)


def price_path_by_work(search: Search, work_limit: int) -> PathTable | None:
    """Bound the optimum by the class relaxation and prices of the path, with a limit on work.

    Returns the table of costs to go, if there is one.
    """
    assert search.schedule is not None
    assert search.value is not None
    instance, schedule = search.instance, search.schedule
    if not has_class_bound(instance, end_of_relaxation(instance, schedule)):
        return None
    begin = class_prices(instance, schedule)
    if begin is None:
        return None
    search.better_bound(CLASSES, begin.bound)
    table = None
    if has_path(instance, begin.end):
        steps = min(PATH_STEPS, work_limit // UNITS_PER_PATH_STEP)
        climbed = path_prices(instance, schedule, begin, time_limit=math.inf, most_steps=steps)
        proof = proof_of(instance, climbed.prices, begin.end)
        search.proved_bound(PATH, climbed.bound, proof)
        table = path_table(instance, climbed.prices, begin.end, int(search.value))
    search.tell(PATH)
    return table
