"""Proofs that no schedule is done by a deadline: lower bounds on the makespan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ....models.errors import InputError
from ....models.instance import Instance
from ....models.objectives import Exact
from ..clock import Clock
from ..strict import integer, require_keys, require_object, shown
from .configuration_prices import ConfigurationPriceProof
from .exhaustive_search import ExhaustiveSearch

#: Proofs of tardiness that may be within, by their kind.
WITHIN: Mapping[str, type[ConfigurationPriceProof] | type[ExhaustiveSearch]] = {
    proof.kind: proof for proof in (ConfigurationPriceProof, ExhaustiveSearch)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineProof:
    """The claim that the makespan is at least `value`, by a bound on a tardiness.

    A schedule is done by ``D = value − 1`` iff its tardiness is 0 where every request has weight 1
    and deadline D. So a bound above 0 on that tardiness proves that none is.

    Parameters
    ----------
    value : int
        ≥ 1.
    proof : ConfigurationPriceProof or ExhaustiveSearch
        Of the tardiness.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.certificates.mixed.price_table import PriceTable
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> table = PriceTable(scale=1, types=((7, 0),), price=[[0], [0], [0], [0], [1]])
    >>> within = ExhaustiveSearch(value=1, table=table)
    >>> DeadlineProof(value=5, proof=within).bound(instance, "makespan", Clock(None))
    5
    """

    value: int
    proof: ConfigurationPriceProof | ExhaustiveSearch

    kind: ClassVar[str] = "deadline"
    model: ClassVar[str] = "mixed"
    objectives: ClassVar[tuple[str, ...]] = ("makespan",)

    def __post_init__(self) -> None:
        if self.value < 1:
            raise InputError(f"proof.value: expected at least 1, found {self.value}")

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Return the value if the proof within bounds the tardiness above 0.

        Else what needs no proof: the last of the requests' completions if each starts on arrival.
        """
        n, deadline = instance.n, self.value - 1
        late = instance.replace(weight=[1] * n, deadline=[deadline] * n, horizon=None)
        if self.proof.bound(late, "tardiness", clock) > 0:
            return self.value
        return int((instance.arrival + instance.output).max())

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {"kind": self.kind, "value": self.value, "proof": self.proof.to_record()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> DeadlineProof:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "value", "proof"))
        value = integer("proof.value", record["value"], low=1)
        inner = require_object("proof.proof", record["proof"])
        kind = inner.get("kind")
        if not isinstance(kind, str) or kind not in WITHIN:
            known = ", ".join(WITHIN)
            raise InputError(f"proof.proof.kind: expected one of {known}; found {shown(kind)}")
        return cls(value=value, proof=WITHIN[kind].from_record(inner))
