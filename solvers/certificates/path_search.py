"""Proofs by path graphs: no schedule costs less than a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from ...models.errors import InputError
from ...models.instance import Instance
from ...models.objectives import Exact
from ..bounds.column_types import column_types
from ..bounds.configuration import SCALE, ConfigurationPrices
from ..paths.sublimation import least_up_to
from .clock import Clock, OutOfTime
from .price_table import PriceTable
from .strict import integer, require_keys

#: No price of a sensible table is dearer: sums of such prices fit 64 bits.
MOST_ROUNDS = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSearch:
    """The claim that no schedule has a total latency below `value`, and prices to build graphs by.

    It is verified by building the graphs again, up to ``value − 1``: by the code that made the
    bound, from nothing but the stored prices. For small instances `exhaustive_search` has a
    verifier of its own.

    Parameters
    ----------
    value : int
        ≥ 1.
    table : PriceTable
        Any prices: the closer the bound that they prove, the smaller the graphs.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> table = PriceTable(scale=1, types=((7, 0),), price=[[0], [0], [0], [0], [1]])
    >>> PathSearch(value=7, table=table).bound(instance, "latency", Clock(None))
    7
    >>> PathSearch(value=8, table=table).bound(instance, "latency", Clock(None))
    7
    """

    value: int
    table: PriceTable

    kind: ClassVar[str] = "path-search"
    model: ClassVar[str] = "mixed"
    objectives: ClassVar[tuple[str, ...]] = ("latency",)

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Build the graphs again; the value if nothing is below it, else what is found there."""
        clock.check()
        left = None if clock.limit is None else clock.limit - clock.seconds
        prices = _on_types(instance, self.table)
        least = least_up_to(instance, prices, self.value - 1, time_limit=left)
        if least is None:
            raise OutOfTime
        return least

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {"kind": self.kind, "value": self.value, **self.table.to_record()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> PathSearch:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "value", "scale", "types", "rounds"))
        value = integer("proof.value", record["value"], low=1)
        return cls(value=value, table=PriceTable.from_record("proof.", record))


def _on_types(instance: Instance, table: PriceTable) -> ConfigurationPrices:
    """Prices in units of ``1 / SCALE`` on the instance's own types; others cannot be paid."""
    dearest = int(table.price.max(initial=0))
    if dearest > MOST_ROUNDS * table.scale:
        raise InputError(
            f"proof.rounds: expected prices of at most {MOST_ROUNDS} rounds, "
            f"found {dearest}/{table.scale}"
        )
    types = column_types(instance)
    pairs = list(zip(types.size.tolist(), types.to_go.tolist(), strict=True))
    place = {pair: q for q, pair in enumerate(table.types)}
    price = np.zeros((table.price.shape[0], len(pairs)), np.int64)
    for q, pair in enumerate(pairs):
        if pair in place:
            whole, rest = np.divmod(table.price[:, place[pair]], table.scale)
            price[:, q] = whole * SCALE + rest * SCALE // table.scale
    return ConfigurationPrices(price, Fraction(0), 0)
