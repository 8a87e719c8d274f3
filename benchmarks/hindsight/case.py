"""What a method gets, and how what it found becomes a certified solution."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from batchprophet.models.instance import Instance
from batchprophet.models.schedules import Schedule, schedule_value
from batchprophet.solvers.solution import Solution, certified


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a method gets.

    Attributes
    ----------
    instance : Instance
        The instance.
    warm_start : MixedSchedule or SeparateSchedule
        The schedule that every method begins with; its type says the regime.
    time_limit : float
        Seconds for building and solving.
    threads : int
        Threads or workers.
    tight_windows : bool
        Mixed batching only: whether MILP and CP-SAT get windows of starts from KV-area bounds of
        the instance without each request (the windows that `solve` gives its MILP) instead of the
        plain ones.
    """

    instance: Instance
    warm_start: Schedule
    time_limit: float
    threads: int
    tight_windows: bool = False

    @property
    def value(self) -> int:
        """Total latency of the warm start."""
        return int(schedule_value(self.instance, self.warm_start))

    def clock(self) -> Callable[[], float]:
        """Start a clock that tells the seconds left, and 0 after the end."""
        end = time.perf_counter() + self.time_limit
        return lambda: max(0.0, end - time.perf_counter())


def certify(
    case: Case,
    own: Schedule | None,
    bound: float | int | None,
    account: str,
    seconds: float,
) -> Solution:
    """Check and round; keep the warm start where there is no schedule of the method's own."""
    return certified(
        case.instance,
        case.warm_start if own is None else own,
        bounds=() if bound is None else (("its own", bound),),
        method=account if own is not None else f"{account}, the warm start kept",
        seconds=seconds,
    )
