"""What the conformance suite needs to know of continuous batching."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...models.batch_time import AffineTime, BatchTime, UnitTime
from ...models.continuous.schedule import ContinuousSchedule
from ...models.instance import Gpu, Instance
from .decision import ContinuousDecision


def random_instance(rng: np.random.Generator) -> Instance:
    """Draw a small instance in order of arrival: either law, each limit there or not.

    Exact numbers are given as predictions, so that every kind of policy runs. Where prompts are
    not read in chunks, a batch takes any request that the GPU takes.
    """
    n = int(rng.integers(2, 12))
    block = int(rng.choice([1, 1, 2, 4]))
    M = block * int(rng.integers(-(-6 // block), -(-40 // block)))
    prompt = rng.integers(1, max(2, M // 2), size=n)
    output = rng.integers(1, np.minimum(M - prompt, 12), endpoint=True)
    law, unit = _law(rng)
    chunked = bool(rng.random() < 0.7)
    gpu = Gpu(
        kv_capacity=M,
        running_requests=_limit(rng, 1, 5),
        batch_tokens=_limit(rng, 1, M) if chunked else _limit(rng, M, M + 9),
        kv_block=block,
        chunked_prefill=chunked,
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


def decided(decision: ContinuousDecision) -> tuple[Any, ...]:
    """Return chunks, token jobs and preemptions of the batch; () if the GPU idles."""
    if not decision.prefill and not decision.decode:
        return ()
    return (decision.prefill, decision.decode, decision.preempt)


def begun(schedule: ContinuousSchedule, t: int) -> list[tuple[Any, ...]]:
    """Return the batches that had started by `t`."""
    return [(b.start, b.prefill, b.decode, b.preempt) for b in schedule.batches if b.start <= t]


def _law(rng: np.random.Generator) -> tuple[BatchTime, int]:
    """A law, and about how long a batch takes under it."""
    if rng.random() < 0.4:
        return UnitTime(), 1
    c0, c1, c2, c3, prompts = rng.integers([4, 0, 0, 0, 4], [20, 9, 9, 4, 40]) / 4000
    own = float(prompts) if rng.random() < 0.5 else None
    law = AffineTime(c0=float(c0), c1=float(c1), c2=float(c2), c3=float(c3), c0_prompt=own)
    return law, 10


def _limit(rng: np.random.Generator, low: int, high: int) -> int | None:
    return None if rng.random() < 0.4 else int(rng.integers(low, high, endpoint=True))
