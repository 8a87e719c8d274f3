"""Area bounds: each request is at least its KV area of work for a machine of speed M.

All of them relax a schedule to the fluid machine of `fluid_machine`, in O(n log n). They hold for
every `Resource` in the place of the KV memory: seats and tokens, where a round has limits on them.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from ....models.instance import NO_DEADLINE, FloatArray, Instance
from ....models.objectives import due_times, latest_completion, value_step
from ...units import in_units
from .fluid_machine import Resource, kv_memory, preemptive_schedule, scaled_works


def shortest_remaining_area(instance: Instance, resource: Resource | None = None) -> int:
    """Lower bound on the total latency: shortest remaining KV area first.

    Proof. By the fluid relaxation, ``Σ c_i`` is at least the least total completion time of one
    preemptive machine with release dates, which is that of SRPT (Schrage 1968; sharing the
    machine does not help: exchange the work of two available jobs so that the one with less
    remaining ends first). SRPT's completions are integers in units of 1/M rounds, so their sum is
    exact, and ``Σ c_i`` is an integer, so it may be rounded up.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=5), arrival=[0, 0], prompt=[1, 3], output=[4, 2])
    >>> shortest_remaining_area(instance)  # works 14 and 9: completions 9/5 and 23/5
    7
    """
    release, work, speed = scaled_works(instance, resource)
    completion, _ = preemptive_schedule(release, work, np.zeros(instance.n), True)
    latency = completion - release
    whole, rest = int((latency // speed).sum()), int((latency % speed).sum())
    return whole + -(-rest // speed)


def mean_busy_time(
    instance: Instance, weight: FloatArray | None = None, resource: Resource | None = None
) -> Fraction:
    """Lower bound on ``Σ w_i·(c_i − a_i)`` by mean busy times; all w_i = 1 by default.

    Proof. Let B_i be the mean of the times at which the fluid machine works on i. Request i,
    started at k, gets ``s_i + j`` work in the round with middle ``k + j − ½``, so
    ``B_i = k + μ_i`` with ``μ_i = Σ_j (j − ½)(s_i + j)/p_i``, and ``c_i = B_i + o_i − μ_i``.
    ``Σ w_i·B_i`` is the integral of the time over the work done, each unit of i's work weighing
    ``w_i/p_i``; it is least if at any time the machine works on the available unit that weighs
    most: the preemptive schedule by falling ``w_i/p_i`` (Goemans, Queyranne, Schulz, Skutella,
    Wang 2002). Where works are rounded down to fit 64 bits, only the first part of each request's
    work counts, whose mean time is no later. The sum is in floating point; all terms are
    non-negative, and it is lowered by more than its rounding error of ``(4n + 32)·2^−53``,
    relative.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=5), arrival=[0, 0], prompt=[1, 3], output=[4, 2])
    >>> float(round(mean_busy_time(instance), 3))  # B 0.9 and 3.2; o − μ 0.944 and 1.643
    6.687
    """
    w = np.ones(instance.n) if weight is None else weight
    resource = resource or kv_memory(instance)
    release, work, speed = scaled_works(instance, resource)
    density = np.full(instance.n, np.inf)
    with np.errstate(over="ignore"):  # infinite: last, as what weighs nothing
        np.divide(work, w, out=density, where=w > 0)
    _, busy = preemptive_schedule(release, work, density, False)
    total = float(np.sum(w * (busy / speed + resource.after)))
    return Fraction(total) * (1 - Fraction(4 * instance.n + 32, 2**53))


def area_makespan(instance: Instance, resource: Resource | None = None) -> int:
    """Lower bound on the makespan: ``max_a (a + ⌈Σ_{a_j ≥ a} p_j / M⌉)`` over the arrivals a.

    Proof. What arrives at a or later gets all of its KV area after a, at most M a round.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=5), arrival=[0, 3], prompt=[1, 3], output=[4, 2])
    >>> area_makespan(instance)  # 23/5 from 0 on, 9/5 from 3 on
    5
    """
    M, work, _ = resource or kv_memory(instance)
    order = np.argsort(-instance.arrival, kind="stable")
    suffix = np.cumsum(work[order])
    return int((instance.arrival[order] + -(-suffix // M)).max())


def area_reward(instance: Instance, resource: Resource | None = None) -> Fraction:
    """Upper bound on the reward: the fractional knapsack of KV areas.

    Proof. What is done in time holds all of its KV area in the rounds between the first arrival
    and the last deadline, at most M a round: ``Σ_{i done} p_i ≤ Q``. For every price λ ≥ 0 the
    reward is at most ``λ·Q + Σ_i max(0, r_i − λ·p_i)`` over the i with ``a_i + o_i`` in time. The
    price taken is the ratio ``r/p`` at which the knapsack is full; the sum is exact.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=5)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[1, 3], output=[4, 2], horizon=4)
    >>> area_reward(instance)  # 20 token-rounds: 9 for one, 11 of the other's 14
    Fraction(25, 14)
    """
    latest = latest_completion(instance)
    possible = np.flatnonzero(instance.arrival + instance.output <= latest)
    if possible.size == 0:
        return Fraction(0)
    step = value_step(instance, "reward")
    r = [int(Fraction(repr(reward)) / step) for reward in instance.reward[possible].tolist()]
    M, work, _ = resource or kv_memory(instance)
    p: list[int] = work[possible].tolist()
    rounds = int(latest[possible].max()) - int(instance.arrival[possible].min())
    Q = M * rounds
    r_full, p_full = _critical_ratio(r, p, Q)
    surplus = sum(max(0, r_i * p_full - r_full * p_i) for r_i, p_i in zip(r, p, strict=True))
    return step * Fraction(r_full * Q + surplus, p_full)


def _critical_ratio(r: list[int], p: list[int], Q: int) -> tuple[int, int]:
    """Reward and area of the item at which the knapsack is full; 0 and 1 if all fit."""
    filled = 0
    for i in sorted(range(len(r)), key=lambda i: Fraction(-r[i], p[i])):
        filled += p[i]
        if filled > Q:
            return r[i], p[i]
    return 0, 1


def weighted_mean_busy_time(instance: Instance, resource: Resource | None = None) -> Fraction:
    """Lower bound on the weighted completion: `mean_busy_time` plus ``Σ w_i·a_i``.

    The weights are decimals; as floats, in a unit in which the largest is of ordinary size, they
    are within 2^−53 of them, relative (within 2^−1074 where that is more, which is nothing beside
    the largest), which the lowering in `mean_busy_time` covers.
    """
    small, unit = in_units(instance, "weighted")
    waits = mean_busy_time(small, small.weight, resource)
    at_arrival = math.fsum((small.weight * small.arrival).tolist())
    return unit * (waits + Fraction(at_arrival) * (1 - Fraction(8, 2**53)))


def tardy_mean_busy_time(instance: Instance, resource: Resource | None = None) -> Fraction:
    """Lower bound on the weighted tardiness: ``Σ w_i·(c_i − d_i)`` by `mean_busy_time`, or 0.

    Proof. The tardiness of a request is at least c_i − d_i; those without a deadline count 0 here,
    as if they had no weight.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=5), arrival=[0, 0], prompt=[1, 3], output=[4, 2], deadline=[3, 2]
    ... )
    >>> float(round(tardy_mean_busy_time(instance), 3))
    1.687
    """
    due = due_times(instance)
    with_one = instance.replace(weight=np.where(due == NO_DEADLINE, 0.0, instance.weight))
    small, unit = in_units(with_one, "weighted")
    waits = unit * mean_busy_time(small, small.weight, resource)
    rows = zip(with_one.weight.tolist(), instance.arrival.tolist(), due.tolist(), strict=True)
    slack = sum((Fraction(repr(w)) * (d - a) for w, a, d in rows if w), Fraction())
    return max(Fraction(), waits - slack)
