"""Drop states that another makes needless, compiled.

Let two states at a boundary have the same requests waiting, and let the first have no larger total
latency of those started and, in every round to come, no more KV tokens held by what runs. Then any
way to go on from the second is open to the first, since there is at least as much room in every
round, and the schedule so made is no worse. So some best schedule does without the second. The
rule that of equal requests the one that arrives later starts no earlier is kept: it depends on who
waits only.

The excess of a state is ``SCALE · (latency of those started)`` up to a term that depends on who
waits and on t only, plus what the running requests will still pay; so latencies are compared by
the excess less these payments.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...models.instance import IntArray
from .excess import Excess
from .layer import WAITING, Layer, Words

#: A state is compared with at most so many that are cheaper.
MOST_COMPARED = 200

_BYTE = np.uint64(255)


@njit(cache=True, nogil=True)
def who_waits(layer: Layer, n: int) -> Words:
    """One bit per request that waits, for each state."""
    waits = np.zeros(layer.present[0], np.uint64)
    for position in range(waits.size):
        for i in range(n):
            byte = (layer.state[position, i >> 3] >> np.uint64(8 * (i & 7))) & _BYTE
            if byte == np.uint64(WAITING):
                waits[position] |= np.uint64(1) << np.uint64(i)
    return waits


@njit(cache=True, nogil=True)
def mark_needless(
    excess: Excess,
    t: int,
    layer: Layer,
    waits: Words,
    order: IntArray,
    first: int,
    work: int,
    needless: NDArray[np.bool_],
) -> int:
    """Go through groups of states with the same waiting requests, about `work` states.

    Parameters
    ----------
    excess : Excess
        The terms of the excess.
    t : int
        The boundary.
    layer : Layer
        Its states.
    waits : ndarray of uint64, shape (count,)
        See `who_waits`.
    order : ndarray of int64, shape (count,)
        The states by `waits`.
    first : int
        Place in `order` to begin at.
    work : int
        States to look at.
    needless : ndarray of bool, shape (count,)
        Is set where another state will do.

    Returns
    -------
    int
        Place to go on from.
    """
    end = min(order.size, first + work)
    while first < end:
        last = first + 1
        while last < order.size and waits[order[last]] == waits[order[first]]:
            last += 1
        if last - first > 1:
            _compare(excess, t, layer, order[first:last], needless)
        first = last
    return first


@njit(cache=True, nogil=True)
def _compare(
    excess: Excess, t: int, layer: Layer, group: IntArray, needless: NDArray[np.bool_]
) -> None:
    held = np.zeros((group.size, excess.earned.shape[2]), np.int32)
    latency = np.empty(group.size, np.int64)
    for place in range(group.size):
        latency[place] = layer.excess[group[place]]
        latency[place] -= _lay_out(excess, t, layer.state[group[place]], held[place])
    cheapest_first = np.argsort(latency, kind="mergesort")
    kept = np.empty(MOST_COMPARED, np.int64)
    count = 0
    for place in cheapest_first:
        for other in kept[:count]:
            if _nowhere_more(held[other], held[place]):
                needless[group[place]] = True
                break
        if count < MOST_COMPARED and not needless[group[place]]:
            kept[count] = place
            count += 1


@njit(cache=True, nogil=True)
def _lay_out(excess: Excess, t: int, state: Words, held: NDArray[np.int32]) -> int:
    """Fill in the KV tokens held in rounds t + 1, t + 2, …; return what will be paid there."""
    paid = np.int64(0)
    for i in range(excess.output.size):
        left = np.int64((state[i >> 3] >> np.uint64(8 * (i & 7))) & _BYTE)
        if left == WAITING:
            continue
        age = excess.output[i] - left
        for u in range(left):
            held[u] += excess.prompt[i] + age + u + 1
            if t + 1 + u < excess.earned.shape[1]:
                paid += excess.earned[i, t + 1 + u, age + u]
    return int(paid)


@njit(cache=True, nogil=True)
def _nowhere_more(first: NDArray[np.int32], second: NDArray[np.int32]) -> bool:
    for u in range(first.size):  # noqa: SIM110 - faster compiled
        if first[u] > second[u]:
            return False
    return True
