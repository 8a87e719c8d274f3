"""What a search knows so far: the best schedule, the bounds, and the account of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Generic

from ..models.instance import Instance
from ..models.objectives import MAXIMISED, Exact, value_step
from ..models.regime import ScheduleType
from ..models.regimes import schedule_value
from .certificates.certificate import best_certificate
from .certificates.proof import Proof
from .progress import Moment, Progress, relative_gap
from .solution import Solution, certified


@dataclass(slots=True)
class BestSoFar(Generic[ScheduleType]):
    """The best schedule and bounds of one search, its clock, and who listens.

    Attributes
    ----------
    instance, objective
        What is solved.
    time_limit : float
        Seconds for everything; infinite if the clock must not matter.
    listen : callable or None
        Gets a `Progress` at every `tell`.
    schedule, value, found_by
        The best schedule, its exact value, and what found it; None and "" before the first.
    bounds : list of (str, bound value)
        Every bound so far, by name.
    proofs : dict of str to (bound value, Proof)
        Bounds that anyone can verify: the best of each name.
    account : list of str
        What was done, in order.
    log : str
        The solver's log.
    history : list of Moment
        When the schedule, or the bound, became better.
    """

    instance: Instance
    objective: str
    time_limit: float
    listen: Callable[[Progress], None] | None = None
    began: float = field(default_factory=time.perf_counter)
    schedule: ScheduleType | None = None
    value: Exact | None = None
    found_by: str = ""
    bounds: list[tuple[str, int | float | Fraction]] = field(default_factory=list)
    proofs: dict[str, tuple[Exact, Proof]] = field(default_factory=dict)
    account: list[str] = field(default_factory=list)
    log: str = ""
    history: list[Moment] = field(default_factory=list)

    @property
    def maximised(self) -> bool:
        """Whether more is better."""
        return self.objective in MAXIMISED

    @property
    def seconds(self) -> float:
        """Since the search began."""
        return time.perf_counter() - self.began

    @property
    def seconds_left(self) -> float:
        """Until the time limit; 0 after it."""
        return max(0.0, self.time_limit - self.seconds)

    @property
    def bound(self) -> int | float | Fraction | None:
        """The best bound so far, before rounding."""
        values = [value for _, value in self.bounds]
        return (min(values) if self.maximised else max(values)) if values else None

    @property
    def proved(self) -> bool:
        """Whether the bounds prove the schedule optimal: no value lies between them."""
        if self.value is None or self.bound is None:
            return False
        return abs(self.value - Fraction(self.bound)) < value_step(self.instance, self.objective)

    def offer(self, schedule: ScheduleType, found_by: str) -> None:
        """Keep the schedule if it is the best so far."""
        value = schedule_value(self.instance, schedule, self.objective)
        better = self.value is None or (
            value > self.value if self.maximised else value < self.value
        )
        if better:
            self.schedule, self.value, self.found_by = schedule, value, found_by
            self._remember(self.bound)

    def better_bound(self, name: str, bound: int | float | Fraction) -> None:
        """Keep a bound if it is the best of this name."""
        known = dict(self.bounds)
        if name in known:
            bound = min(bound, known[name]) if self.maximised else max(bound, known[name])
        self.bounds = list((known | {name: bound}).items())
        self._remember(self.bound)

    def proved_bound(self, name: str, bound: Exact, proof: Proof) -> None:
        """Keep a bound and its proof if it is the best of this name."""
        self.better_bound(name, bound)
        known = self.proofs.get(name)
        if known is None or (bound < known[0] if self.maximised else bound > known[0]):
            self.proofs[name] = bound, proof

    def tell(self, phase: str, bound: int | float | Fraction | None = None) -> None:
        """Tell the listener the state, with the running solver's bound if it is better."""
        best = self.bound if bound is None else bound
        self._remember(best)
        if self.listen is not None:
            gap = relative_gap(self.value, best)
            self.listen(Progress(self.seconds, self.value, best, gap, phase))

    def _remember(self, bound: int | float | Fraction | None) -> None:
        """Keep the moment if the schedule or the bound is better than at the last one."""
        last = self.history[-1] if self.history else Moment(0.0, None, None)
        if bound is None or (last.bound is not None and not self._tighter(bound, last.bound)):
            bound = last.bound
        if (self.value, bound) != (last.value, last.bound):
            self.history.append(Moment(self.seconds, self.value, bound))

    def _tighter(self, bound: float | Fraction, other: float | Fraction) -> bool:
        return bound < other if self.maximised else bound > other

    def off_the_clock(self, phase: str, work: Callable[[], None]) -> None:
        """Do what must not count against the time limit, and say what."""
        self.tell(phase)
        begin = time.perf_counter()
        work()
        self.began += time.perf_counter() - begin

    def solution(self) -> Solution[ScheduleType]:
        """Certify the best schedule with the bounds; there must be a schedule."""
        assert self.schedule is not None
        return certified(
            self.instance,
            self.schedule,
            objective_name=self.objective,
            bounds=tuple(self.bounds),
            method="; ".join([self.found_by, *self.account]),
            seconds=self.seconds,
            log=self.log,
            certificate=best_certificate(self.instance, self.objective, self.proofs.values()),
            history=tuple(self.history),
        )
