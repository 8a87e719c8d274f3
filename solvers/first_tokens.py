r"""Lower bounds on the mean time to first token over all schedules of an instance.

**Order statistics.** Let f_(k) be the k-th smallest time of a first token. On a machine of speed 1
that has worked v_i on request i by its first token, and nothing before a_i, shortest remaining
processing time first has as many requests done at *every* time as any schedule can (Schrage,
Operations Research 1968), preemption and shared speed included. So f_(k) is at least its k-th
completion, for all k at once, and for each machine; times are whole, so it may be rounded up. Nor
is f_(k) less than the k-th smallest of ``a_i + (time of the prompt of i alone)``.

**Room.** Where nothing is evicted, a request holds at least s_i + 1 tokens from its first token to
its completion, so that at most K are between the two, K the most whose ``s_i + 1`` sum to no more
than M. When the k-th first token is emitted, at least k − K requests are complete since an earlier
batch. So ``f_(k) ≥ c_(k−K) + (the shortest prompt batch)``, and c_(j) is bounded as f_(k) is, by
the works until completion.

**Contiguous runs.** Under mixed batching a request emits a token in every round of its run, so that
``f_i = c_i − (o_i − 1)``: the sum of the times to first token is the total latency less the
constant ``Σ (o_i − 1)``. What minimises one minimises the other, and each bound on one is a bound
on the other.

The sum of the largest bounds on each f_(k), less Σ a_i, is a bound on the sum of the times.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numba import njit

from ..models.instance import FloatArray, Instance, IntArray
from ..models.objectives import Exact, exact_sum
from .regimes import recipe

#: Works are lowered by this much, relative: more than what `Machines.works` are off by.
ROUNDING = 2.0**-39

#: Works are counted in units of 2^−k of a time unit, k at most this.
FINEST = 20


def first_token_bound(
    instance: Instance, *, model: str = "mixed", latency_bound: Exact | None = None
) -> Exact:
    """Return a lower bound on the mean time to first token over all schedules.

    Parameters
    ----------
    instance : Instance
        One that the regime can serve.
    model : str
        The regime.
    latency_bound : int or Fraction, optional
        A proved lower bound on the total latency: where runs are contiguous it is one here too.

    Returns
    -------
    int or Fraction
        In the instance's time unit.

    Raises
    ------
    InputError
        If there is no such regime, or it cannot express the instance.

    See Also
    --------
    batchprophet.solvers.tail_latency.tail_latency_bound : Of percentiles of latency.

    Examples
    --------
    Ten equal requests at once, each with a KV area of 14: a tenth of the memory for 14 rounds.

    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=10), arrival=[0] * 10, prompt=[1] * 10,
    ...                     output=[4] * 10)
    >>> first_token_bound(instance)  # mean latency of at least 8.4, less three rounds
    Fraction(27, 5)
    """
    rules = recipe(model)
    rules.rules.require(instance)
    if rules.first_tokens is None or rules.machines is None:
        return 0
    first = rules.first_tokens(instance)
    earliest = earliest_times(instance, first.alone, first.works)
    if first.contiguous or first.most_between < instance.n:
        whole = rules.machines(instance)
        alone = np.maximum(np.ceil(whole.alone).astype(np.int64), first.alone + first.decode)
        complete = earliest_times(instance, alone, whole.works)
    least = exact_sum(earliest - np.sort(instance.arrival))
    if first.contiguous:
        constant = exact_sum(first.decode)
        least = max(least, exact_sum(complete - np.sort(instance.arrival)) - constant)
        if latency_bound is not None:
            least = max(least, -int(-Fraction(latency_bound) // 1) - constant)
    elif first.most_between < instance.n:
        K = first.most_between
        earliest[K:] = np.maximum(earliest[K:], complete[:-K] + first.shortest)
        least = exact_sum(earliest - np.sort(instance.arrival))
    mean = Fraction(least, instance.n)
    return int(mean) if mean.denominator == 1 else mean


def earliest_times(instance: Instance, alone: IntArray, works: Iterator[FloatArray]) -> IntArray:
    """Return lower bounds on the k-th smallest time at which requests are done, for all k.

    Parameters
    ----------
    instance : Instance
        The instance.
    alone : ndarray of int64, shape (n,)
        The least time from arrival until each request is done.
    works : iterator of ndarray of float64, shape (n,)
        For each machine its works on each request until then.

    Returns
    -------
    ndarray of int64, shape (n,)
        Not decreasing.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[4, 2])
    >>> earliest_times(instance, np.array([1, 1]), iter([np.array([2.5, 1.0])])).tolist()
    [1, 4]
    """
    order = np.argsort(instance.arrival, kind="stable")
    origin = int(instance.arrival.min())
    release = instance.arrival[order] - origin
    earliest = np.sort(instance.arrival + alone) - origin
    for work in works:
        shift, units = whole_works(instance, work)
        done = _shortest_remaining_first(release << shift, units[order])
        earliest = np.maximum(earliest, -(-done >> shift))
    return earliest + origin


def whole_works(instance: Instance, work: FloatArray) -> tuple[int, IntArray]:
    """Return k and works in whole units of 2^−k of the time unit, rounded down.

    The unit is as fine as 64 bits allow: no time on the machine leaves them.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[4, 2])
    >>> shift, units = whole_works(instance, np.array([2.5, 1.0]))
    >>> shift, (units / 2**shift).round(4).tolist()
    (20, [2.5, 1.0])
    """
    span = int(instance.arrival.max()) - int(instance.arrival.min())
    largest = span + float(work.sum()) + 1
    shift = max(0, min(FINEST, 60 - int(np.ceil(np.log2(largest)))))
    return shift, np.floor(work * (1 - ROUNDING) * 2.0**shift).astype(np.int64)


@njit(cache=True)
def _shortest_remaining_first(release: IntArray, work: IntArray) -> IntArray:
    """Completions under shortest remaining processing time first, ascending; release is sorted."""
    n = release.size
    done = np.zeros(n, dtype=np.int64)
    waiting = [work[0]]
    waiting.pop()
    now, place, count = release[0], 0, 0
    while count < n:
        if not waiting:
            now = max(now, release[place])
        while place < n and release[place] <= now:
            heapq.heappush(waiting, work[place])
            place += 1
        rest = heapq.heappop(waiting)
        if place == n or now + rest <= release[place]:
            now += rest
            done[count] = now
            count += 1
        else:
            heapq.heappush(waiting, rest - (release[place] - now))
            now = release[place]
    return done
