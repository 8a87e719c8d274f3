"""A schedule of continuous batching over time: what each batch does, as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..durations import batch_durations
from ..errors import InputError
from ..instance import Instance, IntArray

if TYPE_CHECKING:
    from .schedule import Columns


class Timeline(NamedTuple):
    """What a feasible schedule does, batch by batch and request by request; b batches.

    Attributes
    ----------
    start, end : ndarray of int64, shape (b,)
        In the batch-time law's unit.
    prompt_tokens, jobs, read : ndarray of int64, shape (b,)
        Prompt tokens p, token jobs d and KV tokens read kv of each batch.
    held, kept : ndarray of int64, shape (b,)
        KV tokens at the end of the batch, with those of the requests that complete in it, and
        without.
    running : ndarray of int64, shape (b,)
        Requests that hold a cache at the end of the batch, those that complete in it included.
    scheduled, first_token, completion : ndarray of int64, shape (n,)
        Of each request: the start of its first batch, the ends of the batches of its first and of
        its last token; −1 where there is none.
    preemptions : ndarray of int64, shape (n,)
        How often its cache is dropped.
    """

    start: IntArray
    end: IntArray
    prompt_tokens: IntArray
    jobs: IntArray
    read: IntArray
    held: IntArray
    kept: IntArray
    running: IntArray
    scheduled: IntArray
    first_token: IntArray
    completion: IntArray
    preemptions: IntArray


def timeline(instance: Instance, columns: Columns) -> Timeline:
    """Return what a schedule does over time; for a schedule that breaks a rule, what it would.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.continuous.schedule import Batch, ContinuousSchedule
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[1, 2])
    >>> first = Batch(0, prefill=((0, 2), (1, 1)))
    >>> schedule = ContinuousSchedule([first, Batch(1, prefill=((0, 1),), decode=(1,))])
    >>> time = schedule.timeline(instance)
    >>> time.held.tolist(), time.kept.tolist(), time.first_token.tolist()
    ([3, 5], [3, 0], [2, 1])
    """
    for who in (columns.chunk_of, columns.job_of, columns.drop_of):
        if who.size and not 0 <= int(who.min()) <= int(who.max()) < instance.n:
            raise InputError(f"schedule.batches: expected requests from 0 to {instance.n - 1}")
    from .walk import walk  # its compiled code is not for those who list regimes

    law = batch_durations(instance)
    of_batch, of_request = walk(instance.prompt, instance.output, law, columns)
    end, *of_batches = of_batch
    return Timeline(columns.start, end, *of_batches, *of_request)
