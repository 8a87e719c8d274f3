"""A schedule of separate batching over time: what each batch does, as arrays."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..instance import Instance, IntArray
from .durations import Durations, batch_durations
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
    """Return what a feasible schedule that serves everybody does over time.

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
    batches = schedule.batches
    size = np.array([len(batch.requests) for batch in batches], dtype=np.int64)
    start = np.array([batch.start for batch in batches], dtype=np.int64)
    prompt = np.array([batch.kind == "prompt" for batch in batches])
    member = np.fromiter(
        chain.from_iterable(batch.requests for batch in batches), np.int64, int(size.sum())
    )
    batch = np.repeat(np.arange(size.size), size)
    before = _tokens_before(member, instance.n)
    first, last = before == 0, before + 1 == instance.output[member]
    s = instance.prompt[member]

    def total(tokens: IntArray) -> IntArray:
        """Sum over the jobs of each batch."""
        summed = np.zeros(size.size, dtype=np.int64)
        np.add.at(summed, batch, tokens)
        return summed

    end = start + _times(batch_durations(instance), prompt, size, total(s + before))
    freed = total(np.where(last, s + before + 1, 0))
    held = np.cumsum(total(np.where(first, s + 1, 1))) - np.cumsum(freed) + freed
    of_request = np.zeros((3, instance.n), dtype=np.int64)
    of_request[0, member[first]] = start[batch[first]]
    of_request[1, member[first]] = end[batch[first]]
    of_request[2, member[last]] = end[batch[last]]
    return Timeline(prompt, start, end, size, held, held - freed, member, batch, *of_request)


def _tokens_before(member: IntArray, n: int) -> IntArray:
    """Output tokens that the request of each job has before it: jobs of a request are in a row."""
    order = np.argsort(member, kind="stable")
    jobs = np.bincount(member, minlength=n)
    begin = np.repeat(np.cumsum(jobs) - jobs, jobs)
    before = np.empty(member.size, dtype=np.int64)
    before[order] = np.arange(member.size) - begin
    return before


def _times(law: Durations, prompt: NDArray[np.bool_], size: IntArray, read: IntArray) -> IntArray:
    """Times of batches that read so many tokens: of prompts, or of KV caches."""
    of_prompts = law.prompt + law.per_prompt_token * read
    of_tokens = law.token + law.per_token_job * size + law.per_kv_token * read
    times: IntArray = -(-np.where(prompt, of_prompts, of_tokens) // law.divisor)
    return times
