"""Memory prices, constant on blocks of rounds: the multipliers that prove a bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from ....models.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPrices:
    """A price u_t ≥ 0 of one KV token held in round t, constant on blocks of rounds.

    ``u_t = prices[j] / scale`` in the rounds ``boundaries[j] + 1 … boundaries[j + 1]``, and 0 in
    all other rounds. Everything is an integer, so what follows from the prices can be computed
    exactly. *Any* such prices prove a lower bound (`certified_prices.certified_value`).

    Parameters
    ----------
    boundaries : tuple of int, length blocks + 1
        Round boundaries ≥ 0, strictly increasing.
    prices : tuple of int, length blocks ≥ 1
        In ``1/scale`` rounds of latency per token-round, each ≥ 0.
    scale : int
        A power of two, ≥ 1.

    Raises
    ------
    InputError
        If a number is not an integer in its range, or the lengths disagree.

    Examples
    --------
    >>> prices = MemoryPrices(boundaries=(0, 3, 5), prices=(3, 1), scale=4)
    >>> MemoryPrices.from_record(prices.to_record()) == prices
    True
    """

    boundaries: tuple[int, ...]
    prices: tuple[int, ...]
    scale: int

    kind: ClassVar[str] = "memory-prices"

    def __post_init__(self) -> None:
        _require_integers("boundaries", self.boundaries)
        _require_integers("prices", self.prices)
        _require_integers("scale", (self.scale,))
        if self.scale < 1 or self.scale & (self.scale - 1):
            raise InputError(f"scale: expected a power of two, found {self.scale}")
        if not self.prices or len(self.boundaries) != len(self.prices) + 1:
            raise InputError(
                "boundaries: expected one more than there are prices, and a price; found "
                f"{len(self.boundaries)} boundaries and {len(self.prices)} prices"
            )
        for j, (begin, end) in enumerate(pairwise(self.boundaries)):
            if begin >= end:
                raise InputError(
                    f"boundaries[{j + 1}]: expected more than boundaries[{j}] = {begin}, "
                    f"found {end}"
                )

    def to_record(self) -> dict[str, Any]:
        """Return the prices as a plain record for a JSON file."""
        return {
            "kind": self.kind,
            "scale": self.scale,
            "boundaries": list(self.boundaries),
            "prices": list(self.prices),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> MemoryPrices:
        """Read the prices from a record of `to_record`.

        Raises
        ------
        InputError
            If the kind is another, a key is missing or unknown, or a value is out of range.
        """
        if record.get("kind") != cls.kind:
            raise InputError(f"kind: expected {cls.kind!r}, found {record.get('kind')!r}")
        expected = {"kind", "scale", "boundaries", "prices"}
        for key in sorted(expected ^ record.keys()):
            raise InputError(f"{key}: {'missing' if key in expected else 'unknown key'}")
        for key in ("boundaries", "prices"):
            if not isinstance(record[key], (list, tuple)):
                raise InputError(f"{key}: expected a list of integers, found {record[key]!r}")
        return cls(
            boundaries=tuple(record["boundaries"]),
            prices=tuple(record["prices"]),
            scale=record["scale"],
        )


def _require_integers(name: str, values: tuple[object, ...]) -> None:
    for j, value in enumerate(values):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            place = name if name == "scale" else f"{name}[{j}]"
            raise InputError(f"{place}: expected an integer of at least 0, found {value!r}")
