"""Is there a schedule of continuous batching of smaller latency than a value? A search by time.

Each batch of a left-shifted schedule begins when the last one ends, or at the arrival of a request
that it begins. What follows then depends on the tokens and the caches of the requests only (and on
flags, see `state_batches`). States are expanded in order of their times by all batches that may
follow. Of equal states one is left out that is no earlier than another and has no less latency so
far, or that is earlier, but has more latency than the other would have after waiting: the delay
counts once for each request that is not complete. A state whose lower bound is not below the value
leads nowhere.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.continuous.problem import limits, require_continuous, times_alone
from ....models.durations import batch_durations
from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ..clock import Clock, OutOfMemory
from ..one_by_one import latency_one_by_one
from .state_batches import CACHE, FULL, LEAST, NEVER, D, P, after, batches, least_to_come, parts_of
from .state_prices import Costs, Requests, costs_of

#: Most requests; most tokens of an output, and of a cache.
MOST_REQUESTS, MOST_OUTPUT, MOST_CACHE = 24, 2**10, 2**14

#: Most entries of tables of costs, and the largest number that may occur in them.
MOST_COSTS, HIGHEST = 2**26, 2**60

#: States that there is room for, at first and at most; batches that may follow one.
ROOM, MOST_STATES, ROWS, MOST_ROWS = 2**14, 2**25, 2**12, 2**22

#: How a search ends: nothing found, out of time, no room for states or for batches; else a latency.
NONE, EXPIRED, NO_ROOM, NO_ROWS = -1, -2, -3, -4


class Store(NamedTuple):
    """States that were reached, room for N, a power of 2.

    Attributes
    ----------
    state : ndarray of int64, shape (N, n)
    time, paid : ndarray of int64, shape (N,)
        When the last batch ended, and the sum of the completions so far.
    following : ndarray of int64, shape (N,)
        The next one of equal state, −1 for none.
    beaten, waits : ndarray of bool, shape (N,)
        Whether another state is better; whether it is to be expanded.
    table : ndarray of int64, shape (2N,)
        The first of each state by hash, −1 where there is none.
    """

    state: IntArray
    time: IntArray
    paid: IntArray
    following: IntArray
    beaten: NDArray[np.bool_]
    waits: NDArray[np.bool_]
    table: IntArray


def store(room: int, n: int) -> Store:
    """Return room for states."""
    return Store(
        state=np.zeros((room, n), dtype=np.int64),
        time=np.zeros(room, dtype=np.int64),
        paid=np.zeros(room, dtype=np.int64),
        following=np.full(room, -1, dtype=np.int64),
        beaten=np.zeros(room, dtype=np.bool_),
        waits=np.zeros(room, dtype=np.bool_),
        table=np.full(2 * room, -1, dtype=np.int64),
    )


@njit(cache=True)
def _slot(states: Store, state: IntArray) -> int:
    key = np.uint64(88172645463325252)
    for i in range(state.size):
        key = (key ^ np.uint64(state[i])) * np.uint64(6364136223846793005)
        key ^= key >> np.uint64(31)
    mask = states.table.size - 1
    at = np.int64(key & np.uint64(mask))
    while states.table[at] >= 0 and not (states.state[states.table[at]] == state).all():
        at = (at + 1) & mask
    return int(at)


@njit(cache=True)
def _keep(states: Store, size: int, state: IntArray, time: int, paid: int, left: int) -> bool:
    """Put a state with `left` incomplete requests at place `size` unless another one beats it."""
    slot = _slot(states, state)
    for sweep in range(2):
        other = states.table[slot]
        while other >= 0:
            t, c = states.time[other], states.paid[other]
            as_good = (t <= time and c <= paid) or (t > time and c + left * (t - time) < paid)
            if sweep == 0 and as_good:
                return False
            if sweep == 1 and (
                (time <= t and paid <= c) or (time > t and paid + left * (time - t) < c)
            ):
                states.beaten[other] = True
            other = states.following[other]
    states.state[size] = state
    states.time[size], states.paid[size] = time, paid
    states.following[size] = states.table[slot]
    states.beaten[size] = False
    states.waits[size] = True
    states.table[slot] = size
    return True


@njit(cache=True)
def _enter_all(states: Store, size: int) -> None:
    """Enter all states into an empty table, equal ones behind one another."""
    for at in range(size):
        slot = _slot(states, states.state[at])
        states.following[at] = states.table[slot]
        states.table[slot] = at


@njit(cache=True, nogil=True)
def _search(
    requests: Requests,
    costs: Costs,
    limit: int,
    states: Store,
    count: IntArray,
    rows: IntArray,
    acts: IntArray,
    expired: IntArray,
) -> int:
    """Expand states in order of time; `count` is their number. See `NONE` for what is returned."""
    heap = [(states.time[at], at) for at in range(count[0]) if states.waits[at]]
    heapq.heapify(heap)
    while heap:
        if expired[0]:
            return EXPIRED
        at = heapq.heappop(heap)[1]
        if states.beaten[at]:
            states.waits[at] = False
            continue
        begin, before = states.time[at], count[0]
        while begin < NEVER:
            found = _expand(requests, costs, limit, states, count, rows, acts, at, begin)
            if found != NONE:
                return found
            later = NEVER
            for i in range(requests.arrival.size):
                if begin < requests.arrival[i] < later and states.state[at, i] == 0:
                    later = requests.arrival[i]
            begin = later
        states.waits[at] = False
        for new in range(before, count[0]):
            heapq.heappush(heap, (states.time[new], new))
    return NONE


@njit(cache=True)
def _expand(
    requests: Requests,
    costs: Costs,
    limit: int,
    states: Store,
    count: IntArray,
    rows: IntArray,
    acts: IntArray,
    at: int,
    begin: int,
) -> int:
    """Keep the states after all batches that begin at a time."""
    state, paid = states.state[at], states.paid[at]
    waited = begin > states.time[at]
    if waited and paid + least_to_come(requests, costs, state, begin) >= limit:
        return NONE
    drops, parts = _freedom(requests, state, begin)
    found = batches(requests, state, begin, drops, parts, rows, acts)
    if found == FULL:
        return NO_ROWS
    law, new = requests.law, np.zeros(state.size, np.int64)
    for k in range(found):
        row = rows[k]
        if row[P] + row[D] == 0:
            continue
        since = NEVER
        for i in range(state.size):
            if state[i] == 0 and acts[k, i] > 3:
                since = min(since, begin - requests.arrival[i])
        if (waited and since != 0) or (row[LEAST] > row[P] + row[D] and since >= requests.item):
            continue
        work = law.per_prompt_token * row[P] + law.per_token_job * row[D]
        work += law.per_kv_token * row[2] + (law.token if row[D] else law.prompt)
        end = begin - (-work // law.divisor)
        free = (requests.blocks - row[3], requests.seats - row[4])
        cost, left = paid, 0
        for i in range(state.size):
            new[i] = after(requests, i, state[i], acts[k, i], since, free)
            if new[i] < 0:
                break
            left += new[i] % CACHE < requests.output[i]
            if new[i] != state[i] and new[i] == requests.output[i]:
                cost += end
        if new.min() < 0:
            continue
        if left == 0:
            if cost < limit:
                return int(cost)
            continue
        soon = _next(requests, new, end) if row[5] else end
        if soon == NEVER or cost + least_to_come(requests, costs, new, soon) >= limit:
            continue
        if count[0] == states.time.size:
            return NO_ROOM
        count[0] += _keep(states, count[0], new, end, cost, left)
    return NONE


@njit(cache=True)
def _freedom(requests: Requests, state: IntArray, begin: int) -> tuple[bool, bool]:
    """Whether caches are dropped, and prompts read in parts, by a batch that begins at a time."""
    blocks = seats = most = again = 0
    begun, to_come = True, False
    for i in range(state.size):
        g, cache, flags = parts_of(state[i])
        s, o = requests.prompt[i], requests.output[i]
        if g == o:
            continue
        seats += 1
        blocks += -(-(s + o - 1) // requests.block)
        begun = begun and state[i] != 0
        if state[i] == 0 and requests.arrival[i] > begin:
            to_come = True
        elif flags & 1:
            most += 1
            again += s + g - 1
        else:
            most += s + g - cache
    fits = begun and blocks <= requests.blocks and seats <= requests.seats
    drops = not (requests.cheapest and fits)
    full = most + (again if drops else 0) > requests.tokens
    return drops, requests.chunked and (not requests.moves or to_come or full)


@njit(cache=True)
def _next(requests: Requests, state: IntArray, end: int) -> int:
    """Earliest begin of the batch after a chunk that does not complete its prompt."""
    if not requests.moves:
        return end
    most = 0
    begin = NEVER
    for i in range(state.size):
        g, cache, flags = parts_of(state[i])
        if g == requests.output[i]:
            continue
        arrival = requests.arrival[i]
        if state[i] == 0 and arrival > end - requests.item:
            begin = min(begin, max(end, arrival))
        if state[i] == 0 and arrival > end:
            continue
        # a complete cache may be dropped and read again
        most += requests.prompt[i] + g - (0 if flags & 1 else cache)
    return end if most >= requests.tokens else begin


def least_below(
    value: int,
    instance: Instance,
    scale: int,
    cell: int,
    prices: tuple[Sequence[int], Sequence[int]],
    clock: Clock,
) -> int | None:
    """Return the latency of some schedule below `value`, or None if there is none.

    Parameters
    ----------
    value : int
        ≥ 0.
    instance : Instance
        Any law, any limits.
    scale, cell : int
        Prices are multiples of 1/scale, constant on cells of this length from the first arrival on.
    prices : pair of sequences of int
        Of a block of memory, and of a seat, per unit of time, in each cell.
    clock : Clock
        Ends the search.

    Raises
    ------
    InputError
        If the instance or the prices are too large.
    OutOfTime, OutOfMemory
        If the clock runs out, or the states need too much memory.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[4, 3], output=[3, 3])
    >>> least_below(7, instance, 1, 1, ((), ()), Clock(None))
    >>> least_below(8, instance, 1, 1, ((), ()), Clock(None))
    7
    """
    require_continuous(instance)
    _require_small(instance)
    first = int(instance.arrival.min())
    alone = times_alone(instance, batch_durations(instance)).tolist()
    one_by_one = latency_one_by_one(instance.arrival.tolist(), alone)
    if one_by_one < value:
        return one_by_one
    order = np.argsort(instance.arrival, kind="stable")
    requests = _requests(instance.take(order), first)
    n, T = instance.n, len(prices[0])
    if 2 * n * int(instance.output.max()) * (T + 1) > MOST_COSTS:
        raise InputError(
            f"proof: expected at most {MOST_COSTS} costs to go (requests × tokens × cells)"
        )
    offset = int(requests.arrival.sum())
    earned = requests.blocks * sum(prices[0]) + requests.seats * sum(prices[1])
    span = T * cell + n * int(max(alone)) + offset + value
    if scale * span * n + earned * cell * n > HIGHEST:
        raise InputError(f"proof: expected prices and times whose products are below {HIGHEST}")
    kv, seat = (np.array(row, dtype=np.int64) for row in prices)
    costs = costs_of(requests, scale, cell, kv, seat, clock.expired)
    clock.check()
    found = _all_states(requests, costs, value + offset, clock)
    return None if found is None else found - offset


def _require_small(instance: Instance) -> None:
    longest, largest = int(instance.output.max()), int(instance.peak.max())
    if instance.n > MOST_REQUESTS or longest > MOST_OUTPUT or largest > MOST_CACHE:
        raise InputError(
            f"proof: a search of states is for at most {MOST_REQUESTS} requests of {MOST_OUTPUT} "
            f"output tokens and caches of {MOST_CACHE} tokens, found {instance.n}, {longest} and "
            f"{largest}"
        )


def _requests(instance: Instance, first: int) -> Requests:
    law, bounds = batch_durations(instance), limits(instance)
    s, o = instance.prompt, instance.output
    caches = np.arange(int(s.min()) + 1, int((s + o).max()) + 1)
    job, read = law.per_token_job + law.per_kv_token * caches, law.per_prompt_token * caches
    whole = all(each % law.divisor == 0 for each in law[:5])
    kinds = list(zip(s.tolist(), o.tolist(), strict=True))
    elder = [
        max((j for j in range(i) if kinds[j] == kinds[i]), default=-1) for i in range(len(kinds))
    ]
    n, longest = instance.n, int(o.max())
    work, held = np.zeros((n, longest + 2), dtype=np.int64), np.zeros((n, longest + 2), np.int64)
    for i in range(n):
        for g in range(int(o[i]) - 1, -1, -1):
            cache = int(s[i]) + g
            token = law.per_token_job + law.per_kv_token * cache
            work[i, g] = work[i, g + 1] + min(token, law.per_prompt_token * cache)
            held[i, g] = held[i, g + 1] - (-cache // bounds.block)
    item = max(int(job.max()), int(law.per_prompt_token if bounds.chunked else read.max()))
    return Requests(
        arrival=instance.arrival - first,
        prompt=s,
        output=o,
        elder=np.array(elder, dtype=np.int64),
        law=law,
        blocks=bounds.blocks,
        block=bounds.block,
        seats=bounds.running,
        tokens=bounds.tokens,
        chunked=bounds.chunked,
        moves=whole and law.prompt == law.token,
        cheapest=bool(law.token <= law.prompt and (job <= read).all()),
        item=item // law.divisor,
        work=work,
        held=held,
    )


def _all_states(requests: Requests, costs: Costs, limit: int, clock: Clock) -> int | None:
    """Search, with more room whenever it is needed."""
    n = requests.prompt.size
    states, count = store(ROOM, n), np.ones(1, dtype=np.int64)
    states.waits[0] = True
    states.table[_slot(states, states.state[0])] = 0
    rows, acts = np.zeros((ROWS, 7), dtype=np.int64), np.zeros((ROWS, n), dtype=np.int64)
    while True:
        found = _search(requests, costs, limit, states, count, rows, acts, clock.expired)
        if found == EXPIRED:
            clock.check()
        if found in (EXPIRED, NONE):
            return None
        if found >= 0:
            return int(found)
        if found == NO_ROWS:
            if 2 * rows.shape[0] > MOST_ROWS:
                raise OutOfMemory(f"not verified: more than {MOST_ROWS} batches may follow a state")
            size = 2 * rows.shape[0]
            rows, acts = np.zeros((size, 7), dtype=np.int64), np.zeros((size, n), dtype=np.int64)
            continue
        if 2 * states.time.size > MOST_STATES:
            raise OutOfMemory(f"not verified: the search needs more than {MOST_STATES} states")
        larger = store(2 * states.time.size, n)
        for old, new in zip(states[:-1], larger[:-1], strict=True):
            new[: old.shape[0]] = old
        larger.following[:] = -1
        _enter_all(larger, int(count[0]))
        states = larger
