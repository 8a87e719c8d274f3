"""What an adversary learns of a policy on one instance: its cost, and the optimum."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from ..models.instance import Instance
from ..models.objectives import Exact
from ..models.regime import Schedule, ScheduleType
from ..solvers.best_so_far import BestSoFar
from ..solvers.certificates.certificate import Certificate, best_certificate
from ..solvers.certificates.proof import Proof

#: Seed of the policy's own draws.
POLICY_SEED = 0

#: Work on the optimum of a candidate: states of the exact search, and placements of the schedule
#: search where no exact search follows.
STATES = 20_000
PLACEMENTS = 20_000


class Replay(Protocol):
    """What proves a bound where there is no certificate: a search to run again."""

    def to_record(self) -> dict[str, Any]:
        """Return it as a plain record, for a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A policy and the hindsight optimum on one instance.

    Attributes
    ----------
    instance : Instance
        The instance.
    schedule : Schedule
        The policy's schedule.
    cost : int
        Its total latency.
    hindsight : Schedule
        The best schedule known.
    value : int
        Its total latency: ``optimum ≤ value``.
    bound : int
        ``bound ≤ optimum``.
    proof : Proof
        What proves the bound; None where a search is to be run again.
    replay : Replay or None
        That search.
    """

    instance: Instance
    schedule: Schedule
    cost: int
    hindsight: Schedule
    value: int
    bound: int
    proof: Proof | None
    replay: Replay | None = None

    @property
    def model(self) -> str:
        """The batching regime."""
        return self.hindsight.model

    @property
    def ratio(self) -> Fraction:
        """The ratio that is certain: ``cost / value``, at most ``cost / optimum``."""
        return Fraction(self.cost, self.value)

    @property
    def most(self) -> Fraction:
        """What the true ratio is at most: ``cost / bound``; the ratio where it is proved."""
        return Fraction(self.cost, self.bound)

    @property
    def proved(self) -> bool:
        """Whether the optimum is."""
        return self.value == self.bound

    def certificate(self) -> Certificate | None:
        """Return the bound with its proof, for anyone to verify; None where there is none."""
        if self.proof is None:
            return None
        made = best_certificate(self.instance, "latency", [(self.bound, self.proof)])
        assert made is not None
        return made


#: Quick bounds, by name.
Bounds = Callable[[Instance, str], Iterable[tuple[str, Exact]]]

#: Searches on until the bound is enough: ``prove(search, enough)``. Returns the bound that a search
#: to be run again proves, and that search, where no certificate proves as much.
Prove = Callable[[BestSoFar[ScheduleType], Callable[[int], bool]], tuple[int, Replay] | None]


def judged(
    search: BestSoFar[ScheduleType],
    schedule: ScheduleType,
    above: float,
    *,
    bounds: Bounds,
    begin: Callable[[BestSoFar[ScheduleType]], None],
    prove: Prove[ScheduleType],
) -> Judged | None:
    """Find the optimum beside a policy's schedule; None once the ratio is known to be too low.

    The work is limited by counts, never by the clock.

    Parameters
    ----------
    search : BestSoFar
        The instance, and nothing known of it yet.
    schedule : Schedule
        What the policy under attack made of it.
    above : float
        Ratio of interest.
    bounds : callable
        The regime's quick bounds: most candidates are dismissed by them.
    begin : callable
        Finds first schedules.
    prove : callable
        The regime's search for the optimum.
    """
    instance = search.instance
    cost = latency_of(instance, schedule)

    def enough(bound: int) -> bool:
        return cost < above * bound

    if any(enough(math.ceil(bound)) for _, bound in bounds(instance, "latency")):
        return None
    begin(search)
    again = None if search.proved or enough(known_bound(search)) else prove(search, enough)
    bound, replay = again or (known_bound(search), None)
    if enough(bound):
        return None
    assert search.schedule is not None, "there is a list schedule of every instance"
    return Judged(
        instance=instance,
        schedule=schedule,
        cost=cost,
        hindsight=search.schedule,
        value=latency_of(instance, search.schedule),
        bound=bound,
        proof=max(search.proofs.values(), key=lambda each: each[0])[1] if replay is None else None,
        replay=replay,
    )


def known_bound(search: BestSoFar[Any]) -> int:
    """Return the best bound so far on the total latency, which is an integer; 0 for none."""
    return math.ceil(search.bound or 0)


def latency_of(instance: Instance, schedule: Schedule) -> int:
    """Total latency of a schedule of either regime."""
    return int((schedule.completion(instance) - instance.arrival).sum())
