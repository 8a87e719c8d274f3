"""Latest completions under separate batching: how far a formulation must look, with a proof.

**Left-shifted schedules.** Take the batches of any feasible schedule in their order and start each
as early as that order allows: when the last one ends, or when the last of its prompts arrives if
that is later. Compositions, batch times and the KV tokens at batch ends stay; no completion is
later, and every objective here is regular (never worse for earlier completions; for the reward,
never less of them in time). So some optimal schedule is left-shifted, namely every optimal one
with the smallest sum of batch starts for its sequence.

**Without a known schedule.** A left-shifted schedule is idle only before an arrival, so never after
the last one. What runs after max a takes no longer than all batches together. A batch takes no
longer than its jobs one by one: ⌈(c + Σ w_j)/d⌉ ≤ Σ ⌈(c + w_j)/d⌉, where c ≥ 0 is what every batch
takes and w_j ≥ 0 what job j adds. Hence ``C_max ≤ max a + W`` with W the sum over the requests of
their times alone (`problem.serial_work`).

**With a known schedule of value V.** Request j takes at least its time alone, since its jobs are in
different batches and a batch takes no less than any job of it alone. For total latency, every
schedule of value ≤ V has ``c_i − a_i ≤ V − R_i`` for any lower bound R_i on the latency of the
others; for weighted completion ``w_i·c_i ≤ V − R_i``, which says nothing of a request of weight 0;
for tardiness ``w_i·(c_i − d_i) ≤ V − R_i``; for the makespan ``c_i ≤ V``. These hold in *every*
optimal schedule, hence in a left-shifted one: both limits may be used at once.

**Reward.** Dropping all jobs of a request from a feasible schedule (and the batches that become
empty) leaves a feasible one: batches get no longer and less KV is held. So some optimal schedule
accepts only what completes by ``min(T, deadline_i)``, and pays no penalty; a request that cannot
do so alone is rejected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ...instance import Instance, IntArray
from ...objectives import Exact, evaluate, late_costs, latest_completion, require_objective
from ..problem import times_alone


def latest_completions(
    instance: Instance,
    objective: str = "latency",
    *,
    value: Exact | None = None,
    others: Sequence[Exact] | None = None,
) -> IntArray:
    """Latest completion of each request in at least one optimal schedule.

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
        contribute to the objective. By default each of them runs alone from its arrival.

    Returns
    -------
    ndarray of int64, shape (n,)
        Latest c_i; below ``a_i`` plus the time alone only if the request cannot earn its reward.

    Raises
    ------
    InputError
        If the objective is unknown, or "reward" and the instance has no horizon.

    Examples
    --------
    >>> from batchprophet.models.batch_time import ConstantTime
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, batch_time=ConstantTime(prompt=3, token=1))
    >>> instance = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> latest_completions(instance).tolist()  # last arrival 2, times alone 6 and 4
    [12, 12]
    >>> latest_completions(instance, value=13).tolist()  # three slots of waiting in all
    [9, 9]
    """
    require_objective(objective)
    alone = np.array(times_alone(instance), dtype=np.int64)
    end = int(instance.arrival.max()) + int(alone.sum())
    latest = np.full(instance.n, end, dtype=np.int64)
    if objective == "reward":
        return np.minimum(latest, latest_completion(instance))
    if value is not None and objective == "makespan":
        return np.minimum(latest, int(value))
    if value is not None:
        costs, earliest = late_costs(instance, objective), instance.arrival + alone
        least = evaluate(instance, earliest, objective)
        for i, (w, due) in enumerate(zip(*map(np.ndarray.tolist, costs), strict=True)):
            if w > 0:
                rest = least - Fraction(repr(w)) * max(0, int(earliest[i]) - due)
                rest = rest if others is None else max(others[i], rest)
                latest[i] = min(end, due + math.floor((value - rest) / Fraction(repr(w))))
    return latest
