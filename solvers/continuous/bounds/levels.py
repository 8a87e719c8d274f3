"""Requests as levels of progress, for the charge by batch length (`charge` says what is proved)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....models.continuous.problem import limits
from ....models.durations import batch_durations
from ....models.instance import FloatArray, Instance, IntArray
from ....models.objectives import due_times, late_costs


class Law(NamedTuple):
    """Batch times as floats, in the instance's time unit, and limits.

    Attributes
    ----------
    c0 : float
        Intercept of a batch with token jobs.
    c0_prompt : float
        The least intercept of a batch that holds a prompt chunk.
    c1, c2, c3 : float
        Per prompt token, token job, and KV token read.
    most_work : float
        No batch holds more work, its rounding up and a longer intercept of prompts included.
    running, tokens, kv : float
        B, C and M, M in whole blocks and at most what the B largest requests hold.
    """

    c0: float
    c0_prompt: float
    c1: float
    c2: float
    c3: float
    most_work: float
    running: float
    tokens: float
    kv: float


def law_of(instance: Instance) -> Law:
    """Return the law and the limits of an instance.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> law_of(instance).c0, law_of(instance).running
    (1.0, 2.0)
    """
    law, most = batch_durations(instance), limits(instance)
    prompt, c0, c1, c2, c3 = (x / law.divisor for x in law[:5])
    largest = np.sort(instance.peak)[-int(most.running) :]
    kv = float(min(most.blocks * most.block, int(largest.sum())))
    work = max(c1, c2) * min(most.tokens, kv) + c3 * kv + max(0.0, prompt - c0) + 1.0
    return Law(c0, min(prompt, c0), c1, c2, c3, work, float(most.running), float(most.tokens), kv)


class Levels(NamedTuple):
    """Requests with their levels of progress after the prompt; N_i levels of G tokens.

    Level N is the end, level ℓ has G·(N − ℓ) tokens to go. The token region starts between the
    levels 0 and 1: at 0 with probability `first`, else at 1 (at 0 where there are none).

    Attributes
    ----------
    offset : ndarray of int64, shape (n + 1,)
        Where the levels of each request begin in the arrays of levels.
    arrival, weight, due : ndarray of float64, shape (n,)
        From the first arrival on; what a unit of its time costs, and from when on (0 if from the
        beginning).
    first : ndarray of float64, shape (n,)
        Probability of the start at level 0.
    prompt, jobs, work, time : ndarray of float64, shape (n,)
        Of the prompt: tokens, jobs (full chunks), work, and the least time alone.
    c0, c2, c3, extra : ndarray of float64, shape (n,)
        What its token jobs are charged: shares of `c0`, work c2 + c3·h, and a factor, 0 or 1, of
        the charge by the length of the batch.
    least : ndarray of float64, shape (n,)
        Least work of one of its jobs, in a batch's knapsack.
    kv, kv_before : ndarray of float64
        Cache at each level, and at the level before.
    read : ndarray of float64
        Σ h of the tokens up to each level.
    work_before, pace : ndarray of float64
        Work of a token, and its least time, at the level before.
    again : ndarray of float64
        What prefilling again costs beyond an ordinary token, at each level.
    alone : ndarray of float64
        Least time to the end.
    bend : ndarray of float64
        How far `read`, interpolated between levels, may exceed the truth next to each level.
    """

    offset: IntArray
    arrival: FloatArray
    weight: FloatArray
    due: FloatArray
    first: FloatArray
    prompt: FloatArray
    jobs: FloatArray
    work: FloatArray
    time: FloatArray
    c0: FloatArray
    c2: FloatArray
    c3: FloatArray
    extra: FloatArray
    least: FloatArray
    kv: FloatArray
    kv_before: FloatArray
    read: FloatArray
    work_before: FloatArray
    pace: FloatArray
    again: FloatArray
    alone: FloatArray
    bend: FloatArray


def levels_of(instance: Instance, law: Law, G: int, objective: str = "latency") -> Levels:
    """Return the levels of all requests, of G tokens each.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> levels = levels_of(instance, law_of(instance), 2)
    >>> levels.offset.tolist(), levels.first.tolist(), levels.kv.tolist()
    ([0, 3, 5], [0.5, 0.5], [2.0, 4.0, 6.0, 0.0, 2.0])
    """
    s, o = instance.prompt.astype(float), instance.output.astype(float)
    arrival = (instance.arrival - instance.arrival.min()).astype(float)
    due = np.zeros(instance.n)
    if objective == "tardiness":
        due = (due_times(instance) - instance.arrival.min()).astype(float)
    tokens = o - 1
    N = np.ceil(tokens / G).astype(np.int64)
    first = np.where(N > 0, tokens / G - (N - 1), 1.0)
    chunk = np.minimum(s, law.tokens)
    jobs = s / chunk
    c3 = np.full(instance.n, min(law.c3, law.c1))
    c2 = np.minimum(law.c2, (law.c1 - c3) * (s + 1))
    c0, extra, free = np.full(instance.n, law.c0), np.ones(instance.n), np.zeros(instance.n)
    if law.c0_prompt < law.c0:
        cheap = law.c1 * (s + 1) < c2 + c3 * (s + 1) + law.c0
        c0[cheap], extra[cheap] = law.c0_prompt, 0.0
        free[~cheap] = law.c0
    token = np.where(tokens > 0, law.c2 + law.c3 * (s + 1), np.inf)
    columns = [_levels(law, G, *row) for row in zip(s, o, N, c2, c3, free, strict=True)]
    return Levels(
        np.concatenate([[0], np.cumsum(N + 1)]),
        arrival,
        late_costs(instance, objective).weight,
        due,
        first,
        s,
        jobs,
        law.c1 * s,
        law.c0_prompt * jobs + law.c1 * s,
        c0,
        c2,
        c3,
        extra,
        np.minimum(token, law.c1 * chunk),
        *(np.concatenate(each) for each in zip(*columns, strict=True)),
    )


def _levels(
    law: Law, G: int, s: float, o: float, N: int, c2: float, c3: float, free: float
) -> tuple[FloatArray, ...]:
    """Columns of the levels of one request, from `kv` to `bend`."""
    done = o - G * np.arange(N, -1, -1.0)  # tokens emitted at each level; below 1 before the first
    real = np.maximum(done, 1.0)
    read = _read(s, real)
    least_token, least_again = law.c0 + law.c2 + law.c3 * (s + 1), law.c0_prompt + law.c1 * (s + 1)
    if least_again >= least_token and law.c1 >= law.c3:  # no token is faster by prefilling again
        alone = (law.c0 + law.c2) * (o - real) + law.c3 * (_read(s, o) - read)
    else:
        alone = min(least_token, least_again) * (o - real)
    bend = np.full(N + 1, G * G / 8.0 if G > 1 else 0.0)
    bend[-1] = 0.0
    if N > 0:
        bend[-2] *= 4
        short = (done[1] - done[0]) / (done[1] - 1)  # the line through the start and level 1
        read[0] = read[1] - (read[1] - read[0]) * short
        alone[0] = alone[1] + (alone[0] - alone[1]) * short
    before = s + np.maximum(done - G, 1.0)
    pace = np.minimum(law.c0 + law.c2 + law.c3 * before, law.c0_prompt + law.c1 * before)
    h = s + done
    again = law.c1 * h - c2 - c3 * h - free
    if again[0] < 0:  # the line from nothing at level 0 to the truth at the start, and on
        again[0] = 0.0
        if N > 0:
            begin = law.c1 * (s + 1) - c2 - c3 * (s + 1) - free
            gap = 1 - done[0]  # none where the start is level 0 itself
            again[1] = min(again[1], begin * (done[1] - done[0]) / gap) if gap else 0.0
    return h - 1, before - 1, read, c2 + c3 * before, pace, again, alone, bend


def _read(s: float, emitted: FloatArray | float) -> FloatArray:
    """Σ (s + g) over the tokens g from 1 to `emitted` less one."""
    return np.asarray((emitted - 1) * s + emitted * (emitted - 1) / 2)
