r"""Upper bounds on the goodput: how many requests any schedule can serve within latency limits.

**Alone.** A request whose prompt alone takes longer than the limit on the time to first token, or
whose token jobs alone take longer than that per output token, is within them in no schedule.

**Machines.** Let a machine of speed 1 have worked v_i on request i by its first token, and nothing
before a_i. The requests G within the limits have their first token by ``a_i + ttft``: the machine
can do all of G by these due dates, which come in the order of the arrivals. On such a machine
nothing is gained by preemption, nor by any other order than that of the arrivals. So the largest
set that it can do is found exactly, by the least completion ``E[k]`` of k of the first requests:
request i, in this order, gives ``E[k] ← min(E[k], max(E[k − 1], a_i) + v_i)`` where that is no
later than its due date. G is a set that it can do, so it is no larger.

*Order.* Let the machine do the set G in any way, with preemption. Now let it do G in the order of
arrivals. Request i completes at ``max_{h ≤ i} (a_h + Σ_{h ≤ j ≤ i, j ∈ G} v_j)``. In the first way
all these v_j were worked on after a_h, and done by the latest of their due dates, that of i. So i
is in time. ∎

**Completions.** A request within the limits is complete by ``a_i + ttft + D_i`` with
``D_i = tpot·(o_i − 1)``, or ``o_i − 1`` where runs are contiguous. Of the requests with
``D_i ≤ D`` this is at most ``a_i + ttft + D``, due dates in the order of arrivals again, now for
the works until completion. The others count as within the limits.

Of long instances parts that arrive one after another are bounded one by one, and the bounds added.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..models.instance import Instance, IntArray
from ..models.latency_limits import LatencyLimits
from .first_tokens import whole_works
from .machines import FirstTokens
from .regimes import recipe

#: Steps of the search for the largest set on each machine; of long instances, parts are taken.
MOST_STEPS = 2 * 10**7

#: Shares of the requests, by output, that are looked at until their completion.
SHARES = (0.25, 0.5, 0.75, 0.9, 1.0)


def goodput_bound(instance: Instance, limits: LatencyLimits, *, model: str = "mixed") -> int:
    """Return an upper bound on the number of requests within limits, over all schedules.

    Parameters
    ----------
    instance : Instance
        One that the regime can serve.
    limits : LatencyLimits
        The limits, in the instance's time unit.
    model : str
        The regime.

    Returns
    -------
    int
        From 0 to n.

    Raises
    ------
    InputError
        If there is no such regime, or it cannot express the instance.

    Examples
    --------
    Of ten equal requests at once, each with a KV area of 14, fifty tokens in each round let four
    complete in the first six rounds, and so few can begin in the first three.

    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=10), arrival=[0] * 10, prompt=[1] * 10,
    ...                     output=[4] * 10)
    >>> goodput_bound(instance, LatencyLimits(ttft=3))
    4
    >>> goodput_bound(instance, LatencyLimits(tpot=0.5))
    0
    """
    rules = recipe(model)
    rules.rules.require(instance)
    if rules.first_tokens is None or rules.machines is None:
        return instance.n
    first = rules.first_tokens(instance)
    able = able_alone(instance, first, limits)
    most = int(able.sum())
    if most and limits.ttft < math.inf:
        due = instance.arrival + _whole(limits.ttft)
        for work in first.works:
            most = min(most, _most_in_time(instance, work, due, able))
    decode = _longest_decode(instance, first, limits)
    if most and limits.ttft < math.inf and decode is not None:
        kept = [able & (decode <= top) for top in np.unique(np.quantile(
            decode[able], SHARES, method="higher"))]  # fmt: skip
        for work in rules.machines(instance).works:
            for chosen in kept:
                slack = _whole(limits.ttft) + int(decode[chosen].max())
                found = _most_in_time(instance, work, instance.arrival + slack, chosen)
                most = min(most, found + int((able & ~chosen).sum()))
    return most


def able_alone(instance: Instance, first: FirstTokens, limits: LatencyLimits) -> NDArray[np.bool_]:
    """Say which requests are within the limits where each has the GPU to itself, shape (n,)."""
    able: NDArray[np.bool_] = first.alone <= limits.ttft
    many = instance.output >= 2
    able[many] &= first.decode[many] / (instance.output[many] - 1) <= limits.tpot
    return able


def _longest_decode(
    instance: Instance, first: FirstTokens, limits: LatencyLimits
) -> IntArray | None:
    """The longest time from first token to completion within the limits; None without a limit."""
    if first.contiguous:
        return first.decode
    if limits.tpot == math.inf:
        return None
    # A quotient is within the limit as a float: the product is raised by more than its rounding.
    most = np.minimum(limits.tpot * (instance.output - 1) * (1 + 2.0**-40), 2.0**61)
    longest: IntArray = np.floor(most).astype(np.int64)
    return longest


def _whole(limit: float) -> int:
    """The largest whole time within a limit, of at most 2^61."""
    return math.floor(min(limit, 2.0**61))


def _most_in_time(
    instance: Instance, work: NDArray[np.float64], due: IntArray, chosen: NDArray[np.bool_]
) -> int:
    """The most of the chosen requests that the machine can do by their due dates."""
    shift, units = whole_works(instance, work)
    origin, latest = int(instance.arrival.min()), 2**62 >> shift
    order = np.argsort(instance.arrival, kind="stable")
    order = order[chosen[order]]
    release = (instance.arrival[order] - origin) << shift
    limit = np.minimum(due[order] - origin, latest) << shift
    length = max(1, MOST_STEPS // max(1, order.size))
    return _largest_set(release, units[order], limit, length)


@njit(cache=True)
def _largest_set(release: IntArray, work: IntArray, due: IntArray, length: int) -> int:
    """The size of the largest set in time, summed over parts of `length`; all are in order."""
    n, total = release.size, 0
    least = np.empty(min(n, length) + 1, dtype=np.int64)
    for begin in range(0, n, length):
        most = 0
        least[0] = release[begin]
        for i in range(begin, min(n, begin + length)):
            for k in range(most, -1, -1):
                completion = max(least[k], release[i]) + work[i]
                if completion <= due[i] and (k == most or completion < least[k + 1]):
                    least[k + 1] = completion
                    if k == most:
                        most += 1
        total += most
    return total
