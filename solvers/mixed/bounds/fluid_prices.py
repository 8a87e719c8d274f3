"""First memory prices: the optimal dual of the mean-busy-time bound."""

from __future__ import annotations

import numpy as np
from numba import njit

from ....models.instance import FloatArray, Instance, IntArray
from .fluid_machine import preemptive_schedule, scaled_works


def fluid_prices(instance: Instance, boundaries: IntArray) -> FloatArray:
    """Price of the fluid machine's time in the middle of each block, shape (blocks,).

    The mean-busy-time bound is a transportation problem: a unit of i's KV area processed at time
    t ≥ a_i costs ``t/p_i``, and M units are processed a round. Its optimal prices are
    ``u(t) = max_i (v_i − t/p_i)`` over the i that are available and not done at t, where
    ``v_i = min_{t ≥ C_i} (t/p_i + u(t))`` is what a unit of i costs when it completes, at C_i.
    They are computed backwards in time, on the blocks' middles.
    """
    release, work, speed = scaled_works(instance)
    completion, _ = preemptive_schedule(release, work, work.astype(np.float64), False)
    done = completion / speed + float(instance.arrival.min())
    middle = (boundaries[1:] + boundaries[:-1]) / 2.0
    columns = (instance.arrival.astype(np.float64), instance.volume.astype(np.float64))
    prices: FloatArray = _backwards(*columns, done, middle)
    return prices


@njit(cache=True, nogil=True)
def _backwards(
    arrival: FloatArray, volume: FloatArray, done: FloatArray, middle: FloatArray
) -> FloatArray:
    blocks = middle.size
    u, v = np.zeros(blocks), np.zeros(arrival.size)
    latest_first = np.argsort(-done)
    count = 0
    for j in range(blocks - 1, -1, -1):
        while count < done.size and done[latest_first[count]] > middle[j]:
            i = latest_first[count]
            v[i] = done[i] / volume[i] + (u[j + 1] if j + 1 < blocks else 0.0)
            for later in range(j + 1, blocks):
                v[i] = min(v[i], middle[later] / volume[i] + u[later])
            count += 1
        for i in latest_first[:count]:
            if arrival[i] <= middle[j]:
                u[j] = max(u[j], v[i] - middle[j] / volume[i])
    return u
