"""Blocks of continuous batching: their schedules taken apart and put together.

**Leaving out.** Leave all requests but S out of a feasible schedule, and the batches that become
empty; a drop in one of these happens before the next batch. No batch holds more, so each is as
short as before, *if* c0_prompt ≤ c0: a batch that loses its token jobs becomes one of prompts only.
With c0_prompt > c0 nothing is taken apart: a token job of a request that waits for it could make
the prompts of later requests faster.

**Closing up.** Let X_i be the time of reading s_i + o_i − 1 tokens alone, in chunks as large as
allowed, and Y_i that of all its token jobs alone. From any state with all requests present, at the
end of a batch, the requests R that are not complete can be served such that none completes later
than in a given schedule σ, and all within Σ_R (X_i + Y_i). By induction: if σ takes longer, its
last request ℓ completes after that. Leave ℓ out, serve the others by induction, and then ℓ alone:
its tokens are read again, and the next ones follow. So it completes earlier than in σ. (Where whole
prompts are read, they must fit into a batch with the tokens after them, or nothing is taken apart.)
The batch that runs at the last arrival takes at most a job of each of its members, of which a chunk
takes X_i at most, and a token job is one of Y_i that is not done again. So every schedule can be
changed such that it ends within W = Σ (2·X_i + Y_i) after the last arrival, and no request
completes later.

Hence the theorem of `models.blocks` holds with these W.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...models.continuous.problem import limits
from ...models.continuous.schedule import Columns, ContinuousSchedule
from ...models.durations import batch_durations
from ...models.instance import Instance, IntArray
from ..blocks import Parts
from ..certificates.blocks import ContinuousBlocksProof
from ..certificates.clock import Clock
from ..certificates.continuous.simple import own_times

#: The completion of a request that is rejected.
_NEVER = 2**62

#: Times beyond this are too long to add up.
_LONG = 2**60


def continuous_parts(instance: Instance) -> Parts[ContinuousSchedule] | None:
    """Return what `blocks.solve_blocks` must know of continuous batching; None if it is whole.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.continuous.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 90], prompt=[3, 1], output=[1, 1])
    >>> parts, blocks = continuous_parts(instance), [np.array([0]), np.array([1])]
    >>> late = ContinuousSchedule([Batch(100, prefill=((0, 3), (1, 1)))])
    >>> [schedule.batches for schedule in parts.apart(instance, blocks, late)]
    [(Batch(start=100, prefill=((0, 3),), decode=(), preempt=()),), \
(Batch(start=10, prefill=((0, 1),), decode=(), preempt=()),)]
    >>> together = parts.together(instance, blocks, parts.apart(instance, blocks, late))
    >>> [batch.start for batch in together.batches]
    [0, 90]
    """
    law, most = batch_durations(instance), limits(instance)
    whole = not most.chunked and int(instance.peak.max()) - 1 > most.tokens
    longest = times_within(instance)
    if law.prompt > law.token or whole or max(longest) >= _LONG:
        return None
    return Parts(
        alone=np.array(own_times(instance, Clock(None)), dtype=np.int64),
        within=np.array(longest, dtype=np.int64),
        completion=_completion,
        apart=_apart,
        together=_together,
        proof=ContinuousBlocksProof,
    )


def times_within(instance: Instance) -> list[int]:
    """Return 2·X_i + Y_i of each request, each token job rounded up by a unit.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> times_within(Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2]))
    [5, 3]
    """
    law, C = batch_durations(instance), limits(instance).tokens
    found = []
    for s, o in zip(instance.prompt.tolist(), instance.output.tolist(), strict=True):
        full, rest = divmod(s + o - 1, C)
        again = full * law.prompt_batch(C) + (law.prompt_batch(rest) if rest else 0)
        read = (o - 1) * s + (o - 1) * o // 2
        work = (o - 1) * (law.token + law.per_token_job) + law.per_kv_token * read
        jobs = -(-work // law.divisor) + (0 if law.divisor == 1 else o - 1)
        found.append(2 * again + jobs)
    return found


def _completion(instance: Instance, schedule: ContinuousSchedule) -> IntArray:
    completion = schedule.timeline(instance).completion
    return np.where(completion < 0, _NEVER, completion)


def _apart(
    instance: Instance, blocks: Sequence[IntArray], schedule: ContinuousSchedule
) -> list[ContinuousSchedule]:
    block, place = np.full(instance.n, -1), np.zeros(instance.n, np.int64)
    for b, members in enumerate(blocks):
        block[members], place[members] = b, np.arange(members.size)
    c = schedule.columns
    lists = [
        _sorted(np.repeat(np.arange(c.start.size), counts), who, block, len(blocks))
        for counts, who in ((c.chunks, c.chunk_of), (c.jobs, c.job_of), (c.drops, c.drop_of))
    ]
    found = []
    for b, members in enumerate(blocks):
        shift = int(instance.arrival[members].min())
        (chunk_in, chunk), (job_in, job), (drop_in, drop) = (each[b] for each in lists)
        which = np.unique(np.concatenate([chunk_in, job_in]))

        def counts(batch: IntArray, which: IntArray = which) -> IntArray:
            return np.bincount(np.searchsorted(which, batch), minlength=which.size)

        part = Columns(
            start=c.start[which] - shift,
            chunks=counts(chunk_in),
            jobs=counts(job_in),
            drops=counts(drop_in),
            chunk_of=place[c.chunk_of[chunk]],
            chunk_tokens=c.chunk_tokens[chunk],
            job_of=place[c.job_of[job]].astype(np.int32),
            drop_of=place[c.drop_of[drop]],
        )
        found.append(ContinuousSchedule.of_columns(part))
    return found


def _sorted(
    batch: IntArray, who: NDArray[np.integer], block: IntArray, blocks: int
) -> list[tuple[IntArray, IntArray]]:
    """Return, for each block, the batches of its entries, and where these are; both in order."""
    order = np.argsort(block[who], kind="stable")
    cuts = np.searchsorted(block[who][order], np.arange(blocks + 1))
    its = [order[begin:end] for begin, end in pairwise(cuts)]  # some requests may be in no block
    return [(batch[each], each) for each in its]


def _together(
    instance: Instance, blocks: Sequence[IntArray], schedules: Sequence[ContinuousSchedule]
) -> ContinuousSchedule:
    parts = [
        schedule.columns._replace(
            chunk_of=members[schedule.columns.chunk_of],
            job_of=members[schedule.columns.job_of].astype(np.int32),
            drop_of=members[schedule.columns.drop_of],
        )
        for members, schedule in zip(blocks, schedules, strict=True)
    ]
    return left_shifted(instance, Columns(*map(np.concatenate, zip(*parts, strict=True))))


def left_shifted(instance: Instance, columns: Columns) -> ContinuousSchedule:
    """Start each batch when the one before has ended and its requests are there."""
    time = ContinuousSchedule.of_columns(columns).timeline(instance)
    length = time.end - time.start
    ready = np.zeros(length.size, dtype=np.int64)
    batch = np.repeat(np.arange(length.size), columns.chunks)
    np.maximum.at(ready, batch, instance.arrival[columns.chunk_of])
    before = np.cumsum(length) - length
    start = np.maximum.accumulate(ready - before) + before
    return ContinuousSchedule.of_columns(columns._replace(start=start))
