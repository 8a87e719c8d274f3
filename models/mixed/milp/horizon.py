"""Latest starts: how far into the future a formulation must look, from the data, with a proof.

A formulation that looks less far may miss the optimum, and its optimum is no bound. The latest
starts L_i of this file keep at least one optimal schedule.

**Without a known schedule.** Every objective here is regular: starting earlier never makes it
worse. Among all optimal schedules take one that minimises the sum of starts. After the last
arrival it has no idle round before its end: if none ran in round r > max a, all that starts at
r or later could start one round earlier (it has arrived, and what ran before r has ended), which
is feasible, no worse, and has a smaller sum of starts. So each round of (max a, C_max] lies in
some run and ``C_max ≤ max a + Σ o``. Limits on a round (B, C) change nothing: the shift leaves all
rounds as they are, but for one in which none ran.

**With a known schedule of value V.** For total latency, every schedule of value ≤ V has
``c_i − a_i ≤ V − Σ_{j≠i} (c_j − a_j) ≤ V − R_i`` for any lower bound R_i on the latency of the
others, such as ``Σ_{j≠i} o_j``, or any bound of the instance without i (leaving i out of a feasible
schedule leaves a feasible schedule). For weighted completion likewise ``w_i·c_i ≤ V − R_i`` with,
say, ``R_i = Σ_{j≠i} w_j·(a_j + o_j)``; it says nothing of a request of weight 0. For tardiness
``w_i·(c_i − d_i) ≤ V − R_i`` likewise. For the makespan ``c_i ≤ V``. These hold in *every* optimal
schedule, hence in the one above: both limits may be used at once.

**Reward.** What is not done by ``min(T, deadline_i)`` earns nothing and need not be in the model:
it can follow after everything else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ...instance import Instance, IntArray
from ...objectives import Exact, evaluate, late_costs, latest_completion


def latest_starts(
    instance: Instance,
    objective: str = "latency",
    *,
    value: Exact | None = None,
    others: Sequence[Exact] | None = None,
) -> IntArray:
    """Latest start of each request in at least one optimal schedule.

    Parameters
    ----------
    instance : Instance
        The instance.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective.
    value : int or Fraction, optional
        Value of a feasible schedule. Not used for the reward.
    others : sequence of int or Fraction, shape (n,), optional
        R_i, for latency and weighted completion: lower bounds on what the requests other than i
        contribute to the objective. By default each of them starts at its arrival.

    Returns
    -------
    ndarray of int64, shape (n,)
        L_i; below the arrival a_i only if the request cannot earn its reward.

    Raises
    ------
    InputError
        If the objective is unknown, or "reward" and the instance has no horizon.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> latest_starts(instance).tolist()
    [4, 6]
    >>> latest_starts(instance, value=7).tolist()  # one round of waiting in all
    [1, 3]
    """
    alone = instance.arrival + instance.output
    least = evaluate(instance, alone, objective)
    if objective == "reward":
        return latest_completion(instance) - instance.output
    end = int(instance.arrival.max()) + int(instance.output.sum())
    latest_end = np.full(instance.n, end, dtype=np.int64)
    if value is not None and objective == "makespan":
        latest_end = np.minimum(latest_end, int(value))
    elif value is not None:
        costs = late_costs(instance, objective)
        for i, (w, due) in enumerate(zip(*map(np.ndarray.tolist, costs), strict=True)):
            if w > 0:
                own = Fraction(repr(w)) * max(0, int(alone[i]) - due)
                rest = least - own if others is None else max(others[i], least - own)
                waits = math.floor((value - rest) / Fraction(repr(w)))
                latest_end[i] = min(end, due + waits)
    return latest_end - instance.output
