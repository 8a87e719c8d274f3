"""Proofs by prices of a KV token, constant on blocks of rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ....models.errors import InputError
from ....models.instance import Instance
from ....models.objectives import Exact
from ..clock import Clock
from ..strict import integer, integers, require_keys
from .certified_prices import certified_value
from .price_blocks import MemoryPrices


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPriceProof:
    """The bound that prices on memory prove: see `certified_prices`.

    Parameters
    ----------
    prices : MemoryPrices
        Any prices.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> prices = MemoryPrices(boundaries=(3, 4), prices=(3,), scale=8)
    >>> MemoryPriceProof(prices=prices).bound(instance, "latency", Clock(None))
    Fraction(51, 8)
    """

    prices: MemoryPrices

    kind: ClassVar[str] = MemoryPrices.kind
    model: ClassVar[str] = "mixed"
    objectives: ClassVar[tuple[str, ...]] = ("latency",)

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the bound, in O(n · blocks) steps."""
        return certified_value(instance, self.prices, clock)

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return self.prices.to_record()

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> MemoryPriceProof:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "scale", "boundaries", "prices"))
        integer("proof.scale", record["scale"], low=1)
        for key in ("boundaries", "prices"):
            integers(f"proof.{key}", record[key], low=0)
        try:
            return cls(prices=MemoryPrices.from_record(record))
        except InputError as error:
            raise InputError(f"proof.{error}") from error
