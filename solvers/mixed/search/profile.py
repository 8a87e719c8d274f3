"""The KV profile, one number per round, and where a request fits on it.

``held[t]`` is the KV occupancy in round t, for t = 0 … H. A run that starts at k is in rounds
k + 1 … k + o and holds s + t − k tokens in round t (docs/model/mixed.md §1).
"""

from __future__ import annotations

from numba import njit

from ....models.instance import IntArray

#: What `earliest_start` returns where a request fits nowhere within the profile.
NOWHERE = -1


@njit(cache=True, nogil=True)
def add_run(held: IntArray, s: int, o: int, k: int) -> None:
    """Add the run of a request (s, o) that starts at k."""
    for t in range(k + 1, k + o + 1):
        held[t] += s + t - k


@njit(cache=True, nogil=True)
def remove_run(held: IntArray, s: int, o: int, k: int) -> None:
    """Take away the run of a request (s, o) that starts at k."""
    for t in range(k + 1, k + o + 1):
        held[t] -= s + t - k


@njit(cache=True, nogil=True)
def earliest_start(held: IntArray, M: int, s: int, o: int, k: int) -> int:
    """First start ≥ k of a request (s, o) whose rounds all stay within M, or `NOWHERE`.

    Rounds are scanned from the last to the first. One that would hold too much leaves two ways
    out: to start no earlier than it, or so late that the wedge is small enough there,
    ``k ≥ held[t] + s + t − M``. The scan goes on from the sooner of the two, and does not look
    again at the rounds after t that it has seen: a later start holds less in them.
    """
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
