"""Proofs for equal requests: no schedule costs less than a value, on a grid of rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ....models.instance import Instance
from ....models.objectives import Exact
from ..clock import Clock
from ..strict import integer, require_keys
from .certified_patterns import require_no_less


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualRequestsProof:
    """The claim that no schedule of equal requests has a total latency below `value`.

    Parameters
    ----------
    value : int
        ≥ 0.
    rounds : int
        Rounds of a block of the grid on which this shows, ≥ 1 and at most the output length.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0, 0], prompt=[1] * 3, output=[4] * 3)
    >>> EqualRequestsProof(value=17, rounds=1).bound(instance, "latency", Clock(None))
    17
    >>> EqualRequestsProof(value=18, rounds=1).bound(instance, "latency", Clock(None))
    Traceback (most recent call last):
    ...
    batchprophet.solvers.certificates.clock.NotProved: starts of equal requests were found on \
blocks of 1 rounds whose total latency is 17, below the value 18 of the proof
    """

    value: int
    rounds: int

    kind: ClassVar[str] = "equal-requests"
    model: ClassVar[str] = "mixed"
    objectives: ClassVar[tuple[str, ...]] = ("latency",)

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Return the value if no starts on the grid are below it."""
        require_no_less(instance, self.value, self.rounds, clock)
        return self.value

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {"kind": self.kind, "value": self.value, "rounds": self.rounds}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> EqualRequestsProof:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "value", "rounds"))
        value = integer("proof.value", record["value"], low=0)
        return cls(value=value, rounds=integer("proof.rounds", record["rounds"], low=1))
