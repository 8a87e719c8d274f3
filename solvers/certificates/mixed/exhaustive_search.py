"""Proofs by exhaustive search: no schedule is better than a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ....models.instance import Instance
from ....models.objectives import Exact, value_step
from ..clock import Clock
from ..one_by_one import require_none_better
from ..strict import integer, require_keys
from .certified_costs import OBJECTIVES
from .layer_search import MOST_REQUESTS, WAITING, better_than
from .price_table import PriceTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ExhaustiveSearch:
    """The claim that no schedule is better than `value`, and prices to search by.

    Parameters
    ----------
    value : int
        ≥ 0, in steps of the objective (`models.objectives.value_step`): rounds for the total
        latency, elsewhere the largest number that divides all weights, or all rewards.
    table : PriceTable
        Any prices: the closer the bound that they prove, the shorter the search.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> table = PriceTable(scale=1, types=((7, 0),), price=[[0], [0], [0], [0], [1]])
    >>> ExhaustiveSearch(value=7, table=table).bound(instance, "latency", Clock(None))
    7
    >>> ExhaustiveSearch(value=8, table=table).bound(instance, "latency", Clock(None))
    Traceback (most recent call last):
    ...
    batchprophet.solvers.certificates.clock.Contradicted: nothing is proved: there is a schedule \
of total latency 7, below the value 8 of the proof
    """

    value: int
    table: PriceTable

    kind: ClassVar[str] = "exhaustive-search"
    model: ClassVar[str] = "mixed"
    objectives: ClassVar[tuple[str, ...]] = OBJECTIVES

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Return the value if an exhaustive search finds no better schedule.

        Raises
        ------
        Contradicted
            If it finds one: then nothing is proved, whatever its value.
        """
        found = better_than(self.value, instance, self.table, clock, objective)
        exact = self.value * value_step(instance, objective)
        value: Exact = int(exact) if exact.denominator == 1 else exact
        require_none_better(value, found, objective)
        return value

    @staticmethod
    def takes(instance: Instance) -> bool:
        """Whether the verifier's states have room for an instance."""
        return instance.n <= MOST_REQUESTS and int(instance.output.max()) < WAITING

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {"kind": self.kind, "value": self.value, **self.table.to_record()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ExhaustiveSearch:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "value", "scale", "types", "rounds"))
        value = integer("proof.value", record["value"], low=0)
        return cls(value=value, table=PriceTable.from_record("proof.", record))
