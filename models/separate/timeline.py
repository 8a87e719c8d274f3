"""A schedule of separate batching over time: what each batch does, as arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..instance import Instance, IntArray
from .columns import earlier_jobs
from .schedule import SeparateSchedule


class Timeline(NamedTuple):
    """What a feasible schedule does, batch by batch and request by request.

    KV tokens that a batch writes count from its start, as do those of a round under mixed batching:
    during batch b the GPU holds ``held[b]`` tokens, after it ``kept[b]`` until the next one starts.

    Attributes
    ----------
    prompt : ndarray of bool, shape (b,)
        Whether the batch is a prompt batch.
    start, end : ndarray of int64, shape (b,)
        In the batch-time law's unit.
    size : ndarray of int64, shape (b,)
        Requests in the batch.
    held, kept : ndarray of int64, shape (b,)
        KV tokens at the end of the batch, with those of the requests that complete in it, and
        without.
    member, batch : ndarray of int64, shape (jobs,)
        Whose jobs run, in the order of the batches, and the batch of each.
    prompt_start, prompt_end, completion : ndarray of int64, shape (n,)
        Of each request: its prompt batch, and the end of the batch of its last token.

    Notes
    -----
    ``held[b] − kept[b] = Σ (s_i + o_i)`` over the requests i that complete in batch b.
    """

    prompt: NDArray[np.bool_]
    start: IntArray
    end: IntArray
    size: IntArray
    held: IntArray
    kept: IntArray
    member: IntArray
    batch: IntArray
    prompt_start: IntArray
    prompt_end: IntArray
    completion: IntArray


def timeline(instance: Instance, schedule: SeparateSchedule) -> Timeline:
    """Return what a feasible schedule that serves every request does over time.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[1, 2])
    >>> schedule = SeparateSchedule([Batch("prompt", 0, (0, 1)), Batch("token", 1, (1,))])
    >>> time = timeline(instance, schedule)
    >>> time.held.tolist(), time.kept.tolist(), time.completion.tolist()
    ([6, 3], [2, 0], [1, 2])
    """
    (prompt, size, member), start = schedule.columns, schedule.starts
    batch, total = schedule.columns.batch, schedule.columns.total
    before = earlier_jobs(member)
    first, last = before == 0, before + 1 == instance.output[member]
    s = instance.prompt[member]
    end = schedule.ends(instance)
    freed = total(np.where(last, s + before + 1, 0))
    held = np.cumsum(total(np.where(first, s + 1, 1))) - np.cumsum(freed) + freed
    of_request = np.zeros((3, instance.n), dtype=np.int64)
    of_request[0, member[first]] = start[batch[first]]
    of_request[1, member[first]] = end[batch[first]]
    of_request[2, member[last]] = end[batch[last]]
    return Timeline(prompt, start, end, size, held, held - freed, member, batch, *of_request)
