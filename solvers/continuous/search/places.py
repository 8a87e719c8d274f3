"""Where a request may run beside others, in one run or several, and where it costs least."""

from __future__ import annotations

import numpy as np
from numba import njit

from ....models.instance import IntArray
from ...random_stream import Stream, below, uniform
from ..compiled_instance import CompiledInstance
from .runs import SPARE_CHUNKS, Costs, Runs, blocks_of, put, size_of, tell_time

#: Drops are tried with the square of the share of tries in which they paid, and at least this: a
#: try takes several times as long as a place without a break.
LEAST_TRIED = 0.005


@njit(cache=True, nogil=True)
def best_place(
    compiled: CompiledInstance,
    costs: Costs,
    runs: Runs,
    i: int,
    parts: int,
    stream: Stream,
    blink: float,
) -> bool:
    """Find where a request costs least, to itself and others, and write it to its `Places`.

    Its cache may be dropped after ``Runs.point[1:parts]`` tokens: a small dynamic program has the
    least cost of each point before each batch. With one part it runs without a break. A better last
    run is passed over with probability `blink`, but not the first that is found. Returns whether
    there is room.
    """
    begin = max(0, _first_after(runs, compiled.arrival[i]) - 1)
    runs.point[0], runs.point[parts] = 0, compiled.output[i]
    least, found = _sweep(compiled, costs, runs, i, 0, parts, True, begin, np.inf, stream, blink)
    origin, end = 0, runs.length[1] + 1
    for k in range(1, parts):
        runs.least[k, :end] = np.inf
        for j in range(k):
            _sweep(compiled, costs, runs, i, j, k, False, begin, least, stream, 0.0)
        for b in range(1, end):
            if runs.least[k, b - 1] <= runs.least[k, b]:
                runs.least[k, b] = runs.least[k, b - 1]
                runs.origin[k, b], runs.place[k, b] = runs.origin[k, b - 1], runs.place[k, b - 1]
        value, f = _sweep(
            compiled, costs, runs, i, k, parts, True, begin, least, stream, blink
        )  # fmt: skip
        if f >= 0:
            least, found, origin = value, f, k
    if found < 0:
        return False
    _write(compiled, costs, runs, i, origin, found)
    return True


@njit(cache=True, nogil=True)
def _sweep(
    compiled: CompiledInstance,
    costs: Costs,
    runs: Runs,
    i: int,
    j: int,
    k: int,
    last: bool,
    begin: int,
    least: float,
    stream: Stream,
    blink: float,
) -> tuple[float, int]:
    """Try all batches in which a run from point j to point k can emit its first token.

    They are tried until what is known of its cost exceeds `least`. The last run gives the best cost
    below it of the whole request, and its batch, −1 if there is none; others write to
    ``Runs.least[k]`` what they cost, at the batch that follows them.
    """
    limits, before = compiled.limits, runs.point[j]
    s, o = compiled.prompt[i] + before, runs.point[k] - before
    weight, block = costs.weight[i], limits.block
    own = costs.per_prompt_token * s + costs.per_token_job * (o - 1)
    own = weight * (own + costs.per_kv_token * ((o - 1) * s + o * (o - 1) / 2))
    late = last and costs.due.size > 0
    if late:
        own -= weight * costs.due[i]
    window, peak = runs.window, runs.peak
    head = tail = 0
    found, full = -1, -1
    f, first = begin, 0.0
    entered = f + 1
    while f <= runs.length[0] + runs.reading.size + before:
        e = f + o - 1
        if e >= runs.length[1]:
            break
        # Its completion is no earlier than if it went on without a break.
        earliest = min(runs.length[1], f + compiled.output[i] - before) - 1
        if max(0.0, own + weight * runs.end[earliest]) >= least:
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
        if j > 0:
            first = runs.least[j, f]
        if late:
            grows = runs.opening[e + 1] - runs.opening[f + 1]
            cost = max(0.0, own + weight * (runs.end[e] + grows))
            cost += _jobs_cost(costs, runs, 0.0, s, f, e)
        else:
            cost = _jobs_cost(costs, runs, weight, s, f, e) + own
            if last:
                cost += weight * runs.end[e]
        if cost + first < least:
            chunks, reading = read_back(compiled, costs, runs, i, s, f, j == 0)
            if chunks > 0:
                cost += reading
                if j > 0:
                    cost += runs.least[j, f - chunks + 1]
                exact = not costs.kv_binds or block == 1
                if cost < least and (exact or has_room(compiled, runs, s, o, f)):
                    if not last:
                        if cost < runs.least[k, e + 1]:
                            runs.least[k, e + 1] = cost
                            runs.origin[k, e + 1], runs.place[k, e + 1] = j, f
                    elif not np.isfinite(least) or uniform(stream) >= blink:
                        least, found = cost, f
        f += 1
    return least, found


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
    """What token jobs in batches f + 1 … e cost others, and batches that open for them all."""
    presence = runs.presence[e + 1] - runs.presence[f + 1]
    cost = (costs.per_token_job + costs.per_kv_token * (s - f)) * presence
    cost += costs.per_kv_token * (runs.moment[e + 1] - runs.moment[f + 1])
    cost += runs.opened[e + 1] - runs.opened[f + 1]
    own = runs.opening[e + 1] - runs.opening[f + 1]
    return float(cost + weight * own)


@njit(cache=True, nogil=True)
def read_back(
    compiled: CompiledInstance, costs: Costs, runs: Runs, i: int, s: int, f: int, first: bool
) -> tuple[int, float]:
    """Read s tokens as late as possible up to batch f, in the chunks that the budget allows.

    Batches that are full are skipped, but not f. Writes the chunks to `Runs.reading`. Returns how
    many batches that takes, 0 where there is no room, and what it costs, beside the time that it
    takes this request itself. The first run of a request waits for its arrival.
    """
    limits, kept_free = compiled.limits, runs.kept_free[0]
    left, cost = s, 0.0
    weight = costs.weight[i] if costs.due.size == 0 else 0.0
    at = 0
    while left > 0:
        b = f - at
        if b < 0 or at == runs.reading.size or runs.running[b] >= limits.running:
            return 0, 0.0
        if runs.blocks[b] + blocks_of(left, limits.block) > limits.blocks:
            return 0, 0.0
        tokens = limits.tokens - runs.prompt[b] - max(runs.jobs[b], kept_free)
        tokens = max(0, min(left, tokens))
        if tokens < left and (not limits.chunked or tokens + at == 0):
            return 0, 0.0
        runs.reading[at] = tokens
        left -= tokens
        delay = costs.prompt if runs.prompt[b] + runs.jobs[b] == 0 else 0.0
        if left == 0 and first:
            delay += max(0.0, compiled.arrival[i] - runs.start[b])
        present = runs.presence[b + 1] - runs.presence[b]
        cost += (costs.per_prompt_token * tokens + delay) * present + delay * weight
        at += 1
    return at, cost


@njit(cache=True, nogil=True)
def has_room(compiled: CompiledInstance, runs: Runs, s: int, o: int, f: int) -> bool:
    """Whether the token jobs of a run fit that reads s tokens and emits o from batch f on."""
    limits = compiled.limits
    for b in range(f + 1, f + o):
        if runs.running[b] >= limits.running or runs.prompt[b] + runs.jobs[b] >= limits.tokens:
            return False
        if runs.blocks[b] + blocks_of(s + b - f, limits.block) > limits.blocks:
            return False
    return True


@njit(cache=True, nogil=True)
def _write(compiled: CompiledInstance, costs: Costs, runs: Runs, i: int, j: int, f: int) -> None:
    """Write the runs of a request whose last one begins at point j and in batch f."""
    most = runs.before.shape[1]
    at = most
    while True:
        at -= 1
        _write_run(compiled, costs, runs, i, at, runs.point[j], f)
        if j == 0:
            break
        b = f - runs.chunks[i, at] + 1
        j, f = runs.origin[j, b], runs.place[j, b]
    runs.number[i] = most - at
    for k in range(most - at if at > 0 else 0):
        runs.before[i, k], runs.first[i, k] = runs.before[i, at + k], runs.first[i, at + k]
        runs.chunks[i, k] = runs.chunks[i, at + k]
        runs.tokens[i, k] = runs.tokens[i, at + k]


@njit(cache=True, nogil=True)
def _write_run(
    compiled: CompiledInstance, costs: Costs, runs: Runs, i: int, j: int, before: int, f: int
) -> None:
    """Write run j of a request, after so many tokens, from batch f on, and the chunks it reads."""
    s = compiled.prompt[i] + before
    chunks, _ = read_back(compiled, costs, runs, i, s, f, before == 0)
    runs.before[i, j], runs.first[i, j], runs.chunks[i, j] = before, f, chunks
    runs.tokens[i, j, :chunks] = runs.reading[:chunks]


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
        if runs.number[i] > 0:
            continue
        parts = _draw_points(compiled, runs, i, stream)
        runs.kept_free[0] = _draw_kept_free(compiled, runs, stream)
        if not best_place(compiled, costs, runs, i, parts, stream, blink):
            return np.inf
        if parts > 1:
            runs.tried[0] += 1
            runs.tried[1] += runs.number[i] > 1
        put(compiled, costs, runs, i, 1)
        cost = tell_time(compiled, costs, runs)
    return cost


@njit(cache=True, nogil=True)
def _draw_points(compiled: CompiledInstance, runs: Runs, i: int, stream: Stream) -> int:
    """Draw after which tokens a request may be dropped; return how many runs that makes at most.

    All tokens, if they are few, or some of them; mostly none, where drops do not pay.
    """
    o = compiled.output[i]
    most = min(runs.before.shape[1], o)
    pays = (runs.tried[1] + 1.0) / (runs.tried[0] + 2.0)
    if most == 1 or uniform(stream) >= max(LEAST_TRIED, pays * pays):
        return 1
    if most == o and uniform(stream) < 0.5:
        for j in range(1, o):
            runs.point[j] = j
        return int(o)
    parts = 2 + below(stream, most - 1)
    chosen = 1
    for _ in range(1, parts):
        value = 1 + below(stream, o - 1)
        at = chosen
        while at > 1 and runs.point[at - 1] >= value:
            at -= 1
        if at < chosen and runs.point[at] == value:
            continue
        for later in range(chosen, at, -1):
            runs.point[later] = runs.point[later - 1]
        runs.point[at] = value
        chosen += 1
    return chosen


@njit(cache=True, nogil=True)
def _draw_kept_free(compiled: CompiledInstance, runs: Runs, stream: Stream) -> int:
    """Draw how many tokens of a batch prompts leave to token jobs, where the budget may bind.

    A batch that is full of prompts keeps out the token jobs of all that is placed later.
    """
    limits, length = compiled.limits, runs.length[0]
    if not limits.chunked or runs.reading.size == SPARE_CHUNKS + 1 or uniform(stream) < 0.5:
        return 0
    mean = runs.jobs[:length].sum() // max(1, length)
    return below(stream, min(limits.tokens // 2, 2 * mean + 1) + 1)


@njit(cache=True, nogil=True)
def place_by_ends(
    compiled: CompiledInstance, costs: Costs, runs: Runs, last: IntArray, order: IntArray
) -> None:
    """Let requests run where `Runs` says, or end their runs in given batches, shape (n, most runs).

    The first are those whose every run ends there as it is: together they must fit. The others come
    after them, in an order; where there is no room for one, `Runs.number` becomes 0.
    """
    wanted = runs.number.copy()
    runs.number[:] = 0
    runs.kept_free[0] = 0
    waits = np.zeros(wanted.size, np.bool_)
    for i in order:
        runs.number[i] = wanted[i]
        for j in range(wanted[i]):
            _, o = size_of(compiled, runs, i, j)
            if runs.first[i, j] + o - 1 != last[i, j] or runs.chunks[i, j] > runs.reading.size:
                waits[i] = True
        if waits[i]:
            runs.number[i] = 0
        else:
            put(compiled, costs, runs, i, 1)
    tell_time(compiled, costs, runs)
    for i in order:
        if waits[i]:
            runs.number[i] = wanted[i]
            if _ends_fit(compiled, costs, runs, i, last[i]):
                put(compiled, costs, runs, i, 1)
            else:
                runs.number[i] = 0


@njit(cache=True, nogil=True)
def _ends_fit(compiled: CompiledInstance, costs: Costs, runs: Runs, i: int, last: IntArray) -> bool:
    """Whether there is room for runs that end in given batches; writes them to `Places`."""
    free = 0
    for j in range(runs.number[i]):
        s, o = size_of(compiled, runs, i, j)
        f = last[j] - o + 1
        if f < free or last[j] >= runs.start.size or not has_room(compiled, runs, s, o, f):
            return False
        _write_run(compiled, costs, runs, i, j, runs.before[i, j], f)
        if runs.chunks[i, j] == 0 or f - runs.chunks[i, j] + 1 < free:
            return False
        free = last[j] + 1
    return True
