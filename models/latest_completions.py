"""How late any schedule of a known value completes a request, whatever else it obeys.

The horizons of the formulations keep *some* optimal schedule, mostly one without idle time. With
constraints added that one may be lost. What follows holds for *every* schedule of value at most V.

Let e_j be the least time of request j from its arrival to its completion. For the total latency
``c_i − a_i ≤ V − Σ_{j≠i} e_j``; for weighted completion ``w_i·c_i ≤ V − Σ_{j≠i} w_j·(a_j + e_j)``,
which says nothing where w_i = 0; for tardiness likewise, ``w_i·(c_i − d_i)`` being at most V less
what the others pay at a_j + e_j, which says nothing where there is no deadline d_i; for the
makespan ``c_i ≤ V``. For the reward a request that is served completes by ``min(T, deadline_i)``,
which the formulations ask.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from .instance import NO_DEADLINE, Instance, IntArray
from .objectives import Exact, evaluate, late_costs, latest_completion, require_objective


def latest_of_value(
    instance: Instance, alone: IntArray, objective: str, value: Exact
) -> IntArray | None:
    """Latest completion of each request in any schedule that is as good as a value.

    Parameters
    ----------
    instance : Instance
        The instance.
    alone : ndarray of int64, shape (n,)
        e, the least time from arrival to completion of each request.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective.
    value : int or Fraction
        V, the value of a feasible schedule.

    Returns
    -------
    ndarray of int64, shape (n,), or None
        None if some request may complete at any time: its weight is 0, or it has no deadline.

    Raises
    ------
    InputError
        If the objective is unknown, or "reward" and the instance has no horizon.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> latest_of_value(instance, instance.output, "latency", 9).tolist()  # 3 rounds of waiting
    [7, 7]
    """
    require_objective(objective)
    if objective == "reward":
        return latest_completion(instance)
    if objective == "makespan":
        return np.full(instance.n, int(value), dtype=np.int64)
    earliest = instance.arrival + alone
    left = value - evaluate(instance, earliest, objective)
    costs = late_costs(instance, objective)
    weight = [Fraction(repr(w)) for w in costs.weight.tolist()]
    if not all(weight) or (costs.due == NO_DEADLINE).any():
        return None
    waits = [math.floor(left / w) for w in weight]
    latest: IntArray = np.maximum(earliest, costs.due) + np.array(waits, dtype=np.int64)
    return latest
