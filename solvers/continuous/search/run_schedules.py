"""From runs to schedules, and from any schedule to runs."""

from __future__ import annotations

import numpy as np
from numba import njit

from ....models.continuous.schedule import Columns, ContinuousSchedule
from ....models.instance import Instance
from ...random_stream import random_stream
from ..compiled_instance import CompiledInstance
from .places import place, place_by_ends
from .runs import Costs, Places, Runs, no_runs

#: Room for batches, as a multiple of those that the schedule has.
ROOM = 1.5


def runs_of(
    instance: Instance, compiled: CompiledInstance, costs: Costs, schedule: ContinuousSchedule
) -> tuple[Runs, float]:
    """Let each request run in the last batches before its completion; return that and its cost.

    What does not fit there (in the schedule it may be preempted, or pause) is placed where it costs
    least.
    """
    time = schedule.timeline(instance)
    last = np.searchsorted(time.end, time.completion)
    order = np.argsort(last, kind="stable")
    slack = -(-int(compiled.prompt.max()) // compiled.limits.tokens)
    room = int(ROOM * time.end.size) + 2 * int(compiled.output.max()) + slack + 10
    while True:
        runs = no_runs(compiled, room)
        place_by_ends(compiled, costs, runs, last, order)
        cost = place(compiled, costs, runs, order, random_stream(0), 0.0)
        if cost < np.inf:
            return runs, cost
        room *= 2


def schedule_of(compiled: CompiledInstance, places: Places) -> ContinuousSchedule:
    """Return the schedule in which all requests have these places; batches start at once.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.continuous.compiled_instance import compiled_instance
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 2], output=[4, 2])
    >>> places = Places(np.array([2, 0]), np.array([1, 1]), np.array([[3], [2]]))
    >>> schedule_of(compiled_instance(instance), places).completion(instance).tolist()
    [6, 2]
    """
    batches = int((places.first + compiled.output).max())
    chunks, jobs = np.zeros((2, batches), np.int64)
    for f, m, o in zip(places.first, places.chunks, compiled.output, strict=True):
        chunks[f - m + 1 : f + 1] += 1
        jobs[f + 1 : f + o] += 1
    used = chunks + jobs > 0
    columns = Columns(
        start=np.zeros(batches, np.int64),
        chunks=chunks,
        jobs=jobs,
        drops=np.zeros(batches, np.int64),
        chunk_of=np.zeros(int(chunks.sum()), np.int64),
        chunk_tokens=np.zeros(int(chunks.sum()), np.int64),
        job_of=np.zeros(int(jobs.sum()), np.int32),
        drop_of=np.zeros(0, np.int64),
    )
    _write(compiled, places, columns)
    return ContinuousSchedule.of_columns(
        columns._replace(
            start=columns.start[used],
            chunks=chunks[used],
            jobs=jobs[used],
            drops=columns.drops[used],
        )
    )


@njit(cache=True, nogil=True)
def _write(compiled: CompiledInstance, places: Places, columns: Columns) -> None:
    """Write who is in which batch, and when batches start."""
    law, batches = compiled.law, columns.start.size
    chunk_at = np.cumsum(columns.chunks) - columns.chunks
    job_at = np.cumsum(columns.jobs) - columns.jobs
    p, kv, gate = np.zeros((3, batches), np.int64)
    for i in range(places.first.size):
        f = places.first[i]
        for j in range(places.chunks[i]):
            b = f - j
            columns.chunk_of[chunk_at[b]] = i
            columns.chunk_tokens[chunk_at[b]] = places.tokens[i, j]
            chunk_at[b] += 1
            p[b] += places.tokens[i, j]
        begin = f - places.chunks[i] + 1
        gate[begin] = max(gate[begin], compiled.arrival[i])
        for b in range(f + 1, f + compiled.output[i]):
            columns.job_of[job_at[b]] = i
            job_at[b] += 1
            kv[b] += compiled.prompt[i] + b - f
    now = 0
    for b in range(batches):
        now = max(now, gate[b])
        columns.start[b] = now
        d = columns.jobs[b]
        if columns.chunks[b] + d > 0:
            work = (law.token if d > 0 else law.prompt) + law.per_prompt_token * p[b]
            now -= -(work + law.per_token_job * d + law.per_kv_token * kv[b]) // law.divisor
