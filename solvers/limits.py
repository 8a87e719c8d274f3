"""How long a search may go on, and the best schedule that it has met."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..models.instance import Instance, IntArray
from ..models.mixed.schedule import MixedSchedule

#: Seconds between two looks at the clock and at `stop`, about.
SLICE_SECONDS = 0.02

#: Work per second that the first slice reckons with: slower than any machine in use.
FIRST_RATE = 200_000.0


class Budget:
    """Steps and seconds that are left; with a limit on steps the clock is not looked at.

    Parameters
    ----------
    time_limit : float
        Seconds from now on.
    work_limit : int or None
        Steps: placements of a request on the KV profile, about.
    stop : callable or None
        Asked at each slice whether to end.
    """

    def __init__(
        self, time_limit: float, work_limit: int | None, stop: Callable[[], bool] | None
    ) -> None:
        self._began = time.perf_counter()
        self._time_limit = time_limit
        self._work_limit = work_limit
        self._stop = stop
        self.work = 0

    @property
    def is_spent(self) -> bool:
        """Whether the search has to end now."""
        if self._stop is not None and self._stop():
            return True
        if self._work_limit is not None:
            return self.work >= self._work_limit
        return time.perf_counter() - self._began >= self._time_limit

    def affords(self, work: int) -> bool:
        """Whether so much work is left; always without a limit on work."""
        return self._work_limit is None or self.work + work <= self._work_limit

    def part(self, share: float) -> Budget:
        """Return a budget of a share of what is left; `settle` what it has spent."""
        seconds = max(0.0, self._time_limit - (time.perf_counter() - self._began))
        steps = None
        if self._work_limit is not None:
            steps = int(share * max(0, self._work_limit - self.work))
        return Budget(share * seconds, steps, self._stop)

    def settle(self, part: Budget) -> None:
        """Count the work of a part as this budget's own."""
        self.work += part.work

    def in_slices(self, total: int, step: int, run: Callable[[int, int], None]) -> bool:
        """Call ``run(first, end)`` over steps 0 … total in slices of about `SLICE_SECONDS`.

        Each step costs `step` units of work. Where the slices are cut depends on the clock, what
        is run does not. Returns False if the budget was spent before the end.
        """
        done, per_second = 0, FIRST_RATE
        while done < total:
            if self.is_spent:
                return False
            size = max(1, int(per_second * SLICE_SECONDS / step))
            if self._work_limit is not None:
                size = min(size, max(1, (self._work_limit - self.work) // step))
            end = min(total, done + size)
            began = time.perf_counter()
            run(done, end)
            seconds = max(time.perf_counter() - began, 1e-6)
            # A step may be slower than the last slice's: never more than four times as many.
            measured = (end - done) * step / seconds
            per_second = min(measured, 4 * per_second)
            self.work += (end - done) * step
            done = end
        return True


class Incumbent:
    """The best schedule so far; reports each better one.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedule : MixedSchedule
        A feasible schedule.
    found : callable or None
        Called with each better schedule and its value.
    cost : callable, optional
        What completions, shape (n,), cost; the total latency by default.

    Attributes
    ----------
    schedule : MixedSchedule
        The best schedule.
    value : int
        What it costs.
    """

    def __init__(
        self,
        instance: Instance,
        schedule: MixedSchedule,
        found: Callable[[MixedSchedule, int], None] | None,
        cost: Callable[[IntArray], int] | None = None,
    ) -> None:
        self._output, self._cost = instance.output, cost
        self._base = int((instance.output - instance.arrival).sum())
        self._found = found
        self.schedule = schedule
        self.value = self.value_of(schedule.start)

    def value_of(self, start: IntArray) -> int:
        """Return what starts cost."""
        if self._cost is None:
            return self._base + int(start.sum())
        return self._cost(start + self._output)

    def offer(self, start: IntArray) -> bool:
        """Take the starts of a feasible schedule if they are better; return whether they are."""
        value = self.value_of(start)
        if value >= self.value:
            return False
        self.schedule, self.value = MixedSchedule(start), value
        if self._found is not None:
            self._found(self.schedule, value)
        return True
