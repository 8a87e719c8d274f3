"""Claims by path graphs: no schedule costs less than a value. They can only be *replayed*."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..strict import integer, require_keys
from .price_table import PriceTable


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSearch:
    """The claim that no schedule has a total latency below `value`, and prices to build graphs by.

    There is no independent verifier: the graphs are built again, up to ``value − 1``, by the code
    that made the bound (`solvers.replay`). Up to 64 requests a claim may be written as
    `exhaustive_search` instead, which has one.

    Parameters
    ----------
    value : int
        ≥ 1.
    table : PriceTable
        Any prices: the closer the bound that they prove, the smaller the graphs.

    Examples
    --------
    >>> table = PriceTable(scale=1, types=((7, 0),), price=[[0], [0], [0], [0], [1]])
    >>> claim = PathSearch(value=7, table=table)
    >>> PathSearch.from_record(claim.to_record()) == claim
    True
    """

    value: int
    table: PriceTable

    kind: ClassVar[str] = "path-search"
    model: ClassVar[str] = "mixed"
    objectives: ClassVar[tuple[str, ...]] = ("latency",)

    def to_record(self) -> dict[str, Any]:
        """Return the claim as a plain record."""
        return {"kind": self.kind, "value": self.value, **self.table.to_record()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> PathSearch:
        """Read the claim from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "value", "scale", "types", "rounds"))
        value = integer("proof.value", record["value"], low=1)
        return cls(value=value, table=PriceTable.from_record("proof.", record))
