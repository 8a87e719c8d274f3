"""Latest completions under continuous batching: how far a formulation must look, with a proof.

**Left-shifted schedules.** Take the batches of any feasible schedule in their order and start each
as early as that order allows: when the last one ends, or when the last of its members arrives if
that is later. What batches hold, their times and the caches at their ends stay; no completion is
later, and every objective here is regular. So some optimal schedule is left-shifted.

**Least time alone.** A request has one item per batch, so each of its tokens takes a batch of its
own, and longer if the tokens are read in chunks of at most C. Token g + 1 takes a token job on
s + g tokens, or their recomputation where that is faster.

**The serial schedule**, requests one after another by arrival, is feasible: it gives a value V.
Every schedule of value at most V has, for total latency, ``c_i − a_i ≤ V − R_i`` with R_i the sum
of the least latencies of the others; for weighted completion ``w_i·c_i ≤ V − R_i``; for tardiness
``w_i·max(0, c_i − d_i) ≤ V − R_i``; for the makespan ``c_i ≤ V``. A schedule that is known may
stand in its place.

**Weight 0, or no deadline.** Of such a request the value says nothing. Leave those out of a
feasible schedule (batches get no longer, less is held) and serve them at its end, one by one: no
other completion is later, and they end after the others' last completion, or the last arrival, and
their times alone.

**Reward.** Leave out what is not complete by ``min(T, deadline_i)``: nothing else gets later. So
some optimal schedule accepts only what completes by then, and pays no penalty.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from ...durations import batch_durations
from ...instance import NO_DEADLINE, Instance, IntArray
from ...objectives import Exact, evaluate, late_costs, latest_completion, require_objective
from ..problem import limits, times_alone


def least_times_alone(instance: Instance) -> IntArray:
    """Least time that each request needs on the GPU, in any schedule, shape (n,).

    Examples
    --------
    >>> from batchprophet.models.batch_time import AffineTime
    >>> from batchprophet.models.instance import Gpu
    >>> law = AffineTime(c0=0.01, c1=0.001, c2=0.005, c3=0)
    >>> gpu = Gpu(kv_capacity=9, batch_tokens=2, batch_time=law)
    >>> least_times_alone(Instance(gpu=gpu, arrival=[0], prompt=[3], output=[2])).tolist()
    [38]
    """
    law, C = batch_durations(instance), limits(instance).tokens

    def read(h: int) -> int:
        work = law.prompt * -(-h // C) + law.per_prompt_token * h
        if law.token < law.prompt:  # in batches of others, whose intercept is the other one
            work = law.token * -(-h // C) + law.per_prompt_token * h
        return -(-work // law.divisor)

    return np.array(
        [
            read(s) + sum(min(law.batch(0, 1, s + g), read(s + g)) for g in range(1, o))
            for s, o in zip(instance.prompt.tolist(), instance.output.tolist(), strict=True)
        ],
        dtype=np.int64,
    )


def latest_completions(
    instance: Instance, objective: str = "latency", *, value: Exact | None = None
) -> IntArray:
    """Latest completion of each request in at least one optimal schedule.

    Parameters
    ----------
    instance : Instance
        The instance.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective.
    value : int or Fraction, optional
        Value of a feasible schedule; by default that of the serial one. Not used for the reward.

    Returns
    -------
    ndarray of int64, shape (n,)
        Latest c_i; below ``a_i`` plus the least time alone only if the request cannot earn its
        reward.

    Raises
    ------
    InputError
        If the objective is unknown, or "reward" and the instance has no horizon.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> latest_completions(instance).tolist()  # serial: 4 and 6, one by one 4 and 2
    [6, 6]
    """
    require_objective(objective)
    serial = _serial_completions(instance)
    earliest = instance.arrival + least_times_alone(instance)
    if objective == "reward":
        # What is accepted and in time can be served in any left-shifted order: by then.
        return latest_completion(instance)
    least = evaluate(instance, serial, objective)
    if value is not None:
        least = min(value, least)
    if objective == "makespan":
        return np.full(instance.n, int(least), dtype=np.int64)
    costs = late_costs(instance, objective)
    weight = [Fraction(repr(w)) for w in costs.weight.tolist()]
    rest = least - evaluate(instance, earliest, objective)
    latest = np.full(instance.n, -1, dtype=np.int64)
    for i, (w, e, due) in enumerate(
        zip(weight, earliest.tolist(), costs.due.tolist(), strict=True)
    ):
        if w > 0 and due != NO_DEADLINE:
            latest[i] = max(due, e) + math.floor(rest / w)
    free = latest < 0
    if free.any():
        end = max(int(latest.max()), int(instance.arrival.max()))
        alone = times_alone(instance, batch_durations(instance))
        latest[free] = end + int(alone[free].sum())
    return latest


def _serial_completions(instance: Instance) -> IntArray:
    """Completions, or later times, of requests served one after another by arrival."""
    alone = times_alone(instance, batch_durations(instance)).tolist()
    completion, now = np.zeros(instance.n, dtype=np.int64), 0
    for i in np.argsort(instance.arrival, kind="stable").tolist():
        now = max(now, int(instance.arrival[i])) + alone[i]
        completion[i] = now
    return completion
