"""The engine for continuous batching: schedules on one thread, bounds and proofs on another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ...models.continuous.schedule import ContinuousSchedule
from ..best_so_far import BestSoFar
from ..recipe import Options
from ..stages import Driver, Limits, Stage
from ..workers import Found
from .search.recipe import Search

#: Names of what finds schedules and proves bounds.
SCHEDULES = "annealed list rules"

#: Share of the time for schedules on the only thread.
ALONE_SHARE = 0.5

#: Steps of annealing for each unit of work.
STEPS_PER_UNIT = 1


def improve_and_prove(search: BestSoFar[ContinuousSchedule], options: Options) -> None:
    """Search for schedules and bounds until they meet or the limits are reached."""
    driver = Driver(search, options.seconds, options.work_limit, options.threads)
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
        """Yield what proves bounds."""
        yield from ()

    def improve(self, limits: Limits) -> None:
        """Try rules, then anneal the best."""
        self.search.try_rules(self.driver.search.schedule, limits)
        self.search.improve(limits)

    def _hand_in(self, schedule: ContinuousSchedule) -> None:
        self.driver.mailbox.put(Found(SCHEDULES, schedule))
