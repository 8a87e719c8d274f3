"""Schedules of the relaxation without limits on a round, brought within the limits.

Exact methods of mixed batching (states, path graphs, the program of equal requests, one long
request) look at the KV capacity alone. Under limits on the requests or tokens of a round they
search the relaxation: what they prove of it is a bound all the same, and their schedules are kept
as they are where they obey the limits; else their requests are placed anew in their order.
"""

from __future__ import annotations

import numpy as np

from ...models.instance import Instance
from ...models.mixed.feasibility import check_mixed
from ...models.mixed.problem import is_limited
from ...models.mixed.schedule import MixedSchedule
from .search.place import place_all


def within_limits(instance: Instance, schedule: MixedSchedule) -> MixedSchedule | None:
    """Return the schedule if it obeys the limits, or one in its order; None past `MOST_ROUNDS`.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=40, running_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[3, 1], output=[4, 2])
    >>> within_limits(instance, MixedSchedule([1, 0])).start.tolist()
    [2, 0]
    """
    if not is_limited(instance) or not check_mixed(instance, schedule):
        return schedule
    start = place_all(instance, np.argsort(schedule.start, kind="stable"))
    return None if start is None else MixedSchedule(start)
