"""Cheapest starts under memory prices, and the KV tokens that they hold: the bound's two halves.

Compiled floating-point code for the search for good prices; what it returns proves nothing by
itself (`certified_prices` does). The pieces are those described there; here f is carried from
piece to piece by its differences instead of being evaluated anew.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ....models.instance import FloatArray, IntArray


@njit(cache=True, nogil=True)
def cheapest_starts(
    arrival: IntArray,
    prompt: IntArray,
    output: IntArray,
    boundaries: IntArray,
    prices: FloatArray,
    start: IntArray,
) -> float:
    """Fill `start` with the k that minimises f_i(k), and return ``Σ_i f_i(k_i)``.

    Parameters
    ----------
    arrival, prompt, output : ndarray of int64, shape (n,)
        The requests.
    boundaries : ndarray of int64, shape (blocks + 1,)
        The first is no later than the first arrival.
    prices : ndarray of float64, shape (blocks,)
        u ≥ 0 in each block, in rounds per token-round.
    start : ndarray of int64, shape (n,)
        Receives the starts.
    """
    b, u = boundaries, prices
    blocks = u.size
    sums, moments = np.zeros(blocks + 1), np.zeros(blocks + 1)  # Σ u_t, Σ t·u_t
    for j in range(blocks):
        rounds = float(b[j + 1] - b[j])
        sums[j + 1] = sums[j] + u[j] * rounds
        moments[j + 1] = moments[j] + u[j] * rounds * float(b[j] + b[j + 1] + 1) / 2.0
    total = 0.0
    for i in range(arrival.size):
        a, s, o = arrival[i], prompt[i], output[i]
        k = a
        j = np.searchsorted(b, k, side="right") - 1
        e = np.searchsorted(b, k + o, side="right") - 1
        held_price = sums[e] - sums[j]
        moment = moments[e] - moments[j]
        if e < blocks:
            rounds = float(k + o - b[e])
            held_price += u[e] * rounds
            moment += u[e] * rounds * float(k + o + b[e] + 1) / 2.0
        if j < blocks:
            rounds = float(k - b[j])
            held_price -= u[j] * rounds
            moment -= u[j] * rounds * float(k + b[j] + 1) / 2.0
        cost = float(o) + float(s - k) * held_price + moment
        best, best_k = cost, k
        while j < blocks and float(k + o - a) < best:
            end = b[j + 1] if e == blocks else min(b[j + 1], b[e + 1] - o)
            x = float(end - k)
            if x > 0.0:
                after = u[e] if e < blocks else 0.0
                growth = after - u[j]  # f(k+x+1) − f(k+x) = slope − growth·x
                slope = 1.0 + float(s) * growth - held_price + after * float(o)
                if growth < 0.0 and slope < 0.0:
                    falls = np.ceil(slope / growth)
                    if falls < x:
                        lowest = cost + falls * slope - growth * falls * (falls - 1.0) / 2.0
                        if lowest < best:
                            best, best_k = lowest, k + np.int64(falls)
                cost += x * slope - growth * x * (x - 1.0) / 2.0
                held_price += growth * x
                k = end
                if cost < best:
                    best, best_k = cost, k
            if k == b[j + 1]:
                j += 1
            if e < blocks and k + o == b[e + 1]:
                e += 1
        start[i] = best_k
        total += best
    return total


@njit(cache=True, nogil=True)
def held_tokens(
    start: IntArray, prompt: IntArray, output: IntArray, boundaries: IntArray, held: FloatArray
) -> None:
    """Fill `held` with the token-rounds held in each block by requests started at `start`."""
    b = boundaries
    held[:] = 0.0
    for i in range(start.size):
        k, s = start[i], prompt[i]
        begin, last = k, min(k + output[i], b[-1])
        j = np.searchsorted(b, begin, side="right") - 1
        while begin < last:
            end = min(last, b[j + 1])
            rounds = end - begin
            held[j] += float(rounds * (s - k) + rounds * (begin + end + 1) // 2)
            begin = end
            j += 1
