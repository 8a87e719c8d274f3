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

**Rests from an arrival on.** Let Q be requests that have arrived by a time t' to come and cannot be
complete before. From its arrival or from now on, b, request i emits at most ⌈(t' − b) / c0⌉ tokens
in batches that begin before t'; say it emits d_i fewer than l_i = ⌊(t' − b) / c0⌋, or d_i = 0. In
either case it completes no earlier than b and as many intercepts as it has tokens to emit, rests
after t', and d_i, and the work that is left at t' for sure. Until the first of Q completes, all of
it emit in at most y_0 batches after t', as above with h = s + g + l_i − d_i at the beginning, and
all but one in at most y_1. That Σ d_i is one more makes y_0 larger by one at most and only every
q-th time, y_1 every (q − 1)-th; so Σ d_i + max(0, T − y_0) is least for d = 0, and with
max(0, T − y_1) added too it is so less one, if q ≥ 3. All other requests take their own time.

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
    NEVER,
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

#: Earliest completion of each request on its own, 0 if it is complete.
ALONE = 10

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

    `space` has shape (11, n): workspace.
    """
    least, divisor = fact[LEAST_BATCH], fact[DIVISOR]
    m = here = peak = second = later = 0
    priced = -collected(fact, charge, time)
    for x in range(state.size):
        i = request[x, TURN]
        g = tokens_of(state[i])
        o = request[i, OUTPUT]
        space[ALONE, i] = 0
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
        space[ALONE, i] = begin + alone
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
    if fact[EQUAL] and 0 < here < m:
        best = max(
            best, cost + fact[EQUAL] * _rests_to_come(fact, request, rest, space, state, time)
        )
    return int(best)


@njit(cache=True)
def _rests_to_come(
    fact: IntArray, request: IntArray, rest: IntArray, space: IntArray, state: IntArray, time: int
) -> int:
    """Least sum of the completions, with rests from one of the arrivals to come on."""
    best = 0
    for f in range(state.size):
        arrival = request[f, ARRIVAL]
        if arrival > time:
            best = max(best, _rests_from(fact, request, rest, space, state, time, arrival))
    return best


@njit(cache=True)
def _rests_from(
    fact: IntArray,
    request: IntArray,
    rest: IntArray,
    space: IntArray,
    state: IntArray,
    time: int,
    then: int,
) -> int:
    """Least sum of the completions, with rests from an arrival on until the first completion."""
    least, divisor = fact[LEAST_BATCH], fact[DIVISOR]
    alone = begins = work = steps = held = peak = q = 0
    first = NEVER
    for i in range(state.size):
        g, o = tokens_of(state[i]), request[i, OUTPUT]
        if g == o:
            continue
        begin = max(time, request[i, ARRIVAL])
        fewest = (then - begin) * divisor // least if begin <= then else 0
        most = fewest + ((then - begin) * divisor > fewest * least)
        if begin > then or o - g <= most:
            alone += space[ALONE, i]
            continue
        q += 1
        begins += begin
        steps += o - g
        work += rest[WORK, i, min(o, g + most + 1)]
        held += request[i, PROMPT] + g + fewest
        peak = max(peak, request[i, PROMPT] + o - 1)
        first = min(first, o - g - most)
    if q < 2:
        return 0
    capacity, together = (
        fact[BLOCKS_LIMIT] * fact[BLOCK],
        min(fact[SEATS_LIMIT], fact[TOKENS_LIMIT]),
    )
    fits = 0
    if q <= together and held <= capacity:
        fits = (capacity - held) // q + 1
    rests = max(0, first - fits)
    if rests > 0 and q > 2:
        fits = 0
        if q - 1 <= together and held <= capacity + peak:
            fits = (capacity + peak - held) // (q - 1) + 1
        rests += max(0, first - fits - 1)
    taken = least * (steps + rests) + work
    if divisor > 1:
        taken = -(-taken // divisor)
    return int(alone + begins + taken)


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
