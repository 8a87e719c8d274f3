"""Proofs by blocks: bounds on the optima of parts of the requests make one on that of all.

The parts need not be the blocks of `models.blocks`: leaving requests out of a feasible schedule
leaves a feasible one in which no request completes later (the proof is there), so for *every*
partition the optimum is at least the sum of the parts' optima (total latency, weighted completion,
tardiness), or the largest of them (makespan), and at most their sum (reward). Under continuous
batching that needs c0_prompt ≤ c0. This, and that each request is in one part, is checked; nothing
else in the file is believed but through the parts' own proofs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Self

import numpy as np

from ...models.batch_time import AffineTime
from ...models.errors import InputError
from ...models.instance import NO_DEADLINE, Instance, IntArray
from ...models.objectives import MAXIMISED, OBJECTIVES, Exact, due_times, evaluate, value_step
from ...models.regimes import regime
from ..rounding import round_bound
from .clock import Clock
from .continuous.simple import own_times
from .proof import RecomputedProof
from .strict import array, integers, require_keys, require_object, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some requests, and what bounds the optimum of the instance that has only them.

    Attributes
    ----------
    requests : tuple of int
        Their positions in the instance.
    proof : RecomputedProof or None
        Of that instance with its first arrival moved to 0; without one each request counts as if it
        were alone on the GPU.
    """

    requests: tuple[int, ...]
    proof: RecomputedProof | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlocksProof:
    """A proof for each part of the requests, under mixed batching.

    Parameters
    ----------
    parts : tuple of Part
        Each request is in one of them.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.certificates.mixed.combinatorial import CombinatorialBound
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=5), arrival=[0, 0, 10**9], prompt=[1, 3, 1], output=[4, 2, 2]
    ... )
    >>> area = CombinatorialBound(name="KV area, shortest remaining first")
    >>> parts = (Part(requests=(0, 1), proof=area), Part(requests=(2,), proof=None))
    >>> BlocksProof(parts=parts).bound(instance, "latency", Clock(None))  # 7 and 2
    9
    """

    parts: tuple[Part, ...]

    kind: ClassVar[str] = "blocks"
    model: ClassVar[str] = "mixed"
    objectives: ClassVar[tuple[str, ...]] = tuple(OBJECTIVES)

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the parts' bounds, each rounded to a value that a schedule can have."""
        regime(self.model).require(instance)
        named = sorted(i for part in self.parts for i in part.requests)
        if named != list(range(instance.n)):
            raise InputError(
                f"proof.parts: expected each of {instance.n} requests in one part, found "
                f"{len(named)} entries"
            )
        values = []
        for part in self.parts:
            clock.check()
            values.append(self._bound_of(part, instance, objective, clock))
        return max(values) if objective == "makespan" else sum(values)

    def _bound_of(self, part: Part, instance: Instance, objective: str, clock: Clock) -> Exact:
        kept = instance.take(part.requests)
        if part.proof is None:
            return evaluate(kept, kept.arrival + self._time_alone(kept, clock), objective)
        if objective not in part.proof.objectives:
            raise InputError(f"proof.parts: {part.proof.kind} proves no bound on {objective}")
        moved, shift = _from_zero(kept, objective)
        found = part.proof.bound(moved, objective, clock)
        rounded = round_bound(found, value_step(moved, objective), objective in MAXIMISED)
        return rounded + _value_of_shift(kept, objective, shift)

    def _time_alone(self, kept: Instance, clock: Clock) -> IntArray:
        """Return the least time of each request alone on the GPU."""
        return regime(self.model).time_alone(kept)

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        parts = [
            {"requests": list(part.requests), "proof": part.proof and part.proof.to_record()}
            for part in self.parts
        ]
        return {"kind": self.kind, "parts": parts}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "parts"))
        parts = array("proof.parts", record["parts"])
        return cls(parts=tuple(cls._read(f"proof.parts[{k}]", x) for k, x in enumerate(parts)))

    @classmethod
    def _read(cls, place: str, value: object) -> Part:
        from .registry import RECOMPUTED_KINDS  # which lists this file, too

        record = require_object(place, value)
        require_keys(f"{place}.", record, ("requests", "proof"))
        requests = tuple(integers(f"{place}.requests", record["requests"], low=0))
        if not requests:
            raise InputError(f"{place}.requests: expected at least one, found none")
        if record["proof"] is None:
            return Part(requests=requests, proof=None)
        inner = require_object(f"{place}.proof", record["proof"])
        kinds = [
            kind
            for kind, proof in RECOMPUTED_KINDS.items()
            if proof.model == cls.model and not issubclass(proof, BlocksProof)
        ]
        kind = inner.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            known = ", ".join(kinds)
            raise InputError(f"{place}.proof.kind: expected one of {known}; found {shown(kind)}")
        return Part(requests=requests, proof=RECOMPUTED_KINDS[kind].from_record(inner))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparateBlocksProof(BlocksProof):
    """A proof for each part of the requests, under separate batching."""

    kind: ClassVar[str] = "separate-blocks"
    model: ClassVar[str] = "separate"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuousBlocksProof(BlocksProof):
    """A proof for each part of the requests, under continuous batching with c0_prompt ≤ c0.

    A batch that loses its token jobs when requests are left out is one of prompts only. With
    c0_prompt > c0 it might take longer, and the parts would prove nothing.
    """

    kind: ClassVar[str] = "continuous-blocks"
    model: ClassVar[str] = "continuous"

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the parts' bounds, where leaving requests out makes no batch longer."""
        law = instance.gpu.batch_time
        if isinstance(law, AffineTime) and law.intercept_of_prompts > law.c0:
            raise InputError(
                "proof.kind: continuous-blocks takes c0_prompt up to c0, found c0_prompt "
                f"{law.intercept_of_prompts:g} and c0 {law.c0:g}"
            )
        return BlocksProof.bound(self, instance, objective, clock)

    def _time_alone(self, kept: Instance, clock: Clock) -> IntArray:
        return np.array(own_times(kept, clock), dtype=np.int64)


def _from_zero(kept: Instance, objective: str) -> tuple[Instance, int]:
    """Let the first request arrive at 0; what ends by T, or a deadline, does so as before."""
    shift = int(kept.arrival.min())
    T = kept.horizon
    if objective == "tardiness":  # a due time before the shift is 0: `_value_of_shift` has the rest
        due = [d if d == NO_DEADLINE else max(0, d - shift) for d in due_times(kept).tolist()]
        return kept.replace(arrival=kept.arrival - shift, deadline=due, horizon=None), shift
    if T is None:
        return kept.replace(arrival=kept.arrival - shift, deadline=None), shift
    latest = [T] * kept.n if kept.deadline is None else [min(T, d) for d in kept.deadline.tolist()]
    return (
        kept.replace(
            arrival=kept.arrival - shift,
            deadline=[max(0, d - shift) for d in latest],
            horizon=max(1, T - shift),
        ),
        shift,
    )


def _value_of_shift(kept: Instance, objective: str, shift: int) -> Exact:
    """How much larger the objective is where all arrivals and completions are later by `shift`."""
    if objective == "weighted":
        return shift * sum((Fraction(repr(w)) for w in kept.weight.tolist()), Fraction())
    if objective == "tardiness":
        pairs = zip(kept.weight.tolist(), due_times(kept).tolist(), strict=True)
        return sum((Fraction(repr(w)) * max(0, shift - d) for w, d in pairs), Fraction())
    return shift if objective == "makespan" else 0
