"""Dynamic programs over patterns of separate batching: costs to go, earliest times, schedules.

A state is a pattern, p requests that wait, d that are done, at a *time*. From a state

- one that waits begins: p falls by 1;
- if none waits, a prompt batch of k ≤ B is run and one of them begins: p = k − 1, the time rises by
  τ_P, after the arrival of the last of the k;
- a block goes by: the time rises by q·τ_D, and who was in the last block completes.

Every schedule in normal form (`patterns`) is a path of such steps below the grid: block by block,
first its prompt batches and starts, then its token batches. *Time* is less than that of the
schedule, by the token batches of the block that come before: at most q − 1, so a prompt batch whose
last request arrives at a is not earlier than ``a − (q − 1)·τ_D``, or than a if it is the first of
all. Hence, with the least values over all paths,

    E_d(x) = the earliest time of state x with d done,        T_j = of the j-th completion,
    F_m(x) = the sum of the m completions to come, from now on, if all has arrived,

every schedule has ``Σ C ≥ T_1 + … + T_d + min_x [(n − d)·E_d(x) + F_{n−d}(x)]``, d being the number
done in the first state with at least D done, for any D. The bound is the least over the d that
there may be: from D on as many as complete at once, 0 alone if D is 0. No request completes before
its arrival and its time alone, so these count in T.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from .patterns import Patterns

#: What is not reached.
NEVER = 2**30
_FAR = 2**60


class Times(NamedTuple):
    """Batch times, and the arrivals in order.

    Attributes
    ----------
    prompt, token : int
        τ_P and τ_D.
    arrival : ndarray of int64, shape (n,)
        Rising.
    """

    prompt: int
    token: int
    arrival: IntArray


class Bound(NamedTuple):
    """A lower bound on the sum of completions, and the D from which the costs to go count."""

    total: int
    split: int


def bound_below(graph: Patterns, times: Times) -> Bound:
    """Return the best bound over all D.

    Examples
    --------
    Two at 0 that do not fit in step. Both are prefilled, and the second begins a batch later: they
    complete at 3 and 4.

    >>> from .patterns import Rules, below_grid, patterns
    >>> graph = patterns(below_grid(Rules(2, 3, 9, together=2, running=2), 1), 100)
    >>> bound_below(graph, Times(1, 1, np.array([0, 0])))
    Bound(total=7, split=0)
    """
    n = times.arrival.size
    shape = (n + 1, int(graph.first[-1]))
    to_go, earliest = np.zeros(shape, np.int64), np.full(shape, NEVER, np.int32)
    T = np.full(n + 1, _FAR)
    grid = graph.grid
    alone = times.prompt + times.token * (grid.last + grid.batches * (grid.length - 1))
    T[0], earliest[0, 0] = 0, times.arrival[0]
    _costs_to_go(graph, times, to_go)
    _earliest(graph, times, earliest, T)
    T[1:] = np.maximum(T[1:], times.arrival + alone)
    so_far = np.cumsum(T)
    value = so_far.copy()
    for d in range(n):
        there = earliest[d] < NEVER
        rest = (n - d) * earliest[d][there].astype(np.int64) + to_go[n - d][there]
        value[d] += int(rest.min(initial=_FAR))
    reach = int(graph.done.max())
    least = [int(value[0]), *(int(value[D : D + reach].min()) for D in range(1, n + 1))]
    split = int(np.argmax(least))
    return Bound(least[split], split)


@njit(cache=True, nogil=True)
def _costs_to_go(graph: Patterns, times: Times, to_go: IntArray) -> None:
    """Fill ``F[m, state]``, for m to go."""
    grid, first = graph.grid, graph.first
    block, last = grid.batches * times.token, grid.last * times.token
    for m in range(1, to_go.shape[0]):
        for v in graph.order:
            R, u = np.int64(graph.run[v]), np.int64(graph.start[v])
            for p in range(graph.most[v] + 1):
                least = np.int64(_FAR)
                if R + p <= m:
                    if u >= 0 and p > 0 and p - 1 <= graph.most[u]:
                        least = to_go[m, first[u] + p - 1]
                    if u >= 0 and p == 0:
                        for k in range(1, min(grid.together, m - R, graph.most[u] + 1) + 1):
                            least = min(least, to_go[m, first[u] + k - 1] + times.prompt * m)
                    if R > 0:
                        c = np.int64(graph.done[v])
                        rest = to_go[m - c, first[graph.after[v]] + p]
                        least = min(least, rest + (m - c) * block + c * last)
                to_go[m, first[v] + p] = least


@njit(cache=True, nogil=True)
def _earliest(graph: Patterns, times: Times, earliest: NDArray[np.int32], T: IntArray) -> None:
    """Fill ``E[d, state]`` and T, from the first state."""
    grid, first, a = graph.grid, graph.first, times.arrival
    n, block, last = a.size, grid.batches * times.token, grid.last * times.token
    early = (grid.batches - 1) * times.token
    for d in range(n):
        for v in graph.order[::-1]:
            R, u = np.int64(graph.run[v]), np.int64(graph.start[v])
            if d + R > n:
                continue
            for p in range(graph.most[v], -1, -1):
                t = np.int64(earliest[d, first[v] + p])
                if t == NEVER:
                    continue
                if u >= 0 and p > 0 and p - 1 <= graph.most[u]:
                    state = first[u] + p - 1
                    earliest[d, state] = min(earliest[d, state], t)
                if u >= 0 and p == 0:
                    for k in range(1, min(grid.together, n - d - R, graph.most[u] + 1) + 1):
                        there = a[d + R + k - 1] - (0 if d + R == 0 else early)
                        state = first[u] + k - 1
                        now = max(t, there) + times.prompt
                        earliest[d, state] = min(earliest[d, state], now)
                if R > 0:
                    c = np.int64(graph.done[v])
                    state = first[graph.after[v]] + p
                    earliest[d + c, state] = min(earliest[d + c, state], t + block)
                    if c > 0:
                        T[d + c] = min(T[d + c], t + last)
    for j in range(n - 1, 0, -1):
        T[j] = min(T[j], T[j + 1])


class Path(NamedTuple):
    """A path on the grid.

    Attributes
    ----------
    total : int
        Sum of the completions.
    steps : ndarray of int64
        In order: −1 for a block, 0 for a start, k for a prompt batch of k with a start.
    """

    total: int
    steps: IntArray


def path_on(graph: Patterns, times: Times) -> Path:
    """Return a good path on the grid; the best one where all is there at first.

    Of the ways to a state the one is kept on which the sum of completions would be least if all
    others completed then. Where arrivals hinder, an earlier one might have been better.

    Examples
    --------
    On a grid of two the second waits for two token batches.

    >>> from .patterns import Rules, on_grid, patterns
    >>> graph = patterns(on_grid(Rules(2, 3, 9, together=2, running=2), 2), 100)
    >>> path = path_on(graph, Times(1, 1, np.array([0, 0])))
    >>> path.total, path.steps.tolist()
    (8, [2, -1, 0, -1])
    """
    n = times.arrival.size
    shape = (n + 1, int(graph.first[-1]))
    cost, time = np.full(shape, _FAR), np.full(shape, NEVER, np.int32)
    before = np.full(shape, -1, np.int32)
    cost[0, 0], time[0, 0] = n * times.arrival[0], times.arrival[0]
    _cheapest(graph, times, cost, time, before)
    return Path(int(cost[n, 0]), _read_back(graph, before, n))


@njit(cache=True, nogil=True)
def _cheapest(
    graph: Patterns,
    times: Times,
    cost: IntArray,
    time: NDArray[np.int32],
    before: NDArray[np.int32],
) -> None:
    """Fill costs, times and the states before."""
    grid, first, a = graph.grid, graph.first, times.arrival
    n, block, last = a.size, grid.batches * times.token, grid.last * times.token
    for d in range(n):
        m = n - d
        for v in graph.order[::-1]:
            R, u = np.int64(graph.run[v]), np.int64(graph.start[v])
            if d + R > n:
                continue
            for p in range(graph.most[v], -1, -1):
                here = first[v] + p
                so_far, t = cost[d, here], np.int64(time[d, here])
                if t == NEVER:
                    continue
                if u >= 0 and p > 0 and p - 1 <= graph.most[u]:
                    _keep(cost[d], time[d], before[d], first[u] + p - 1, so_far, int(t), here)
                if u >= 0 and p == 0:
                    for k in range(1, min(grid.together, m - R, graph.most[u] + 1) + 1):
                        now = max(t, a[d + R + k - 1]) + times.prompt
                        value = so_far + m * (now - t)
                        _keep(cost[d], time[d], before[d], first[u] + k - 1, value, int(now), here)
                if R > 0:
                    c = np.int64(graph.done[v])
                    goes_by = last if c == R and p == 0 else block
                    value = so_far + (m - c) * goes_by + c * last
                    state = first[graph.after[v]] + p
                    e = d + c
                    _keep(cost[e], time[e], before[e], state, value, int(t + goes_by), here)


@njit(cache=True, nogil=True)
def _keep(
    cost: IntArray,
    time: NDArray[np.int32],
    before: NDArray[np.int32],
    state: int,
    value: int,
    now: int,
    here: int,
) -> None:
    """Keep a way to a state if it is cheaper, or as cheap and earlier."""
    if value < cost[state] or (value == cost[state] and now < time[state]):
        cost[state], time[state], before[state] = value, now, here


def _read_back(graph: Patterns, before: NDArray[np.int32], n: int) -> IntArray:
    """Return the steps to the empty state with all done."""
    steps: list[int] = []
    d, state = n, 0
    while d > 0 or state > 0:
        v, p = _of(graph, state)
        came = int(before[d, state])
        u, w = _of(graph, came)
        if graph.start[u] == v and w == p + 1:
            steps.append(0)
        elif graph.start[u] == v and w == 0 and graph.run[v] == graph.run[u] + 1:
            steps.append(p + 1)
        else:
            steps.append(-1)
            d -= int(graph.done[u])
        state = came
    return np.array(steps[::-1], np.int64)


def _of(graph: Patterns, state: int) -> tuple[int, int]:
    v = int(np.searchsorted(graph.first, state, side="right")) - 1
    return v, state - int(graph.first[v])
