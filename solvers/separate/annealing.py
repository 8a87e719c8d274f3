"""Simulated annealing over codes of schedules (`decode`): orders, and waits of prompt batches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ...models.instance import IntArray
from ..search.random_stream import Stream, below, uniform
from .decode import REJECTED, Running, decode_from, working_space
from .machine import Machine

#: Shares of the moves that change a wait, and of those that exchange two requests.
WAITS, SWAPS = 0.3, 0.35

#: Share of changed waits that become −1: the request joins the batch before it.
JOINS = 0.4

#: Share of changed waits that are drawn anew, up to about twice as long; others change by 1 or 2.
LEAPS = 0.3


class Begin(NamedTuple):
    """Where all schedules of a walk begin.

    Attributes
    ----------
    running : Running
        Those who hold KV then.
    now : int
        The boundary.
    fixed : int
        Positions of the order, from the first on, that stay as they are.
    """

    running: Running
    now: int
    fixed: int


def nobody_runs() -> Begin:
    """Return the beginning of whole schedules."""
    return Begin(working_space(0), 0, 0)


class Walk(NamedTuple):
    """Where the annealing stands.

    Attributes
    ----------
    begin : Begin
        Where its schedules begin.
    order, wait : ndarray of int64, shape (n,)
        The present code.
    best_order, best_wait : ndarray of int64, shape (n,)
        The best code seen.
    cost : ndarray of int64, shape (2,)
        Total latencies of both.
    running : Running
        Working space, for all requests.
    """

    begin: Begin
    order: IntArray
    wait: IntArray
    best_order: IntArray
    best_wait: IntArray
    cost: IntArray
    running: Running


@njit(cache=True, nogil=True)
def anneal(
    machine: Machine,
    walk: Walk,
    stream: Stream,
    steps: tuple[int, int, int],
    heat: tuple[float, float],
) -> None:
    """Go on with a walk, from step ``steps[0]`` to before ``steps[1]`` of ``steps[2]`` in all.

    The temperature falls geometrically from ``heat[0]`` to ``heat[1]`` over all steps. A candidate
    is accepted if its cost is at most the present one plus temperature × an exponential variable
    (Metropolis' rule, drawn first so that a decode can stop early).
    """
    if walk.order.size == walk.begin.fixed:
        return
    now, end, total = steps
    for step in range(now, end):
        temperature = heat[0] * (heat[1] / heat[0]) ** (step / total)
        limit = walk.cost[0] - temperature * np.log(1.0 - uniform(stream))
        move = uniform(stream)
        if move < WAITS:
            _try_wait(machine, walk, stream, limit)
        else:
            _try_order(machine, walk, stream, limit, move < WAITS + SWAPS)


@njit(cache=True, nogil=True)
def _try_wait(machine: Machine, walk: Walk, stream: Stream, limit: float) -> None:
    """Let a position join the batch before it, or change its number of token batches."""
    fixed = walk.begin.fixed
    position = fixed + below(stream, walk.order.size - fixed)
    before = walk.wait[position]
    u = uniform(stream)
    if u < JOINS:
        walk.wait[position] = -1
    elif u < JOINS + LEAPS:
        walk.wait[position] = below(stream, 2 * max(0, before) + 8)
    else:
        walk.wait[position] = max(-1, before - 2 + below(stream, 5))
    if walk.wait[position] == before or not _accepted(machine, walk, limit):
        walk.wait[position] = before


@njit(cache=True, nogil=True)
def _try_order(machine: Machine, walk: Walk, stream: Stream, limit: float, swap: bool) -> None:
    """Exchange two positions of the order, or insert one elsewhere; near more often than far."""
    fixed, end = walk.begin.fixed, walk.order.size
    n = end - fixed
    if n < 2:
        return
    i = fixed + below(stream, n)
    u = uniform(stream)
    distance = 1 + int(u * u * (n - 1))
    j = i + distance if uniform(stream) < 0.5 else i - distance
    if j < fixed or j >= end:
        j = i + i - j
        if j < fixed or j >= end:
            return
    order = walk.order
    if swap:
        order[i], order[j] = order[j], order[i]
    else:
        _insert(order, i, j)
    if not _accepted(machine, walk, limit):
        if swap:
            order[i], order[j] = order[j], order[i]
        else:
            _insert(order, j, i)


@njit(cache=True, nogil=True)
def _insert(order: IntArray, i: int, j: int) -> None:
    """Move what is at position i to position j."""
    moved = order[i]
    step = 1 if i < j else -1
    for k in range(i, j, step):
        order[k] = order[k + step]
    order[j] = moved


@njit(cache=True, nogil=True)
def _accepted(machine: Machine, walk: Walk, limit: float) -> bool:
    """Decode the candidate; keep it if its cost is within the limit."""
    cost = cost_of(machine, walk, limit)
    if cost == REJECTED:
        return False
    walk.cost[0] = cost
    if cost < walk.cost[1]:
        walk.cost[1] = cost
        walk.best_order[:] = walk.order
        walk.best_wait[:] = walk.wait
    return True


@njit(cache=True, nogil=True)
def cost_of(machine: Machine, walk: Walk, limit: float) -> int:
    """Latencies from the beginning on under the present code, or `REJECTED` beyond the limit."""
    begin, running = walk.begin.running, walk.running
    m = begin.counts[0]
    running.who[:m], running.to_go[:m] = begin.who[:m], begin.to_go[:m]
    running.held[:m], running.counts[:] = begin.held[:m], begin.counts
    return decode_from(
        machine, running, walk.begin.now, walk.order, walk.wait, limit, np.zeros(0, np.int64)
    )
