"""Proofs by a price of a KV token in each round, for any objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ....models.errors import InputError
from ....models.instance import Instance
from ....models.objectives import OBJECTIVES, Exact
from ..clock import Clock
from ..strict import integer, integers, require_keys
from .certified_rounds import certified_value

#: Rounds that may be priced.
MOST_ROUNDS = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundPriceProof:
    """The bound that prices of memory prove, round by round: see `certified_rounds`.

    Parameters
    ----------
    scale : int
        ≥ 1.
    first : int
        ≥ 1: the first round that has a price.
    prices : tuple of int
        ≥ 0, in units of ``1 / scale``.
    shares : tuple of int
        λ_i ≥ 0 of each request for the makespan, in the same units; none for other objectives.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> proof = RoundPriceProof(scale=8, first=4, prices=(3,))
    >>> proof.bound(instance, "latency", Clock(None))
    Fraction(51, 8)
    """

    scale: int
    first: int
    prices: tuple[int, ...]
    shares: tuple[int, ...] = ()

    kind: ClassVar[str] = "round-prices"
    model: ClassVar[str] = "mixed"
    objectives: ClassVar[tuple[str, ...]] = tuple(OBJECTIVES)

    def __post_init__(self) -> None:
        if self.scale < 1 or self.first < 1 or min((*self.prices, *self.shares), default=0) < 0:
            raise InputError("proof: expected a scale and a first round ≥ 1, prices and shares ≥ 0")

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the bound, in O(n · rounds) steps."""
        try:
            return certified_value(
                instance,
                objective,
                scale=self.scale,
                first=self.first,
                prices=self.prices,
                shares=self.shares,
                clock=clock,
            )
        except InputError as error:
            raise InputError(f"proof.{error}") from error

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {
            "kind": self.kind,
            "scale": self.scale,
            "first": self.first,
            "prices": list(self.prices),
            "shares": list(self.shares),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> RoundPriceProof:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "scale", "first", "prices", "shares"))
        scale = integer("proof.scale", record["scale"], low=1)
        first = integer("proof.first", record["first"], low=1)
        prices = integers("proof.prices", record["prices"], low=0)
        if first + len(prices) > MOST_ROUNDS:
            raise InputError(
                f"proof.prices: expected rounds up to {MOST_ROUNDS}, found rounds {first} to "
                f"{first + len(prices) - 1}"
            )
        shares = integers("proof.shares", record["shares"], low=0)
        return cls(scale=scale, first=first, prices=tuple(prices), shares=tuple(shares))
