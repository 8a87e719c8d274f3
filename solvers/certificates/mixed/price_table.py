"""A table of integer prices on types of running requests, round by round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....models.errors import InputError
from ....models.instance import IntArray
from ..strict import array, integer, integers, require_keys, require_object

#: Prices that a table may have, rounds × types: beyond, it would not fit the memory.
MOST_ENTRIES = 2**25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriceTable:
    """The price ``U_t(w, r) = price[t, q] / scale`` of each type ``(w, r) = types[q]`` in round t.

    All other prices are 0: those of other types, of round 0 and after the last row.

    Parameters
    ----------
    scale : int
        ≥ 1.
    types : tuple of (int, int)
        w ≥ 1 and r ≥ 0 of each type, none twice.
    price : ndarray of int64, shape (T + 1, K)
        Each ≥ 0; row 0 is 0. Rows of 0 at the end are dropped.

    Raises
    ------
    InputError
        If a number is out of its range, a type appears twice, or the shapes disagree.

    Examples
    --------
    >>> table = PriceTable(scale=4, types=((4, 1), (5, 0)), price=[[0, 0], [0, 3], [0, 3], [1, 0]])
    >>> record = table.to_record()
    >>> record["rounds"]
    [{'first': 1, 'last': 2, 'prices': [[1, 3]]}, {'first': 3, 'last': 3, 'prices': [[0, 1]]}]
    >>> PriceTable.from_record("proof.", record) == table
    True
    """

    scale: int
    types: tuple[tuple[int, int], ...]
    price: IntArray

    def __post_init__(self) -> None:
        price = np.array(self.price, dtype=np.int64)
        if price.ndim != 2 or price.shape[1] != len(self.types) or not price.shape[0]:
            raise InputError(
                f"price: expected rows of {len(self.types)} prices, found shape {price.shape}"
            )
        if self.scale < 1 or bool((price < 0).any()) or bool(price[0].any()):
            raise InputError("price: expected prices ≥ 0, none in round 0, and a scale ≥ 1")
        if len(set(self.types)) < len(self.types):
            raise InputError("types: expected each type once")
        priced = np.flatnonzero(price.any(axis=1))
        price = price[: priced[-1] + 1 if priced.size else 1]
        price.setflags(write=False)
        object.__setattr__(self, "price", price)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PriceTable):
            return NotImplemented
        same = (self.scale, self.types) == (other.scale, other.types)
        return same and np.array_equal(self.price, other.price)

    __hash__ = None  # type: ignore[assignment]  # compared by value, held by an array

    def coarser(self, scale: int) -> PriceTable:
        """Round every price to the nearest multiple of ``1 / scale``, a divisor of the scale."""
        step = self.scale // scale
        return PriceTable(scale=scale, types=self.types, price=(self.price + step // 2) // step)

    def to_record(self) -> dict[str, Any]:
        """Return the table as a plain record: rows as runs of prices that are not 0."""
        return {
            "scale": self.scale,
            "types": [list(pair) for pair in self.types],
            "rounds": [
                {"first": first, "last": last, "prices": _runs(self.price[first])}
                for first, last in _equal_rows(self.price)
            ],
        }

    @classmethod
    def from_record(cls, place: str, record: Mapping[str, Any]) -> PriceTable:
        """Read the table from the keys ``scale``, ``types`` and ``rounds`` of a record.

        Raises
        ------
        InputError
            If a value is of a wrong type or out of range; rounds must rise and not overlap.
        """
        scale = integer(f"{place}scale", record["scale"], low=1)
        types = _read_types(f"{place}types", record["types"])
        blocks = array(f"{place}rounds", record["rounds"])
        rows: list[tuple[int, int, list[tuple[int, list[int]]]]] = []
        before = 0
        for b, block in enumerate(blocks):
            row = _read_block(f"{place}rounds[{b}]", block, before, len(types))
            rows.append(row)
            before = row[1]
        if (before + 1) * max(1, len(types)) > MOST_ENTRIES:
            raise InputError(
                f"{place}rounds: expected at most {MOST_ENTRIES} prices (rounds × types), "
                f"found {before + 1} × {len(types)}"
            )
        price = np.zeros((before + 1, len(types)), dtype=np.int64)
        for first, last, runs in rows:
            for position, values in runs:
                price[first : last + 1, position : position + len(values)] = values
        return cls(scale=scale, types=types, price=price)


def _equal_rows(price: IntArray) -> list[tuple[int, int]]:
    """First and last of each stretch of equal rows that are not 0; row 0 is."""
    change = np.flatnonzero((price[1:] != price[:-1]).any(axis=1)) + 1
    firsts = [0, *change.tolist()]
    lasts = [*(change - 1).tolist(), price.shape[0] - 1]
    stretches = zip(firsts, lasts, strict=True)
    return [(first, last) for first, last in stretches if bool(price[first].any())]


def _runs(row: IntArray) -> list[list[int]]:
    """Return ``[position, price, price, …]`` for each run of prices that are not 0."""
    there = np.flatnonzero(row)
    breaks = np.flatnonzero(np.diff(there) > 1) + 1
    return [[int(run[0]), *row[run].tolist()] for run in np.split(there, breaks)]


def _read_types(place: str, value: object) -> tuple[tuple[int, int], ...]:
    types: list[tuple[int, int]] = []
    for q, pair in enumerate(array(place, value)):
        numbers = integers(f"{place}[{q}]", pair, low=0)
        if len(numbers) != 2 or numbers[0] < 1:
            raise InputError(
                f"{place}[{q}]: expected tokens held ≥ 1 and rounds to go ≥ 0, found {numbers}"
            )
        types.append((numbers[0], numbers[1]))
    if len(set(types)) < len(types):
        twice = next(pair for pair in types if types.count(pair) > 1)
        raise InputError(f"{place}: {list(twice)} appears more than once")
    return tuple(types)


def _read_block(
    place: str, value: object, before: int, K: int
) -> tuple[int, int, list[tuple[int, list[int]]]]:
    """First round, last round, and the runs of prices that hold in them."""
    record = require_object(place, value)
    require_keys(f"{place}.", record, ("first", "last", "prices"))
    first = integer(f"{place}.first", record["first"], low=before + 1)
    last = integer(f"{place}.last", record["last"], low=first)
    runs: list[tuple[int, list[int]]] = []
    for j, run in enumerate(array(f"{place}.prices", record["prices"])):
        position, *prices = integers(f"{place}.prices[{j}]", run, low=0) or [K]
        if position + len(prices) > K or not prices:
            raise InputError(
                f"{place}.prices[{j}]: expected a position and prices of the {K} types, "
                f"found {position} and {len(prices)} prices"
            )
        runs.append((position, prices))
    return first, last, runs
