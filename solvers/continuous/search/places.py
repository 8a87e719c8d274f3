"""Where a request may run beside others, and where it costs least."""

from __future__ import annotations

import numpy as np
from numba import njit

from ....models.instance import IntArray
from ...random_stream import Stream, uniform
from ..compiled_instance import CompiledInstance
from .runs import Costs, Runs, blocks_of, put, tell_time


@njit(cache=True, nogil=True)
def best_place(
    compiled: CompiledInstance, costs: Costs, runs: Runs, i: int, stream: Stream, blink: float
) -> int:
    """Find the batch in which the first token of a request costs least, to itself and others.

    Batches are tried from its arrival on, until its completion alone costs more than the best. A
    better one is passed over with probability `blink`, but not the first. Writes the chunks of its
    prompt; returns −1 where there is no room.
    """
    limits, s, o = compiled.limits, compiled.prompt[i], compiled.output[i]
    weight, block = costs.weight[i], limits.block
    window, peak = runs.window, runs.peak
    head = tail = 0
    least, found, full = np.inf, -1, -1
    f = max(0, _first_after(runs, compiled.arrival[i]) - 1)
    entered = f + 1
    while f <= runs.length[0] + runs.tokens.shape[1]:
        e = f + o - 1
        if e >= runs.start.size or weight * runs.end[e] >= least:
            break
        for b in range(max(entered, f + 1), e + 1):
            if runs.running[b] >= limits.running or runs.prompt[b] + runs.jobs[b] >= limits.tokens:
                full = b
            if costs.kv_binds:
                height = block * runs.blocks[b] + b
                while tail > head and peak[tail - 1] <= height:
                    tail -= 1
                window[tail], peak[tail] = b, height
                tail += 1
        entered = max(entered, e + 1)
        if full > f:
            f = full
            continue
        while head < tail and window[head] <= f:
            head += 1
        if head < tail:
            # Begun later it is smaller in that batch, by a token each; or the batch is past.
            fits = peak[head] + s - block * limits.blocks
            if fits > f:
                f = min(window[head], fits)
                continue
        cost = _jobs_cost(costs, runs, weight, s, f, e)
        if cost < least:
            fit, reading = read_back(compiled, costs, runs, i, f)
            exact = not costs.kv_binds or block == 1
            better = fit and cost + reading < least and (exact or has_room(compiled, runs, i, f))
            if better and (found < 0 or uniform(stream) >= blink):
                least, found = cost + reading, f
        f += 1
    if found >= 0:
        read_back(compiled, costs, runs, i, found)
    return found


@njit(cache=True, nogil=True)
def _first_after(runs: Runs, arrival: int) -> int:
    """The first batch that starts at an arrival or after it."""
    lo, hi = 0, runs.length[0]
    while lo < hi:
        middle = (lo + hi) // 2
        if runs.start[middle] >= arrival:
            hi = middle
        else:
            lo = middle + 1
    return lo


@njit(cache=True, nogil=True)
def _jobs_cost(costs: Costs, runs: Runs, weight: float, s: int, f: int, e: int) -> float:
    """What the token jobs in batches f + 1 … e delay others by, and what the completion costs."""
    presence = runs.presence[e + 1] - runs.presence[f + 1]
    cost = (costs.per_token_job + costs.per_kv_token * (s - f)) * presence
    cost += costs.per_kv_token * (runs.moment[e + 1] - runs.moment[f + 1])
    cost += runs.opened[e + 1] - runs.opened[f + 1]
    own = runs.opening[e + 1] - runs.opening[f + 1]
    return float(cost + weight * (own + runs.end[e]))


@njit(cache=True, nogil=True)
def read_back(
    compiled: CompiledInstance, costs: Costs, runs: Runs, i: int, f: int
) -> tuple[bool, float]:
    """Read a prompt as late as possible up to batch f, in the chunks that the budget allows.

    Writes `Runs.chunks` and `Runs.tokens` of the request. Returns whether there is room, and what
    its chunks, and the wait of the first one for its arrival, cost.
    """
    limits = compiled.limits
    left, weight, cost = compiled.prompt[i], costs.weight[i], 0.0
    at = 0
    while left > 0:
        b = f - at
        if b < 0 or at == runs.tokens.shape[1] or runs.running[b] >= limits.running:
            return False, 0.0
        if runs.blocks[b] + blocks_of(left, limits.block) > limits.blocks:
            return False, 0.0
        tokens = min(left, limits.tokens - runs.prompt[b] - runs.jobs[b])
        if tokens <= 0 or (tokens < left and not limits.chunked):
            return False, 0.0
        runs.tokens[i, at] = tokens
        work = costs.per_prompt_token * tokens
        if runs.prompt[b] + runs.jobs[b] == 0:
            work += costs.prompt
        present = runs.presence[b + 1] - runs.presence[b] + weight
        left -= tokens
        if left == 0:
            work += max(0.0, compiled.arrival[i] - runs.start[b])
        cost += work * present
        at += 1
    runs.chunks[i] = at
    return True, cost


@njit(cache=True, nogil=True)
def has_room(compiled: CompiledInstance, runs: Runs, i: int, f: int) -> bool:
    """Whether the token jobs of a request fit, if batch f emits its first token."""
    limits, s = compiled.limits, compiled.prompt[i]
    for b in range(f + 1, f + compiled.output[i]):
        if runs.running[b] >= limits.running or runs.prompt[b] + runs.jobs[b] >= limits.tokens:
            return False
        if runs.blocks[b] + blocks_of(s + b - f, limits.block) > limits.blocks:
            return False
    return True


@njit(cache=True, nogil=True)
def place(
    compiled: CompiledInstance,
    costs: Costs,
    runs: Runs,
    order: IntArray,
    stream: Stream,
    blink: float,
) -> float:
    """Place requests where they cost least, in an order; return the cost of the whole.

    Those that have a place are passed over. The cost is infinite if there is no room for one.
    """
    cost = tell_time(compiled, costs, runs)
    for i in order:
        if runs.first[i] >= 0:
            continue
        f = best_place(compiled, costs, runs, i, stream, blink)
        if f < 0:
            return np.inf
        runs.first[i] = f
        put(compiled, costs, runs, i, 1)
        cost = tell_time(compiled, costs, runs)
    return cost


@njit(cache=True, nogil=True)
def place_by_ends(
    compiled: CompiledInstance, costs: Costs, runs: Runs, last: IntArray, order: IntArray
) -> None:
    """Let requests complete in given batches, shape (n,), in an order, as far as there is room."""
    tell_time(compiled, costs, runs)
    for i in order:
        f = last[i] - compiled.output[i] + 1
        if f < 0 or last[i] >= runs.start.size or not has_room(compiled, runs, i, f):
            continue
        fits, _ = read_back(compiled, costs, runs, i, f)
        if fits:
            runs.first[i] = f
            put(compiled, costs, runs, i, 1)
