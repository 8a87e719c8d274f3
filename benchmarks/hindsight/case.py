"""The input of a method, and how its result becomes a certified solution."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from batchprophet.models import Instance, Schedule, schedule_value
from batchprophet.solvers import Solution, certified, compile_model, solve_model


class Clock:
    """Seconds since it was made, and seconds left of a limit."""

    def __init__(self, limit: float) -> None:
        self._began, self._limit = time.perf_counter(), limit

    def spent(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._began

    def left(self) -> float:
        """Seconds left, 0 after the end."""
        return max(0.0, self._limit - self.spent())


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The input of a method.

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

    def clock(self) -> Clock:
        """Start a clock for the time limit."""
        return Clock(self.time_limit)


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


def solve_milp(
    case: Case,
    milp: pyo.ConcreteModel,
    decode: Callable[[Instance, pyo.ConcreteModel, Callable[[Any], float]], Schedule],
    clock: Clock,
) -> Solution:
    """Solve a model, whose variables have the warm start's values, in HiGHS.

    Parameters
    ----------
    case : Case
        The case.
    milp : pyomo.environ.ConcreteModel
        A form of its MILP.
    decode : callable
        Reads a schedule from the values of the model's variables.
    clock : Clock
        The case's, started before the model was built.
    """
    result = solve_model(
        compile_model(milp),
        time_limit=clock.left(),
        threads=case.threads,
        absolute_gap=0.5,  # total latencies are integers
        warm_start=True,
    )
    own = None if result.values is None else decode(case.instance, milp, result.value)
    account = f"HiGHS: {result.status.value}, {result.nodes} nodes"
    return certify(case, own, result.bound, account, clock.spent())
