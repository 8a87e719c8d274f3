"""Engines as stages, and the one driver that runs them: by clock with threads, or by work.

An engine is a class whose methods each do one thing within `Limits` (search for schedules, climb to
prices, search states), hand in what they find to the driver's `mailbox`, and keep for one another
what they share. A `Stage` is such a method with its name and its part of the limits; a *lane* is an
iterable of stages that follow one another. `Driver.run` takes lanes.

- By clock and with threads, lanes run at once, each in a thread.
- By clock on one thread, and by work, lanes run one after the other. By work what is handed in is
  taken at once and the clock is not looked at, so the same work gives the same result.

A lane may be a list, or a generator if what comes next depends on what has been found: the driver
asks it for a stage only when the one before has ended. To copy: `mixed.engine`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Generic

from ..models.regime import ScheduleType
from .best_so_far import BestSoFar
from .workers import Mailbox


def _never() -> bool:
    return False


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Limits:
    """What a stage may use.

    Attributes
    ----------
    seconds : float
        Wall-clock seconds from its begin; infinite where work is limited.
    work : int or None
        Units of work, about ten microseconds each; None where the clock limits.
    stop : callable
        Asked every few hundredths of a second; True ends the stage.

    Examples
    --------
    >>> Limits(work=50).steps(per_unit=20), Limits(work=50).steps(units=4), Limits(3.5).steps()
    (1000, 12, None)
    """

    seconds: float = math.inf
    work: int | None = None
    stop: Callable[[], bool] = _never

    def steps(self, *, per_unit: int = 1, units: int = 1) -> int | None:
        """Return the work in steps, of `units` units each or `per_unit` to the unit."""
        return None if self.work is None else self.work * per_unit // units


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of an engine.

    Attributes
    ----------
    name : str
        What the stage finds schedules or bounds by.
    run : callable
        ``run(limits)``.
    applicable : callable
        Whether to run it, asked when its turn comes.
    seconds : float
        By clock, its part of the time: less if less is left.
    share : float
        By work, its share of the whole work.
    """

    name: str
    run: Callable[[Limits], None]
    applicable: Callable[[], bool] = _always
    seconds: float = math.inf
    share: float = 1.0


@dataclass(slots=True)
class Driver(Generic[ScheduleType]):
    """Runs the stages of an engine until schedule and bound meet, or nothing is left to use.

    Parameters
    ----------
    search : BestSoFar
        Has a schedule already; what is found goes there.
    time_limit : float
        Seconds from now on; less if the search has less.
    work : int or None
        Units of work for each stage of share 1; with it the clock is not looked at.
    threads : int or None
        With 1, lanes run one after the other.

    Attributes
    ----------
    mailbox : Mailbox
        Where stages hand in what they find, and read the best schedule and the seconds left.
    """

    search: BestSoFar[ScheduleType]
    time_limit: float = math.inf
    work: int | None = None
    threads: int | None = None
    mailbox: Mailbox[ScheduleType] = field(init=False)

    def __post_init__(self) -> None:
        deadline = math.inf if self.by_work else self.search.seconds + self.time_limit
        self.mailbox = Mailbox(self.search, deadline, at_once=self.by_work)

    @property
    def by_work(self) -> bool:
        """Whether work is limited, and not time."""
        return self.work is not None

    @property
    def parallel(self) -> bool:
        """Whether lanes run at once."""
        return not self.by_work and self.threads != 1

    def run(self, *lanes: Iterable[Stage]) -> None:
        """Run lanes to their end, at once or one after the other.

        What a worker raises goes on up; so does a keyboard interrupt, after the workers have ended.
        """
        follow = [partial(self._follow, lane) for lane in lanes]
        if self.parallel and not self.search.proved:
            self.mailbox.run(*follow)
            return
        for each in follow:
            if self.search.proved:
                return
            if self.by_work:
                each()
            else:
                self.mailbox.run(each)

    def _follow(self, lane: Iterable[Stage]) -> None:
        stop = self.mailbox.stop.is_set
        for stage in lane:
            if stop() or self.mailbox.seconds_left == 0:
                return
            if stage.applicable():
                seconds = min(stage.seconds, self.mailbox.seconds_left)
                work = None if self.work is None else int(stage.share * self.work)
                stage.run(Limits(math.inf if self.by_work else seconds, work, stop))
