"""The independent checker's walk through the batches of a schedule, as compiled code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from ..instance import IntArray

Integer = int | np.integer

if TYPE_CHECKING:
    from .schedule import Columns

#: The rules by number: the order of `feasibility.RULES`.
(
    _EMPTY, _OVERLAP, _PREEMPT, _TWICE, _ARRIVAL, _CHUNK, _WHOLE, _TOKENS, _PROMPT, _BATCH_TOKENS,
    _RUNNING, _KV, _UNSERVED,
) = range(13)  # fmt: skip


@njit(cache=True)
def violations(
    requests: IntArray,
    columns: Columns,
    law: IntArray,
    divisor: int,
    limits: IntArray,
    rows: IntArray,
) -> int:
    """Write violations as (rule, time, request or −1, found, allowed); return how many there are.

    `limits` are blocks, tokens of a block, B, C (−1: none), whether chunks and whether rejections
    are allowed.
    """
    arrival, s, o = requests[0], requests[1], requests[2]
    n = s.size
    emitted, cache = np.zeros(n, np.int64), np.zeros(n, np.int64)
    ready = np.zeros(n, np.bool_)
    seen = np.full(n, -1, np.int64)
    done = np.zeros(n, np.int64)
    touched = np.zeros(n, np.bool_)
    count = chunk = job = drop = 0
    blocks = running = 0
    block = limits[1]
    latest = -(2**62)
    for k in range(columns.start.size):
        start = columns.start[k]
        if columns.chunks[k] + columns.jobs[k] == 0:
            count = _note(rows, count, _EMPTY, start, -1, 0, 1)
        if start < latest:
            count = _note(rows, count, _OVERLAP, start, -1, start, latest)
        for _ in range(columns.drops[k]):
            i = columns.drop_of[drop]
            drop += 1
            if cache[i] == 0:
                count = _note(rows, count, _PREEMPT, start, i, 0, 1)
                continue
            blocks -= (cache[i] + block - 1) // block
            running -= 1
            cache[i] = 0
            ready[i] = False
        p = d = kv = completed = 0
        for _ in range(columns.jobs[k]):
            i = np.int64(columns.job_of[job])
            job += 1
            if seen[i] == k:
                count = _note(rows, count, _TWICE, start, i, 2, 1)
                continue
            seen[i] = k
            touched[i] = True
            if emitted[i] == o[i]:
                count = _note(rows, count, _TOKENS, start, i, o[i] + 1, o[i])
                continue
            if not ready[i]:
                count = _note(rows, count, _PROMPT, start, i, cache[i], s[i] + emitted[i])
                continue
            d += 1
            kv += s[i] + emitted[i]
            if cache[i] % block == 0:
                blocks += 1
            cache[i] += 1
            emitted[i] += 1
            if emitted[i] == o[i]:
                done[completed] = i
                completed += 1
        for _ in range(columns.chunks[k]):
            i = columns.chunk_of[chunk]
            tokens = columns.chunk_tokens[chunk]
            chunk += 1
            if seen[i] == k:
                count = _note(rows, count, _TWICE, start, i, 2, 1)
                continue
            seen[i] = k
            touched[i] = True
            if start < arrival[i]:
                count = _note(rows, count, _ARRIVAL, start, i, start, arrival[i])
            if emitted[i] == o[i]:
                count = _note(rows, count, _TOKENS, start, i, o[i] + 1, o[i])
                continue
            left = 0 if ready[i] else s[i] + emitted[i] - cache[i]
            if tokens < 1 or tokens > left:
                count = _note(rows, count, _CHUNK, start, i, tokens, left)
                continue
            if limits[4] == 0 and tokens < left:
                count = _note(rows, count, _WHOLE, start, i, tokens, left)
            if cache[i] == 0:
                running += 1
            p += tokens
            blocks += (cache[i] + tokens + block - 1) // block - (cache[i] + block - 1) // block
            cache[i] += tokens
            if tokens == left:
                ready[i] = True
                emitted[i] += 1
                if emitted[i] == o[i]:
                    done[completed] = i
                    completed += 1
        work = (law[1] if d > 0 else law[0]) + law[2] * p + law[3] * d + law[4] * kv
        end = start + (work + divisor - 1) // divisor
        latest = max(latest, end)
        if limits[3] >= 0 and p + d > limits[3]:
            count = _note(rows, count, _BATCH_TOKENS, start, -1, p + d, limits[3])
        if limits[2] >= 0 and running > limits[2]:
            count = _note(rows, count, _RUNNING, end, -1, running, limits[2])
        if blocks > limits[0]:
            count = _note(rows, count, _KV, end, -1, blocks * block, limits[0] * block)
        for at in range(completed):
            i = done[at]
            blocks -= (cache[i] + block - 1) // block
            running -= 1
            cache[i] = 0
            ready[i] = False
    for i in range(n):
        if emitted[i] < o[i] and (touched[i] or limits[5] == 0):
            count = _note(rows, count, _UNSERVED, max(latest, 0), i, emitted[i], o[i])
    return count


@njit(cache=True)
def _note(
    rows: IntArray,
    count: int,
    rule: int,
    time: Integer,
    request: Integer,
    found: Integer,
    allowed: Integer,
) -> int:
    if count < len(rows):
        rows[count, 0] = rule
        rows[count, 1] = time
        rows[count, 2] = request
        rows[count, 3] = found
        rows[count, 4] = allowed
    return count + 1
