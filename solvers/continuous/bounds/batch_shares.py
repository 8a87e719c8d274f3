"""What is charged for the length of a batch: E of `charge`, from the shares of its fixed time.

A batch of length 1/r has room for work V(r) = 1/r − c0. The shares S(V) that fit into it are a
fractional knapsack, concave in V, so ``q(r) = c0·r·(1 − S(V(r)))/V(r)`` is the largest of
``c0·((1 − α)·r²/(1 − c0·r) − β·r)`` over the tangents α + β·V of S: convex, as α ≤ 1.
E is the largest of some tangents of q and of the line σ·r, where σ = c0·(1 − S(V))/V at the most
work V that any batch holds: no batch of a feasible schedule has a smaller q(r)/r.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import FloatArray, IntArray
from .levels import Law, Levels


class Nodes(NamedTuple):
    """Where E has tangents: at j + ½ levels in an interval, for j < m; and the most work.

    Attributes
    ----------
    V : ndarray of float64, shape (m + 1,)
        Work that fits at each node, falling; the last is the most work of a batch.
    seats, tokens, kv : ndarray of float64, shape (2, m + 1)
        The largest part of the shares of seats, tokens and KV that fits, and its slope.
    up, down : ndarray of float64, shape (2, m)
        Coefficients of 1 − S and of the slope of S in the tangent, times the interval, half a
        level to the right and to the left.
    slope, height : ndarray of float64, shape (2, m)
        The same in the slope of the tangent, and in what it has at r = 0, negated.
    sigma : float
        σ is so many times 1 − S(most work).
    step : float
        Tokens in a level.
    least : ndarray of float64, shape (n,)
        Work of each request's smallest job.
    """

    V: FloatArray
    seats: FloatArray
    tokens: FloatArray
    kv: FloatArray
    up: FloatArray
    down: FloatArray
    slope: FloatArray
    height: FloatArray
    sigma: float
    step: float
    least: FloatArray


def nodes_of(law: Law, levels: Levels, longest: float, delta: float, G: int) -> Nodes:
    """Return the nodes of E for intervals of `delta`; `longest` is the largest cache."""
    pace = float(levels.pace.min())
    m = int(delta * (1 + 1e-9) / (pace * G)) + 1
    r = (np.arange(m) + 0.5) * G / delta
    least = np.maximum(levels.least, 1e-12)
    room = max(float(least.min()), 1e-3 * law.c0)  # no tangent where there is hardly any room
    at = np.minimum(r, 1 / (law.c0 + room))
    V = 1 / at - law.c0
    h = G / (2 * delta)
    alpha = law.c0 * at / V
    beta, gamma = law.c0 * (1 / V + 1 / (at * V * V)), law.c0 / (at * V)
    up, down = r - at + h, r - at - h
    most = max(law.most_work, float(V.max()))
    V = np.append(V, most)
    return Nodes(
        V=V,
        seats=_seats(np.sort(least), law.running, V),
        tokens=_straight(V, law.tokens * min(law.c1, float(least.min()))),
        kv=_straight(V, law.kv * min(law.c1, law.c3 + law.c2 / longest)),
        up=delta * np.stack([alpha + beta * up, gamma * up]),
        down=delta * np.stack([alpha + beta * down, gamma * down]),
        slope=np.stack([beta, gamma]),
        height=np.stack([beta * at - alpha, gamma * at]),
        sigma=1 / most,
        step=float(G),
        least=least,
    )


def _straight(V: FloatArray, full: float) -> FloatArray:
    """What fits where `full` work is needed for all."""
    if full <= 0:
        return np.stack([np.ones_like(V), np.zeros_like(V)])
    return np.stack([np.minimum(1.0, V / full), np.where(full > V, 1 / full, 0.0)])


def _seats(least: FloatArray, running: float, V: FloatArray) -> FloatArray:
    """Most jobs that fit, of B: those with the least work first, cut into parts."""
    least = least[: int(running)]
    total = np.concatenate([[0.0], np.cumsum(least)])
    jobs = np.interp(V, total, np.arange(total.size))
    at = np.minimum(np.searchsorted(total, V, side="right"), least.size)
    slope = np.where(total[-1] > V, 1 / least[at - 1], 0.0)
    return np.stack([jobs, slope]) / running


class Shares(NamedTuple):
    """How the fixed time of batches is shared, in each of K intervals; each ≥ 0, in all ≤ 1.

    Attributes
    ----------
    request : ndarray of float64, shape (n, K)
        θ of each request.
    seat, token, kv : ndarray of float64, shape (K,)
        κ, γ and μ: of a seat in B, a token in C, a KV token in M.
    """

    request: FloatArray
    seat: FloatArray
    token: FloatArray
    kv: FloatArray


class Lengths(NamedTuple):
    """E in each interval.

    Attributes
    ----------
    moved : ndarray of float64, shape (K, m + 1)
        Least charge per unit of work for moving some levels in an interval, so that what is
        between two of them lies below E.
    slope, height : ndarray of float64, shape (K, m + 1)
        Tangents ``slope·r − height``; the last is σ·r.
    kind : ndarray of int64, shape (K, m + 1)
        Which tangent `moved` comes from: 0 for σ, 1 for that to the left, 2 for that to the right.
    """

    moved: FloatArray
    slope: FloatArray
    height: FloatArray
    kind: IntArray


@njit(cache=True, nogil=True)
def lengths(
    nodes: Nodes, c0: float, shares: Shares, first: int, last: int, out: Lengths
) -> None:
    """Write E of the intervals from `first` to `last`."""
    n = nodes.least.size
    m = nodes.V.size - 1
    S, S1 = np.empty(m + 1), np.empty(m + 1)
    density = np.empty(n)
    for k in range(first, last):
        for i in range(n):
            density[i] = -shares.request[i, k] / nodes.least[i]
        order = np.argsort(density)
        _knapsack(nodes, shares, k, order, S, S1)
        sigma = c0 * nodes.sigma * (1 - S[m])
        out.slope[k, m], out.height[k, m] = sigma, 0.0
        out.moved[k, :] = np.inf
        out.moved[k, 0] = 0.0
        for j in range(m):
            a = nodes.slope[0, j] * (1 - S[j]) + nodes.slope[1, j] * S1[j]
            b = nodes.height[0, j] * (1 - S[j]) + nodes.height[1, j] * S1[j]
            up = nodes.up[0, j] * (1 - S[j]) + nodes.up[1, j] * S1[j]
            down = nodes.down[0, j] * (1 - S[j]) + nodes.down[1, j] * S1[j]
            right, left = 1, 2
            middle = sigma * nodes.step * (j + 0.5)
            if (up + down) / 2 < middle:
                a, b = sigma, 0.0
                up, down = sigma * nodes.step * (j + 1), sigma * nodes.step * j
                right = left = 0
            out.slope[k, j], out.height[k, j] = a, b
            if j == 0:
                up, right = sigma * nodes.step, 0
            elif down < out.moved[k, j]:
                out.moved[k, j] = down
                out.kind[k, j] = left
            out.moved[k, j + 1] = up
            out.kind[k, j + 1] = right


@njit(cache=True, nogil=True)
def _knapsack(
    nodes: Nodes, shares: Shares, k: int, order: IntArray, S: FloatArray, S1: FloatArray
) -> None:
    """Most shares in batches of each work V, and the slope: nodes from the least V on."""
    n, m = order.size, nodes.V.size - 1
    at = 0
    work = taken = 0.0
    for step in range(m + 1):
        j = m if step == m else m - 1 - step
        V = nodes.V[j]
        while at < n and work + nodes.least[order[at]] <= V:
            work += nodes.least[order[at]]
            taken += shares.request[order[at], k]
            at += 1
        S[j], S1[j] = taken, 0.0
        if at < n:
            S1[j] = shares.request[order[at], k] / nodes.least[order[at]]
            S[j] += S1[j] * (V - work)
        S[j] += shares.seat[k] * nodes.seats[0, j] + shares.token[k] * nodes.tokens[0, j]
        S[j] += shares.kv[k] * nodes.kv[0, j]
        S1[j] += shares.seat[k] * nodes.seats[1, j] + shares.token[k] * nodes.tokens[1, j]
        S1[j] += shares.kv[k] * nodes.kv[1, j]
        S[j] = min(S[j], 1.0)


@njit(cache=True, nogil=True)
def lengths_gradient(
    nodes: Nodes,
    c0: float,
    shares: Shares,
    first: int,
    last: int,
    of: Lengths,
    gradient: Lengths,
    add: Shares,
) -> None:
    """Add to the gradient of shares what comes from the gradient of E."""
    n = nodes.least.size
    m = nodes.V.size - 1
    density, partial = np.empty(n), np.zeros(n + 1)
    gS, gS1 = np.empty(m + 1), np.empty(m + 1)
    for k in range(first, last):
        gS[:] = 0.0
        gS1[:] = 0.0
        sigma = gradient.slope[k, m]
        for t in range(1, m + 1):
            g = gradient.moved[k, t]
            if of.kind[k, t] == 0:
                sigma += g * nodes.step * t
            elif of.kind[k, t] == 1:
                gS[t - 1] -= g * nodes.up[0, t - 1]
                gS1[t - 1] += g * nodes.up[1, t - 1]
            else:
                gS[t] -= g * nodes.down[0, t]
                gS1[t] += g * nodes.down[1, t]
        for j in range(m):
            if of.height[k, j] == 0.0:
                sigma += gradient.slope[k, j]
            else:
                gS[j] -= gradient.slope[k, j] * nodes.slope[0, j]
                gS[j] -= gradient.height[k, j] * nodes.height[0, j]
                gS1[j] += gradient.slope[k, j] * nodes.slope[1, j]
                gS1[j] += gradient.height[k, j] * nodes.height[1, j]
        gS[m] -= c0 * nodes.sigma * sigma
        for i in range(n):
            density[i] = -shares.request[i, k] / nodes.least[i]
        order = np.argsort(density)
        partial[:] = 0.0
        at = 0
        work = 0.0
        for step in range(m + 1):
            j = m if step == m else m - 1 - step
            V = nodes.V[j]
            while at < n and work + nodes.least[order[at]] <= V:
                work += nodes.least[order[at]]
                at += 1
            partial[at] += gS[j]  # all before `at` are whole in this node
            if at < n:
                w = nodes.least[order[at]]
                add.request[order[at], k] += (gS[j] * (V - work) + gS1[j]) / w
            add.seat[k] += gS[j] * nodes.seats[0, j] + gS1[j] * nodes.seats[1, j]
            add.token[k] += gS[j] * nodes.tokens[0, j] + gS1[j] * nodes.tokens[1, j]
            add.kv[k] += gS[j] * nodes.kv[0, j] + gS1[j] * nodes.kv[1, j]
        whole = 0.0
        for place in range(n - 1, -1, -1):
            whole += partial[place + 1]
            add.request[order[place], k] += whole
