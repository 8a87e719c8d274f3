"""Blocks of mixed batching: their schedules taken apart and put together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...models.blocks import closed_up
from ...models.instance import Instance, IntArray
from ...models.mixed.schedule import MixedSchedule
from ..blocks import Parts
from ..certificates.blocks import BlocksProof


def mixed_parts(instance: Instance) -> Parts[MixedSchedule]:
    """Return what `blocks.solve_blocks` must know of mixed batching.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 90], prompt=[3, 1], output=[4, 2])
    >>> parts, blocks = mixed_parts(instance), [np.array([0]), np.array([1])]
    >>> late = parts.apart(instance, blocks, MixedSchedule([5, 100]))
    >>> [schedule.start.tolist() for schedule in late]
    [[5], [10]]
    >>> parts.together(instance, blocks, late).start.tolist()
    [0, 90]
    """
    return Parts(
        alone=instance.output,
        completion=lambda whole, schedule: schedule.completion(whole),
        apart=_apart,
        together=_together,
        proof=BlocksProof,
    )


def _apart(
    instance: Instance, blocks: Sequence[IntArray], schedule: MixedSchedule
) -> list[MixedSchedule]:
    return [
        MixedSchedule(schedule.start[members] - int(instance.arrival[members].min()))
        for members in blocks
    ]


def _together(
    instance: Instance, blocks: Sequence[IntArray], schedules: Sequence[MixedSchedule]
) -> MixedSchedule:
    start = np.zeros(instance.n, dtype=np.int64)
    for members, schedule in zip(blocks, schedules, strict=True):
        arrival = instance.arrival[members]
        first, last = int(arrival.min()), int(arrival.max())
        closed = closed_up(schedule.start, instance.output[members], last - first)
        start[members] = closed + first
    return MixedSchedule(start)
