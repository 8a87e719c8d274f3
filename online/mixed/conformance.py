"""What the conformance suite needs to know of mixed batching."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...models.instance import Gpu, Instance
from ...models.mixed.schedule import MixedSchedule
from .decision import Decision


def random_instance(rng: np.random.Generator) -> Instance:
    """Draw a small instance in order of arrival, with exact numbers as predictions.

    Small capacities make requests wait and overflow; predictions let every kind of policy run.
    """
    n = int(rng.integers(2, 12))
    M = int(rng.integers(6, 40))
    prompt = rng.integers(1, max(2, M // 2), size=n)
    output = rng.integers(1, M - prompt, endpoint=True)
    arrival = np.sort(rng.integers(0, rng.choice([1, 10, 40]), size=n))
    return Instance(
        gpu=Gpu(kv_capacity=M),
        arrival=arrival,
        prompt=prompt,
        output=output,
        predicted_low=output,
        predicted_high=output,
    )


def decided(decision: Decision) -> tuple[Any, ...]:
    """Return the requests that start and that are evicted; () if none."""
    return (decision.start, decision.evict) if decision.start or decision.evict else ()


def begun(schedule: MixedSchedule, t: int) -> list[tuple[Any, ...]]:
    """Runs begun up to `t`: request, start, and when evicted (None if not up to `t`)."""
    runs: list[tuple[Any, ...]] = [
        (run.request, run.start, run.end if run.end <= t else None) for run in schedule.evicted
    ]
    runs += [(i, start, None) for i, start in enumerate(schedule.start.tolist())]
    return sorted((run for run in runs if run[1] <= t), key=lambda run: run[:2])
