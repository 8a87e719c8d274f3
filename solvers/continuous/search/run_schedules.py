"""From runs to schedules, and from any schedule to runs."""

from __future__ import annotations

import numpy as np
from numba import njit

from ....models.continuous.schedule import Columns, ContinuousSchedule
from ....models.instance import Instance, IntArray
from ...random_stream import random_stream
from ..compiled_instance import CompiledInstance
from .places import place, place_by_ends
from .runs import Costs, Places, Runs, last_batch, most_runs, no_runs, places_of, size_of

#: Room for batches, as a multiple of those that the schedule has.
ROOM = 1.5


def runs_of(
    instance: Instance, compiled: CompiledInstance, costs: Costs, schedule: ContinuousSchedule
) -> tuple[Runs, float]:
    """Let requests run as in a schedule, as far as they can; return that and its cost.

    Those that pause run in the last batches before their completion instead, and before each time
    that their cache is dropped; all do where no token budget binds, since later is no worse then.
    What does not fit there is placed where it costs least.
    """
    columns = schedule.columns
    most = max(most_runs(compiled), int(schedule.timeline(instance).preemptions.max()) + 1)
    slack = -(-int((compiled.prompt + compiled.output).max()) // compiled.limits.tokens)
    room = int(ROOM * columns.start.size) + 2 * int(compiled.output.max()) + slack + 10
    while True:
        runs = no_runs(compiled, room, most)
        last = take_runs(compiled.prompt, columns, places_of(runs))
        if slack == 1:
            runs.first[:] = -1
        order = np.argsort(last[np.arange(instance.n), runs.number - 1], kind="stable")
        place_by_ends(compiled, costs, runs, last, order)
        cost = place(compiled, costs, runs, order, random_stream(0), 0.0)
        if cost < np.inf:
            return runs, cost
        room *= 2


@njit(cache=True, nogil=True)
def take_runs(prompt: IntArray, columns: Columns, places: Places) -> IntArray:
    """Write the runs that requests have in a schedule, of a token or more each, to `places`.

    Returns the last batch of each, shape (n, most runs). Where a prompt is read over more batches
    than there is room for, `chunks` is larger than that.
    """
    number, before, first, chunks, tokens = places
    emitted, cache, done = np.zeros((3, prompt.size), np.int64)
    last = np.zeros(before.shape, np.int64)
    running = np.zeros(prompt.size, np.bool_)
    for reads in (False, True):  # what is read, once it is known when each run begins
        emitted[:] = 0
        cache[:] = 0
        running[:] = False
        drop = chunk = job = 0
        for b in range(columns.start.size):
            for i in columns.drop_of[drop : drop + columns.drops[b]]:
                cache[i] = 0
                running[i] = False
                if reads and done[i] < number[i]:  # read for nothing
                    chunks[i, done[i]] = 0
                    tokens[i, done[i]] = 0
            for i in columns.job_of[job : job + columns.jobs[b]]:
                emitted[i] += 1
                if not reads:
                    last[i, number[i] - 1] = b
            for at in range(chunk, chunk + columns.chunks[b]):
                i, size = columns.chunk_of[at], columns.chunk_tokens[at]
                cache[i] += size
                if reads:
                    back = first[i, done[i]] - b
                    chunks[i, done[i]] = max(chunks[i, done[i]], back + 1)
                    if back < tokens.shape[2]:
                        tokens[i, done[i], back] = size
                if running[i] or cache[i] < prompt[i] + emitted[i]:
                    continue
                if reads:
                    done[i] += 1
                else:
                    before[i, number[i]], first[i, number[i]] = emitted[i], b
                    last[i, number[i]] = b
                    number[i] += 1
                emitted[i] += 1
                running[i] = True
            drop += columns.drops[b]
            chunk += columns.chunks[b]
            job += columns.jobs[b]
    return last


def schedule_of(compiled: CompiledInstance, places: Places) -> ContinuousSchedule:
    """Return the schedule in which all requests have these places, with batches as early as can be.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.continuous.compiled_instance import compiled_instance
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 2], output=[4, 2])
    >>> once, nothing = np.array([1, 1]), np.zeros((2, 1), int)
    >>> first, chunks, tokens = [[2], [0]], [[1], [1]], [[[3]], [[2]]]
    >>> places = Places(once, nothing, *map(np.array, (first, chunks, tokens)))
    >>> schedule_of(compiled_instance(instance), places).completion(instance).tolist()
    [6, 2]
    """
    batches = 1 + max(last_batch(compiled, places, i) for i in range(compiled.output.size))
    chunks, jobs, drops = np.zeros((3, batches), np.int64)
    ends = []
    for i in range(places.number.size):
        for j in range(places.number[i]):
            f, (_, o) = places.first[i, j], size_of(compiled, places, i, j)
            read = places.tokens[i, j, : places.chunks[i, j]]
            chunks[f - read.size + 1 : f + 1] += read[::-1] > 0
            jobs[f + 1 : f + o] += 1
            if j + 1 < places.number[i]:
                ends.append((int(f + o), i))
    used = chunks + jobs > 0
    # Caches are dropped just before the next batch that is used.
    following = np.flatnonzero(used)
    for b, _ in ends:
        drops[following[np.searchsorted(following, b)]] += 1
    columns = Columns(
        start=np.zeros(batches, np.int64),
        chunks=chunks,
        jobs=jobs,
        drops=drops,
        chunk_of=np.zeros(int(chunks.sum()), np.int64),
        chunk_tokens=np.zeros(int(chunks.sum()), np.int64),
        job_of=np.zeros(int(jobs.sum()), np.int32),
        drop_of=np.array([i for _, i in sorted(ends)], dtype=np.int64),
    )
    _write(compiled, places, columns)
    return ContinuousSchedule.of_columns(
        columns._replace(
            start=columns.start[used],
            chunks=chunks[used],
            jobs=jobs[used],
            drops=drops[used],
        )
    )


@njit(cache=True, nogil=True)
def _write(compiled: CompiledInstance, places: Places, columns: Columns) -> None:
    """Write who is in which batch, and when batches start."""
    law, batches = compiled.law, columns.start.size
    chunk_at = np.cumsum(columns.chunks) - columns.chunks
    job_at = np.cumsum(columns.jobs) - columns.jobs
    p, kv, gate = np.zeros((3, batches), np.int64)
    for i in range(places.number.size):
        for j in range(places.number[i]):
            f = places.first[i, j]
            s, o = size_of(compiled, places, i, j)
            for at in range(places.chunks[i, j]):
                b = f - at
                if places.tokens[i, j, at] == 0:
                    continue
                columns.chunk_of[chunk_at[b]] = i
                columns.chunk_tokens[chunk_at[b]] = places.tokens[i, j, at]
                chunk_at[b] += 1
                p[b] += places.tokens[i, j, at]
            for b in range(f + 1, f + o):
                columns.job_of[job_at[b]] = i
                job_at[b] += 1
                kv[b] += s + b - f
        begin = places.first[i, 0] - places.chunks[i, 0] + 1
        gate[begin] = max(gate[begin], compiled.arrival[i])
    now = 0
    for b in range(batches):
        now = max(now, gate[b])
        columns.start[b] = now
        d = columns.jobs[b]
        if columns.chunks[b] + d > 0:
            work = (law.token if d > 0 else law.prompt) + law.per_prompt_token * p[b]
            now -= -(work + law.per_token_job * d + law.per_kv_token * kv[b]) // law.divisor
