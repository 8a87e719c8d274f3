"""The KV profile, one number per round, and where a request fits on it.

``held[t]`` is the KV occupancy in round t, for t = 0 … H. A run that starts at k is in rounds
k + 1 … k + o and holds s + t − k tokens in round t (docs/model/mixed.md §1).

Where the GPU has limits on a round, the profile has three rows instead: ``held[0]`` is the
occupancy, ``held[1, t]`` the requests that round t may still have, and ``held[2, t]`` the tokens:
the prompt in the first round of a run, 1 in the others. Round 0, in which nothing ever runs, has
the limits themselves. Compiled code takes either; what it does with one row does not depend on
what it can do with three.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ....models.instance import Instance, IntArray
from ....models.mixed.problem import is_limited, limits

#: What `earliest_start` returns where a request fits nowhere within the profile.
NOWHERE = -1


def nothing_held(instance: Instance, rounds: int) -> IntArray:
    """Return the empty profile of rounds 0 … `rounds` on an instance's GPU.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, running_requests=1)
    >>> limited = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> nothing_held(limited, 2).tolist()
    [[0, 0, 0], [1, 1, 1], [4, 4, 4]]
    >>> nothing_held(limited.replace(gpu=Gpu(kv_capacity=9)), 2).tolist()
    [0, 0, 0]
    """
    if not is_limited(instance):
        return np.zeros(rounds + 1, np.int64)
    most = limits(instance)
    return limited_profile(most.running, most.tokens, rounds)


def limited_profile(running: int, tokens: int, rounds: int) -> IntArray:
    """Return the empty profile of rounds 0 … `rounds` under limits on a round."""
    held = np.zeros((3, rounds + 1), np.int64)
    held[1], held[2] = running, tokens
    return held


def last_round(held: IntArray) -> int:
    """Return H."""
    return int(held.shape[-1]) - 1


def longer(held: IntArray, rounds: int) -> IntArray:
    """Return the profile with so many empty rounds behind."""
    if held.ndim == 1:
        return np.concatenate((held, np.zeros(rounds, np.int64)))
    most = limited_profile(int(held[1, 0]), int(held[2, 0]), rounds - 1)
    return np.concatenate((held, most), axis=1)


def is_within(held: IntArray, M: int) -> bool:
    """Whether no round exceeds a limit.

    Examples
    --------
    >>> held = limited_profile(running=2, tokens=4, rounds=5)
    >>> add_run(held, 3, 2, 0)
    >>> add_run(held, 1, 2, 0)
    >>> is_within(held, 9)
    True
    >>> add_run(held, 1, 1, 3)  # alone in round 4
    >>> add_run(held, 4, 1, 3)
    >>> is_within(held, 9)
    False
    """
    if held.ndim == 1:
        return int(held.max()) <= M
    return int(held[0].max()) <= M and int(held[1:].min()) >= 0


@njit(cache=True, nogil=True)
def add_run(held: IntArray, s: int, o: int, k: int) -> None:
    """Add the run of a request (s, o) that starts at k."""
    if held.ndim == 1:
        for t in range(k + 1, k + o + 1):
            held[t] += s + t - k
    else:
        _change(held, s, o, k, 1)


@njit(cache=True, nogil=True)
def remove_run(held: IntArray, s: int, o: int, k: int) -> None:
    """Take away the run of a request (s, o) that starts at k."""
    if held.ndim == 1:
        for t in range(k + 1, k + o + 1):
            held[t] -= s + t - k
    else:
        _change(held, s, o, k, -1)


@njit(cache=True, nogil=True)
def _change(held: IntArray, s: int, o: int, k: int, sign: int) -> None:
    """Add a run to three rows, or take it away."""
    for t in range(k + 1, k + o + 1):
        held[0, t] += sign * (s + t - k)
        held[1, t] -= sign
        held[2, t] -= sign
    if o > 0:
        held[2, k + 1] -= sign * (s - 1)


@njit(cache=True, nogil=True)
def earliest_start(held: IntArray, M: int, s: int, o: int, k: int) -> int:
    """First start ≥ k of a request (s, o) whose rounds all stay within M, or `NOWHERE`.

    Rounds are scanned from the last to the first. One that would hold too much leaves two ways
    out: to start no earlier than it, or so late that the wedge is small enough there,
    ``k ≥ held[t] + s + t − M``. The scan goes on from the sooner of the two, and does not look
    again at the rounds after t that it has seen: a later start holds less in them.
    """
    if held.ndim == 1:
        H = held.size - 1
        seen_from, seen_to = k, k
        t = k + o
        if t > H:
            return NOWHERE
        while t > k:
            if seen_from < t <= seen_to:
                t = seen_from
            elif held[t] + s + t - k > M:
                seen_from, seen_to = t, k + o
                k = min(t, held[t] + s + t - M)
                t = k + o
                if t > H:
                    return NOWHERE
            else:
                t -= 1
        return k
    return _earliest_within_limits(held, M, s, o, k)


@njit(cache=True, nogil=True)
def _earliest_within_limits(held: IntArray, M: int, s: int, o: int, k: int) -> int:
    """First start ≥ k of a request (s, o) on a profile of three rows, or `NOWHERE`.

    A round without a seat, or without a token, leaves one way out: to start no earlier than it.
    Whether the first round has the tokens of the prompt is looked at once the others fit.
    """
    H = held.shape[1] - 1
    seen_from, seen_to = k, k
    t = k + o
    if t > H:
        return NOWHERE
    while True:
        if t > k:
            if seen_from < t <= seen_to:
                t = seen_from
                continue
            full = held[1, t] < 1 or held[2, t] < 1
            if not full and held[0, t] + s + t - k <= M:
                t -= 1
                continue
            seen_from, seen_to = t, k + o
            k = t if full else min(t, held[0, t] + s + t - M)
        elif held[2, k + 1] < s:
            seen_from, seen_to = k + 1, k + o
            k += 1
        else:
            return k
        t = k + o
        if t > H:
            return NOWHERE
