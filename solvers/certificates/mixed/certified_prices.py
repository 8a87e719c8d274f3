"""The bound that memory prices prove, in exact integer arithmetic.

**The bound.** Let request i, started at k, hold ``s_i + t − k`` tokens in round t at the price u_t:

    f_i(k) = k + o_i − a_i + Σ_{t=k+1}^{k+o_i} u_t·(s_i + t − k).

In a feasible schedule the tokens held in round t are at most M, so with ``u ≥ 0`` its latency is at
least ``Σ_i f_i(k_i) − M·Σ_t u_t ≥ Σ_i min_{k ≥ a_i} f_i(k) − M·Σ_t u_t``, whatever the prices.

**The minimum over all k.** One start later, with U_t = u_1 + … + u_t,

    f(k+1) − f(k) = 1 + u_{k+1+o}·(s + o) − u_{k+1}·s − (U_{k+o} − U_k),

and where rounds k+1, k+2 have the same price p and rounds k+1+o, k+2+o the same price q, this
difference grows by ``p − q`` a step. So between two neighbouring k at which either end of the run
crosses into another block, f is quadratic: its minimum is at an end, or, if ``p > q``, at the
first k from which on f does not fall. Beyond the last block f only grows, and no k with
``k + o − a`` at least the best value so far can improve it, since prices are not negative.

Nothing here is shared with the search for good prices: a reader need trust only this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numba import njit
from numba.extending import register_jitable

from ....models.instance import Instance, IntArray
from ..clock import Clock
from .price_blocks import MemoryPrices

_LIMIT = 2**62


def certified_value(
    instance: Instance, prices: MemoryPrices, clock: Clock | None = None
) -> Fraction:
    """Lower bound on the total latency that the prices prove, exactly.

    All arithmetic is in integers of 64 bits if no intermediate result can leave them, and in
    unlimited integers otherwise.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching).
    prices : MemoryPrices
        Any prices.
    clock : Clock, optional
        How long it may take; as long as it takes by default.

    Returns
    -------
    Fraction
        A bound with a denominator that divides the prices' scale; an integer objective may be
        rounded up to the next integer.

    Raises
    ------
    OutOfTime
        If the clock runs out.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> certified_value(instance, MemoryPrices(boundaries=(0, 4), prices=(0,), scale=1))
    Fraction(6, 1)
    >>> certified_value(instance, MemoryPrices(boundaries=(3, 4), prices=(3,), scale=8))
    Fraction(51, 8)

    References
    ----------
    Weak duality for the integer program of arXiv 2502.07115 (docs/model/mixed.md §2).
    """
    least = _least_costs_of_all(instance, prices, clock or Clock(None))
    total_price = sum(_block_totals(prices))
    return Fraction(sum(least) - instance.gpu.kv_capacity * total_price, prices.scale)


def _block_totals(prices: MemoryPrices) -> list[int]:
    b = prices.boundaries
    return [price * (b[j + 1] - b[j]) for j, price in enumerate(prices.prices)]


def _least_costs_of_all(instance: Instance, prices: MemoryPrices, clock: Clock) -> list[int]:
    """``scale · min_k f_i(k)`` of every request."""
    clock.check()
    origin = min(int(instance.arrival.min()), prices.boundaries[0])
    b = [boundary - origin for boundary in prices.boundaries]
    p = list(prices.prices)
    if b[0] > 0:  # nothing is paid before the first block
        b, p = [0, *b], [0, *p]
    columns = (instance.arrival - origin, instance.prompt, instance.output)
    if fits_64_bits(instance, prices):
        least = np.empty(instance.n, dtype=np.int64)
        _least_costs(*columns, np.array(b), np.array(p), prices.scale, clock.expired, least)
        values: list[int] = least.tolist()
    else:
        values = [0] * instance.n
        a, s, o = (column.tolist() for column in columns)
        _least_costs.py_func(a, s, o, b, p, prices.scale, clock.expired, values)
    if clock.expired[0]:
        clock.check()
    return values


def fits_64_bits(instance: Instance, prices: MemoryPrices) -> bool:
    """Whether no intermediate result of the 64-bit arithmetic can reach 2^63.

    Times are in ``0 … T``, sums of prices at most U, sums of ``t·u_t`` at most T·U, so costs and
    their differences are at most twice ``scale·T + (M + T)·U + T·U``, and the sums of rounds
    t over a block at most 2·T².
    """
    origin = min(int(instance.arrival.min()), prices.boundaries[0])
    last = max(int(instance.arrival.max()), prices.boundaries[-1]) - origin
    T = last + int(instance.output.max()) + 1
    U = sum(_block_totals(prices)) + max(prices.prices)
    M = instance.gpu.kv_capacity
    return 2 * (prices.scale * T + (M + 2 * T) * U) + 3 * T * T < _LIMIT


@njit(cache=True, nogil=True)
def _least_costs(
    arrival: Sequence[int] | IntArray,
    prompt: Sequence[int] | IntArray,
    output: Sequence[int] | IntArray,
    b: Sequence[int] | IntArray,
    p: Sequence[int] | IntArray,
    scale: int,
    expired: IntArray,
    least: list[int] | IntArray,
) -> None:
    """Fill `least`; compiled for 64-bit integers, interpreted for unlimited ones.

    Returns early once `expired`.
    """
    blocks = len(p)
    sums, moments = [0 * scale], [0 * scale]  # Σ u_t and Σ t·u_t up to each boundary
    for j in range(blocks):
        rounds = b[j + 1] - b[j]
        sums.append(sums[j] + p[j] * rounds)
        moments.append(moments[j] + p[j] * (rounds * (b[j] + b[j + 1] + 1) // 2))
    for i in range(len(arrival)):
        a, s, o = arrival[i], prompt[i], output[i]
        k = a
        j, e = _block(b, k), _block(b, k + o)
        best = _cost(k, a, s, o, j, e, b, p, sums, moments, scale)
        while j < blocks and scale * (k + o - a) < best:
            if expired[0]:
                return
            end = b[j + 1] if e == blocks else min(b[j + 1], b[e + 1] - o)
            if end > k:
                q = p[e] if e < blocks else 0
                here = _cost(k, a, s, o, j, e, b, p, sums, moments, scale)
                step = _cost(k + 1, a, s, o, j, e, b, p, sums, moments, scale) - here
                if step < 0 and p[j] > q:
                    falls = min(-(step // (p[j] - q)), end - k)  # steps on which f falls
                    best = min(best, _cost(k + falls, a, s, o, j, e, b, p, sums, moments, scale))
                best = min(best, _cost(end, a, s, o, j, e, b, p, sums, moments, scale))
                k = end
            if k == b[j + 1]:
                j += 1
            if e < blocks and k + o == b[e + 1]:
                e += 1
        least[i] = best


@register_jitable
def _block(b: Sequence[int] | IntArray, t: int) -> int:
    """The j with ``b[j] ≤ t < b[j+1]``; the number of blocks beyond the last boundary."""
    low, high = 0, len(b) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if b[middle] <= t:
            low = middle
        else:
            high = middle - 1
    return low


@register_jitable
def _cost(
    k: int,
    a: int,
    s: int,
    o: int,
    j: int,
    e: int,
    b: Sequence[int] | IntArray,
    p: Sequence[int] | IntArray,
    sums: list[int],
    moments: list[int],
    scale: int,
) -> int:
    """``scale · f(k)``, with k in the closed block j and k + o in the closed block e."""
    U_k, V_k = sums[j], moments[j]
    if j < len(p):
        rounds = k - b[j]
        U_k += p[j] * rounds
        V_k += p[j] * (rounds * (b[j] + k + 1) // 2)
    U_end, V_end = sums[e], moments[e]
    if e < len(p):
        rounds = k + o - b[e]
        U_end += p[e] * rounds
        V_end += p[e] * (rounds * (b[e] + k + o + 1) // 2)
    return scale * (k + o - a) + (s - k) * (U_end - U_k) + V_end - V_k
