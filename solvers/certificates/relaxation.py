"""Proofs by relaxation: a bound of one regime on an instance that has all schedules of another.

The verifier makes the relaxed instance itself; its proof is verified as any other of its regime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from ...models.errors import InputError
from ...models.instance import Instance
from ...models.objectives import OBJECTIVES, Exact
from ...models.regimes import regime as rules
from .blocks import BlocksProof
from .clock import Clock
from .proof import RecomputedProof
from .separate.as_continuous import as_continuous
from .strict import require_keys, require_object, shown

#: What relaxes an instance of separate batching, by the regime that it is relaxed to.
RELAXED: Mapping[str, Callable[[Instance], Instance]] = MappingProxyType(
    {"continuous": as_continuous}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaxationProof:
    """A bound on separate batching, by a proof for a regime that has all its schedules.

    Parameters
    ----------
    regime : str
        The other regime, one of `RELAXED`.
    proof : RecomputedProof
        Of the relaxed instance; no proof by blocks.

    Raises
    ------
    InputError
        If there is no such relaxation, or the proof is none of the other regime's.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.certificates.continuous.simple import ContinuousBound
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> proof = RelaxationProof(
    ...     regime="continuous", proof=ContinuousBound(name="served at arrival")
    ... )
    >>> proof.bound(instance, "latency", Clock(None))
    6
    """

    regime: str
    proof: RecomputedProof

    kind: ClassVar[str] = "relaxation"
    model: ClassVar[str] = "separate"
    objectives: ClassVar[tuple[str, ...]] = tuple(OBJECTIVES)

    def __post_init__(self) -> None:
        if self.regime not in RELAXED:
            known = ", ".join(RELAXED)
            raise InputError(f"proof.regime: expected {known}, found {shown(self.regime)}")
        if kinds_of(self.regime).get(self.proof.kind) is not type(self.proof):
            raise InputError(
                f"proof.proof.kind: {shown(self.proof.kind)} is no proof of a relaxed instance "
                f"under {self.regime} batching"
            )

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Relax the instance, and recompute the bound of the proof within."""
        rules(self.model).require(instance)
        if objective not in self.proof.objectives:
            raise InputError(f"proof.proof: {self.proof.kind} proves no bound on {objective}")
        clock.check()
        return self.proof.bound(RELAXED[self.regime](instance), objective, clock)

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {"kind": self.kind, "regime": self.regime, "proof": self.proof.to_record()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> RelaxationProof:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "regime", "proof"))
        other = record["regime"]
        if not isinstance(other, str) or other not in RELAXED:
            raise InputError(f"proof.regime: expected {', '.join(RELAXED)}, found {shown(other)}")
        inner = require_object("proof.proof", record["proof"])
        kinds, kind = kinds_of(other), inner.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            known = ", ".join(kinds)
            raise InputError(f"proof.proof.kind: expected one of {known}; found {shown(kind)}")
        return cls(regime=other, proof=kinds[kind].from_record(inner))


def kinds_of(model: str) -> dict[str, type[RecomputedProof]]:
    """Return the kinds of proof of a regime that hold no other proofs.

    Examples
    --------
    >>> list(kinds_of("continuous"))
    ['batch-length-prices', 'continuous-combinatorial', 'continuous-search']
    """
    from .registry import RECOMPUTED_KINDS  # which lists this file, too

    return {
        kind: proof
        for kind, proof in RECOMPUTED_KINDS.items()
        if proof.model == model and not issubclass(proof, (BlocksProof, RelaxationProof))
    }
