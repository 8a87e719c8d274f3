"""What may follow a state of the verifier's search: batches, states after them, a lower bound.

All batches are rows of a table that grows request by request.

**Batches that are left out.** Of all optimal schedules take one with the fewest drops, then the
least work read in vain, then all work as late as possible. It has none of them.

*Drops.* A half-read prompt is never dropped. Where a token job takes no longer than to read the
cache again (`cheapest`), a cache that was dropped is not read again if all batches since had room
to keep it: a token job in the place of the last chunk is a drop less, and no batch is longer if the
cache was read in one chunk. If it was read in more, earlier chunks may have used time that was idle
or rounded off: so it is left out only where times are never rounded and no batch after the first of
these chunks was held up. Where all that is not complete fits for good, nothing is dropped.

*Lateness* (`moves`: durations are never rounded, and there is one intercept). Take an item of work:
the token job that a request got last, a token of its last chunk, or all of it where prompts are
read whole. It can be moved to a later batch before the next use of the cache, or of that use if it
is a chunk, if there is room for its tokens: all batches between begin earlier by the time of the
item, and none ends later. That fails only if one of them is *held up*: it begins less than an item
after the arrival of a request that it begins. So a request that holds a cache rests, and a
half-read prompt is gone on with, only in a batch that has no room left, or when a batch since its
last item was held up.

*Two chunks that do not complete their prompts* are not in one batch (caches not in blocks): let the
prompt that is complete first read a token more here and one less in its last chunk, and the other
one the other way round.

*Equal requests.* Of two with the same s and o the earlier is begun first, or in the same batch.

**Lower bounds on the completions to come**: the prices of `state_prices`; the k-th completion in
order, which needs what the k smallest requests need; and *rests*. A request that has arrived
completes after as many batches as it has tokens to emit and batches in which it rests, i.e. emits
nothing. How often q requests rest until the first of them completes is for `_least_rests`. The q
last of those that are here hold no less than the q smallest of them, and the first of them to
complete is not before the (m − q + 1)-th of all m.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ....models.instance import IntArray
from .state_prices import Costs, Requests, cost_of

#: A request's state: tokens, then its cache, then flags.
CACHE, FLAGS = 2**16, 2**40

#: The cache is complete; it was dropped, and could have been kept; a batch was held up since its
#: last item; the last item was a whole prompt.
READY, NEEDLESS, HELD_UP, WHOLE = 1, 2, 4, 8

#: What a request does in a batch: rests, gets a token, is dropped; 4·p for a chunk of p tokens, one
#: more after a drop.
REST, TOKEN, DROP = 0, 1, 2

#: Columns of a batch: prompt tokens, token jobs, KV tokens read, blocks, seats, chunks that do not
#: complete a prompt, tokens that it must have unless it is held up.
P, D, KV, BLOCKS, SEATS, PARTS, LEAST = range(7)

#: Later than any time.
NEVER = 2**61

#: There is no room for all batches.
FULL = -2


@njit(cache=True)
def parts_of(state: int) -> tuple[int, int, int]:
    """Return a request's tokens, cache and flags."""
    return state % CACHE, state % FLAGS // CACHE, state // FLAGS


@njit(cache=True)
def _in_order(requests: Requests, state: IntArray, time: int) -> int:
    """Least sum of the completions to come: the k-th needs what the k smallest need of the GPU."""
    law, n = requests.law, state.size
    alone = np.zeros(n, np.int64)  # when each would be complete
    need = np.full((5, n), NEVER, np.int64)  # ends alone, batches, tokens, blocks, work
    held = np.full((3, n), NEVER, np.int64)  # batches, work, and next cache of those that are here
    fixed = min(law.token, law.prompt)
    m = here = most = to_emit = later = 0
    for i in range(n):
        g, cache, flags = parts_of(state[i])
        s, o = requests.prompt[i], requests.output[i]
        if g == o:
            continue
        batches, tokens = o - g, o - g
        work, blocks = requests.work[i, g], requests.held[i, g]
        if not flags & READY:
            left = s + g - cache
            batches += -(-left // requests.tokens) - 1
            tokens += left - 1
            work = requests.work[i, g + 1] + law.per_prompt_token * left
        begin = max(time, requests.arrival[i])
        need[0, m] = begin - (-(fixed * batches + work) // law.divisor)
        need[1, m], need[2, m], need[3, m], need[4, m] = batches, tokens, blocks, work
        alone[i] = need[0, m]
        m += 1
        if begin > time:
            later += need[0, m - 1]
        else:
            held[0, here], held[1, here], held[2, here] = batches, work, s + g
            most = max(most, s + o - 1)
            to_emit += o - g
            here += 1
    for row in range(5):
        need[row, :m].sort()
    total = last = batches = tokens = blocks = work = 0
    for k in range(m):
        batches, tokens = batches + need[1, k], tokens + need[2, k]
        blocks, work = blocks + need[3, k], work + need[4, k]
        steps = max(need[1, k], -(-batches // requests.seats), -(-tokens // requests.tokens))
        steps = max(steps, -(-blocks // requests.blocks))
        last = max(last, need[0, k], time - (-(fixed * steps + work) // law.divisor))
        total += last
    rests = _least_rests(requests, held, here, most)
    work = 0
    for k in range(here):
        work += (here - k) * held[1, k]
    taken = here * time - (-(fixed * (to_emit + rests) + work) // law.divisor)
    total = max(total, taken + later)
    for i in range(n):
        if requests.arrival[i] > time and here > 0:
            total = max(total, _from_arrival(requests, state, time, requests.arrival[i], alone))
    return int(total)


@njit(cache=True)
def _from_arrival(
    requests: Requests, state: IntArray, time: int, then: int, alone: IntArray
) -> int:
    """Least sum of the completions to come, with rests after an arrival.

    Of q requests that are here by then and have tokens to emit after it. In batches that begin
    before, one that is here at b emits at most ⌈(then − b) / c0⌉ tokens; for each that it emits
    less than ⌊(then − b) / c0⌋ it completes an intercept later. Up to the first completion all q
    emit in a batch only while their caches fit. One token less before lets them fit in one more
    batch at most: nothing is won by it. The same for q − 1 of them, at any size of the last one's
    cache; but one token may be one batch more for both, so one of these rests is not counted.
    """
    law = requests.law
    fixed, unit = min(law.token, law.prompt), law.divisor
    total = begins = amount = caches = largest = q = 0
    first = NEVER
    for i in range(state.size):
        g = parts_of(state[i])[0]
        s, o, b = requests.prompt[i], requests.output[i], max(time, requests.arrival[i])
        early = -(-max(0, then - b) * unit // fixed)
        if b > then or g + early >= o:
            total += alone[i]
            continue
        q += 1
        begins += b
        amount += fixed * (o - g) + requests.work[i, g + early + 1]
        caches += s + g + max(0, then - b) * unit // fixed
        largest = max(largest, s + o - 1)
        first = min(first, o - g - early)
    if q < 2:
        return 0
    memory, seats = requests.blocks * requests.block, min(requests.seats, requests.tokens)
    rests = first
    if q <= seats and caches <= memory:
        rests = max(0, first - 1 - (memory - caches) // q)
    if q > 2:
        times = 0
        if q - 1 <= seats and caches <= memory + largest:
            times = 1 + (memory + largest - caches) // (q - 1)
        rests += max(0, first - times - 1)
    return int(total + begins - (-(amount + fixed * rests) // unit))


@njit(cache=True)
def _least_rests(requests: Requests, held: IntArray, m: int, most: int) -> int:
    """In how many batches requests that are here emit nothing before they complete, in sum.

    Sorts the rows of `held`. Of q requests, the last to complete, all but u emit in a batch only if
    the caches of all q are, at its end and as if all emitted, no more than the memory and u times
    `most`, the largest cache; and q − u of them have grown then.
    """
    memory = requests.blocks * requests.block
    seats = min(requests.seats, requests.tokens)
    for row in range(3):
        held[row, :m].sort()
    found = batches = 0
    for k in range(m):
        q = m - k
        batches += held[0, k]
        steps = max(held[0, k], -(-batches // seats))
        rests = 0
        for u in range(q):
            times = 0
            room = memory + u * most - held[2, :q].sum()
            if q - u <= seats and room >= 0:
                times = 1 + room // (q - u)
            if times >= steps:
                break
            rests += steps - times
        found = max(found, rests)
    return found


@njit(cache=True)
def least_to_come(requests: Requests, costs: Costs, state: IntArray, time: int) -> int:
    """Lower bound on the sum of the completions to come."""
    k = time // costs.cell
    priced = -costs.earned[k] if k < costs.earned.size else 0
    for i in range(state.size):
        g, cache, flags = parts_of(state[i])
        if g < requests.output[i]:
            left = 0 if flags & READY else requests.prompt[i] + g - cache
            priced += cost_of(requests, costs, i, g, left, max(time, requests.arrival[i]))
    return max(int(-(-priced // costs.scale)), _in_order(requests, state, time))


@njit(cache=True)
def _least_beside(requests: Requests, cache: int, flags: int) -> int:
    """Tokens of a batch that has no room for an item of a request that holds a cache."""
    if not requests.moves or flags & HELD_UP or cache == 0:
        return 0
    return int(requests.tokens - (cache if flags & WHOLE else 1) + 1)


@njit(cache=True)
def _add(rows: IntArray, acts: IntArray, at: int, source: int, i: int, act: int) -> None:
    rows[at] = rows[source]
    acts[at] = acts[source]
    acts[at, i] = act


@njit(cache=True)
def _fits(requests: Requests, row: IntArray, cache: int) -> bool:
    """Add a cache to a batch; whether it still keeps the limits."""
    row[BLOCKS] += -(-cache // requests.block)
    row[SEATS] += cache > 0
    if row[P] + row[D] > requests.tokens or row[BLOCKS] > requests.blocks:
        return False
    return bool(row[SEATS] <= requests.seats and (row[PARTS] < 2 or requests.block > 1))


@njit(cache=True)
def batches(
    requests: Requests,
    state: IntArray,
    begin: int,
    drops: bool,
    parts: bool,
    rows: IntArray,
    acts: IntArray,
) -> int:
    """Fill rows with all batches that may begin at a time; return how many, or FULL."""
    room = rows.shape[0]
    first, count = 0, 1
    rows[0] = 0
    acts[0] = REST
    for i in range(state.size):
        g, cache, flags = parts_of(state[i])
        s, o = requests.prompt[i], requests.output[i]
        if g == o or (state[i] == 0 and requests.arrival[i] > begin):
            continue
        least = _least_beside(requests, cache, flags)
        elder = requests.elder[i]
        new = first + count
        for source in range(first, first + count):
            if new + 2 + 2 * (s + g) >= room:
                return FULL
            _add(rows, acts, new, source, i, REST)
            rows[new, LEAST] = max(rows[new, LEAST], least)
            new += _fits(requests, rows[new], cache)
            if flags & READY:
                _add(rows, acts, new, source, i, TOKEN)
                rows[new, D] += 1
                rows[new, KV] += s + g
                new += _fits(requests, rows[new], cache + 1)
                if drops:
                    _add(rows, acts, new, source, i, DROP)
                    new += _fits(requests, rows[new], 0)
            elif state[i] == 0 and elder >= 0 and state[elder] == 0 and acts[source, elder] == REST:
                continue
            if flags & READY and not drops:
                continue
            held = 0 if flags & READY else cache
            for p in range(1 if parts else s + g - held, min(requests.tokens, s + g - held) + 1):
                part = p < s + g - held
                if flags & READY and not part and requests.cheapest:
                    continue
                _add(rows, acts, new, source, i, 4 * p + (flags & READY))
                rows[new, P] += p
                rows[new, PARTS] += part
                if held > 0:
                    rows[new, LEAST] = max(rows[new, LEAST], requests.tokens)
                    if not requests.moves or flags & HELD_UP:
                        rows[new, LEAST] = rows[source, LEAST]
                new += _fits(requests, rows[new], held + p)
        # the rows of this request, moved to the front
        first, count = first + count, new - first - count
        rows[:count] = rows[first : first + count].copy()
        acts[:count] = acts[first : first + count].copy()
        first = 0
    return count


@njit(cache=True)
def after(
    requests: Requests, i: int, state: int, act: int, since: int, free: tuple[int, int]
) -> int:
    """Return a request's state after a batch, −1 if the batch is left out.

    The batch begins `since` after the latest arrival of a request that it begins; `free` blocks and
    seats are left at its end.
    """
    g, cache, flags = parts_of(state)
    s, o = requests.prompt[i], requests.output[i]
    if g == o or (act == REST and state == 0):
        return state
    held_up = requests.moves and since < requests.item
    in_advance = since < requests.law.per_prompt_token * (s + g) // requests.law.divisor
    if act == TOKEN:
        g, cache, flags = g + 1, cache + 1, READY
    elif act == REST:
        if cache > 0 and (held_up or (flags & NEEDLESS and in_advance)):
            flags |= HELD_UP
    elif act == DROP:
        cache, flags = 0, NEEDLESS * requests.cheapest
    else:
        if act % 4:
            cache, flags = 0, NEEDLESS * requests.cheapest
        held = cache > 0 and (in_advance or not requests.moves)
        cache += act // 4
        if held and flags & NEEDLESS:
            flags |= HELD_UP
        elif not flags & NEEDLESS:
            flags = 0
        if cache == s + g:
            if flags & NEEDLESS and not flags & HELD_UP:
                return -1
            g += 1
            flags = READY | (WHOLE if requests.moves and not requests.chunked else 0)
    if flags & NEEDLESS:
        more = -(-(s + g - 1) // requests.block) - (-(-cache // requests.block))
        if more > free[0] or (cache == 0 and free[1] < 1):
            flags = 0
    if g == o:
        return int(g)
    return int(g + CACHE * cache + FLAGS * flags)
