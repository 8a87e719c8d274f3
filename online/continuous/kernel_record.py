"""The batches of a compiled run, one after the other, and how long each takes."""

from __future__ import annotations

import numpy as np
from numba import njit

from ...models.continuous.schedule import Columns
from ...models.durations import Durations
from ...models.instance import IntArray
from .kernel_state import CHUNKS, DROPS, JOBS, READ, State

#: Places in the counts of what is recorded.
BATCHES, CHUNK_COUNT, JOB_COUNT, DROP_COUNT = range(4)


@njit(cache=True, nogil=True)
def blank(n: int, jobs: int) -> Columns:
    """Return columns with room for some batches of n requests, and for so many token jobs."""
    return Columns(
        np.empty(4 * n, np.int64), np.empty(4 * n, np.int64), np.empty(4 * n, np.int64),
        np.empty(4 * n, np.int64), np.empty(2 * n, np.int64), np.empty(2 * n, np.int64),
        np.empty(jobs, np.int32), np.empty(n, np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def is_full(found: Columns, counts: IntArray, state: State) -> bool:
    """Say whether the batch that was built needs more room than there is."""
    at = state.at
    return bool(
        counts[BATCHES] == found.start.size
        or counts[CHUNK_COUNT] + at[CHUNKS] > found.chunk_of.size
        or counts[DROP_COUNT] + at[DROPS] > found.drop_of.size
    )


@njit(cache=True, nogil=True)
def record(found: Columns, counts: IntArray, state: State, now: int) -> None:
    """Put the batch that was built behind the others, where there is room.

    Parameters
    ----------
    found : Columns
        The batches so far; the request of each token job is there already.
    counts : ndarray of int64, shape (4,)
        Batches, chunks, token jobs and dropped caches so far; changed in place.
    state : State
        The batch.
    now : int
        When it starts.
    """
    at = state.at
    b, p, x = counts[BATCHES], counts[CHUNK_COUNT], counts[DROP_COUNT]
    chunks, drops = at[CHUNKS], at[DROPS]
    found.start[b], found.chunks[b], found.jobs[b], found.drops[b] = now, chunks, at[JOBS], drops
    for k in range(chunks):
        found.chunk_of[p + k] = state.chunk_of[k]
        found.chunk_tokens[p + k] = state.chunk_tokens[k]
    for k in range(drops):
        found.drop_of[x + k] = state.drop_of[k]
    counts[BATCHES] += 1
    counts[CHUNK_COUNT] += chunks
    counts[JOB_COUNT] += at[JOBS]
    counts[DROP_COUNT] += drops


@njit(cache=True, nogil=True)
def with_room(found: Columns, jobs: int) -> Columns:
    """Return the columns with more room for token jobs: twice as much, and for so many more."""
    spare = np.empty(found.job_of.size + jobs, np.int32)
    job_of = np.concatenate((found.job_of, spare))
    return Columns(
        found.start, found.chunks, found.jobs, found.drops, found.chunk_of, found.chunk_tokens,
        job_of, found.drop_of,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def recorded(found: Columns, counts: IntArray) -> Columns:
    """Return the batches without the room behind them."""
    b, p = counts[BATCHES], counts[CHUNK_COUNT]
    return Columns(
        found.start[:b], found.chunks[:b], found.jobs[:b], found.drops[:b], found.chunk_of[:p],
        found.chunk_tokens[:p], found.job_of[: counts[JOB_COUNT]],
        found.drop_of[: counts[DROP_COUNT]],
    )  # fmt: skip


@njit(cache=True, nogil=True)
def duration(law: Durations, state: State) -> int:
    """Return how long the batch takes that was built."""
    at = state.at
    work = law.token if at[JOBS] > 0 else law.prompt
    for k in range(at[CHUNKS]):
        work += law.per_prompt_token * state.chunk_tokens[k]
    work += law.per_token_job * at[JOBS] + law.per_kv_token * at[READ]
    return int(-(-work // law.divisor))


@njit(cache=True, nogil=True)
def longer(found: Columns, counts: IntArray, state: State) -> Columns:
    """Return the columns with room for the batch that was built."""
    b = _room(found.start.size, counts[BATCHES] + 1)
    p = _room(found.chunk_of.size, counts[CHUNK_COUNT] + state.at[CHUNKS])
    x = _room(found.drop_of.size, counts[DROP_COUNT] + state.at[DROPS])
    return Columns(
        _more(found.start, b), _more(found.chunks, b), _more(found.jobs, b), _more(found.drops, b),
        _more(found.chunk_of, p), _more(found.chunk_tokens, p), found.job_of,
        _more(found.drop_of, x),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _room(size: int, least: int) -> int:
    while size < least:
        size = 2 * size + 1
    return size


@njit(cache=True, nogil=True)
def _more(column: IntArray, size: int) -> IntArray:
    more = np.empty(size, np.int64)
    more[: column.size] = column
    return more
