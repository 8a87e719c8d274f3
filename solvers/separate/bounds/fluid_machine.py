"""Lower bound on the total latency: shortest remaining work first on one machine, O(n log n).

The machine is that of `works`. Shortest remaining processing time first has, at every time, the
most jobs complete of all schedules of the machine (Schrage 1968): so the k-th completion of any
schedule of the GPU is not before the k-th of it. Nor is it before the k-th smallest of the arrivals
plus times alone. For every k the largest of these is taken, over all mixes of `works`.
"""

from __future__ import annotations

import heapq

from ....models.instance import Instance
from ....models.separate.problem import time_alone
from .workloads import MIXES, works


def work_bound(instance: Instance) -> int:
    """Return a lower bound on the total latency of any schedule of separate batching.

    Parameters
    ----------
    instance : Instance
        Any batch-time law, any batch limits.

    Returns
    -------
    int
        ``Σ_k max(k-th completions) − Σ a_i``, completions rounded up.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, prompt_batch_requests=1, token_batch_requests=1)
    >>> work_bound(Instance(gpu=gpu, arrival=[0, 0], prompt=[3, 1], output=[2, 1]))  # 1 + 3
    4

    References
    ----------
    Schrage, *A proof of the optimality of the shortest remaining processing time discipline*,
    Operations Research 16, 1968.
    """
    arrivals = instance.arrival.tolist()
    latest = sorted((instance.arrival + time_alone(instance)).tolist())
    for mix in MIXES:
        scaled, unit = works(instance, mix)
        completions = shortest_remaining_first(arrivals, scaled, unit)
        latest = [max(x, -(-y // unit)) for x, y in zip(latest, completions, strict=True)]
    return int(sum(latest) - sum(arrivals))


def shortest_remaining_first(arrivals: list[int], works: list[int], unit: int) -> list[int]:
    """Return the completions, increasing, of one machine that does the least remaining work first.

    Parameters
    ----------
    arrivals : list of int
        Release dates in time units.
    works : list of int
        Works ≥ 0, in units of 1/unit time units.
    unit : int
        Units per time unit.

    Returns
    -------
    list of int
        Completions in units, increasing.

    Examples
    --------
    >>> shortest_remaining_first([0, 1], [7, 2], 2)  # the second interrupts the first
    [4, 9]
    """
    order = sorted(range(len(works)), key=lambda i: arrivals[i])
    remaining: list[int] = []
    completions = []
    now = 0
    for position, i in enumerate(order):
        now = max(now, arrivals[i] * unit)
        heapq.heappush(remaining, works[i])
        last = position + 1 == len(order)
        until = None if last else arrivals[order[position + 1]] * unit
        while remaining and (until is None or now < until):
            work = heapq.heappop(remaining)
            if until is None or now + work <= until:
                now += work
                completions.append(now)
            else:
                heapq.heappush(remaining, work - (until - now))
                now = until
    return completions
