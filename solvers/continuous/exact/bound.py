"""Lower bound on what a state of the exhaustive search costs in the end.

**Own time.** A request needs a batch per token, more if its prompt exceeds C, each of the least
intercept at least, and its own work.

**The k-th completion.** Let k requests be complete at a time. Their batches since the state were at
least N_k: the k-th smallest number of own batches; the k smallest sums of batches, tokens and areas
over B, C and M, since a batch holds B requests, C tokens, and M tokens of caches at its end, where
a request that emits in it holds all of its cache, dropped before or not. Their work was at least
W_k, the sum of the k smallest. Hence the k-th completion is no earlier than N_k intercepts and W_k.

The k-th smallest completion is at least the k-th smallest own time, and what N_k and W_k say; the
largest weights go to the earliest of them.

**Rests.** Take the m requests that have arrived, if all weights are equal, and let each batch be a
step. A request that emits in a step holds at least h = s + g tokens at its end, g emitted before.
Let A be the q requests that complete last, the first of them in step T: T is at least the
(m − q + 1)-th smallest number of own batches, and what B, C demand. In steps 1 … T all of A are
there. A step in which all but u or fewer of A emit

- needs B, C ≥ q − u, and the sum of h over A is at most M + the u largest s + o − 1,
- raises that sum by q − u or more.

The sum over A is at least that of the q smallest h at the beginning. So there are at most y_u such
steps, y_u = ⌊(M + the u largest − the q smallest) / (q − u)⌋ + 1, and in at least T − y_u steps
more than u rest. Hence there are Σ_u max(0, T − y_u) rests or more, for any q. The steps until the
completions are in sum the tokens to be emitted plus the rests, each takes an intercept, and W_k
comes on top. Requests to come take their own time.

The prices of memory and seats give another bound (`potentials`); the largest counts.
"""

from __future__ import annotations

from numba import njit

from ....models.instance import IntArray
from .potentials import UNIT, collected, least_of
from .states import READY, cache_of, flags_of, tokens_of
from .workspace import (
    AREA,
    ARRIVAL,
    BLOCK,
    BLOCKS_LIMIT,
    DIVISOR,
    EQUAL,
    LEAST_BATCH,
    MAKESPAN,
    OUTPUT,
    PER_PROMPT,
    PROMPT,
    SCARCE,
    SEATS_LIMIT,
    TOKENS_LIMIT,
    TURN,
    WEIGHT,
    WORK,
)

#: Rows of the workspace: own times, batches, work, areas, weights, tokens; each in order.
OWN, BATCHES, WORKS, AREAS, WEIGHTS, TOKENS = range(6)

#: Of the requests that have arrived: batches, work, tokens to emit, and tokens held when they emit
#: the next one.
ARRIVED_BATCHES, ARRIVED_WORKS, EMITTED, HELD = range(6, 10)

#: How many requests that rest in a batch are counted.
MOST_RESTING = 2


@njit(cache=True)
def least_cost(
    fact: IntArray,
    request: IntArray,
    rest: IntArray,
    job: IntArray,
    read: IntArray,
    charge: IntArray,
    state: IntArray,
    time: int,
    cost: int,
    space: IntArray,
) -> int:
    """Lower bound on the cost of all that follows a state at a time, its cost so far included.

    `space` has shape (10, n): workspace.
    """
    least, divisor = fact[LEAST_BATCH], fact[DIVISOR]
    m = here = peak = second = later = 0
    priced = -collected(fact, charge, time)
    for x in range(state.size):
        i = request[x, TURN]
        g = tokens_of(state[i])
        o = request[i, OUTPUT]
        if g == o:
            continue
        batches = needed = o - g
        mine = rest[WORK, i, g]
        begin = max(time, request[i, ARRIVAL])
        left = 0
        if flags_of(state[i]) & READY == 0:
            left = request[i, PROMPT] + g - cache_of(state[i])
            if left > fact[TOKENS_LIMIT]:
                batches += (left + fact[TOKENS_LIMIT] - 1) // fact[TOKENS_LIMIT] - 1
            needed += left - 1
            # the chunk that completes the prompt emits token g + 1, in place of its token job
            mine = fact[PER_PROMPT] * left + rest[WORK, i, g + 1]
        alone = batches * least + mine
        if divisor > 1:
            alone = -(-alone // divisor)
        _insert(space, OWN, begin + alone, m)
        _insert(space, BATCHES, batches, m)
        _insert(space, WORKS, mine, m)
        _insert(space, AREAS, rest[AREA, i, g], m)
        _insert(space, WEIGHTS, request[i, WEIGHT], m)
        if fact[SCARCE]:
            _insert(space, TOKENS, needed, m)
        priced += least_of(fact, rest, job, read, charge, request, i, g, left, begin)
        m += 1
        if begin > time:
            later += begin + alone
            continue
        _insert(space, ARRIVED_BATCHES, batches, here)
        _insert(space, ARRIVED_WORKS, mine, here)
        _insert(space, EMITTED, o - g, here)
        _insert(space, HELD, request[i, PROMPT] + g, here)
        largest = request[i, PROMPT] + o - 1
        second = max(second, min(peak, largest))
        peak = max(peak, largest)
        here += 1
    best = cost
    batches = needed = held = works = last = 0
    seats, blocks = fact[SEATS_LIMIT], fact[BLOCKS_LIMIT]
    for k in range(m):
        batches += space[BATCHES, k]
        held += space[AREAS, k]
        works += space[WORKS, k]
        most = max(space[BATCHES, k], (batches + seats - 1) // seats)
        most = max(most, (held + blocks - 1) // blocks)
        if fact[SCARCE]:
            needed += space[TOKENS, k]
            most = max(most, (needed + fact[TOKENS_LIMIT] - 1) // fact[TOKENS_LIMIT])
        end = most * least + works
        if divisor > 1:
            end = -(-end // divisor)
        last = max(last, max(time + end, space[OWN, k]))
        best += space[WEIGHTS, m - 1 - k] * last
    if fact[MAKESPAN]:
        return int(last)
    best = max(best, cost - (-priced // UNIT))
    if fact[EQUAL] and here > 1:
        resting = _with_rests(fact, space, here, (peak, second))
        if divisor > 1:
            resting = -(-resting // divisor)
        best = max(best, cost + fact[EQUAL] * (here * time + resting + later))
    return int(best)


@njit(cache=True)
def _with_rests(fact: IntArray, space: IntArray, m: int, peaks: tuple[int, int]) -> int:
    """Least sum of the times that m requests that have arrived take from now on."""
    capacity = fact[BLOCKS_LIMIT] * fact[BLOCK]
    most = min(fact[SEATS_LIMIT], fact[TOKENS_LIMIT])
    held = 0
    for k in range(m):
        held += space[HELD, k]
    rests = batches = works = slots = emitted = total = 0
    for k in range(m):
        q = m - k
        batches += space[ARRIVED_BATCHES, k]
        works += space[ARRIVED_WORKS, k]
        total += works
        emitted += space[EMITTED, k]
        number = max(space[ARRIVED_BATCHES, k], (batches + most - 1) // most)
        slots += number
        beside = found = 0
        for resting in range(min(q, MOST_RESTING + 1)):
            if resting > 0:
                beside += peaks[0] if resting == 1 else peaks[1]
            fits = 0
            if q - resting <= most and held <= capacity + beside:
                fits = (capacity + beside - held) // (q - resting) + 1
            if fits >= number:
                break
            found += number - fits
        rests = max(rests, found)
        held -= space[HELD, q - 1]
    slots = max(slots, emitted + rests)
    return int(fact[LEAST_BATCH] * slots + total)


@njit(cache=True)
def _insert(space: IntArray, row: int, value: int, count: int) -> None:
    """Put a value into a row of `count` values that grow."""
    at = count
    while at > 0 and space[row, at - 1] > value:
        space[row, at] = space[row, at - 1]
        at -= 1
    space[row, at] = value
