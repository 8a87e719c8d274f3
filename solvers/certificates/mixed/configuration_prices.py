"""Proofs by prices on configurations of running requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ....models.instance import Instance
from ....models.objectives import Exact
from ..clock import Clock
from ..strict import require_keys
from .certified_configurations import certified_value
from .certified_costs import OBJECTIVES
from .price_table import PriceTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationPriceProof:
    """The bound that prices on types prove: see `certified_configurations`.

    Parameters
    ----------
    table : PriceTable
        Any prices.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> table = PriceTable(scale=1, types=((7, 0),), price=[[0], [0], [0], [0], [1]])
    >>> ConfigurationPriceProof(table=table).bound(instance, "latency", Clock(None))
    Fraction(6, 1)
    """

    table: PriceTable

    kind: ClassVar[str] = "configuration-prices"
    model: ClassVar[str] = "mixed"
    objectives: ClassVar[tuple[str, ...]] = OBJECTIVES

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the bound."""
        table = self.table
        return certified_value(
            instance,
            objective,
            scale=table.scale,
            types=table.types,
            price=table.price,
            clock=clock,
        )

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {"kind": self.kind, **self.table.to_record()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ConfigurationPriceProof:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "scale", "types", "rounds"))
        return cls(table=PriceTable.from_record("proof.", record))
