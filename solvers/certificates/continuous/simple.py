"""Proofs for continuous batching that need no prices: the instance's data are enough."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from ....models.continuous.problem import limits, require_continuous
from ....models.durations import Durations, batch_durations
from ....models.errors import InputError
from ....models.instance import Instance
from ....models.objectives import Exact, evaluate
from ..clock import Clock
from ..strict import require_keys, shown, text

#: Tokens of an output that are looked at one by one.
MOST_TOKENS = 10**6


def own_times(instance: Instance, clock: Clock) -> list[int]:
    """Return the least time of each request alone, whole units for each token.

    A token is emitted by a token job, or by the last chunk after its cache is dropped, which takes
    at least as long as one chunk of all would. Both take longer the more tokens the cache has; of
    outputs beyond `MOST_TOKENS` all count as the first.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> own_times(instance, Clock(None))
    [4, 2]
    """
    law, C = batch_durations(instance), limits(instance).tokens
    least = min(law.prompt, law.token)
    found = []
    for s, o in zip(instance.prompt.tolist(), instance.output.tolist(), strict=True):
        clock.check()
        total = -(-(-(-s // C) * least + law.per_prompt_token * s) // law.divisor)
        h = np.arange(s + 1, min(s + o, s + 1 + MOST_TOKENS))
        job = law.token + law.per_token_job + law.per_kv_token * h
        times = -(-np.minimum(job, least + law.per_prompt_token * h) // law.divisor)
        total += sum(times.tolist()) + (o - 1 - h.size) * int(times[0] if h.size else 0)
        found.append(total)
    return found


def _at_once(instance: Instance, objective: str, clock: Clock) -> Exact:
    """Return the value where each request is served at its arrival, as if it were alone."""
    alone = np.array(own_times(instance, clock), dtype=np.int64)
    return evaluate(instance, instance.arrival + alone, objective)


def _one_machine(instance: Instance, objective: str, clock: Clock) -> Exact:
    """Return the total latency of shortest remaining first on one machine.

    A batch takes at least the work of its members and an intercept that at most k of them share, k
    the least of B, C and M: a token job holds a cache of a token at least, and so does a chunk.
    So each member brings its work and 1/k of the least intercept, the prompt at least one chunk;
    the batches are a preemptive schedule of that on one machine, on which shortest remaining
    first is optimal (Schrage, Operations Research 1968).
    """
    law, most = batch_durations(instance), limits(instance)
    k = min(most.running, most.tokens, most.blocks)
    needs = [
        _need(law, s, o, k, -(-s // most.tokens))
        for s, o in zip(instance.prompt.tolist(), instance.output.tolist(), strict=True)
    ]
    unit = Fraction(1, law.divisor * k)
    rows = sorted(zip(instance.arrival.tolist(), needs, strict=True))
    waiting: list[int] = []
    now = total = place = 0
    while place < len(rows) or waiting:
        clock.check()
        if not waiting:
            now = max(now, rows[place][0] * law.divisor * k)
        while place < len(rows) and rows[place][0] * law.divisor * k <= now:
            heapq.heappush(waiting, rows[place][1])
            place += 1
        rest = heapq.heappop(waiting)
        until = rows[place][0] * law.divisor * k if place < len(rows) else math.inf
        if now + rest <= until:
            now += rest
            total += now
        else:
            heapq.heappush(waiting, rest - (int(until) - now))
            now = int(until)
    return total * unit - int(instance.arrival.sum())


def _need(law: Durations, s: int, o: int, k: int, chunks: int) -> int:
    """Return what a request needs of the machine, in k-ths of the law's numerators."""
    least = min(law.prompt, law.token)
    need = k * law.per_prompt_token * s + least * chunks
    if o == 1:
        return need
    c1, c2, c3 = law.per_prompt_token, law.per_token_job, law.per_kv_token
    tokens, read = o - 1, (o - 1) * s + (o - 1) * o // 2
    if c1 >= c3 and c1 * (s + 1) >= c2 + c3 * (s + 1):
        work = c2 * tokens + c3 * read
    else:  # prefilling again may take less work than a token job
        work = tokens * min(c1 * (s + 1), c2 + c3 * (s + 1))
    return need + k * work + least * tokens


#: What recomputes each bound, by name.
ROUTINES: Mapping[str, Callable[[Instance, str, Clock], Exact]] = MappingProxyType(
    {"served at arrival": _at_once, "work, shortest remaining first": _one_machine}
)

#: The one that holds for every objective; the others are for the total latency.
FOR_ALL = "served at arrival"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuousBound:
    """A bound on continuous batching that anyone can recompute from the instance.

    Parameters
    ----------
    name : str
        One of `ROUTINES`.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> ContinuousBound(name="served at arrival").bound(instance, "latency", Clock(None))
    6
    """

    name: str

    kind: ClassVar[str] = "continuous-combinatorial"
    model: ClassVar[str] = "continuous"
    objectives: ClassVar[tuple[str, ...]] = (
        "latency", "weighted", "tardiness", "makespan", "reward",
    )  # fmt: skip

    def bound(self, instance: Instance, objective: str, clock: Clock) -> Exact:
        """Recompute the bound."""
        require_continuous(instance)
        if self.name not in ROUTINES:
            known = "; ".join(ROUTINES)
            raise InputError(f"proof.name: expected one of {known}; found {self.name!r}")
        if objective != "latency" and self.name != FOR_ALL:
            raise InputError(f"proof.name: {self.name!r} is for the total latency only")
        return ROUTINES[self.name](instance, objective, clock)

    def to_record(self) -> dict[str, Any]:
        """Return the proof as a plain record."""
        return {"kind": self.kind, "name": self.name}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ContinuousBound:
        """Read the proof from a record of `to_record`."""
        require_keys("proof.", record, ("kind", "name"))
        name = text("proof.name", record["name"])
        if name not in ROUTINES:
            raise InputError(
                f"proof.name: expected one of {'; '.join(ROUTINES)}, found {shown(name)}"
            )
        return cls(name=name)
