"""Where requests run: each in batches one after another, from its first token to its last.

Such a schedule says of each request only in which batch its prompt is complete. It then has a token
job in every batch until it completes; its prompt is read in that batch, and where the token budget
is too small for it also in those just before. A request that is preempted has several such runs: at
the end of all but the last its cache is dropped, and the next one reads its prompt and the tokens
that it has emitted. Under an affine law without rounding, with one intercept, no token budget and
all requests there at once, no schedule is better than the best of these: work that is moved to a
later batch lets those between end earlier, and makes none later.

What a run costs at a place is a sum over its batches of its work times the weight of the requests
that are not complete. The work grows by one KV token a batch, so that two running sums of the
weights give the cost of every place in a few operations.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import FloatArray, IntArray
from ..compiled_instance import CompiledInstance

#: Batches that a prompt may be spread over at most, as a multiple of those that the token budget
#: demands, where it demands several; and beside these.
SPREAD, SPARE_CHUNKS = 2, 3

#: Runs of a request at most; where reading a cache again may take less than a token job, more.
MOST_RUNS, MOST_CHEAP_RUNS = 3, 8


#: No request has a time from which on its time costs: all of it does.
ALL_TIME = np.empty(0)


class Places(NamedTuple):
    """Which batches requests run in.

    Attributes
    ----------
    number : ndarray of int64, shape (n,)
        Runs of each request, one more than its cache is dropped; 0 if it has no place.
    before : ndarray of int64, shape (n, most runs)
        Tokens emitted before each run, 0 before the first.
    first : ndarray of int64, shape (n, most runs)
        The batch that emits the first token of each run.
    chunks : ndarray of int64, shape (n, most runs)
        Batches from the first in which the run reads until `first`, the last one.
    tokens : ndarray of int64, shape (n, most runs, most chunks)
        Prompt tokens read in `first`, in the batch before, and so on; in `first`, and in the
        earliest, there are some.
    """

    number: IntArray
    before: IntArray
    first: IntArray
    chunks: IntArray
    tokens: IntArray

    def copy(self) -> Places:
        """A copy of its own."""
        return Places(*(each.copy() for each in self))


class Runs(NamedTuple):
    """Requests with their places, and what the batches hold; H batches of room, n requests.

    Attributes
    ----------
    number, before, first, chunks, tokens : ndarray of int64
        As in `Places`.
    prompt, jobs, read, running, blocks : ndarray of int64, shape (H,)
        Of each batch: prompt tokens, token jobs, KV tokens read, requests that hold a cache, and
        blocks held at its end.
    present : ndarray of float, shape (H,)
        Weight of the requests that are not complete before the batch, of those that are late only
        where time costs from a due time on.
    start, end : ndarray of float, shape (H,)
        Of each batch, not rounded; without members it takes no time.
    gate : ndarray of float, shape (H,)
        Latest arrival of those who begin in the batch.
    presence, moment, opening, opened : ndarray of float, shape (H + 1,)
        Running sums over the batches: of the weight present W_b, of b·W_b, of what a batch's
        intercept grows by if it gets a token job, and of that times W_b.
    length : ndarray of int64, shape (2,)
        Batches up to the last completion, and those for which `start` and the sums are known.
    window, peak : ndarray of int64, shape (H,)
        Room for the search of places.
    reading : ndarray of int64, shape (most chunks,)
        Room for the chunks of one run.
    point : ndarray of int64, shape (most runs + 1,)
        Tokens after which a request may be dropped: 0, some, and all of them.
    least : ndarray of float, shape (most runs, H + 1)
        Least cost of having emitted so many tokens, and dropped the cache, before each batch.
    origin, place : ndarray of int64, shape (most runs, H + 1)
        Where the last run of that begins: at which point, and its `first`.
    tried : ndarray of int64, shape (2,)
        How often drops were tried, and how often they cost less.
    kept_free : ndarray of int64, shape (1,)
        Tokens of a batch that prompts leave to token jobs, those that it has included.
    """

    number: IntArray
    before: IntArray
    first: IntArray
    chunks: IntArray
    tokens: IntArray
    prompt: IntArray
    jobs: IntArray
    read: IntArray
    running: IntArray
    blocks: IntArray
    present: FloatArray
    start: FloatArray
    end: FloatArray
    gate: FloatArray
    presence: FloatArray
    moment: FloatArray
    opening: FloatArray
    opened: FloatArray
    length: IntArray
    window: IntArray
    peak: IntArray
    reading: IntArray
    point: IntArray
    least: FloatArray
    origin: IntArray
    place: IntArray
    tried: IntArray
    kept_free: IntArray


class Costs(NamedTuple):
    """What is minimised, and the law in units of time.

    Attributes
    ----------
    weight : ndarray of float, shape (n,)
        Of each request's completion.
    due : ndarray of float, shape (n,) or (0,)
        From when on its time costs, if that is not from the beginning.
    last : float
        Weight of the makespan.
    prompt, token, per_prompt_token, per_token_job, per_kv_token : float
        The law.
    kv_binds : bool
        Whether the KV memory can be too small at all.
    """

    weight: FloatArray
    due: FloatArray
    last: float
    prompt: float
    token: float
    per_prompt_token: float
    per_token_job: float
    per_kv_token: float
    kv_binds: bool


def costs(
    compiled: CompiledInstance, weight: FloatArray, last: float, due: FloatArray = ALL_TIME
) -> Costs:
    """Return the costs of an instance; all its time costs by default."""
    law, limits = compiled.law, compiled.limits
    peaks = -(-(compiled.prompt + compiled.output - 1) // limits.block)
    most = int(np.sort(peaks)[::-1][: limits.running].sum())
    return Costs(
        weight=weight,
        due=due,
        last=last,
        prompt=law.prompt / law.divisor,
        token=law.token / law.divisor,
        per_prompt_token=law.per_prompt_token / law.divisor,
        per_token_job=law.per_token_job / law.divisor,
        per_kv_token=law.per_kv_token / law.divisor,
        kv_binds=most > limits.blocks,
    )


def most_runs(compiled: CompiledInstance) -> int:
    """Return how many runs a request may have.

    A cache of h tokens is read in c1·h, and a token job on it takes c2 + c3·h: where that is more
    for some h, it may pay to drop caches for speed, and not only for room.
    """
    law, h = compiled.law, np.array([2, int((compiled.prompt + compiled.output).max())])
    cheap = (law.per_prompt_token * h < law.per_token_job + law.per_kv_token * h).any()
    return min(MOST_CHEAP_RUNS if cheap else MOST_RUNS, int(compiled.output.max()))


def no_runs(compiled: CompiledInstance, batches: int, most: int) -> Runs:
    """Return runs where no request has a place yet.

    There is room for this many batches, and at most this many runs of a request.
    """
    n, longest = compiled.prompt.size, int((compiled.prompt + compiled.output).max())
    parts = -(-longest // compiled.limits.tokens)
    parts = SPARE_CHUNKS + (parts if parts == 1 else SPREAD * parts)
    prompt, jobs, read, running, blocks = np.zeros((5, batches), np.int64)
    present, start, end, gate = np.zeros((4, batches))
    presence, moment, opening, opened = np.zeros((4, batches + 1))
    window, peak = np.zeros((2, batches), np.int64)
    before, first, chunks = np.zeros((3, n, most), np.int64)
    origin, place = np.zeros((2, most, batches + 1), np.int64)
    return Runs(
        np.zeros(n, np.int64), before, first, chunks, np.zeros((n, most, parts), np.int64),
        prompt, jobs, read, running, blocks, present, start, end, gate,
        presence, moment, opening, opened, np.zeros(2, np.int64), window, peak,
        np.zeros(parts, np.int64), np.zeros(most + 1, np.int64), np.zeros((most, batches + 1)),
        origin, place, np.zeros(2, np.int64), np.zeros(1, np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def blocks_of(tokens: int, block: int) -> int:
    """Whole blocks of a cache."""
    return tokens if block == 1 else (tokens + block - 1) // block


@njit(cache=True, nogil=True)
def places_of(runs: Runs) -> Places:
    """Where requests run; the arrays are shared."""
    return Places(runs.number, runs.before, runs.first, runs.chunks, runs.tokens)


@njit(cache=True, nogil=True)
def size_of(compiled: CompiledInstance, runs: Runs | Places, i: int, j: int) -> tuple[int, int]:
    """What run j of a request reads first, and how many tokens it emits."""
    until = compiled.output[i]
    if j + 1 < runs.number[i]:
        until = runs.before[i, j + 1]
    return compiled.prompt[i] + runs.before[i, j], until - runs.before[i, j]


@njit(cache=True, nogil=True)
def last_batch(compiled: CompiledInstance, runs: Runs | Places, i: int) -> int:
    """The batch in which a request that has a place completes."""
    j = runs.number[i] - 1
    last: int = runs.first[i, j] + compiled.output[i] - runs.before[i, j] - 1
    return last


@njit(cache=True, nogil=True)
def put(compiled: CompiledInstance, costs: Costs, runs: Runs, i: int, sign: int) -> None:
    """Add a request where its `Places` say (sign 1), or take it out (−1)."""
    for j in range(runs.number[i]):
        _put_run(compiled, runs, i, j, sign)
    if costs.due.size > 0:  # who is late is seen when all is placed
        return
    weight = sign * costs.weight[i]
    for b in range(last_batch(compiled, runs, i) + 1):
        runs.present[b] += weight


@njit(cache=True, nogil=True)
def _put_run(compiled: CompiledInstance, runs: Runs, i: int, j: int, sign: int) -> None:
    f, block = runs.first[i, j], compiled.limits.block
    s, o = size_of(compiled, runs, i, j)
    e = f + o - 1
    held = s
    for at in range(runs.chunks[i, j]):
        b = f - at
        runs.prompt[b] += sign * runs.tokens[i, j, at]
        runs.running[b] += sign
        runs.blocks[b] += sign * blocks_of(held, block)
        held -= runs.tokens[i, j, at]
    for b in range(f + 1, e + 1):
        runs.jobs[b] += sign
        runs.read[b] += sign * (s + b - f)
        runs.running[b] += sign
    if block == 1:
        for b in range(f + 1, e + 1):
            runs.blocks[b] += sign * (s + b - f)
    else:
        whole = blocks_of(s, block)
        full = whole * block
        for b in range(f + 1, e + 1):
            if s + b - f > full:
                whole += 1
                full += block
            runs.blocks[b] += sign * whole


@njit(cache=True, nogil=True)
def tell_time(compiled: CompiledInstance, costs: Costs, runs: Runs) -> float:
    """Find the times of all batches, and the sums; return the cost."""
    _find_gates(compiled, runs)
    length, known = runs.length
    prompt, jobs, read, present = runs.prompt, runs.jobs, runs.read, runs.present
    now = 0.0
    presence = moment = opening = opened = 0.0
    late = costs.due.size > 0
    for b in range(known):
        p, d = prompt[b], jobs[b]
        taken = costs.per_prompt_token * p + (
            costs.per_token_job * d + costs.per_kv_token * read[b]
        )
        grows = costs.token
        if d > 0:
            taken += costs.token
            grows = 0.0
        elif p > 0:
            taken += costs.prompt
            grows -= costs.prompt
        begin = max(now, runs.gate[b])
        runs.start[b] = begin
        now = begin + taken
        runs.end[b] = now
        if late:
            runs.opening[b + 1] = grows
            continue
        weight = present[b]
        if b < length:
            weight += costs.last
        presence += weight
        moment += b * weight
        runs.presence[b + 1] = presence
        runs.moment[b + 1] = moment
        if grows != 0.0:
            opening += grows
            opened += grows * weight
        runs.opening[b + 1] = opening
        runs.opened[b + 1] = opened
    total = costs.last * now
    for i in range(runs.number.size):
        if runs.number[i] > 0:
            end = runs.end[last_batch(compiled, runs, i)]
            total += costs.weight[i] * (max(0.0, end - costs.due[i]) if late else end)
    if late:
        _find_late(compiled, costs, runs)
    return total


@njit(cache=True, nogil=True)
def _find_late(compiled: CompiledInstance, costs: Costs, runs: Runs) -> None:
    """Find the weight of the late requests that are present, and the sums; growths are there."""
    length, known = runs.length
    present = runs.present
    present[:known] = 0.0
    for i in range(runs.number.size):
        if runs.number[i] > 0:
            last = last_batch(compiled, runs, i)
            if runs.end[last] >= costs.due[i]:
                present[last] += costs.weight[i]
    for b in range(known - 2, -1, -1):
        present[b] += present[b + 1]
    presence = moment = opening = opened = 0.0
    for b in range(known):
        weight, grows = present[b], runs.opening[b + 1]
        if b < length:
            weight += costs.last
        presence += weight
        moment += b * weight
        opening += grows
        opened += grows * weight
        runs.presence[b + 1], runs.moment[b + 1] = presence, moment
        runs.opening[b + 1], runs.opened[b + 1] = opening, opened


@njit(cache=True, nogil=True)
def _find_gates(compiled: CompiledInstance, runs: Runs) -> None:
    """Find the number of batches, and the latest arrival of those who begin in each."""
    length, longest = 0, 0
    for i in range(runs.number.size):
        longest = max(longest, compiled.output[i])
        if runs.number[i] > 0:
            length = max(length, last_batch(compiled, runs, i) + 1)
    known = min(runs.start.size, length + longest + runs.reading.size)
    runs.length[0], runs.length[1] = length, known
    runs.gate[:known] = 0.0
    for i in range(runs.number.size):
        if runs.number[i] > 0:
            begin = runs.first[i, 0] - runs.chunks[i, 0] + 1
            runs.gate[begin] = max(runs.gate[begin], float(compiled.arrival[i]))
