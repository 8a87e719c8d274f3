"""Schedules guided by memory prices: requests in the order of their cheapest starts.

Under good memory prices (`bounds.memory_prices`) the start that is cheapest for a request is where
the linear relaxation would have it: the relaxation has looked at everyone, at all times. Placed in
the order of these starts, each at its earliest feasible start, requests form a schedule that no
fixed key s^α·o^β gives. The prices of the ascent's end differ little from each other, their orders
much, so many are tried (a Lagrangian heuristic). A schedule of whole requests cannot use all of M,
so the relaxation is also asked with less capacity than there is.
"""

from __future__ import annotations

import numpy as np

from ....models.instance import Gpu, Instance, IntArray
from ...limits import Budget, Incumbent
from ..bounds.memory_prices import memory_price_bound
from .place import place_all

#: Shares of M that the relaxation may use.
SHARES = (1.0, 0.94, 0.97, 0.91)

#: Blocks of rounds with one price each, and price vectors tried at each level.
BLOCKS, STEPS = 512, 200

#: Of the price vectors tried, every how many gives an order that is placed.
EVERY = 4

#: Placements that a cheapest start costs, about.
WORK_PER_START = 2

#: Price vectors tried for one share, about.
_EVALUATIONS = 4 * STEPS


def priced_starts(instance: Instance, budget: Budget, incumbent: Incumbent) -> list[IntArray]:
    """Return starts of the best schedule of each share, as far as the budget goes.

    The best of all is offered to the incumbent as soon as it is found.

    Examples
    --------
    >>> from batchprophet.models.mixed.schedule import MixedSchedule
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=9), arrival=[0, 0, 2], prompt=[3, 3, 1], output=[4, 4, 2]
    ... )
    >>> incumbent = Incumbent(instance, MixedSchedule([0, 4, 8]), None)
    >>> best = priced_starts(instance, Budget(60.0, None, None), incumbent)
    >>> int(best[0].sum())
    7
    """
    M, largest = instance.gpu.kv_capacity, int(instance.peak.max())
    best = []
    for room in (int(share * M) for share in SHARES):
        affordable = budget.affords(_EVALUATIONS * (WORK_PER_START + 1) * instance.n)
        if room >= largest and affordable and not budget.is_spent:
            best += _best_of_one(instance, room, budget, incumbent)
    return best


def _best_of_one(
    instance: Instance, room: int, budget: Budget, incumbent: Incumbent
) -> list[IntArray]:
    """Starts of the best schedule by prices for a capacity; none if none was placed in time."""
    best: list[IntArray] = []
    count = 0

    def place(cheapest: IntArray) -> None:
        nonlocal count
        count += 1
        budget.work += WORK_PER_START * instance.n
        if count % EVERY or budget.is_spent:
            return
        budget.work += instance.n
        order = np.lexsort((instance.arrival, instance.volume, cheapest))
        start = place_all(instance, order)
        if start is not None and (not best or start.sum() < best[0].sum()):
            best[:] = [start]
            incumbent.offer(start)

    memory_price_bound(
        instance.replace(gpu=Gpu(kv_capacity=room)),  # which limits on a round only tighten
        blocks=BLOCKS,
        steps=STEPS,
        keep_going=lambda _: not budget.is_spent,
        tried=place,
    )
    return best
