"""Blocks of separate batching: their schedules taken apart and put together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...models.instance import Instance, IntArray
from ...models.separate.columns import Columns
from ...models.separate.problem import time_alone
from ...models.separate.schedule import SeparateSchedule
from ..blocks import Parts
from ..certificates.blocks import SeparateBlocksProof

#: The completion of who is rejected.
_NEVER = 2**62


def separate_parts(instance: Instance) -> Parts[SeparateSchedule]:
    """Return what `blocks.solve_blocks` must know of separate batching.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch
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
        alone=time_alone(instance),
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
    block, place = np.full(instance.n, -1), np.zeros(instance.n, np.int64)
    for b, members in enumerate(blocks):
        block[members], place[members] = b, np.arange(members.size)
    columns, batch = schedule.columns, schedule.columns.batch
    of_job = block[columns.member]
    jobs = np.argsort(of_job, kind="stable")
    cuts = np.searchsorted(of_job[jobs], np.arange(len(blocks) + 1))
    found = []
    for members, begin, end in zip(blocks, cuts[:-1], cuts[1:], strict=True):
        its = jobs[begin:end]
        which, size = np.unique(batch[its], return_counts=True)
        starts = schedule.starts[which] - int(instance.arrival[members].min())
        part = Columns(columns.prompt[which], size, place[columns.member[its]])
        found.append(SeparateSchedule.of_columns(starts, part))
    return found


def _together(
    instance: Instance, blocks: Sequence[IntArray], schedules: Sequence[SeparateSchedule]
) -> SeparateSchedule:
    parts = [schedule.columns for schedule in schedules]
    named = [members[part.member] for members, part in zip(blocks, parts, strict=True)]
    prompt, size = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    return SeparateSchedule.left_shifted(instance, Columns(prompt, size, np.concatenate(named)))
