"""How much faster a GPU would have to be for a schedule to reach a bound.

Near critical load a gap in latency says little: queues magnify it. The same batches on a GPU whose
batches are shorter by a factor f, each begun when the one before has ended and its requests have
arrived, are a schedule of that GPU. So the factor at which they reach the bound says how much speed
the gap is worth at most.
"""

from __future__ import annotations

import numpy as np

from ...models.continuous.schedule import ContinuousSchedule
from ...models.instance import FloatArray, Instance

#: Halvings of the interval of factors.
HALVINGS = 30


def speed_equivalent_gap(
    instance: Instance, schedule: ContinuousSchedule, bound: float
) -> float | None:
    """Return ``1/f − 1``, the gap to a bound on the total latency as speed of the GPU.

    Parameters
    ----------
    instance : Instance
        One of continuous batching.
    schedule : ContinuousSchedule
        A feasible schedule.
    bound : float
        A lower bound on the total latency, at most that of the schedule.

    Returns
    -------
    float or None
        0.05: on a GPU that is 5 % faster the same batches reach the bound. None where no speed
        reaches it.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.continuous.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[2])
    >>> both = ContinuousSchedule([Batch(0, prefill=((0, 3),)), Batch(1, decode=(0,))])
    >>> round(speed_equivalent_gap(instance, both, 1.6), 4)
    0.25
    """
    time, columns = schedule.timeline(instance), schedule.columns
    batch = np.repeat(np.arange(time.start.size), columns.chunks)
    ready = np.zeros(time.start.size, dtype=np.int64)
    np.maximum.at(ready, batch, instance.arrival[columns.chunk_of])
    last = np.searchsorted(time.end, time.completion)
    length, arrived = (time.end - time.start).astype(float), float(instance.arrival.sum())

    def latency(factor: float) -> float:
        return float(_ends(ready.astype(float), factor * length)[last].sum()) - arrived

    if latency(0.0) > bound:
        return None
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if latency(middle) <= bound else (low, middle)
    return 1 / high - 1


def _ends(ready: FloatArray, length: FloatArray) -> FloatArray:
    """Ends of batches, each begun when it is ready and the one before has ended."""
    before = np.cumsum(length) - length
    begin: FloatArray = np.maximum.accumulate(ready - before) + before
    return begin + length
