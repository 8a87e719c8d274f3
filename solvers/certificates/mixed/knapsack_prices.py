"""Proofs by prices of a KV token and of a request's presence, round by round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ....models.errors import InputError
from ....models.instance import Instance
from ....models.objectives import Exact
from ..clock import Clock
from ..strict import array, integer, integers, require_keys
from .certified_knapsacks import certified_value


@dataclass(frozen=True, slots=True, kw_only=True)
class KnapsackPriceProof:
    """The bound that prices of tokens and of presence prove: see `certified_knapsacks`.

    Parameters
    ----------
    scale : int
        ≥ 1.
    first : int
        ≥ 1: the first round whose tokens have a price.
    prices : tuple of int
        Prices ≥ 0 of a token from that round on, in units of ``1 / scale``.
    step : int
        ≥ 1: prices of presence are in units of ``step / scale``.
    presence : tuple of tuples of int
        Runs ``(i, t, p, q, …)``: request i pays p in round t, q in round t + 1, and so on.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=5)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0, 0], prompt=[1, 1, 1], output=[1, 1, 1])
    >>> runs = ((0, 1, 1), (1, 1, 1), (2, 1, 1))
    >>> proof = KnapsackPriceProof(scale=1, first=1, prices=(), step=1, presence=runs)
    >>> proof.bound(instance, "latency", Clock(None))
    Fraction(4, 1)
    """

    scale: int
    first: int
    prices: tuple[int, ...]
    step: int
    presence: tuple[tuple[int, ...], ...]

    kind: ClassVar[str] = "knapsack-prices"
    model: ClassVar[str] = "mixed"
    objectives: ClassVar[tuple[str, ...]] = ("latency",)

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the bound, in O(n · waits) steps and a knapsack per round."""
        try:
            return certified_value(
                instance,
                scale=self.scale,
                first=self.first,
                prices=self.prices,
                step=self.step,
                presence=self.presence,
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
            "step": self.step,
            "presence": [list(run) for run in self.presence],
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> KnapsackPriceProof:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "scale", "first", "prices", "step", "presence"))
        runs = [
            integers(f"proof.presence[{j}]", run, low=0)
            for j, run in enumerate(array("proof.presence", record["presence"]))
        ]
        for j, run in enumerate(runs):
            if len(run) < 3 or run[1] < 1:
                raise InputError(
                    f"proof.presence[{j}]: expected a request, a round ≥ 1 and prices, "
                    f"found {str(run)[:40]}"
                )
        return cls(
            scale=integer("proof.scale", record["scale"], low=1),
            first=integer("proof.first", record["first"], low=1),
            prices=tuple(integers("proof.prices", record["prices"], low=0)),
            step=integer("proof.step", record["step"], low=1),
            presence=tuple(map(tuple, runs)),
        )
