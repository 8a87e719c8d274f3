"""Greedy schedules by mixed keys: on traces no single order dominates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....models.instance import FloatArray, Instance, IntArray
from ..list_scheduling.incumbents import list_schedules
from ..list_scheduling.list_schedule import list_schedule

#: Exponents (α, β, γ) of the keys s^α·o^β·(s + o)^γ that are tried, with and without skipping.
EXPONENTS = (
    (0.25, 1, 0),
    (0.5, 1, 0),
    (0.75, 1, 0),
    (1, 0.5, 0),
    (0.5, 0.5, 0.5),
    (0, 0.5, 1),
    (0, 1, 1.5),
)


def greedy_starts(instance: Instance, worth: FloatArray | None = None) -> Iterator[IntArray]:
    """Yield starts of list schedules, the common orders first, then mixed keys.

    Parameters
    ----------
    instance : Instance
        The instance.
    worth : ndarray of float64, shape (n,), optional
        What a round of each request is worth, ≥ 0: mixed keys are taken per worth, too.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> min(int(start.sum()) for start in greedy_starts(instance))
    3
    """
    for _, schedule in list_schedules(instance, "latency"):
        yield schedule.start
    s, o, peak = (x.astype(float) for x in (instance.prompt, instance.output, instance.peak))
    for alpha, beta, gamma in EXPONENTS:
        for skip in (False, True):
            key = s**alpha * o**beta * peak**gamma
            yield list_schedule(instance, key, skip=skip).start
            if worth is not None:
                per_worth = np.divide(key, worth, out=np.full_like(key, np.inf), where=worth > 0)
                yield list_schedule(instance, per_worth, skip=skip).start
