"""The walk through a schedule that tells where the requests' time goes, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...models.continuous.schedule import Columns
from ...models.durations import Durations
from ...models.instance import IntArray


class Followed(NamedTuple):
    """What a schedule does.

    Attributes
    ----------
    end, prompt_tokens, blocks, running : ndarray of int64, shape (b,)
        Of each batch: its end, its prompt tokens, and at its end, before requests that complete
        free theirs, the blocks that caches take and how many there are.
    first : ndarray of int64, shape (n,)
        Of each request, its first batch.
    completion : ndarray of int64, shape (n,)
        The end of its last batch.
    jobs : ndarray of int64, shape (n,)
        Its token jobs.
    prefill, recompute, decode : ndarray of int64, shape (n,)
        Time of the batches that read its prompt, read it again, give it a token.
    preempted : ndarray of int64, shape (n,)
        Time of the batches from the loss of its cache to its next chunk.
    own, prompts : ndarray of int64, shape (n,)
        Own work and prompt chunks in batches that give it a token, times the law's divisor.
    """

    end: IntArray
    prompt_tokens: IntArray
    blocks: IntArray
    running: IntArray
    first: IntArray
    completion: IntArray
    jobs: IntArray
    prefill: IntArray
    recompute: IntArray
    decode: IntArray
    preempted: IntArray
    own: IntArray
    prompts: IntArray


@njit(cache=True)
def follow(
    prompt: IntArray, output: IntArray, law: Durations, block: int, columns: Columns
) -> Followed:
    """Walk through the batches of a feasible schedule."""
    n, b = prompt.size, columns.start.size
    batch, of = np.zeros((4, b), np.int64), np.zeros((9, n), np.int64)
    end, prompt_tokens, blocks, running = batch[0], batch[1], batch[2], batch[3]
    first, completion, jobs, prefill, recompute = of[0], of[1], of[2], of[3], of[4]
    decode, preempted, own, prompts = of[5], of[6], of[7], of[8]
    first[:] = -1
    tokens, cached, dropped = np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, -1, np.int64)
    done = np.empty(n, np.int64)
    chunk = job = drop = held = caches = busy = 0
    for k in range(b):
        for _ in range(columns.drops[k]):
            i = columns.drop_of[drop]
            drop += 1
            held -= -(-cached[i] // block)
            caches -= 1
            cached[i] = 0
            dropped[i] = busy
        p = kv = completed = 0
        for at in range(chunk, chunk + columns.chunks[k]):
            p += columns.chunk_tokens[at]
        d = columns.jobs[k]
        for at in range(job, job + d):
            kv += prompt[columns.job_of[at]] + tokens[columns.job_of[at]]
        intercept = law.token if d > 0 else law.prompt
        work = intercept + law.per_prompt_token * p + law.per_token_job * d + law.per_kv_token * kv
        taken = -(-work // law.divisor)
        end[k], prompt_tokens[k] = columns.start[k] + taken, p
        for _ in range(columns.chunks[k]):
            i, read = columns.chunk_of[chunk], columns.chunk_tokens[chunk]
            chunk += 1
            if first[i] < 0:
                first[i] = k
            if cached[i] == 0:
                caches += 1
                if dropped[i] >= 0:
                    preempted[i] += busy - dropped[i]
            if dropped[i] >= 0:
                recompute[i] += taken
            else:
                prefill[i] += taken
            held += -(-(cached[i] + read) // block) - -(-cached[i] // block)
            cached[i] += read
            if cached[i] == prompt[i] + tokens[i]:
                tokens[i] += 1
                if tokens[i] == output[i]:
                    done[completed] = i
                    completed += 1
        for at in range(job, job + d):
            i = columns.job_of[at]
            jobs[i] += 1
            decode[i] += taken
            own[i] += law.per_token_job + law.per_kv_token * (prompt[i] + tokens[i])
            prompts[i] += law.per_prompt_token * p
            if cached[i] % block == 0:
                held += 1
            cached[i] += 1
            tokens[i] += 1
            if tokens[i] == output[i]:
                done[completed] = i
                completed += 1
        job += d
        busy += taken
        blocks[k], running[k] = held, caches
        for at in range(completed):
            i = done[at]
            completion[i] = end[k]
            held -= -(-cached[i] // block)
        caches -= completed
    return Followed(
        end, prompt_tokens, blocks, running, first, completion, jobs, prefill, recompute, decode,
        preempted, own, prompts,
    )  # fmt: skip


@njit(cache=True)
def weight_above(
    weight: IntArray, threshold: IntArray, begin: IntArray, end: IntArray, size: IntArray
) -> IntArray:
    """Σ of the weights of batches ``begin_i ≤ k < end_i`` whose threshold is below ``size_i``.

    Batches enter a Fenwick tree in order of their thresholds.
    """
    b, n = weight.size, size.size
    tree = np.zeros(b + 1, np.int64)
    found = np.zeros(n, np.int64)
    by_threshold, by_size = np.argsort(threshold), np.argsort(size)
    entered = 0
    for turn in range(n):
        i = by_size[turn]
        while entered < b and threshold[by_threshold[entered]] < size[i]:
            at = by_threshold[entered] + 1
            while at <= b:
                tree[at] += weight[by_threshold[entered]]
                at += at & -at
            entered += 1
        for until, sign in ((end[i], 1), (begin[i], -1)):
            at = until
            while at > 0:
                found[i] += sign * tree[at]
                at -= at & -at
    return found


@njit(cache=True)
def first_unbegun(first: IntArray, b: int) -> IntArray:
    """For each of b batches the first request whose first batch is a later one, or the last one.

    Requests are in order of arrival; before one that has not arrived none waits.
    """
    found = np.empty(b, np.int64)
    at = 0
    for k in range(b):
        while at < first.size - 1 and first[at] <= k:
            at += 1
        found[k] = at
    return found
