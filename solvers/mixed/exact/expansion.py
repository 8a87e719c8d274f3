"""From each state of a boundary to the states of the next: every set that may start, compiled.

At boundary t a set S of waiting requests starts, then round t + 1 is run. The excess of any
schedule that goes on from there is at least

    excess so far + Σ_{i ∈ S} (start cost at t) + σ_{t+1} − U_{t+1}·C_{t+1}
                  + Σ_{i still waits} min { start cost at k : k > t, i fits there beside what runs }

and a state for which this exceeds the budget is dropped: the terms left out are ≥ 0, and what runs
now leaves no more room than it does later on its own. Where a request can only be left out any
more (see `excess`), it no longer counts as waiting. Of equal requests (the twins of `excess`), the
one that arrives later starts no earlier: exchanging two starts that do changes no occupancy, and
costs no more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import IntArray
from ...state_table import Words
from .excess import FAR, Excess
from .layer import WAITING, Layer, insert
from .lookahead import Outlook, Running, exceeds, fits, outlook

_BYTE = np.uint64(255)
_ONE = np.uint64(1)


class Workspace(NamedTuple):
    """Arrays that the expansion of a state works in; row d: after d requests were started.

    Attributes
    ----------
    held : ndarray of int64, shape (n + 1, longest output + 1)
        KV tokens of what runs, in rounds t + 1, t + 2, ….
    rounds : ndarray of int64, shape (n + 1,)
        How many of these rounds something runs in.
    state : ndarray of uint64, shape (n + 1, words)
        The state at t + 1.
    started : ndarray of uint64, shape (n + 1,)
        Bits of the requests started.
    total : ndarray of int64, shape (n + 1,)
        Least excess, not looking at what fits later.
    following : ndarray of int64, shape (n + 1,)
        Candidate to be tried next.
    order : ndarray of int64, shape (n,)
        All requests by how much a start now changes the total, the same at all states.
    candidate, change : ndarray of int64, shape (n,)
        Those that may start now, in this order, and the change.
    gain : ndarray of int64, shape (n + 1,)
        Sum of the negative changes from a candidate on.
    waiting : ndarray of int64, shape (n,)
        The requests that wait.
    sizes : ndarray of int64, shape (2,)
        How many wait, how many may start.
    earned : ndarray of int64, shape (longest output + 1,)
        Prices of what ran before anything is started, in rounds t + 1, t + 2, ….
    look : Outlook
        For the bound on what is to come.
    """

    held: IntArray
    rounds: IntArray
    state: Words
    started: Words
    total: IntArray
    following: IntArray
    order: IntArray
    candidate: IntArray
    change: IntArray
    gain: IntArray
    waiting: IntArray
    sizes: IntArray
    earned: IntArray
    look: Outlook


class Best(NamedTuple):
    """What is looked for, and the best that was found.

    Attributes
    ----------
    budget : ndarray of int64, shape (1,)
        Largest excess of interest; falls below that of each schedule found.
    found : ndarray of int64, shape (3,)
        Excess of the best schedule found (−1: none), the boundary at which its last requests
        start, the position of its state there.
    started : ndarray of uint64, shape (1,)
        Bits of these last requests.
    """

    budget: IntArray
    found: IntArray
    started: Words


def workspace(excess: Excess) -> Workspace:
    """Allocate for an instance."""
    n, longest = excess.output.size, int(excess.output.max())
    rows, words = n + 1, -(-n // 8)
    held, state = np.zeros((rows, longest + 1), np.int64), np.zeros((rows, words), np.uint64)
    per_row = [np.zeros(rows, np.int64) for _ in range(4)]
    per_request = [np.zeros(n, np.int64) for _ in range(4)]
    return Workspace(
        held=held,
        rounds=per_row[0],
        state=state,
        started=np.zeros(rows, np.uint64),
        total=per_row[1],
        following=per_row[2],
        order=per_request[0],
        candidate=per_request[1],
        change=per_request[2],
        gain=per_row[3],
        waiting=per_request[3],
        sizes=np.zeros(2, np.int64),
        earned=np.zeros(longest + 1, np.int64),
        look=outlook(excess),
    )


@njit(cache=True, nogil=True)
def expand(
    excess: Excess,
    t: int,
    layer: Layer,
    first: int,
    last: int,
    following: Layer,
    best: Best,
    work: Workspace,
) -> int:
    """Expand the states ``first … last − 1`` of boundary t into `following`.

    Returns the first state that is not done: less than `last` if `following` has no room left.
    A state expanded twice does no harm.
    """
    _order_candidates(excess, t, work)
    for position in range(first, last):
        _open(excess, t, layer, position, work)
        if _is_hopeless(excess, t, layer.excess[position], best.budget[0], work):
            continue
        if not _start_sets(excess, t, position, following, best, work):
            return position
    return last


@njit(cache=True, nogil=True)
def _order_candidates(excess: Excess, t: int, work: Workspace) -> None:
    """Sort all requests by what starting at t changes; twins that have arrived tie, elder first."""
    change = np.empty(excess.output.size, np.int64)
    for i in range(change.size):
        change[i] = _change(excess, t, i)
    work.order[:] = excess.by_arrival[np.argsort(change[excess.by_arrival], kind="mergesort")]


@njit(cache=True, nogil=True)
def _change(excess: Excess, t: int, i: int) -> int:
    """Start cost at t less what is earned in round t + 1, instead of the least cost later."""
    if excess.start[i, t] >= FAR:
        return FAR
    change: int = excess.start[i, t] - excess.later[i, t + 1] - excess.earned[i, t + 1, 0]
    return change


@njit(cache=True, nogil=True)
def _open(excess: Excess, t: int, layer: Layer, position: int, work: Workspace) -> None:
    """Lay out a state: what runs, what waits, what may start."""
    held, state = work.held[0], work.state[0]
    held[:] = 0
    work.earned[:] = 0
    state[:] = layer.state[position]
    total = layer.excess[position] + excess.slack[t + 1]
    rounds, waiting, candidates = 0, 0, 0
    for i in range(excess.output.size):
        shift = np.uint64(8 * (i & 7))
        left = int(np.int64((layer.state[position, i >> 3] >> shift) & _BYTE))
        if left == WAITING:
            total += excess.later[i, t + 1]
            work.waiting[waiting] = i
            waiting += 1
        elif left > 0:
            age = excess.output[i] - left
            for u in range(left):
                held[u] += excess.prompt[i] + age + u + 1
            for u in range(min(left, excess.slack.size - 1 - t)):
                work.earned[u] += excess.earned[i, t + 1 + u, age + u]
            rounds = max(rounds, left)
            state[i >> 3] -= _ONE << shift
    work.rounds[0] = rounds
    for i in work.order:
        if (
            _is_waiting(state, i)
            and excess.start[i, t] < FAR
            and fits(_running(work, 0), excess.prompt[i], excess.output[i], 0, excess.M)
        ):
            work.candidate[candidates] = i
            work.change[candidates] = _change(excess, t, i)
            candidates += 1
    work.gain[candidates] = 0
    for c in range(candidates - 1, -1, -1):
        work.gain[c] = work.gain[c + 1] + min(0, work.change[c])
    work.total[0] = total - work.earned[0]
    work.started[0] = 0
    work.following[0] = 0
    work.sizes[0], work.sizes[1] = waiting, candidates


@njit(cache=True, nogil=True)
def _is_waiting(state: Words, i: int) -> bool:
    waits: bool = (state[i >> 3] >> np.uint64(8 * (i & 7))) & _BYTE == np.uint64(WAITING)
    return waits


@njit(cache=True, nogil=True)
def _running(work: Workspace, depth: int) -> Running:
    """What runs after boundary t once the requests of row `depth` are started."""
    return Running(work.held[depth], work.earned, work.rounds[depth])


@njit(cache=True, nogil=True)
def _is_hopeless(excess: Excess, t: int, so_far: int, budget: int, work: Workspace) -> bool:
    waiting = work.waiting[: work.sizes[0]]
    return exceeds(excess, t, _running(work, 0), waiting, budget - so_far, work.look)


@njit(cache=True, nogil=True)
def _start_sets(
    excess: Excess, t: int, position: int, following: Layer, best: Best, work: Workspace
) -> bool:
    """Try every set of candidates, depth first; False if `following` has no room."""
    depth = int(np.int64(0))  # no literal: what is called with one is compiled once more
    if not _close(excess, t, position, depth, following, best, work):
        return False
    while depth >= 0:
        c = _next_candidate(excess, depth, best.budget[0], work)
        if c < 0:
            depth -= 1
            continue
        work.following[depth] = c + 1
        depth += 1
        _start(excess, work.candidate[c], work.total[depth - 1] + work.change[c], depth, work)
        work.following[depth] = c + 1
        if not _close(excess, t, position, depth, following, best, work):
            return False
    return True


@njit(cache=True, nogil=True)
def _next_candidate(excess: Excess, depth: int, budget: int, work: Workspace) -> int:
    """Next candidate that can join those started and stay within the budget, or −1."""
    for c in range(work.following[depth], work.sizes[1]):
        if work.total[depth] + work.change[c] + work.gain[c + 1] > budget:
            if work.change[c] >= 0:
                return -1
            continue
        i = work.candidate[c]
        twin = excess.earlier_twin[i]
        if twin >= 0 and _is_waiting(work.state[depth], twin):
            continue
        s, o = excess.prompt[i], excess.output[i]
        if fits(_running(work, depth), s, o, 0, excess.M):
            return c
    return -1


@njit(cache=True, nogil=True)
def _start(excess: Excess, i: int, total: int, depth: int, work: Workspace) -> None:
    """Fill row `depth`: the row before it, and request i started."""
    o = excess.output[i]
    work.total[depth] = total
    work.rounds[depth] = max(work.rounds[depth - 1], o)
    work.started[depth] = work.started[depth - 1] | (_ONE << np.uint64(i))
    work.held[depth] = work.held[depth - 1]
    for u in range(o):
        work.held[depth, u] += excess.prompt[i] + u + 1
    work.state[depth] = work.state[depth - 1]
    work.state[depth, i >> 3] ^= np.uint64(WAITING ^ (o - 1)) << np.uint64(8 * (i & 7))


@njit(cache=True, nogil=True)
def _close(
    excess: Excess, t: int, position: int, depth: int, following: Layer, best: Best, work: Workspace
) -> bool:
    """Start no more, run round t + 1; keep the state if it may lead to something better."""
    budget = best.budget[0]
    if work.total[depth] > budget:
        return True
    least, started, state = work.total[depth], work.total[depth], work.state[depth]
    alone = True
    for i in work.waiting[: work.sizes[0]]:
        if not _is_waiting(state, i):
            continue
        alone = alone and t + 1 >= excess.gone[i]
        started -= excess.later[i, t + 1]
        least += _delayed(excess, t, i, depth, work)
        if least > budget:
            return True
    if not alone:
        return insert(following, state, started, position, work.started[depth])
    value = work.total[depth] + _remaining_slack(excess, t + 2, state)
    if value <= budget:
        best.found[0], best.found[1], best.found[2] = value, t, position
        best.started[0] = work.started[depth]
        best.budget[0] = value - excess.scale
    return True


@njit(cache=True, nogil=True)
def _delayed(excess: Excess, t: int, i: int, depth: int, work: Workspace) -> int:
    """By how much what runs raises the least cost of starting request i after t."""
    running = _running(work, depth)
    s, o, M = excess.prompt[i], excess.output[i], excess.M
    if fits(running, s, o, excess.cheapest[i, t + 1] - t, M):
        return 0
    least, k = excess.left_out[i], t + 1
    while excess.later[i, k] < least:
        if excess.start[i, k] < least and fits(running, s, o, k - t, M):
            least = excess.start[i, k]
        k += 1
    raised: int = least - excess.later[i, t + 1]
    return raised


@njit(cache=True, nogil=True)
def _remaining_slack(excess: Excess, first: int, state: Words) -> int:
    """Slack of the rounds from `first` on, if nothing starts any more."""
    total = 0
    for t in range(first, excess.slack.size):
        total += excess.slack[t]
    for i in range(excess.output.size):
        left = int(np.int64((state[i >> 3] >> np.uint64(8 * (i & 7))) & _BYTE))
        if left == WAITING:  # left out
            continue
        for t in range(first, min(first + left, excess.slack.size)):
            total -= excess.earned[i, t, excess.output[i] - left + t - first]
    return total
