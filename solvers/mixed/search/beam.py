"""Beam search over exact states, boundary by boundary, with widths that double.

A state at round boundary t says which requests have started and when. Its successors start every
set of waiting requests that fits (future check, limits on a round), up to `MOST_SETS`, the greedy
set first; the most promising `width` of them go on to t + 1. Equal requests start in order of
arrival, and of states with the same requests waiting and the same runs going on only the cheapest
is kept: neither loses anything. What does is the width, so a search in which nothing was cut off is
exhaustive.

**What is promising.** The starts so far, plus an estimate for what waits: the memory that the
present runs leave free, at most a share κ of M, is poured into the waiting requests by KV area,
smallest first; each is taken to start when half of its area is poured, less the mean time μ_i at
which a run holds its tokens (the mean-busy-time bound's formula, see `bounds.kv_area`). With
κ = 1 this is close to a lower bound, and all too hopeful about large requests; several shares take
turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import FloatArray, Instance, IntArray
from ...limits import Budget, Incumbent
from .beam_requests import Requests, requests_by_area

#: Waiting requests that may start from one state: one bit each, those of smallest KV area.
MOST_CANDIDATES = 64

#: Sets of requests that are started from one state, at most.
MOST_SETS = 256

#: Width of the first beam, and of the last.
FIRST_WIDTH, LAST_WIDTH = 16, 2**16

#: Shares κ of M that an estimate reckons with, in turn.
SHARES = (0.85, 1.0, 0.7)

#: States that are expanded between two looks at the budget.
_AT_ONCE = 128

#: Start of a request that waits, in a state.
_WAITS = -1

_ONE = np.uint64(1)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31 = np.uint64(27), np.uint64(30), np.uint64(31)


class Children(NamedTuple):
    """Successors of the states of one boundary; the first `count` of each array are in use.

    Attributes
    ----------
    parent : ndarray of int64
        Position of the state that it comes from.
    started : ndarray of uint64
        Bit c: candidate c of the parent starts.
    value : ndarray of int64
        Sum of the starts so far.
    promise : ndarray of float64
        `value` plus the estimated starts of what waits.
    key : ndarray of uint64
        Equal for equal states.
    """

    parent: IntArray
    started: NDArray[np.uint64]
    value: IntArray
    promise: FloatArray
    key: NDArray[np.uint64]


@dataclass(slots=True)
class BeamResult:
    """What one beam found.

    Attributes
    ----------
    start : ndarray of int64, shape (n,), or None
        Starts of the best schedule below the limit, in the instance's order.
    complete : bool
        Whether nothing was cut off: the search was exhaustive.
    """

    start: IntArray | None
    complete: bool


def widen(instance: Instance, budget: Budget, incumbent: Incumbent) -> bool:
    """Search with ever wider beams until the budget is spent or one is exhaustive.

    Returns whether one was: the incumbent is optimal then.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.mixed.schedule import MixedSchedule
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> incumbent = Incumbent(instance, MixedSchedule([0, 4]), None)
    >>> widen(instance, Budget(0.0, 10_000, None), incumbent)
    True
    >>> incumbent.value
    7
    """
    width, turn = FIRST_WIDTH, 0
    while width <= LAST_WIDTH and not budget.is_spent:
        share = SHARES[turn % len(SHARES)]
        result = beam_search(instance, width, share, budget, int(incumbent.schedule.start.sum()))
        if result.start is not None:
            incumbent.offer(result.start)
        if result.complete:
            return True
        turn += 1
        width *= 2 if turn % len(SHARES) == 0 else 1
    return False


def beam_search(
    instance: Instance, width: int, share: float, budget: Budget, limit: int
) -> BeamResult:
    """Search once, for schedules whose starts sum up to less than `limit`.

    Parameters
    ----------
    instance : Instance
        The instance.
    width : int
        States kept at each boundary, ≥ 1.
    share : float
        κ in (0, 1].
    budget : Budget
        What may be spent; a successor costs about a quarter of the requests in placements.
    limit : int
        Sum of starts of the schedule to improve on.
    """
    order, requests = requests_by_area(instance)
    n, origin = instance.n, int(instance.arrival.min())
    states, values = np.full((1, n), _WAITS, np.int64), np.zeros(1, np.int64)
    best, best_value = None, limit - n * origin
    complete, t = True, 0
    while values.size:
        children, whole = _successors(requests, t, states, values, share, best_value, budget)
        if children is None:
            return BeamResult(_in_order(best, order, origin), False)
        finished = _best_finished(requests, states, children)
        if finished >= 0 and children.value[finished] < best_value:
            best_value = int(children.value[finished])
            best = _grown(requests, t, states, children, np.array([finished]))[0]
        kept, all_kept = _most_promising(children, width, best_value)
        complete = complete and whole and bool(all_kept)
        states, values = _grown(requests, t, states, children, kept), children.value[kept]
        unfinished = (states == _WAITS).any(axis=1)
        states, values = states[unfinished], values[unfinished]
        t += 1
    return BeamResult(_in_order(best, order, origin), complete)


def _grown(
    requests: Requests,
    t: int,
    states: IntArray,
    children: Children,
    kept: IntArray,
) -> IntArray:
    """Return the states of some successors."""
    grown = np.empty((kept.size, states.shape[1]), np.int64)
    _grow(requests, t, states, children.parent[kept], children.started[kept], grown)
    return grown


def _in_order(best: IntArray | None, order: IntArray, origin: int) -> IntArray | None:
    """Starts in the instance's order and time."""
    if best is None:
        return None
    start = np.empty_like(best)
    start[order] = best + origin
    return start


def _successors(
    requests: Requests,
    t: int,
    states: IntArray,
    values: IntArray,
    share: float,
    limit: int,
    budget: Budget,
) -> tuple[Children | None, bool]:
    """All successors, and whether no set was left out; None once the budget is spent."""
    parts, whole = [], True
    for first in range(0, values.size, _AT_ONCE):
        if budget.is_spent:
            return None, False
        last = min(first + _AT_ONCE, values.size)
        room = _room((last - first) * MOST_SETS)
        count, all_sets = _expand(requests, t, states, values, first, last, share, limit, room)
        parts.append(_first(room, count))
        whole = whole and bool(all_sets)
        budget.work += count * (1 + requests.output.size // 4)
    return Children(*(np.concatenate(columns) for columns in zip(*parts, strict=True))), whole


def _first(children: Children, count: int) -> Children:
    """Return the first of them, without the room behind."""
    return Children(
        parent=children.parent[:count],
        started=children.started[:count],
        value=children.value[:count],
        promise=children.promise[:count],
        key=children.key[:count],
    )


def _room(size: int) -> Children:
    return Children(
        parent=np.empty(size, np.int64),
        started=np.empty(size, np.uint64),
        value=np.empty(size, np.int64),
        promise=np.empty(size, np.float64),
        key=np.empty(size, np.uint64),
    )


@njit(cache=True, nogil=True)
def _expand(
    requests: Requests,
    t: int,
    states: IntArray,
    values: IntArray,
    first: int,
    last: int,
    share: float,
    limit: int,
    children: Children,
) -> tuple[int, bool]:
    """Fill `children` with the successors of some states; say how many, and if no set lacks."""
    n, longest = requests.output.size, requests.output.max()
    start, held = np.empty(n, np.int64), np.empty(longest + 2, np.int64)
    candidates, chosen = np.empty(n, np.int64), np.empty(n, np.int64)
    count, whole = 0, True
    for position in range(first, last):
        start[:] = states[position]
        _profile(requests, t, start, held)
        m = _candidates(requests, t, start, held, candidates)
        whole = whole and m < MOST_CANDIDATES
        depth, c, sets = 0, 0, 0
        runs = _runs_on(requests, t, start)
        tokens = runs
        started, value = np.uint64(0), values[position]
        while True:
            while c < m:  # take whatever fits
                i = candidates[c]
                twin = requests.twin[i]
                room = runs < requests.B and tokens + requests.prompt[i] <= requests.C
                if room and (twin < 0 or start[twin] != _WAITS) and _fits(requests, held, i):
                    _hold(requests, held, i, 1)
                    runs += 1
                    tokens += requests.prompt[i]
                    start[i] = t
                    started |= _ONE << np.uint64(c)
                    value += t
                    chosen[depth] = c
                    depth += 1
                c += 1
            if sets == MOST_SETS:
                whole = False
                break
            promise = _promise(requests, t + 1, start, held, value, share, limit)
            sets += 1
            if promise < np.inf:
                children.parent[count], children.started[count] = position, started
                children.value[count], children.promise[count] = value, promise
                children.key[count] = _key(requests, t + 1, start)
                count += 1
            if depth == 0:
                break
            depth -= 1  # without the last one taken
            c = chosen[depth]
            i = candidates[c]
            _hold(requests, held, i, -1)
            runs -= 1
            tokens -= requests.prompt[i]
            start[i] = _WAITS
            started ^= _ONE << np.uint64(c)
            value -= t
            c += 1
    return count, whole


@njit(cache=True, nogil=True)
def _candidates(
    requests: Requests, t: int, start: IntArray, held: IntArray, candidates: IntArray
) -> int:
    """List what waits at t and fits, at most `MOST_CANDIDATES`; return how many."""
    m = 0
    for i in range(start.size):
        if start[i] == _WAITS and requests.release[i] <= t and _fits(requests, held, i):
            candidates[m] = i
            m += 1
            if m == MOST_CANDIDATES:
                break
    return m


@njit(cache=True, nogil=True)
def _runs_on(requests: Requests, t: int, start: IntArray) -> int:
    """Count what runs in round t + 1 already."""
    count = 0
    for i in range(start.size):
        if start[i] != _WAITS and start[i] + requests.output[i] > t:
            count += 1
    return count


@njit(cache=True, nogil=True)
def _profile(requests: Requests, t: int, start: IntArray, held: IntArray) -> None:
    """Let ``held[j]`` be the tokens that the runs hold in round t + j."""
    held[:] = 0
    for i in range(start.size):
        if start[i] != _WAITS:
            for j in range(1, start[i] + requests.output[i] - t + 1):
                held[j] += requests.prompt[i] + t + j - start[i]


@njit(cache=True, nogil=True)
def _fits(requests: Requests, held: IntArray, i: int) -> bool:
    for j in range(requests.output[i], 0, -1):
        if held[j] + requests.prompt[i] + j > requests.M:
            return False
    return True


@njit(cache=True, nogil=True)
def _hold(requests: Requests, held: IntArray, i: int, sign: int) -> None:
    for j in range(1, requests.output[i] + 1):
        held[j] += sign * (requests.prompt[i] + j)


@njit(cache=True, nogil=True)
def _promise(
    requests: Requests,
    t: int,
    start: IntArray,
    held: IntArray,
    value: int,
    share: float,
    limit: int,
) -> float:
    """`value` plus the estimated starts of what waits at t; infinite if `limit` is out of reach.

    ``held[j]`` are the tokens held in round ``t − 1 + j``; starts at t begin to hold at j = 2.
    """
    capacity = share * requests.M
    j, poured, wanted = 2, 0.0, 0.0
    free = max(0.0, capacity - held[2])
    least, total = value, float(value)
    for i in range(start.size):
        if start[i] != _WAITS:
            continue
        earliest = max(t, requests.release[i])
        least += earliest
        half = requests.area[i] / 2.0
        wanted += half
        while j < held.size - 1 and poured + free < wanted:
            poured += free
            j += 1
            free = max(0.0, capacity - held[j])
        if poured + free < wanted:  # beyond all runs
            ahead = 1.0 + (wanted - poured - free) / capacity
        else:
            ahead = (wanted - poured) / free
        total += max(float(earliest), t + j - 2 + ahead - requests.middle[i])
        wanted += half
    return total if least < limit else np.inf


@njit(cache=True, nogil=True)
def _key(requests: Requests, t: int, start: IntArray) -> np.uint64:
    """Hash what waits at t and what runs (SplitMix64's mixing, summed over the requests)."""
    key = np.uint64(0)
    for i in range(start.size):
        if start[i] != _WAITS:
            left = max(0, start[i] + requests.output[i] - t)
            z = np.uint64((i + 1) << 40) + np.uint64(left)
            z = (z ^ (z >> _30)) * _FIRST
            z = (z ^ (z >> _27)) * _SECOND
            key += z ^ (z >> _31)
    return key


def _best_finished(requests: Requests, states: IntArray, children: Children) -> int:
    """Position of the cheapest successor in which none waits, −1 for none."""
    waiting = (states == _WAITS).sum(axis=1)[children.parent]
    finished = np.flatnonzero(waiting == np.bitwise_count(children.started))
    return int(finished[np.argmin(children.value[finished])]) if finished.size else -1


def _most_promising(children: Children, width: int, limit: int) -> tuple[IntArray, bool]:
    """Positions of the `width` best different states, and whether that is all of them."""
    order = np.lexsort((children.key, children.promise))
    _, first = np.unique(children.key[order], return_index=True)
    different = order[np.sort(first)]
    return different[:width], different.size <= width


@njit(cache=True, nogil=True)
def _grow(
    requests: Requests,
    t: int,
    states: IntArray,
    parent: IntArray,
    started: NDArray[np.uint64],
    grown: IntArray,
) -> None:
    """Fill `grown` with the states of successors: candidates are listed as they were before."""
    held = np.empty(requests.output.max() + 2, np.int64)
    candidates = np.empty(states.shape[1], np.int64)
    for position in range(parent.size):
        grown[position] = states[parent[position]]
        if started[position] != 0:
            _profile(requests, t, grown[position], held)
            m = _candidates(requests, t, grown[position], held, candidates)
            for c in range(m):
                if started[position] >> np.uint64(c) & _ONE:
                    grown[position, candidates[c]] = t
