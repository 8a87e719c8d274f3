"""Blocks of separate batching: their schedules taken apart and put together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...models.instance import Instance, IntArray
from ...models.separate.decode import left_shifted
from ...models.separate.regime import times_alone
from ...models.separate.schedule import Batch, SeparateSchedule
from ..blocks import Parts
from ..certificates.blocks import SeparateBlocksProof

#: The completion of who is rejected.
_NEVER = 2**62


def separate_parts(instance: Instance) -> Parts[SeparateSchedule]:
    """Return what `blocks.solve_blocks` must know of separate batching.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 90], prompt=[3, 1], output=[1, 1])
    >>> parts, blocks = separate_parts(instance), [np.array([0]), np.array([1])]
    >>> late = SeparateSchedule([Batch("prompt", 100, (0, 1))])
    >>> [schedule.batches[0].start for schedule in parts.apart(instance, blocks, late)]
    [100, 10]
    >>> together = parts.together(instance, blocks, parts.apart(instance, blocks, late))
    >>> [batch.start for batch in together.batches]
    [0, 90]
    """
    return Parts(
        alone=np.array(times_alone(instance), dtype=np.int64),
        completion=_completion,
        apart=_apart,
        together=_together,
        proof=SeparateBlocksProof,
    )


def _completion(instance: Instance, schedule: SeparateSchedule) -> IntArray:
    completion = np.full(instance.n, _NEVER, dtype=np.int64)
    accepted = schedule.accepted()
    if accepted.size:
        kept = instance.take(accepted)
        completion[accepted] = schedule.only(accepted).completion(kept)
    return completion


def _apart(
    instance: Instance, blocks: Sequence[IntArray], schedule: SeparateSchedule
) -> list[SeparateSchedule]:
    block, place = [-1] * instance.n, [0] * instance.n
    for b, members in enumerate(blocks):
        for k, i in enumerate(members.tolist()):
            block[i], place[i] = b, k
    shifts = [int(instance.arrival[members].min()) for members in blocks]
    batches: list[list[Batch]] = [[] for _ in blocks]
    for batch in schedule.batches:
        kept: dict[int, list[int]] = {}
        for i in batch.requests:
            if block[i] >= 0:
                kept.setdefault(block[i], []).append(place[i])
        for b, places in kept.items():
            batches[b].append(Batch(batch.kind, batch.start - shifts[b], tuple(places)))
    return [SeparateSchedule(each) for each in batches]


def _together(
    instance: Instance, blocks: Sequence[IntArray], schedules: Sequence[SeparateSchedule]
) -> SeparateSchedule:
    named = [
        (batch.kind, tuple(members[list(batch.requests)].tolist()))
        for members, schedule in zip(blocks, schedules, strict=True)
        for batch in schedule.batches
    ]
    return left_shifted(instance, named)
