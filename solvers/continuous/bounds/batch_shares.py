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
    """Where q has tangents: for each of the first m, at j + ½ levels in an interval, then at j.

    Attributes
    ----------
    V : ndarray of float64, shape (2·m + 1,)
        Work that fits at each node; the last is the most work of a batch.
    order : ndarray of int64, shape (2·m + 1,)
        From the least work to the most.
    seats, tokens, kv : ndarray of float64, shape (2, 2·m + 1)
        The largest part of the shares of seats, tokens and KV that fits, and its slope.
    at : ndarray of float64, shape (2·m,)
        Levels moved at the node.
    value, rise, bend : ndarray of float64, shape (2·m,)
        Over an interval, the tangent has ``(1 − S)·(value + rise·d) + S'·bend·d`` at d levels more.
    sigma : float
        σ is c0 times this times 1 − S(most work).
    step, delta : float
        Tokens in a level, and the interval.
    least : ndarray of float64, shape (n,)
        Work of each request's smallest job.
    """

    V: FloatArray
    order: IntArray
    seats: FloatArray
    tokens: FloatArray
    kv: FloatArray
    at: FloatArray
    value: FloatArray
    rise: FloatArray
    bend: FloatArray
    sigma: float
    step: float
    delta: float
    least: FloatArray


def nodes_of(law: Law, levels: Levels, longest: float, delta: float, G: int) -> Nodes:
    """Return the nodes of E for intervals of `delta`; `longest` is the largest cache."""
    pace = float(levels.pace.min())
    m = int(delta * (1 + 1e-9) / (pace * G)) + 1
    least = np.maximum(levels.least, 1e-12)
    room = max(float(least.min()), 1e-3 * law.c0)  # no tangent where there is hardly any room
    moved = np.concatenate([np.arange(m) + 0.5, np.maximum(np.arange(m), 0.25)])
    r = np.minimum(moved * G / delta, 1 / (law.c0 + room))
    V = 1 / r - law.c0
    every = np.append(V, law.most_work)
    return Nodes(
        V=every,
        order=np.argsort(every, kind="stable"),
        seats=_seats(np.sort(least), law.running, every),
        tokens=_straight(every, law.tokens * min(law.c1, float(least.min()))),
        kv=_straight(every, law.kv * min(law.c1, law.c3 + law.c2 / longest)),
        at=r * delta / G,
        value=delta * law.c0 * r / V,
        rise=G * law.c0 * (1 / V + 1 / (r * V * V)),
        bend=G * law.c0 / (r * V),
        sigma=1 / law.most_work,
        step=float(G),
        delta=delta,
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
    """E in each interval; m is the most levels that are moved in one.

    Attributes
    ----------
    moved : ndarray of float64, shape (K, m + 1)
        Least charge per unit of work for moving some levels in an interval, so that what is
        between two of them lies below E.
    slope, height : ndarray of float64, shape (K, m + 1)
        Tangents ``slope·r − height``, from small r to large; the first is σ·r.
    drop : ndarray of float64, shape (K, m + 1)
        The lines that meet at some levels are below 0 at level 0, by this at least.
    line, drop_line : ndarray of int64, shape (K, m + 1)
        The node whose tangent `moved` and `drop` come from, −1 for σ.
    """

    moved: FloatArray
    slope: FloatArray
    height: FloatArray
    drop: FloatArray
    line: IntArray
    drop_line: IntArray


@njit(cache=True, nogil=True)
def _tangent(nodes: Nodes, S: FloatArray, S1: FloatArray, j: int, moved: float) -> float:
    d = moved - nodes.at[j]
    return float((1 - S[j]) * (nodes.value[j] + nodes.rise[j] * d) + S1[j] * nodes.bend[j] * d)


@njit(cache=True, nogil=True)
def lengths(nodes: Nodes, c0: float, shares: Shares, first: int, last: int, out: Lengths) -> None:
    """Write E of the intervals from `first` to `last`.

    Between j and j + 1 levels E is above the tangent at j + ½ or, where q bends so much that this
    is low at j, at j. What is charged for j levels is the lower of the two lines that meet there.
    """
    n, m = nodes.least.size, nodes.at.size // 2
    S, S1 = np.empty(2 * m + 1), np.empty(2 * m + 1)
    density = np.empty(n)
    for k in range(first, last):
        for i in range(n):
            density[i] = -shares.request[i, k] / nodes.least[i]
        order = np.argsort(density)
        _knapsack(nodes, shares, k, order, S, S1)
        sigma = c0 * nodes.sigma * (1 - S[2 * m])
        flat = sigma * nodes.step  # a level's charge at σ
        out.slope[k, 0], out.height[k, 0] = sigma, 0.0
        out.moved[k, 0], out.line[k, 0] = 0.0, -1
        out.moved[k, 1], out.line[k, 1] = flat, -1
        out.drop[k, :2], out.drop_line[k, :2] = 0.0, -1
        for j in range(m):
            middle = _tangent(nodes, S, S1, j, nodes.at[j])
            slope, height = sigma, 0.0
            if middle > flat * nodes.at[j]:
                rise = (1 - S[j]) * nodes.rise[j] + S1[j] * nodes.bend[j]
                slope = rise / nodes.step
                height = (rise * nodes.at[j] - middle) / nodes.delta
            out.slope[k, j + 1], out.height[k, j + 1] = slope, height
            if j == 0:
                continue
            line = j
            down = _tangent(nodes, S, S1, j, j)
            if down < 0.7 * out.moved[k, j]:
                line = m + j
                down = _tangent(nodes, S, S1, line, j)
            up = _tangent(nodes, S, S1, line, j + 1)
            if up + down < flat * (2 * j + 1):
                line, down, up = -1, flat * j, flat * (j + 1)
            if down < out.moved[k, j]:
                out.moved[k, j], out.line[k, j] = down, line
            out.moved[k, j + 1], out.line[k, j + 1] = up, line
            drop = max(0.0, (up - down) * j - down)
            if drop < out.drop[k, j]:
                out.drop[k, j], out.drop_line[k, j] = drop, line
            out.drop[k, j + 1], out.drop_line[k, j + 1] = drop, line


@njit(cache=True, nogil=True)
def _knapsack(
    nodes: Nodes, shares: Shares, k: int, order: IntArray, S: FloatArray, S1: FloatArray
) -> None:
    """Write the most shares in batches of each work V, and the slope."""
    n, at = order.size, 0
    work = taken = 0.0
    for j in nodes.order:
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
    n, m = nodes.least.size, nodes.at.size // 2
    density, partial = np.empty(n), np.zeros(n + 1)
    gS, gS1 = np.empty(2 * m + 1), np.empty(2 * m + 1)
    for k in range(first, last):
        gS[:] = 0.0
        gS1[:] = 0.0
        sigma = gradient.slope[k, 0]
        for t in range(1, m + 1):
            g, j = gradient.moved[k, t], of.line[k, t]
            if j < 0:
                sigma += g * nodes.step * t
            else:
                d = t - nodes.at[j]
                gS[j] -= g * (nodes.value[j] + nodes.rise[j] * d)
                gS1[j] += g * nodes.bend[j] * d
            g, j = gradient.drop[k, t], of.drop_line[k, t]
            if j >= 0:
                d = -nodes.at[j]
                gS[j] += g * (nodes.value[j] + nodes.rise[j] * d)
                gS1[j] -= g * nodes.bend[j] * d
        for j in range(m):
            slope, height = gradient.slope[k, j + 1], gradient.height[k, j + 1]
            if of.height[k, j + 1] == 0.0:
                sigma += slope
            else:
                d = slope / nodes.step + height * nodes.at[j] / nodes.delta
                gS[j] -= d * nodes.rise[j] - height * nodes.value[j] / nodes.delta
                gS1[j] += d * nodes.bend[j]
        gS[2 * m] -= c0 * nodes.sigma * sigma
        for i in range(n):
            density[i] = -shares.request[i, k] / nodes.least[i]
        order = np.argsort(density)
        partial[:] = 0.0
        at = 0
        work = 0.0
        for j in nodes.order:
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
