"""The bound that prices of tokens and of presence prove, in exact integer arithmetic.

**The bound.** A token held in round t costs ``u_t ≥ 0``, and request i pays ``v_{i,t} ≥ 0`` for
being in the batch of round t. Started at k, it costs

    f_i(k) = k + o_i − a_i + Σ_{t=k+1}^{k+o_i} [ u_t·(s_i + t − k) + v_{i,t} ].

The requests A_t in the batch of round t of a feasible schedule hold at most M tokens together, and
each of them at least s_i + 1. So they pay at most ``M·u_t + σ_t``, where

    σ_t = max { Σ_{i∈S} v_{i,t} : Σ_{i∈S} (s_i + 1) ≤ M }

is the optimum of a knapsack, and the latency of the schedule is at least

    Σ_i f_i(k_i) − Σ_t (M·u_t + σ_t) ≥ Σ_i min_{k ≥ a_i} f_i(k) − Σ_t (M·u_t + σ_t).

With ``v = 0`` this is the bound by memory prices; v adds that a request is held whole or not.
Up to the first arrival no one is in a batch: prices of these rounds are left out.

**The minimum over all k.** No price is negative, so no k with ``k + o_i − a_i`` at least the best
value so far can improve it; and from the last priced round T on f only grows.

**The knapsacks.** Requests that fit together pay the sum. Else the pairs (weight, value) that no
other pair dominates are built up request by request. Where they become too many, an upper bound
takes its place, which proves as well, if less: for every density ``λ = v_q / w_q``

    σ_t ≤ λ·M + Σ_i max(0, v_i − λ·w_i).

Nothing here is shared with the search for good prices: a reader need trust only this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numba import njit

from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ..clock import Clock

#: Presence prices that may be given, with the zeros between two runs of a request.
MOST_PRICES = 2**24

#: Rounds from the first arrival to the last price.
MOST_ROUNDS = 2**22

#: Pairs (weight, value) of a knapsack beyond which its fractional value is taken.
MOST_PAIRS = 2**15

_LIMIT = 2**62


def certified_value(
    instance: Instance,
    *,
    scale: int,
    first: int,
    prices: Sequence[int],
    step: int,
    presence: Sequence[Sequence[int]],
    clock: Clock | None = None,
) -> Fraction:
    """Lower bound on the total latency that the prices prove, exactly.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching).
    scale : int
        ≥ 1.
    first : int
        ≥ 1: ``u_t = prices[t − first] / scale`` in rounds ``first, first + 1, …``, 0 elsewhere.
    prices : sequence of int
        ≥ 0.
    step : int
        ≥ 1: the unit of presence prices is ``step / scale``.
    presence : sequence of sequences of int
        Runs ``(i, t, p, q, …)``: request i pays p units in round t ≥ 1, q in t + 1, and so on; by
        rising i and t, without overlap. Each price ≥ 0.
    clock : Clock, optional
        How long it may take; as long as it takes by default.

    Raises
    ------
    InputError
        If a run is not as described, or numbers are too large for arithmetic of 64 bits.
    OutOfTime
        If the clock runs out.

    Examples
    --------
    Three requests of which only two fit at once; the last must wait a round at least.

    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=5)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0, 0], prompt=[1, 1, 1], output=[1, 1, 1])
    >>> certified_value(
    ...     instance, scale=1, first=1, prices=[], step=1, presence=[[i, 1, 1] for i in range(3)]
    ... )
    Fraction(4, 1)

    References
    ----------
    Lagrangian relaxation of knapsack rows strengthened to their integer hull: A. M. Geoffrion,
    Lagrangean relaxation for integer programming, Mathematical Programming Study 2 (1974).
    """
    clock = clock or Clock(None)
    clock.check()
    origin = int(instance.arrival.min())
    prices = prices[max(0, origin + 1 - first) :]
    first = max(first, origin + 1)
    runs = _Runs(instance.n, presence, origin)
    last = max(first + len(prices) - 1, runs.last + origin) - origin
    if last > MOST_ROUNDS:
        raise InputError(f"prices: expected rounds up to {origin + MOST_ROUNDS}")
    M, end = (
        instance.gpu.kv_capacity,
        last + int((instance.arrival + instance.output).max()) - origin,
    )
    if not fits_64_bits(M, scale, prices, step, sum(runs.price.tolist()), end):
        raise InputError("prices: expected numbers that keep to arithmetic of 64 bits")
    token = np.zeros(last + 1, np.int64)
    token[first - origin : first - origin + len(prices)] = prices
    least = np.zeros(instance.n, np.int64)
    columns = instance.arrival - origin, instance.prompt, instance.output
    _least_costs(*columns, token, scale, *runs.arrays(step), clock.expired, least)
    clock.check()
    taken = _knapsacks(*runs.by_round(instance.prompt + 1, step), M, clock.expired)
    clock.check()
    deducted = M * sum(prices) + int(taken)
    return Fraction(sum(least.tolist()) - deducted, scale)


class _Runs:
    """Presence prices, one window of rounds per request, in units of the step."""

    def __init__(self, n: int, presence: Sequence[Sequence[int]], origin: int) -> None:
        self.begin = np.ones(n, np.int64)  # first round of each window, from the origin
        length = np.zeros(n, np.int64)
        before = -1, 0
        for position, (i, t, *values) in enumerate(presence):
            place = f"presence[{position}]"
            if not 0 <= i < n or t < 1 or not values:
                raise InputError(f"{place}: expected a request of {n}, a round ≥ 1 and prices")
            if (i, t) <= before:
                raise InputError(f"{place}: expected requests and rounds to rise without overlap")
            if i != before[0]:
                self.begin[i] = t - origin
            length[i] = t - origin + len(values) - self.begin[i]
            before = i, t + len(values) - 1
        self.last = int((self.begin + length).max()) - 1
        total = sum(length.tolist())
        if total > MOST_PRICES:
            raise InputError(f"presence: expected at most {MOST_PRICES} prices, found {total}")
        if self.last > MOST_ROUNDS:
            raise InputError(f"presence: expected rounds up to {origin + MOST_ROUNDS}")
        self.offset = np.append(0, np.cumsum(length))
        self.price = np.zeros(total, np.int64)
        for i, t, *values in presence:
            at = int(self.offset[i]) + t - origin - int(self.begin[i])
            self.price[at : at + len(values)] = values

    def arrays(self, step: int) -> tuple[IntArray, IntArray, IntArray]:
        """First round and offset of each window, and the sums of the prices before each."""
        sums = np.append(0, np.cumsum(step * self.price))
        return self.begin, self.offset, sums

    def by_round(self, weight: IntArray, step: int) -> tuple[IntArray, IntArray, IntArray]:
        """Weights and values of what is priced, by rounds, and where each round begins."""
        request = np.repeat(np.arange(weight.size), np.diff(self.offset))
        t = self.begin[request] + np.arange(self.price.size) - self.offset[request]
        there = np.flatnonzero((self.price > 0) & (t > 0))
        there = there[np.argsort(t[there], kind="stable")]
        ends = np.searchsorted(t[there], np.arange(self.last + 2))
        return weight[request[there]], step * self.price[there], ends


def fits_64_bits(
    M: int, scale: int, prices: Sequence[int], step: int, presence: int, end: int
) -> bool:
    """Whether no intermediate result can reach 2^62.

    Times are in ``0 … T``. A request pays at most ``(M + 2·T)·U + V``, with U and V the sums of all
    prices of tokens and of presence, and a knapsack multiplies values by weights of at most M.

    Parameters
    ----------
    M : int
        The KV capacity.
    scale, prices, step
        As for `certified_value`.
    presence : int
        The sum of all prices of presence, in units of the step.
    end : int
        T: no price and no latest arrival plus output is later, from the first round counted.
    """
    U, V = sum(prices), step * presence
    return scale * end + (2 * M + 2 * end) * U + (2 * M + 2) * V < _LIMIT


@njit(cache=True, nogil=True)
def _least_costs(
    arrival: IntArray,
    prompt: IntArray,
    output: IntArray,
    token: IntArray,
    scale: int,
    begin: IntArray,
    offset: IntArray,
    sums: IntArray,
    expired: IntArray,
    least: IntArray,
) -> None:
    """Fill `least` with ``scale · min_k f_i(k)``; return early once `expired`."""
    T = token.size - 1
    U, V = np.zeros(T + 1, np.int64), np.zeros(T + 1, np.int64)  # Σ u_t and Σ t·u_t
    for t in range(1, T + 1):
        U[t] = U[t - 1] + token[t]
        V[t] = V[t - 1] + t * token[t]
    for i in range(arrival.size):
        if expired[0]:
            return
        a, s, o = arrival[i], prompt[i], output[i]
        window = offset[i + 1] - offset[i]
        best = np.int64(_LIMIT)
        k = a
        while scale * (k + o - a) < best:
            low, high = min(k, T), min(k + o, T)
            cost = scale * (k + o - a) + (s - k) * (U[high] - U[low]) + V[high] - V[low]
            low = min(max(k + 1 - begin[i], 0), window)
            high = min(max(k + o + 1 - begin[i], 0), window)
            cost += sums[offset[i] + high] - sums[offset[i] + low]
            best = min(best, cost)
            if k >= T:
                break
            k += 1
        least[i] = best


@njit(cache=True, nogil=True)
def _knapsacks(weight: IntArray, value: IntArray, ends: IntArray, M: int, expired: IntArray) -> int:
    """``Σ_t σ_t``, or more."""
    total = np.int64(0)
    pairs, merged = np.zeros((MOST_PAIRS, 2), np.int64), np.zeros((MOST_PAIRS, 2), np.int64)
    for t in range(ends.size - 1):
        if expired[0]:
            break
        w, v = weight[ends[t] : ends[t + 1]], value[ends[t] : ends[t + 1]]
        if w.sum() <= M:
            total += v.sum()
        else:
            total += _knapsack(w, v, M, pairs, merged)
    return int(total)


@njit(cache=True, nogil=True)
def _knapsack(w: IntArray, v: IntArray, M: int, pairs: IntArray, merged: IntArray) -> int:
    """Most value of requests of at most M tokens together; more where pairs are too many.

    Rows of `pairs` are (weight, value), rising in both; those with one more request are merged in.
    """
    pairs[0] = 0
    count = 1
    for q in range(w.size):
        left, right, size, top = 0, 0, 0, np.int64(-1)
        while left < count or right < count:
            if right < count and (left == count or pairs[right, 0] + w[q] < pairs[left, 0]):
                x, y = pairs[right, 0] + w[q], pairs[right, 1] + v[q]
                right = right + 1 if x <= M else count
            else:
                x, y = pairs[left, 0], pairs[left, 1]
                left += 1
            if x > M or y <= top:
                continue
            if size and merged[size - 1, 0] == x:
                size -= 1
            if size == MOST_PAIRS:
                return _at_one_density(w, v, M)
            merged[size, 0], merged[size, 1] = x, y
            size += 1
            top = y
        pairs, merged, count = merged, pairs, size
    return int(pairs[count - 1, 1])


@njit(cache=True, nogil=True)
def _at_one_density(w: IntArray, v: IntArray, M: int) -> int:
    """Upper bound on the most value by the density of the request that fills the room."""
    room, q = np.int64(M), 0
    for position in np.argsort(-(v / w), kind="mergesort"):
        q = position
        room -= w[q]
        if room < 0:
            break
    excess = np.int64(M) * v[q]
    for i in range(w.size):
        excess += max(np.int64(0), v[i] * w[q] - v[q] * w[i])
    return int(excess // w[q])
