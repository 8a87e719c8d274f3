"""Proofs by a search of all states of continuous batching: no schedule costs less than a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ....models.errors import InputError
from ....models.instance import Instance
from ....models.objectives import Exact
from ..clock import Clock
from ..one_by_one import require_none_better
from ..strict import integer, integers, require_keys

#: Most cells of time, and highest prices, times the scale.
MOST_CELLS, HIGHEST = 2**16, 2**40

#: Largest scale, cell and value.
MOST_SCALE, MOST_TIME = 2**24, 2**50


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuousSearch:
    """The claim that no schedule has a total latency below `value`, and prices to search by.

    Parameters
    ----------
    value : int
        ≥ 0.
    scale : int
        Prices are multiples of ``1 / scale``; ≥ 1.
    cell, width : int
        Time is counted in cells of this length, ≥ 1, from the first arrival on; the prices of
        ``width ≥ 1`` cells are the same.
    kv, seat : tuple of int
        Prices ≥ 0 of a block of memory and of a seat, per unit of time, as many of both. Any prices
        do: the closer the bound that they prove, the shorter the search.

    Raises
    ------
    InputError
        If numbers are out of their range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[4, 3], output=[3, 3])
    >>> proof = ContinuousSearch(value=7, scale=1, cell=1, width=1, kv=(), seat=())
    >>> proof.bound(instance, "latency", Clock(None))
    7
    >>> proof = ContinuousSearch(value=8, scale=1, cell=1, width=1, kv=(), seat=())
    >>> proof.bound(instance, "latency", Clock(None))
    Traceback (most recent call last):
    ...
    batchprophet.solvers.certificates.clock.Contradicted: nothing is proved: there is a schedule \
of total latency 7, below the value 8 of the proof
    """

    value: int
    scale: int
    cell: int
    width: int
    kv: tuple[int, ...]
    seat: tuple[int, ...]

    kind: ClassVar[str] = "continuous-search"
    model: ClassVar[str] = "continuous"
    objectives: ClassVar[tuple[str, ...]] = ("latency",)

    def __post_init__(self) -> None:
        if not (1 <= self.scale <= MOST_SCALE and 1 <= self.cell <= MOST_TIME and self.width >= 1):
            raise InputError(
                f"proof: expected scale 1 to {MOST_SCALE}, cell 1 to {MOST_TIME} and width ≥ 1"
            )
        if not 0 <= self.value <= MOST_TIME:
            raise InputError(f"proof.value: expected 0 to {MOST_TIME}, found {self.value}")
        if len(self.kv) != len(self.seat):
            raise InputError(
                f"proof.seat: expected {len(self.kv)} prices, as proof.kv, found {len(self.seat)}"
            )
        if len(self.kv) * self.width > MOST_CELLS:
            raise InputError(f"proof.width: expected at most {MOST_CELLS} cells with prices")
        if self.kv and (min(*self.kv, *self.seat) < 0 or max(*self.kv, *self.seat) > HIGHEST):
            raise InputError(f"proof: expected prices from 0 to {HIGHEST}")

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Return the value if a search of all states finds no schedule below it.

        Raises
        ------
        Contradicted
            If it finds one: then nothing is proved, whatever its latency.
        """
        from .state_search import least_below

        prices = tuple([x for x in row for _ in range(self.width)] for row in (self.kv, self.seat))
        found = least_below(
            self.value, instance, self.scale, self.cell, (prices[0], prices[1]), clock
        )
        require_none_better(self.value, found)
        return self.value

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        numbers = {name: getattr(self, name) for name in ("value", "scale", "cell", "width")}
        return {"kind": self.kind, **numbers, "kv": list(self.kv), "seat": list(self.seat)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ContinuousSearch:
        """Read the proof from a record of `to_record`."""
        names = ("scale", "cell", "width")
        require_keys("proof.", record, ("kind", "value", *names, "kv", "seat"))
        scale, cell, width = (integer(f"proof.{name}", record[name], low=1) for name in names)
        return cls(
            value=integer("proof.value", record["value"], low=0),
            scale=scale,
            cell=cell,
            width=width,
            kv=tuple(integers("proof.kv", record["kv"], low=0)),
            seat=tuple(integers("proof.seat", record["seat"], low=0)),
        )
