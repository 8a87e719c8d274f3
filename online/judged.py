"""What an adversary learns of a policy on one instance: its cost, and the optimum."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ..models.instance import Instance
from ..models.regime import Schedule
from ..solvers.certificates.certificate import Certificate, best_certificate
from ..solvers.certificates.proof import Proof
from .separate.rerun import Rerun

#: Seed of the policy's own draws.
POLICY_SEED = 0

#: Work on the optimum of a candidate: states of the exact search, and placements of the schedule
#: search where no exact search follows.
STATES = 20_000
PLACEMENTS = 20_000


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
    proof : Proof or Rerun
        What proves the bound: a certificate's, or the search of separate batching to run again
        where there is none.
    """

    instance: Instance
    schedule: Schedule
    cost: int
    hindsight: Schedule
    value: int
    bound: int
    proof: Proof | Rerun

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
        """Return the bound with its proof, for anyone to verify; None where there is no such."""
        if isinstance(self.proof, Rerun):
            return None
        made = best_certificate(self.instance, "latency", [(self.bound, self.proof)])
        assert made is not None
        return made


def latency_of(instance: Instance, schedule: Schedule) -> int:
    """Total latency of a schedule of either regime."""
    return int((schedule.completion(instance) - instance.arrival).sum())
