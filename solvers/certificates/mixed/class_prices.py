"""Proofs by prices of the ages of each class, times multipliers over time.

Let requests of class c = (s, o) have weights ``π^p(c, j) ≥ 0`` in their rounds j = 1 … o, in some
tables p. Let σ^p be the largest total weight in table p of requests that can be in one batch of a
feasible schedule (a maximum over configurations: `certified_configurations`); it is the same at
all times. With multipliers ``u^p_t ≥ 0`` in rounds t = 1 … T, every schedule costs at least

    Σ_i min_{k ≥ a_i} [ k + o_i − a_i + Σ_p Σ_j u^p_{k + j}·π^p(c_i, j) ] − Σ_p σ^p·Σ_t u^p_t,

since what the requests of a round pay is at most ``Σ_p u^p_t·σ^p``. A start at k ≥ T pays nothing,
so none after ``max(a_i, T)`` is cheaper than the one there. With ``π(c, j) = s + j``, σ is at most
M: these are the prices of KV tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ....models.objectives import Exact
from ..clock import Clock
from ..strict import array, integer, integers, require_keys
from .certified_configurations import heaviest_weight

_LIMIT = 2**62

#: Rounds of starts, times classes and tables, at most.
MOST_ENTRIES = 2**26


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPriceProof:
    """Weights of the rounds of each class in each table, and multipliers in each round.

    Parameters
    ----------
    scale : int
        A weight times a multiplier is in units of ``1 / scale`` rounds of latency, ≥ 1.
    classes : tuple of (int, int)
        s and o of each class.
    weights : tuple of tuple of tuple of int
        ``weights[p][c][j − 1] = π^p(c, j) ≥ 0``.
    multipliers : tuple of tuple of int
        ``multipliers[p][t − 1] = u^p_t ≥ 0``.

    Examples
    --------
    Two requests do not fit together where one completes; that round costs a half.

    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[4, 4], output=[1, 1])
    >>> proof = ClassPriceProof(
    ...     scale=2, classes=((4, 1),), weights=(((1,),),), multipliers=((1,),)
    ... )
    >>> proof.bound(instance, "latency", Clock(None))
    Fraction(5, 2)
    """

    scale: int
    classes: tuple[tuple[int, int], ...]
    weights: tuple[tuple[tuple[int, ...], ...], ...]
    multipliers: tuple[tuple[int, ...], ...]

    kind: ClassVar[str] = "class-prices"
    model: ClassVar[str] = "mixed"
    objectives: ClassVar[tuple[str, ...]] = ("latency",)

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the bound.

        Raises
        ------
        InputError
            If a class of the instance is missing, or numbers are too large.
        """
        self._require_sizes(instance)
        total = 0
        for (s, o), rows in zip(self.classes, zip(*self.weights, strict=True), strict=True):
            arrival = instance.arrival[(instance.prompt == s) & (instance.output == o)]
            if arrival.size:
                total += self._least_costs(o, rows, arrival, clock)
        for weights, multipliers in zip(self.weights, self.multipliers, strict=True):
            total -= self._heaviest(weights, instance, clock) * sum(multipliers)
        return Fraction(total, self.scale)

    def _least_costs(
        self, o: int, rows: tuple[tuple[int, ...], ...], arrival: IntArray, clock: Clock
    ) -> int:
        """Sum over the requests of a class of the least cost of a start, times the scale."""
        last = max(map(len, self.multipliers))
        k = np.arange(max(last, int(arrival.max())) + 1)
        cost = self.scale * (k + o)
        for row, multipliers in zip(rows, self.multipliers, strict=True):
            price = np.zeros(k.size + o + 1, np.int64)
            price[1 : len(multipliers) + 1] = multipliers
            for j, weight in enumerate(row, 1):
                clock.check()
                cost += weight * price[k + j]
        least = np.minimum.accumulate(cost[::-1])[::-1]
        values: list[int] = least[arrival].tolist()
        return sum(values) - self.scale * int(arrival.sum())

    def _heaviest(
        self, weights: tuple[tuple[int, ...], ...], instance: Instance, clock: Clock
    ) -> int:
        """σ of a table."""
        rows = [
            (o - j, s + j, weight)
            for (s, o), row in zip(self.classes, weights, strict=True)
            for j, weight in enumerate(row, 1)
        ]
        rows.sort(key=lambda row: -row[0])
        to_go, size, weight = (np.array(column, np.int64) for column in zip(*rows, strict=True))
        return heaviest_weight(weight, size, to_go, int(instance.gpu.kv_capacity), clock)

    def _require_sizes(self, instance: Instance) -> None:
        there = set(zip(instance.prompt.tolist(), instance.output.tolist(), strict=True))
        if not there <= set(self.classes):
            s, o = min(there - set(self.classes))
            raise InputError(f"proof.classes: expected all classes, the class {s}, {o} is missing")
        last = max(int(instance.arrival.max()), *map(len, self.multipliers), 1)
        if last * len(self.classes) * len(self.weights) > MOST_ENTRIES:
            raise InputError(f"proof.multipliers: class prices are for fewer rounds, found {last}")
        longest, heaviest = max(o for _, o in self.classes), 0
        cost = self.scale * (last + longest)
        for weights, multipliers in zip(self.weights, self.multipliers, strict=True):
            largest = max(max(row) for row in weights)
            heaviest = max(heaviest, largest)
            cost += longest * largest * max(multipliers, default=0)
        if max(cost, (int(instance.gpu.kv_capacity) // 2 + 1) * heaviest) >= _LIMIT:
            raise InputError("proof.scale: prices must be small enough for sums below 2^62")

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {
            "kind": self.kind,
            "scale": self.scale,
            "classes": [list(each) for each in self.classes],
            "weights": [[list(row) for row in weights] for weights in self.weights],
            "multipliers": [list(each) for each in self.multipliers],
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ClassPriceProof:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "scale", "classes", "weights", "multipliers"))
        scale = integer("proof.scale", record["scale"], low=1)
        classes = []
        for place, each in enumerate(array("proof.classes", record["classes"])):
            pair = integers(f"proof.classes[{place}]", each, low=1)
            if len(pair) != 2:
                raise InputError(f"proof.classes[{place}]: expected s and o, found {len(pair)}")
            classes.append((pair[0], pair[1]))
        if not classes or len(set(classes)) < len(classes):
            raise InputError("proof.classes: expected at least one class, none twice")
        weights = tuple(
            _table(f"proof.weights[{p}]", each, classes)
            for p, each in enumerate(array("proof.weights", record["weights"]))
        )
        multipliers = tuple(
            tuple(integers(f"proof.multipliers[{p}]", each, low=0))
            for p, each in enumerate(array("proof.multipliers", record["multipliers"]))
        )
        if not weights or len(weights) != len(multipliers):
            raise InputError(
                f"proof.multipliers: expected a row for each of the {len(weights)} tables, at "
                f"least one, found {len(multipliers)}"
            )
        return cls(scale=scale, classes=tuple(classes), weights=weights, multipliers=multipliers)


def _table(
    place: str, value: object, classes: list[tuple[int, int]]
) -> tuple[tuple[int, ...], ...]:
    """Read the weights of one table: for each class one for each round."""
    rows = array(place, value)
    if len(rows) != len(classes):
        raise InputError(f"{place}: expected {len(classes)} classes, found {len(rows)}")
    read = [tuple(integers(f"{place}[{c}]", row, low=0)) for c, row in enumerate(rows)]
    for c, (row, (_, o)) in enumerate(zip(read, classes, strict=True)):
        if len(row) != o:
            raise InputError(f"{place}[{c}]: expected {o} weights, found {len(row)}")
    return tuple(read)
