"""The requests that hold KV while a schedule is built, and which token batches keep them safe.

A state is *safe* if the requests that hold KV can be finished one after another in order of their
tokens to go, which is so if and only if they can be finished at all (a request holds its KV to its
end: none is aborted). In a safe state the one with the fewest tokens to go can always get its next
token.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import IntArray
from ....models.separate.problem import Problem
from .encoding import MOST_URGENT

#: Slots of `Running.counts`.
REQUESTS, KV = 0, 1


class Running(NamedTuple):
    """The requests that hold KV, by (tokens to go, KV held falling, number).

    Attributes
    ----------
    who, to_go, held : ndarray of int64, shape (n,)
        Request, tokens to go, KV tokens held; the first ``counts[0]`` entries are used.
    counts : ndarray of int64, shape (2,)
        Requests that run, and the KV tokens that they hold together.
    """

    who: IntArray
    to_go: IntArray
    held: IntArray
    counts: IntArray


@njit(cache=True, nogil=True)
def admit(problem: Problem, running: Running, i: int) -> bool:
    """Add a request to those that run if that is safe; say whether it is."""
    to_go, held = problem.output[i] - 1, problem.prompt[i] + 1
    if running.counts[KV] + held > problem.M:
        return False
    m = running.counts[REQUESTS]
    at = m
    while at > 0 and _is_before(i, to_go, held, running, at - 1):
        _copy(running, at - 1, at)
        at -= 1
    running.who[at], running.to_go[at], running.held[at] = i, to_go, held
    running.counts[REQUESTS] += 1
    running.counts[KV] += held
    if _is_safe(problem, running):
        return True
    running.counts[REQUESTS] = m
    running.counts[KV] -= held
    for k in range(at, m):
        _copy(running, k + 1, k)
    return False


@njit(cache=True, nogil=True)
def _is_before(i: int, to_go: int, held: int, running: Running, at: int) -> bool:
    """Whether a request comes before the one at a place."""
    if to_go != running.to_go[at]:
        return bool(to_go < running.to_go[at])
    if held != running.held[at]:
        return bool(held > running.held[at])
    return bool(i < running.who[at])


@njit(cache=True, nogil=True)
def _copy(running: Running, source: int, target: int) -> None:
    running.who[target] = running.who[source]
    running.to_go[target] = running.to_go[source]
    running.held[target] = running.held[source]


@njit(cache=True, nogil=True)
def _is_safe(problem: Problem, running: Running) -> bool:
    """Whether all can finish one after another in their order, within the KV capacity."""
    total = running.counts[KV]
    if total > problem.M:
        return False
    for k in range(running.counts[REQUESTS]):
        if total + running.to_go[k] > problem.M:
            return False
        total -= running.held[k]
    return True


@njit(cache=True, nogil=True)
def urgency_counts(problem: Problem, running: Running, urgency: IntArray) -> bool:
    """Whether a token batch has no room for all, and they are not equally urgent."""
    m = running.counts[REQUESTS]
    if m > problem.B_D:
        for k in range(1, m):
            if urgency[running.who[k]] != urgency[running.who[0]]:
                return True
    return False


@njit(cache=True, nogil=True)
def urgent_steps(
    problem: Problem, running: Running, urgency: IntArray, most: int
) -> tuple[IntArray, int]:
    """Advance the most urgent requests that may be; which they are, and by how many tokens each.

    They stay the same ones as long as none of them is done, since they come closer to their ends.
    For more than one token each that must be safe in any order: with what the request with the most
    tokens to go still needs on top of all KV.
    """
    who = running.who[: running.counts[REQUESTS]].copy()
    members = np.empty(problem.B_D, np.int64)
    count, refused = 0, False
    for level in range(MOST_URGENT, -1, -1):
        for i in who:
            if urgency[i] == level and count < problem.B_D:
                if _advance_one(problem, running, int(i)):
                    members[count] = i
                    count += 1
                else:
                    refused = True
    members = members[:count]
    if refused or count == 0:
        return members, 1
    spare = problem.M - running.counts[KV] - running.to_go[running.counts[REQUESTS] - 1]
    more = min(most - 1, spare // count)
    for i in members:
        more = min(more, running.to_go[place_of(running, int(i))])
    if more <= 0:
        return members, 1
    for i in members:
        _move_up(running, place_of(running, int(i)), more)
    return members, 1 + more


@njit(cache=True, nogil=True)
def _advance_one(problem: Problem, running: Running, i: int) -> bool:
    """Give a request a token if that is safe; say whether it is."""
    at = _move_up(running, place_of(running, i), 1)
    if _is_safe(problem, running):
        return True
    to_go, held, m = running.to_go[at] + 1, running.held[at] - 1, running.counts[REQUESTS]
    while at + 1 < m and not _is_before(i, to_go, held, running, at + 1):
        _copy(running, at + 1, at)
        at += 1
    running.who[at], running.to_go[at], running.held[at] = i, to_go, held
    running.counts[KV] -= 1
    return False


@njit(cache=True, nogil=True)
def _move_up(running: Running, at: int, steps: int) -> int:
    """Advance the request at a place, and put it where it belongs; return its new place."""
    i, to_go, held = running.who[at], running.to_go[at] - steps, running.held[at] + steps
    while at > 0 and _is_before(i, to_go, held, running, at - 1):
        _copy(running, at - 1, at)
        at -= 1
    running.who[at], running.to_go[at], running.held[at] = i, to_go, held
    running.counts[KV] += steps
    return at


@njit(cache=True, nogil=True)
def place_of(running: Running, i: int) -> int:
    """Place of a request that runs."""
    at = 0
    while running.who[at] != i:
        at += 1
    return at


@njit(cache=True, nogil=True)
def most_served(problem: Problem, running: Running) -> int:
    """How many of the first ones can get a token each such that the state stays safe, ≥ 1.

    A token for each of the first d raises the sum of KV and tokens to go of the k-th of them, which
    is counted in `_is_safe`, by d − k: those from it on hold d − k + 1 more, and it has one less to
    go. Others' sums stay.
    """
    d = min(running.counts[REQUESTS], problem.B_D)
    total = running.counts[KV]
    for k in range(running.counts[REQUESTS]):
        if k >= d:
            break
        d = min(d, k + 1 + problem.M - total - running.to_go[k])
        total -= running.held[k]
    return int(d)


@njit(cache=True, nogil=True)
def most_steps(problem: Problem, running: Running, d: int) -> int:
    """How many token batches of the first d stay safe, till one completes (see `most_served`).

    As sums never fall, no other request can be served meanwhile that cannot be at first.
    """
    steps = running.to_go[0]
    total = running.counts[KV]
    for k in range(d - 1):
        steps = min(steps, (problem.M - total - running.to_go[k]) // (d - 1 - k))
        total -= running.held[k]
    return int(steps)


@njit(cache=True, nogil=True)
def advance(running: Running, end: int, steps: int) -> None:
    """Give the requests before a place some tokens each."""
    for k in range(end):
        running.to_go[k] -= steps
        running.held[k] += steps
    running.counts[KV] += end * steps


@njit(cache=True, nogil=True)
def complete(problem: Problem, running: Running, now: int) -> int:
    """Take out those that are complete at `now`, the first ones; return their latencies' sum."""
    done = latency = 0
    m = running.counts[REQUESTS]
    while done < m and running.to_go[done] == 0:
        latency += now - problem.arrival[running.who[done]]
        running.counts[KV] -= running.held[done]
        done += 1
    if done:
        for k in range(done, m):
            _copy(running, k, k - done)
        running.counts[REQUESTS] = m - done
    return latency
