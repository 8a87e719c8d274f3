"""The walk through the batches of a schedule, as compiled code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from ..durations import Durations
from ..instance import IntArray

if TYPE_CHECKING:
    from .schedule import Columns


@njit(cache=True)
def walk(
    prompt: IntArray, output: IntArray, law: Durations, columns: Columns
) -> tuple[IntArray, IntArray]:
    """Return what each batch does, shape (7, b), and what each request gets, shape (4, n).

    Rows are those of `timeline.Timeline`, after the starts.
    """
    n, b = prompt.size, columns.start.size
    of_batch = np.zeros((7, b), np.int64)
    of_request = np.full((4, n), -1, np.int64)
    of_request[3] = 0
    emitted, cache = np.zeros(n, np.int64), np.zeros(n, np.int64)
    chunk = job = drop = 0
    held = running = 0
    done = np.empty(n, np.int64)
    for k in range(b):
        p = kv = 0
        completed = 0
        start = columns.start[k]
        d = columns.jobs[k]
        for _ in range(columns.drops[k]):
            i = columns.drop_of[drop]
            drop += 1
            if cache[i] > 0:
                running -= 1
            held -= cache[i]
            cache[i] = 0
            of_request[3, i] += 1
        first_job = job
        for _ in range(d):
            i = columns.job_of[job]
            job += 1
            kv += prompt[i] + emitted[i]
        first_chunk = chunk
        for _ in range(columns.chunks[k]):
            p += columns.chunk_tokens[chunk]
            chunk += 1
        intercept = law.token if d > 0 else law.prompt
        work = intercept + law.per_prompt_token * p + law.per_token_job * d + law.per_kv_token * kv
        end = start - (-work // law.divisor)
        for at in range(first_chunk, chunk):
            i = columns.chunk_of[at]
            if of_request[0, i] < 0:
                of_request[0, i] = start
            if cache[i] == 0:
                running += 1
            cache[i] += columns.chunk_tokens[at]
            held += columns.chunk_tokens[at]
            if cache[i] == prompt[i] + emitted[i]:
                emitted[i] += 1
                if emitted[i] == 1:
                    of_request[1, i] = end
                if emitted[i] == output[i]:
                    of_request[2, i] = end
                    done[completed] = i
                    completed += 1
        for at in range(first_job, job):
            i = columns.job_of[at]
            emitted[i] += 1
            cache[i] += 1
            held += 1
            if emitted[i] == output[i]:
                of_request[2, i] = end
                done[completed] = i
                completed += 1
        of_batch[0, k] = end
        of_batch[1, k] = p
        of_batch[2, k] = d
        of_batch[3, k] = kv
        of_batch[4, k] = held
        of_batch[6, k] = running
        for at in range(completed):
            held -= cache[done[at]]
            cache[done[at]] = 0
            running -= 1
        of_batch[5, k] = held
    return of_batch, of_request
