"""The optimum where all requests but one are alike and of one token: the √n adversary is such.

For each start k of the long request, a round t has room for ``c_t = ⌊(M − held)/(s + 1)⌋`` of the
others, and serving as many as wait and fit is best: each takes one round, and they are
interchangeable. Once the others are done without it, a later start only costs, so that finitely
many k are left (docs/certificates.md).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import Instance, IntArray
from ....models.mixed.schedule import MixedSchedule

#: The bound's name.
ONE_LONG = "one long request"

#: Starts of the long request that are tried, and starts times others.
MOST_STARTS, MOST_WORK = 2**20, 2**28


class OneLongRequest(NamedTuple):
    """The optimum and a schedule of it.

    Attributes
    ----------
    latency : int
        Least total latency.
    schedule : MixedSchedule
        An optimal schedule.
    """

    latency: int
    schedule: MixedSchedule


def one_long_request(instance: Instance) -> OneLongRequest | None:
    """Return the optimum (mixed batching); None where the instance is not of this kind.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=4)
    >>> instance = Instance(gpu=gpu, arrival=[0, 1, 1], prompt=[1, 1, 1], output=[3, 1, 1])
    >>> found = one_long_request(instance)
    >>> found.latency, found.schedule.start.tolist()
    (7, [2, 1, 1])
    """
    if instance.n < 2:
        return None
    long = int(np.lexsort((instance.prompt, instance.output))[-1])
    others = np.delete(np.arange(instance.n), long)
    s, o = instance.prompt[others], instance.output[others]
    if o.max() > 1 or s.min() != s.max():
        return None
    others = others[np.argsort(instance.arrival[others], kind="stable")]
    arrivals, room = instance.arrival[others], int(instance.gpu.kv_capacity)
    size, start = int(s[0]) + 1, np.zeros(others.size, np.int64)
    alone = _serve(arrivals, room, size, 0, 0, 0, start)
    done, a = int(start[-1]) + 1, int(instance.arrival[long])
    starts = done - a
    if starts > MOST_STARTS or starts * others.size > MOST_WORK:
        return None
    prompt, output = int(instance.prompt[long]), int(instance.output[long])
    k, least = max(a, done), alone + max(0, starts) + output
    if starts > 0:
        k, least = _best_start(arrivals, room, size, prompt, output, a, done, least)
    beside = (prompt, int(k), output) if k < done else (0, 0, 0)
    _serve(arrivals, room, size, *beside, start)
    whole = np.empty(instance.n, np.int64)
    whole[long], whole[others] = k, start
    return OneLongRequest(int(least), MixedSchedule(whole))


@njit(cache=True, nogil=True)
def _best_start(
    arrivals: IntArray, M: int, size: int, s: int, o: int, a: int, done: int, least: int
) -> tuple[int, int]:
    """Best start of the long request before `done`, unless to start then costs less."""
    best, start = done, np.zeros(arrivals.size, np.int64)
    for k in range(a, done):
        cost = _serve(arrivals, M, size, s, k, o, start) + k + o - a
        if cost < least:
            best, least = k, cost
    return best, least


@njit(cache=True, nogil=True)
def _serve(arrivals: IntArray, M: int, size: int, s: int, k: int, o: int, start: IntArray) -> int:
    """Fill the starts of the others beside a request (s, o) started at k; return their latency.

    Filled in order of arrival: each goes into the first round with room after the one before.
    """
    total, at, left = 0, -1, 0
    for i in range(arrivals.size):
        if arrivals[i] > at:
            at, left = arrivals[i], -1
        while left <= 0:
            if left == 0:
                at += 1
            held = s + at + 1 - k if k <= at < k + o else 0
            left = (M - held) // size
            if left == 0:  # nor will any fit until the long one is done: it only grows
                at, left = k + o, M // size
        start[i] = at
        left -= 1
        total += at + 1 - arrivals[i]
    return total
