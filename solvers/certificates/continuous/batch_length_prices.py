"""Proofs for continuous batching by prices that charge for the length of a batch.

What is proved, and why, is said in `solvers.continuous.bounds.charge`; nothing here is shared with
it. Floating-point numbers are made safe as follows. A cost of one step of a profile is computed
from the data by fewer than 64 operations, so it errs by less than 1e-14 of the magnitudes that go
into it. What comes out of differences of large numbers, the charges for lengths, is first lowered
by 1e-11 of these magnitudes, after all shares that fit into a batch are raised by 1e-9. A profile
has fewer than 8 additions per interval, each with an error of 2^-53 of the largest number met. So
each request's cost is lowered by 1e-12 of that number for each interval; the rest is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from ....models.continuous.problem import require_continuous
from ....models.errors import InputError
from ....models.instance import FloatArray, Instance
from ....models.objectives import Exact, evaluate
from ..clock import Clock
from ..strict import array, integer, integers, require_keys

#: Most intervals, shares of requests (requests × intervals), and steps of a verification.
MOST_INTERVALS, MOST_SHARES, MOST_STEPS = 2**17, 2**26, 2**42

#: Most charges for lengths that are kept: intervals × levels that may be moved in one.
MOST_CHARGES = 2**25

#: Most tokens in a level, and the largest price.
MOST_TOKENS, HIGHEST = 2**31, 2**50

_LISTS = ("gpu", "kv", "seat", "seat_share", "token_share", "kv_share")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLengthPriceProof:
    """The bound that prices of the GPU's time, its memory and its seats prove.

    Parameters
    ----------
    interval : int
        Δ ≥ 1: prices are constant on intervals of this length from the first arrival on.
    tokens : int
        G ≥ 1, tokens in a level of progress.
    scale : int
        All that follows are multiples of ``1 / scale``; ≥ 1.
    gpu, kv, seat : tuple of int, one for each interval
        L, M·ν and B·σ ≥ 0.
    seat_share, token_share, kv_share : tuple of int, one for each interval
        κ, γ, μ ≥ 0.
    request_share : tuple of tuple of (int, int), one for each interval
        The requests that have a share θ > 0, increasing, and it.

    Raises
    ------
    InputError
        If numbers are out of their range, or the shares of an interval exceed 1.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[8, 8], output=[1, 1])
    >>> proof = BatchLengthPriceProof(
    ...     interval=1, tokens=1, scale=4, gpu=(4,), kv=(0,), seat=(0,), seat_share=(0,),
    ...     token_share=(0,), kv_share=(4,), request_share=((),),
    ... )
    >>> float(round(proof.bound(instance, "latency", Clock(None)), 6))
    2.777778
    """

    interval: int
    tokens: int
    scale: int
    gpu: tuple[int, ...]
    kv: tuple[int, ...]
    seat: tuple[int, ...]
    seat_share: tuple[int, ...]
    token_share: tuple[int, ...]
    kv_share: tuple[int, ...]
    request_share: tuple[tuple[tuple[int, int], ...], ...]

    kind: ClassVar[str] = "batch-length-prices"
    model: ClassVar[str] = "continuous"
    objectives: ClassVar[tuple[str, ...]] = ("latency", "weighted", "tardiness")

    def __post_init__(self) -> None:
        if min(self.interval, self.tokens, self.scale) < 1 or self.tokens > MOST_TOKENS:
            raise InputError(f"proof: expected interval, scale ≥ 1 and tokens 1 to {MOST_TOKENS}")
        K = len(self.gpu)
        if not 1 <= K <= MOST_INTERVALS:
            raise InputError(f"proof.gpu: expected 1 to {MOST_INTERVALS} prices, found {K}")
        for name in (*_LISTS, "request_share"):
            if len(getattr(self, name)) != K:
                found = len(getattr(self, name))
                raise InputError(f"proof.{name}: expected {K} entries, found {found}")
        for name in _LISTS:
            numbers = getattr(self, name)
            if min(numbers) < 0 or max(numbers) > HIGHEST * self.scale:
                raise InputError(f"proof.{name}: expected numbers from 0 to {HIGHEST} × scale")
        for k, row in enumerate(self.request_share):
            who = [i for i, _ in row]
            if any(share < 0 for _, share in row) or who != sorted(set(who)):
                raise InputError(f"proof.request_share[{k}]: expected shares ≥ 0 in order")
            total = self.seat_share[k] + self.token_share[k] + self.kv_share[k]
            if total + sum(share for _, share in row) > self.scale:
                raise InputError(f"proof: the shares of interval {k} exceed 1")

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the bound: the cheapest profiles, less what all prices can collect."""
        require_continuous(instance)
        from .batch_lengths import facts_of, profiles_cost, steps_of

        K = len(self.gpu)
        if instance.n * K > MOST_SHARES:
            raise InputError(f"proof: expected at most {MOST_SHARES} requests × intervals")
        clock.check()
        facts = facts_of(instance, self.interval, self.tokens, objective)
        if steps_of(facts, K) > MOST_STEPS:
            raise InputError(f"proof: expected at most {MOST_STEPS} steps of verification")
        if K * facts.m > MOST_CHARGES:
            raise InputError(
                f"proof.interval: expected intervals × levels moved in one up to {MOST_CHARGES}, "
                f"found {K} × {facts.m}"
            )
        scale = float(self.scale)
        prices = np.array([getattr(self, name) for name in _LISTS], dtype=np.float64) / scale
        cost = profiles_cost(facts, prices, self._shares(instance.n), clock)
        earned = self.interval * (sum(self.gpu) + sum(self.kv) + sum(self.seat))
        bound = max(Fraction(0), Fraction(cost) - Fraction(earned, self.scale))
        if objective != "weighted":  # time costs from the arrival, or the deadline on
            return bound
        return bound + Fraction(evaluate(instance, instance.arrival, objective))

    def _shares(self, n: int) -> FloatArray:
        shares = np.zeros((n, len(self.gpu)))
        for k, row in enumerate(self.request_share):
            for i, share in row:
                if not 0 <= i < n:
                    raise InputError(
                        f"proof.request_share[{k}]: expected requests from 0 to {n - 1}, found {i}"
                    )
                shares[i, k] = share / self.scale
        return shares

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        lists = {name: list(getattr(self, name)) for name in _LISTS}
        flat = [[x for pair in row for x in pair] for row in self.request_share]
        numbers = {"interval": self.interval, "tokens": self.tokens, "scale": self.scale}
        return {"kind": self.kind, **numbers, **lists, "request_share": flat}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> BatchLengthPriceProof:
        """Read the proof from a record of `to_record`."""
        names = ("interval", "tokens", "scale")
        require_keys("proof.", record, ("kind", *names, *_LISTS, "request_share"))
        rows = []
        for k, value in enumerate(array("proof.request_share", record["request_share"])):
            flat = integers(f"proof.request_share[{k}]", value, low=0)
            if len(flat) % 2:
                raise InputError(f"proof.request_share[{k}]: expected requests with their shares")
            rows.append(tuple(zip(flat[::2], flat[1::2], strict=True)))
        values: dict[str, Any] = {
            name: integer(f"proof.{name}", record[name], low=1) for name in names
        }
        for name in _LISTS:
            values[name] = tuple(integers(f"proof.{name}", record[name], low=0))
        return cls(**values, request_share=tuple(rows))
