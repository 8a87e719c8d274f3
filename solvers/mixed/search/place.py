"""Serial list scheduling: requests in a given order, each at its earliest feasible start."""

from __future__ import annotations

import numpy as np
from numba import njit

from ....models.instance import Instance, IntArray
from ....models.mixed.problem import is_limited, limits
from .profile import NOWHERE, add_run, earliest_start, nothing_held

#: Largest number of rounds for which a KV profile is kept (8 bytes each, a few copies).
MOST_ROUNDS = 4_000_000


def place_all(instance: Instance, order: IntArray) -> IntArray | None:
    """Return the starts when all are placed in this order; None past `MOST_ROUNDS` rounds.

    Unlike list scheduling by rank at each boundary, a request later in the order may start
    earlier, but never at the cost of one before it.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> place_all(instance, np.array([0, 1])).tolist()
    [0, 3]
    >>> place_all(instance, np.array([1, 0])).tolist()
    [1, 2]
    """
    origin = int(instance.arrival.min())
    release = instance.arrival - origin
    last = int(release.max()) + 2 * int(instance.output.max())
    rounds = last + 4 * _rounds_of_work(instance)
    start = np.zeros(instance.n, dtype=np.int64)
    columns = (release, instance.prompt, instance.output, instance.gpu.kv_capacity)
    while rounds <= MOST_ROUNDS:
        if place_in_order(order, *columns, nothing_held(instance, rounds), start):
            return start + origin
        rounds *= 2
    return None


def place_rest(instance: Instance, start: IntArray) -> IntArray:
    """Return starts for all, where some have none yet (−1): each at its earliest beside the others.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> place_rest(instance, np.array([0, -1])).tolist()
    [0, 3]
    """
    rest = np.flatnonzero(start < 0)
    placed = start.copy()
    if not rest.size:
        return placed
    origin = int(instance.arrival.min())
    there = np.flatnonzero(start >= 0)
    end = max([int(instance.arrival.max()), *(start + instance.output)[there].tolist()])
    held = nothing_held(instance, end + int(instance.output[rest].sum()) - origin)
    for i in there:
        add_run(held, instance.prompt[i], instance.output[i], start[i] - origin)
    columns = (instance.arrival - origin, instance.prompt, instance.output)
    placed -= origin
    place_in_order(rest, *columns, instance.gpu.kv_capacity, held, placed)
    return placed + origin


def _rounds_of_work(instance: Instance) -> int:
    """Rounds that are as full as they may be with all requests, rounded up."""
    area = -(-int(instance.volume.sum()) // instance.gpu.kv_capacity)
    if not is_limited(instance):
        return area
    most, output = limits(instance), int(instance.output.sum())
    tokens = output + int(instance.prompt.sum()) - instance.n
    return max(area, -(-output // most.running), -(-tokens // most.tokens))


@njit(cache=True, nogil=True)
def place_in_order(
    order: IntArray,
    release: IntArray,
    s: IntArray,
    o: IntArray,
    M: int,
    held: IntArray,
    start: IntArray,
) -> bool:
    """Place requests one after the other at their earliest starts; False past the last round."""
    for i in order:
        k = earliest_start(held, M, s[i], o[i], release[i])
        if k == NOWHERE:
            return False
        start[i] = k
        add_run(held, s[i], o[i], k)
    return True
