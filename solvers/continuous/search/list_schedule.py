"""List schedules of continuous batching: an order, and how many may run and be read at once.

All running requests get a token in every batch. Prompts are read in the order of a list beside
them, and a request is admitted where its cache will fit until it completes, if nothing else is
admitted: so no cache is ever dropped. Between two admissions all that changes from batch to batch
is its time, so that a batch costs a few operations whatever it holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.continuous.schedule import Columns, ContinuousSchedule
from ....models.instance import IntArray
from ..compiled_instance import CompiledInstance


class Rule(NamedTuple):
    """How requests are admitted; the limits may vary in time, in segments of equal width.

    Attributes
    ----------
    order : ndarray of int64, shape (n,)
        The requests, the first to be admitted first.
    running : ndarray of int64, shape (segments,)
        Most requests that run at once, at least 1; the GPU's own limit holds besides.
    prompt_tokens : ndarray of int64, shape (segments,)
        Most prompt tokens in a batch, at least 1; the GPU's own limit holds besides.
    width : int
        Width of a segment, in the law's unit; the last one lasts for ever.
    depth : int
        How many waiting requests are tried in a batch before it starts with what it has.
    """

    order: IntArray
    running: IntArray
    prompt_tokens: IntArray
    width: int
    depth: int


class Written(NamedTuple):
    """Where batches are written to; empty arrays where only the completions are asked for."""

    start: IntArray
    chunks: IntArray
    jobs: IntArray
    chunk_of: IntArray
    chunk_tokens: IntArray
    job_of: NDArray[np.int32]


def ring_size(compiled: CompiledInstance, rule: Rule) -> int:
    """Batches that a request takes at most, as a power of two: the horizon of KV look-ahead."""
    slowest = max(1, min(int(rule.prompt_tokens.min()), compiled.limits.tokens))
    longest = int(compiled.output.max()) + -(-int(compiled.prompt.max()) // slowest) + 2
    return 1 << int(2 * longest).bit_length()


def list_schedule(compiled: CompiledInstance, rule: Rule) -> ContinuousSchedule:
    """Return the schedule of a rule.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.solvers.continuous.compiled_instance import compiled_instance
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 2], output=[4, 2])
    >>> numbers = compiled_instance(instance)
    >>> schedule = list_schedule(numbers, unlimited(np.array([1, 0])))
    >>> schedule.completion(instance).tolist()
    [4, 2]
    """
    n, ring = compiled.arrival.size, ring_size(compiled, rule)
    _, batches, chunks = decode(compiled, rule, ring, no_batches(), False)
    jobs = int(compiled.output.sum()) - n
    written = _room(batches, chunks, jobs)
    decode(compiled, rule, ring, written, True)
    return ContinuousSchedule.of_columns(
        Columns(
            start=written.start,
            chunks=written.chunks,
            jobs=written.jobs,
            drops=np.zeros(batches, np.int64),
            chunk_of=written.chunk_of,
            chunk_tokens=written.chunk_tokens,
            job_of=written.job_of,
            drop_of=np.zeros(0, np.int64),
        )
    )


def unlimited(order: IntArray) -> Rule:
    """Return the rule of an order with no limits but the GPU's."""
    most = np.array([2**62], dtype=np.int64)
    return Rule(np.asarray(order, dtype=np.int64), most, most, 2**62, order.size)


def no_batches() -> Written:
    """Return where nothing is written to."""
    return _room(0, 0, 0)


def _room(batches: int, chunks: int, jobs: int) -> Written:
    """Return room for this many batches, prompt chunks and token jobs."""
    return Written(
        start=np.zeros(batches, np.int64),
        chunks=np.zeros(batches, np.int64),
        jobs=np.zeros(batches, np.int64),
        chunk_of=np.zeros(chunks, np.int64),
        chunk_tokens=np.zeros(chunks, np.int64),
        job_of=np.zeros(jobs, np.int32),
    )


@njit(cache=True, nogil=True)
def decode(
    compiled: CompiledInstance, rule: Rule, ring: int, written: Written, write: bool
) -> tuple[IntArray, int, int]:
    """Play a rule; return the completions, shape (n,), and the numbers of batches and chunks.

    Batches are counted by k. ``held[k % ring]`` is the number of blocks that those admitted so far
    will hold at the end of batch k (a prompt that is being read counts as a whole), ``ends[lo:hi]``
    are the batches in which they complete, in order, and ``leaving`` and ``chain`` list those that
    complete in the same one.
    """
    arrival, s, o = compiled.arrival, compiled.prompt, compiled.output
    limits, law = compiled.limits, compiled.law
    n, mask = s.size, ring - 1
    rank = np.empty(n, np.int64)
    for position in range(n):
        rank[rule.order[position]] = position
    by_arrival = np.argsort(arrival, kind="mergesort")
    waiting, ends, fresh = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    held, leaving = np.zeros(ring, np.int64), np.full(ring, -1, np.int64)
    chain, retry = np.full(n, -1, np.int64), np.zeros(n, np.int64)
    completion = np.zeros(n, np.int64)
    jobs = np.empty(n if write else 0, np.int32)
    peaks = 0  # blocks of those that run, each at its peak
    arrived = waits = lo = hi = d = kv = 0
    k = now = wake = 0
    reading, left, pace = -1, 0, 0
    chunks = written_jobs = 0
    while lo < n:
        while arrived < n and arrival[by_arrival[arrived]] <= now:
            _insert(waiting, 0, waits, rank[by_arrival[arrived]])
            waits += 1
            arrived += 1
            wake = k
        segment = min(now // rule.width, rule.running.size - 1)
        seats = min(min(limits.running, rule.running[segment]), limits.tokens)
        limit = rule.prompt_tokens[segment]
        first_chunk, finished = chunks, 0
        p = 0
        if reading >= 0:
            p = min(min(pace, limits.tokens - d), left)
            if p > 0:
                chunks = _write_chunk(written, chunks, reading, p, write)
            left -= p
            if left == 0:
                fresh[finished] = reading
                finished += 1
                reading = -1
        at = tried = 0
        scanning = k >= wake and reading < 0 and hi - lo < seats
        if scanning:
            wake = 2**62
        while scanning and at < waits and tried < rule.depth:
            if retry[rule.order[waiting[at]]] > k:
                wake = min(wake, retry[rule.order[waiting[at]]])
                at += 1
                continue
            room = min(limit, limits.tokens - d) - p
            i = rule.order[waiting[at]]
            if not limits.chunked and p == 0:
                room = limits.tokens - d
            if room <= 0 or reading >= 0 or hi - lo >= seats:
                break
            tried += 1
            first = -1
            if limits.chunked:
                first = _prompt_read(compiled, i, k, room, limit, ends, lo, hi, ring)
            elif s[i] <= room:
                first = k
            peak = _blocks(s[i] + o[i] - 1, limits.block)
            if first >= 0 and peaks + peak > limits.blocks:
                retry[i] = _retry(compiled, i, k, first, held, ends, lo, hi, mask)
            if first < 0 or retry[i] > k:
                wake = min(wake, max(k + 1, retry[i]))
                at += 1
                continue
            for later in range(at, waits - 1):
                waiting[later] = waiting[later + 1]
            waits -= 1
            tokens = min(room, s[i])
            chunks = _write_chunk(written, chunks, i, tokens, write)
            p += tokens
            if first == k:
                fresh[finished] = i
                finished += 1
            else:
                reading, left, pace = i, s[i] - tokens, limit
            end = first + o[i] - 1
            for later in range(k, end + 1):
                held[later & mask] += _blocks(s[i] + max(0, later - first), limits.block)
            chain[i] = leaving[end & mask]
            leaving[end & mask] = i
            _insert(ends, lo, hi, end)
            hi += 1
            peaks += peak
        if scanning and at < waits:
            wake = k + 1
        if p + d == 0:
            now = arrival[by_arrival[arrived]]
            continue
        if write:
            written.start[k] = now
            written.chunks[k] = chunks - first_chunk
            written.jobs[k] = d
            for at in range(d):
                written.job_of[written_jobs + at] = jobs[at]
            written_jobs += d
        work = (law.token if d > 0 else law.prompt) + law.per_prompt_token * p
        work += law.per_token_job * d + law.per_kv_token * kv
        now -= -work // law.divisor
        kv += d
        i = leaving[k & mask]
        gone = 0
        while i >= 0:
            completion[i] = now
            peaks -= _blocks(s[i] + o[i] - 1, limits.block)
            if o[i] > 1:
                kv -= s[i] + o[i]
                gone += 1
            lo += 1
            i = chain[i]
        if write and gone > 0:
            kept = 0
            for at in range(d):
                if completion[jobs[at]] == 0:
                    jobs[kept] = jobs[at]
                    kept += 1
        d -= gone
        leaving[k & mask] = -1
        held[k & mask] = 0
        for at in range(finished):
            i = fresh[at]
            if o[i] > 1:
                if write:
                    jobs[d] = i
                d += 1
                kv += s[i] + 1
        k += 1
    return completion, k, chunks


@njit(cache=True, nogil=True)
def _insert(values: IntArray, lo: int, hi: int, value: int) -> None:
    """Insert a value into ``values[lo:hi]``, which is in order; it gets one longer."""
    at = hi
    while at > lo and values[at - 1] > value:
        values[at] = values[at - 1]
        at -= 1
    values[at] = value


@njit(cache=True, nogil=True)
def _blocks(tokens: int, block: int) -> int:
    return (tokens + block - 1) // block


@njit(cache=True, nogil=True)
def _write_chunk(written: Written, chunks: int, i: int, tokens: int, write: bool) -> int:
    if write:
        written.chunk_of[chunks] = i
        written.chunk_tokens[chunks] = tokens
    return chunks + 1


@njit(cache=True, nogil=True)
def _prompt_read(
    compiled: CompiledInstance,
    i: int,
    k: int,
    room: int,
    pace: int,
    ends: IntArray,
    lo: int,
    hi: int,
    ring: int,
) -> int:
    """Batch in which a prompt is read whose first chunk is in batch k; −1 if that is too far.

    No other prompt is begun before. So those that run are those of now, less those that complete.
    """
    left = compiled.prompt[i] - room
    at, batch = lo, k
    while left > 0:
        batch += 1
        while at < hi and ends[at] < batch:
            at += 1
        left -= max(0, min(pace, compiled.limits.tokens - (hi - at)))
        if batch - k + compiled.output[i] >= ring:
            return -1
    return batch


@njit(cache=True, nogil=True)
def _retry(
    compiled: CompiledInstance,
    i: int,
    k: int,
    first: int,
    held: IntArray,
    ends: IntArray,
    lo: int,
    hi: int,
    mask: int,
) -> int:
    """Batch k if a request fits beside those that run, in every batch until it completes.

    If not, the first batch in which it may: where it does not fit in some batch now, begun later
    it will have grown less by then, and what the others hold there will not get less. What is held
    grows until one of them completes, so that only these batches must be looked at.
    """
    limits, s = compiled.limits, compiled.prompt[i]
    end = first + compiled.output[i] - 1
    for at in range(lo, hi):
        batch = ends[at]
        if batch >= end:
            break
        blocks = held[batch & mask] + _blocks(s + max(0, batch - first), limits.block)
        if blocks > limits.blocks:
            wait: int = min(batch, k + (blocks - limits.blocks - 1) * limits.block) + 1
            return wait
    last: int = held[end & mask] + _blocks(s + end - first, limits.block)
    return k if last <= limits.blocks else k + 1
