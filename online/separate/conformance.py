"""What the conformance suite needs to know of separate batching."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...models.batch_time import AffineTime, BatchTime, ConstantTime, UnitTime
from ...models.instance import Gpu, Instance
from ...models.separate.schedule import SeparateSchedule
from .decision import BatchDecision


def random_instance(rng: np.random.Generator) -> Instance:
    """Draw a small instance in order of arrival: any law, each limit there or not.

    Exact numbers are given as predictions, so that every kind of policy runs.
    """
    n = int(rng.integers(2, 12))
    M = int(rng.integers(6, 40))
    prompt = rng.integers(1, max(2, M // 2), size=n)
    output = rng.integers(1, np.minimum(M - prompt, 12), endpoint=True)
    law, unit = _law(rng)
    gpu = Gpu(
        kv_capacity=M,
        prompt_batch_requests=_limit(rng, 1, 4),
        prompt_batch_tokens=_limit(rng, int(prompt.max()), 2 * int(prompt.max())),
        token_batch_requests=_limit(rng, 1, 5),
        batch_time=law,
    )
    return Instance(
        gpu=gpu,
        arrival=np.sort(rng.integers(0, unit * int(rng.choice([1, 10, 40])), size=n)),
        prompt=prompt,
        output=output,
        predicted_low=output,
        predicted_high=output,
    )


def decided(decision: BatchDecision) -> tuple[Any, ...]:
    """Return kind and requests of the batch; () if the GPU idles."""
    return (decision.kind, decision.requests) if decision.kind else ()


def begun(schedule: SeparateSchedule, t: int) -> list[tuple[Any, ...]]:
    """Return the batches that had started by `t`."""
    return [(b.start, b.kind, b.requests) for b in schedule.batches if b.start <= t]


def _law(rng: np.random.Generator) -> tuple[BatchTime, int]:
    """A law, and about how long a batch takes under it."""
    kind = rng.integers(3)
    if kind == 0:
        return UnitTime(), 1
    if kind == 1:
        return ConstantTime(prompt=int(rng.integers(1, 5)), token=int(rng.integers(1, 3))), 2
    c0, c1, c2, c3 = rng.integers([4, 0, 0, 0], [20, 9, 9, 4]) / 4000
    return AffineTime(c0=float(c0), c1=float(c1), c2=float(c2), c3=float(c3)), 10


def _limit(rng: np.random.Generator, low: int, high: int) -> int | None:
    return None if rng.random() < 0.4 else int(rng.integers(low, high, endpoint=True))
