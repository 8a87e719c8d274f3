"""Proofs for separate batching by exhaustive search: no schedule costs less than a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ....models.instance import Instance
from ....models.objectives import Exact
from ..clock import Clock
from ..one_by_one import require_none_better
from ..strict import integer
from .state_search import least_below
from .walk_prices import WalkPriceProof


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkSearch:
    """The claim that no schedule has a total latency below `value`, and prices to search by.

    Parameters
    ----------
    value : int
        ≥ 0.
    walk : WalkPriceProof
        Prices of the GPU's walk: the closer their bound, the shorter the search. Their
        end is so late that a completion after it makes the total latency `value` or more.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[2, 1])
    >>> walk = WalkPriceProof(scale=1, end=5, prompt=(2, 1), kv=(0,) * 6, running={})
    >>> WalkSearch(value=3, walk=walk).bound(instance, "latency", Clock(None))
    3
    >>> WalkSearch(value=4, walk=walk).bound(instance, "latency", Clock(None))
    Traceback (most recent call last):
    ...
    batchprophet.solvers.certificates.clock.Contradicted: nothing is proved: there is a schedule \
of total latency 3, below the value 4 of the proof
    """

    value: int
    walk: WalkPriceProof

    kind: ClassVar[str] = "walk-search"
    model: ClassVar[str] = "separate"
    objectives: ClassVar[tuple[str, ...]] = ("latency",)

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Return the value if an exhaustive search finds no schedule below it.

        Raises
        ------
        Contradicted
            If it finds one: then nothing is proved, whatever its latency.
        """
        require_none_better(self.value, least_below(self.value, instance, self.walk, clock))
        return self.value

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {**self.walk.to_record(), "kind": self.kind, "value": self.value}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> WalkSearch:
        """Read the proof from a record of `to_record`."""
        value = integer("proof.value", record.get("value"), low=0)
        others = {key: entry for key, entry in record.items() if key != "value"}
        return cls(value=value, walk=WalkPriceProof.from_record(others))
