r"""Lower bounds on percentiles of latency over all schedules of an instance.

The schedules of every regime are those of machines of speed 1 with release dates a_i and works
w_i: the machine has worked w_i on request i by its completion c_i, and nothing before a_i. Mixed
batching has one such machine (its KV area over M), the others have several (shares of seats,
tokens and KV memory in the batches' fixed time, beside the work that a request adds).

**Theorem.** Let the latency of all but k requests be at most T. Then for every machine, and every
set W of requests, ``T ≥ Σ_{i∈W} w_i − (the k largest w_i in W) − (max a − min a over W)``.

*Proof.* Those of W that are not among the k complete by ``max a + T``, and the machine works on
them after ``min a`` only. So their works, at least those of W without its k largest, fit into
``max a + T − min a``. ∎

Nor can the latency of all but k be less than the (k + 1)-th largest of the times that each request
takes alone. A percentile between two order statistics is bounded by the same mean of their bounds.

The sets tried are all requests that arrive between two arrivals. Works are rounded down to whole
parts of a time unit (`first_tokens.whole_works`); all else is done in integers and fractions.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numba import njit

from ..models.errors import InputError
from ..models.instance import Instance, IntArray
from ..models.objectives import Exact
from .first_tokens import whole_works
from .regimes import recipe

#: Steps of the search over windows for each machine; beyond, fewer first arrivals are tried.
MOST_STEPS = 2 * 10**7


def tail_latency_bound(instance: Instance, *, model: str = "mixed", percent: float = 99.0) -> float:
    """Return a lower bound on a percentile of latency over all schedules.

    Parameters
    ----------
    instance : Instance
        One that the regime can serve.
    model : str
        The regime.
    percent : float
        From 0 to 100. The percentile is interpolated linearly between order statistics, as in
        `Figures`.

    Returns
    -------
    float
        In the instance's time unit, rounded down; 0 for a regime that says nothing of machines.

    Raises
    ------
    InputError
        If there is no such regime or percentile, or the regime cannot express the instance.

    See Also
    --------
    exact_tail_latency_bound : The same, not rounded.
    batchprophet.compare : Shows it for the 99th percentile beside that of each schedule.

    Examples
    --------
    Ten equal requests at once, each with a KV area of 14, so that all take 140/10 rounds at least.

    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=10), arrival=[0] * 10, prompt=[1] * 10,
    ...                     output=[4] * 10)
    >>> round(tail_latency_bound(instance, percent=100), 3)
    14.0
    >>> round(tail_latency_bound(instance, percent=50), 3)  # half-way between 5 and 6 of them
    7.7
    """
    exact = exact_tail_latency_bound(instance, model=model, percent=percent)
    nearest = float(exact)
    return nearest if Fraction(nearest) <= exact else math.nextafter(nearest, -math.inf)


def exact_tail_latency_bound(
    instance: Instance, *, model: str = "mixed", percent: float = 99.0
) -> Exact:
    """Return the bound of `tail_latency_bound`, which takes the same, without rounding.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 9], prompt=[3, 1], output=[4, 2])
    >>> exact_tail_latency_bound(instance)
    Fraction(199, 50)
    """
    if not 0 <= percent <= 100:
        raise InputError(f"percent: expected from 0 to 100, found {percent!r}")
    rules = recipe(model)
    rules.rules.require(instance)
    if rules.machines is None:
        return 0
    known = rules.machines(instance)
    place = Fraction(percent) * (instance.n - 1) / 100
    lower = int(place)
    upper = min(lower + 1, instance.n - 1)
    by_arrival = np.argsort(instance.arrival, kind="stable")
    release = (instance.arrival - instance.arrival.min())[by_arrival]
    allowed = (instance.n - 1 - lower, instance.n - 1 - upper)
    least = [Fraction(each) for each in np.sort(known.alone)[[lower, upper]].tolist()]
    starts = _first_arrivals(instance.n)
    for work in known.works:
        shift, units = whole_works(instance, work)
        ordered = np.ascontiguousarray(units[by_arrival])
        for k, left_out in enumerate(allowed):
            found = int(_longest_wait(release << shift, ordered, starts, left_out))
            least[k] = max(least[k], Fraction(found, 1 << shift))
    low, high = least
    bound = low + (place - lower) * (high - low)
    return int(bound) if bound.denominator == 1 else bound


def _first_arrivals(n: int) -> IntArray:
    """Places in the order of arrival at which windows begin: all, or evenly spread ones."""
    most = max(1, MOST_STEPS // n)
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


@njit(cache=True)
def _longest_wait(release: IntArray, work: IntArray, starts: IntArray, allowed: int) -> int:
    """The largest of the theorem's bounds over windows of arrivals, with `allowed` left out."""
    n, best = release.size, np.int64(0)
    largest = np.zeros(allowed + 1, dtype=np.int64)
    for first in starts:
        if n - first <= allowed:
            break
        # A heap would do no less: most works are below the least of the largest.
        largest[:] = -1
        inside = np.int64(0)
        for i in range(first, n):
            left_out = work[i]
            if allowed > 0 and left_out > largest[0]:
                left_out, largest[0] = largest[0], left_out
                at = 0
                while at + 1 < allowed and largest[at] > largest[at + 1]:
                    largest[at], largest[at + 1] = largest[at + 1], largest[at]
                    at += 1
            if left_out > 0:
                inside += left_out
            best = max(best, inside - (release[i] - release[first]))
    return int(best)
