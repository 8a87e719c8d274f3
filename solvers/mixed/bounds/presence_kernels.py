"""Cheapest starts and knapsacks under prices of tokens and of presence: the bound's two halves.

Compiled floating-point code for the search for good prices; what it returns proves nothing by
itself (`certified_knapsacks` does).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import FloatArray, Instance, IntArray

#: Nodes of the search of one knapsack beyond which its fractional solution is taken.
MOST_NODES = 5000

#: Presence prices up to this are taken for 0 in knapsacks.
NOTHING = 1e-9


class Windows(NamedTuple):
    """The rounds in which presence has a price: one window per request, from its arrival on.

    Presence prices are one flat array. Request i pays in round ``arrival[i] + 1 + x`` the price at
    ``offset[i] + x``, for ``x < offset[i + 1] − offset[i]``. `by_round` lists the positions by
    rounds, those of round t from ``ends[t]`` to ``ends[t + 1]``, and `weight` the tokens that their
    requests hold at least. Rounds count from the first arrival.
    """

    arrival: IntArray
    prompt: IntArray
    output: IntArray
    offset: IntArray
    ends: IntArray
    by_round: IntArray
    weight: IntArray


def windows(instance: Instance, length: IntArray) -> Windows:
    """Return windows of these lengths, shape (n,).

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[4, 5], prompt=[3, 1], output=[4, 2])
    >>> found = windows(instance, np.array([2, 1]))
    >>> found.ends.tolist(), found.by_round.tolist(), found.weight.tolist()
    ([0, 0, 1, 3], [0, 1, 2], [4, 4, 2])
    """
    arrival = instance.arrival - int(instance.arrival.min())
    offset = np.append(0, np.cumsum(length))
    request = np.repeat(np.arange(instance.n), length)
    t = arrival[request] + 1 + np.arange(request.size) - offset[request]
    by_round = np.argsort(t, kind="stable")
    ends = np.searchsorted(t[by_round], np.arange(int(t.max(initial=0)) + 2))
    weight = instance.prompt[request] + 1
    return Windows(
        arrival, instance.prompt, instance.output, offset, ends, by_round, weight[by_round]
    )


@njit(cache=True, nogil=True)
def cheapest_starts(
    given: Windows,
    token: FloatArray,
    presence: FloatArray,
    cost: FloatArray,
    token_slope: FloatArray,
    presence_slope: FloatArray,
) -> float:
    """Fill `cost` with every request's least cost and return their sum.

    Parameters
    ----------
    given : Windows
        The requests.
    token : ndarray of float64, shape (T + 1,)
        Price of a token held in round t; none later, and none in round 0.
    presence : ndarray of float64
        Prices of presence.
    cost : ndarray of float64, shape (n,)
        Receives ``min_k f_i(k)``.
    token_slope, presence_slope : ndarray of float64
        The tokens held in each round, and 1 for each priced presence, are added.
    """
    T = token.size - 1
    U, V = np.zeros(T + 1), np.zeros(T + 1)
    for t in range(1, T + 1):
        U[t] = U[t - 1] + token[t]
        V[t] = V[t - 1] + t * token[t]
    total = 0.0
    for i in range(given.arrival.size):
        a, s, o = given.arrival[i], given.prompt[i], given.output[i]
        x = given.offset[i]
        window = given.offset[i + 1] - x
        here = presence[x : x + min(o, window)].sum()
        best, wait, k = np.inf, np.int64(0), a
        while k + o - a < best:
            low, high = min(k, T), min(k + o, T)
            f = k + o - a + here + (s - k) * (U[high] - U[low]) + V[high] - V[low]
            if f < best:
                best, wait = f, k - a
            if k >= T:
                break
            d = k - a
            if d < window:
                here -= presence[x + d]
            if d + o < window:
                here += presence[x + d + o]
            k += 1
        cost[i] = best
        total += best
        for j in range(wait, min(wait + o, window)):
            presence_slope[x + j] += 1.0
        for j in range(1, min(o, T - a - wait) + 1):
            token_slope[a + wait + j] += s + j
    return total


@njit(cache=True, nogil=True)
def knapsacks(given: Windows, presence: FloatArray, M: int, presence_slope: FloatArray) -> float:
    """Return ``Σ_t σ_t``, and take from the slope of each presence what its knapsack holds of it.

    Positions of a round are put in the order of value per weight; they are nearly in it after the
    prices have moved a little.
    """
    total = 0.0
    most = np.int64(1)
    for t in range(given.ends.size - 1):
        most = max(most, given.ends[t + 1] - given.ends[t])
    w, v = np.empty(most, np.int64), np.empty(most)
    on, best_on = np.zeros(most, np.bool_), np.zeros(most, np.bool_)
    for t in range(given.ends.size - 1):
        first, last = given.ends[t], given.ends[t + 1]
        _sort(given.by_round[first:last], given.weight[first:last], presence)
        m, sum_w, sum_v = 0, 0, 0.0
        while first + m < last and presence[given.by_round[first + m]] > NOTHING:
            w[m], v[m] = given.weight[first + m], presence[given.by_round[first + m]]
            sum_w += w[m]
            sum_v += v[m]
            m += 1
        if sum_w <= M:
            total += sum_v
            for q in range(m):
                presence_slope[given.by_round[first + q]] -= 1.0
            continue
        value = _knapsack(w[:m], v[:m], M, on, best_on)
        if value < 0.0:
            value = _fractional(w[:m], v[:m], M, given.by_round[first:last], presence_slope)
        else:
            for q in range(m):
                if best_on[q]:
                    presence_slope[given.by_round[first + q]] -= 1.0
        total += value
    return total


@njit(cache=True, nogil=True)
def _sort(positions: IntArray, weight: IntArray, presence: FloatArray) -> None:
    """Sort by falling value per weight, by insertion."""
    for q in range(1, positions.size):
        x, w = positions[q], weight[q]
        density = presence[x] / w
        p = q
        while p > 0 and presence[positions[p - 1]] / weight[p - 1] < density:
            positions[p], weight[p] = positions[p - 1], weight[p - 1]
            p -= 1
        positions[p], weight[p] = x, w


@njit(cache=True, nogil=True)
def _knapsack(
    w: IntArray, v: FloatArray, M: int, on: NDArray[np.bool_], best_on: NDArray[np.bool_]
) -> float:
    """Optimum by depth-first search; `best_on` says what it holds. −1 after `MOST_NODES` nodes."""
    m = w.size
    best, value, room, position = 0.0, 0.0, M, 0
    best_on[:m] = False
    for _ in range(MOST_NODES):
        promising = value + _most(w, v, position, room) > best
        while promising and position < m:
            on[position] = w[position] <= room
            if on[position]:
                room -= w[position]
                value += v[position]
            else:
                promising = value + _most(w, v, position + 1, room) > best
            position += 1
        if promising and value > best:
            best = value
            best_on[:m] = on[:m]
        position -= 1
        while position >= 0 and not on[position]:
            position -= 1
        if position < 0:
            return best
        on[position] = False
        room += w[position]
        value -= v[position]
        position += 1
    return -1.0


@njit(cache=True, nogil=True)
def _most(w: IntArray, v: FloatArray, first: int, room: int) -> float:
    """Value of the fractional knapsack from the item `first` on."""
    value = 0.0
    for q in range(first, w.size):
        if w[q] > room:
            return value + float(v[q]) * room / float(w[q])
        room -= w[q]
        value += v[q]
    return value


@njit(cache=True, nogil=True)
def _fractional(
    w: IntArray, v: FloatArray, M: int, positions: IntArray, presence_slope: FloatArray
) -> float:
    """Value of the fractional knapsack, and what it holds taken from the slopes."""
    room = np.int64(M)
    for q in range(w.size):
        part = min(1.0, room / w[q])
        presence_slope[positions[q]] -= part
        room -= min(room, w[q])
    return _most(w, v, 0, M)
