"""Where requests run: each in batches one after another, from its first token to its last.

Such a schedule says of each request only in which batch its prompt is complete. It then has a token
job in every batch until it completes; its prompt is read in that batch, and where the token budget
is too small for it also in those just before. Under an affine law without rounding, and with all
requests there at once, no schedule without preemption is better than the best of these: work that
is moved to a later batch lets those between end earlier, and makes none later.

What a request costs at a place is a sum over its batches of its work times the weight of the
requests that are not complete. The work grows by one KV token a batch, so that two running sums of
the weights give the cost of every place in a few operations.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import FloatArray, IntArray
from ..compiled_instance import CompiledInstance

#: Batches that a prompt may be spread over at most, beside those that the token budget demands.
SPARE_CHUNKS = 3


class Places(NamedTuple):
    """Which batches requests run in.

    Attributes
    ----------
    first : ndarray of int64, shape (n,)
        The batch that emits the first token; −1 for a request that has no place.
    chunks : ndarray of int64, shape (n,)
        How many batches its prompt is read in; `first` is the last of them.
    tokens : ndarray of int64, shape (n, most chunks)
        Prompt tokens read in `first`, in the batch before, and so on.
    """

    first: IntArray
    chunks: IntArray
    tokens: IntArray

    def copy(self) -> Places:
        """A copy of its own."""
        return Places(self.first.copy(), self.chunks.copy(), self.tokens.copy())


class Runs(NamedTuple):
    """Requests with their places, and what the batches hold; H batches of room, n requests.

    Attributes
    ----------
    first, chunks, tokens : ndarray of int64
        As in `Places`.
    prompt, jobs, read, running, blocks : ndarray of int64, shape (H,)
        Of each batch: prompt tokens, token jobs, KV tokens read, requests that hold a cache, and
        blocks held at its end.
    present : ndarray of float, shape (H,)
        Weight of the requests that are not complete before the batch.
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
    """

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

    @property
    def places(self) -> Places:
        """Where requests run; the arrays are shared."""
        return Places(self.first, self.chunks, self.tokens)


class Costs(NamedTuple):
    """What is minimised, and the law in units of time.

    Attributes
    ----------
    weight : ndarray of float, shape (n,)
        Of each request's completion.
    last : float
        Weight of the makespan.
    prompt, token, per_prompt_token, per_token_job, per_kv_token : float
        The law.
    kv_binds : bool
        Whether the KV memory can be too small at all.
    """

    weight: FloatArray
    last: float
    prompt: float
    token: float
    per_prompt_token: float
    per_token_job: float
    per_kv_token: float
    kv_binds: bool


def costs(compiled: CompiledInstance, weight: FloatArray, last: float) -> Costs:
    """Return the costs of an instance."""
    law, limits = compiled.law, compiled.limits
    peaks = -(-(compiled.prompt + compiled.output - 1) // limits.block)
    most = int(np.sort(peaks)[::-1][: limits.running].sum())
    return Costs(
        weight=weight,
        last=last,
        prompt=law.prompt / law.divisor,
        token=law.token / law.divisor,
        per_prompt_token=law.per_prompt_token / law.divisor,
        per_token_job=law.per_token_job / law.divisor,
        per_kv_token=law.per_kv_token / law.divisor,
        kv_binds=most > limits.blocks,
    )


def no_runs(compiled: CompiledInstance, batches: int) -> Runs:
    """Return runs where no request has a place yet, with room for this many batches."""
    n, longest = compiled.prompt.size, int(compiled.prompt.max())
    most = SPARE_CHUNKS + -(-longest // compiled.limits.tokens)
    prompt, jobs, read, running, blocks = np.zeros((5, batches), np.int64)
    present, start, end, gate = np.zeros((4, batches))
    presence, moment, opening, opened = np.zeros((4, batches + 1))
    window, peak = np.zeros((2, batches), np.int64)
    return Runs(
        np.full(n, -1, np.int64), np.zeros(n, np.int64), np.zeros((n, most), np.int64),
        prompt, jobs, read, running, blocks, present, start, end, gate,
        presence, moment, opening, opened, np.zeros(2, np.int64), window, peak,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def blocks_of(tokens: int, block: int) -> int:
    """Whole blocks of a cache."""
    return tokens if block == 1 else (tokens + block - 1) // block


@njit(cache=True, nogil=True)
def put(compiled: CompiledInstance, costs: Costs, runs: Runs, i: int, sign: int) -> None:
    """Add a request where `Runs.first` and `Runs.tokens` say (sign 1), or take it out (−1)."""
    s, f, block = compiled.prompt[i], runs.first[i], compiled.limits.block
    e = f + compiled.output[i] - 1
    held = s
    for j in range(runs.chunks[i]):
        b = f - j
        runs.prompt[b] += sign * runs.tokens[i, j]
        runs.running[b] += sign
        runs.blocks[b] += sign * blocks_of(held, block)
        held -= runs.tokens[i, j]
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
    weight = sign * costs.weight[i]
    for b in range(e + 1):
        runs.present[b] += weight


@njit(cache=True, nogil=True)
def tell_time(compiled: CompiledInstance, costs: Costs, runs: Runs) -> float:
    """Find the times of all batches, and the sums; return the cost."""
    _find_gates(compiled, runs)
    length, known = runs.length
    prompt, jobs, read, present = runs.prompt, runs.jobs, runs.read, runs.present
    now = 0.0
    presence = moment = opening = opened = 0.0
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
    for i in range(runs.first.size):
        if runs.first[i] >= 0:
            total += costs.weight[i] * runs.end[runs.first[i] + compiled.output[i] - 1]
    return total


@njit(cache=True, nogil=True)
def _find_gates(compiled: CompiledInstance, runs: Runs) -> None:
    """Find the number of batches, and the latest arrival of those who begin in each."""
    length, longest = 0, 0
    for i in range(runs.first.size):
        longest = max(longest, compiled.output[i])
        if runs.first[i] >= 0:
            length = max(length, runs.first[i] + compiled.output[i])
    known = min(runs.start.size, length + longest + runs.tokens.shape[1])
    runs.length[0], runs.length[1] = length, known
    runs.gate[:known] = 0.0
    for i in range(runs.first.size):
        if runs.first[i] >= 0:
            begin = runs.first[i] - runs.chunks[i] + 1
            runs.gate[begin] = max(runs.gate[begin], float(compiled.arrival[i]))
