"""Simulated annealing over codes of schedules (`decode`): orders, batches' rules, urgencies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import IntArray
from ...random_stream import Stream, below, uniform
from ..compiled_instance import Machine
from .schedule_builder import (
    MOST_URGENT,
    REJECTED,
    Code,
    Running,
    Space,
    decode_from,
    working_space,
)

#: Shares of the moves that change a batch's wait, its least and its most number of requests,
#: whether a request is firm, and its urgency (none where token batches have room for all); others
#: change the order.
WAITS, LEASTS, MOSTS, FIRM, URGENCIES = 0.15, 0.1, 0.1, 0.1, 0.2

#: Share of changed waits that are drawn anew, up to about twice as long; others change by 1 or 2.
LEAPS = 0.5

#: Share of changed least numbers that become 1, and of changed most numbers that become no limit;
#: others are drawn from 1 up to what a batch holds, and to so many.
FREED, MOST_DRAWN = 0.5, 8


class Begin(NamedTuple):
    """Where all schedules of a walk begin.

    Attributes
    ----------
    running : Running
        Those who hold KV then.
    now : int
        The boundary.
    fixed : int
        So many requests, the first of the order, are in a prompt batch now: they stay where they
        are, and if there are any, the first batch waits for nothing.
    """

    running: Running
    now: int
    fixed: int


def nobody_runs() -> Begin:
    """Return the beginning of whole schedules."""
    return Begin(working_space(0).running, 0, 0)


class Walk(NamedTuple):
    """Where the annealing stands.

    Attributes
    ----------
    begin : Begin
        Where its schedules begin.
    code, best : Code
        The present code, and the best one seen.
    cost : ndarray of int64, shape (3,)
        Total latencies of both; prompt batches of the present one.
    space : Space
        Working space, for all requests.
    """

    begin: Begin
    code: Code
    best: Code
    cost: IntArray
    space: Space


def start_walk(machine: Machine, begin: Begin, code: Code) -> Walk:
    """Return a walk that stands at a code."""
    cost = np.zeros(3, np.int64)
    space = working_space(machine.arrival.size)
    walk = Walk(begin, code.copied(), code.copied(), cost, space)
    cost[:2] = cost_of(machine, walk, float(REJECTED))
    cost[2] = space.batches[0]
    return walk


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
    if walk.code.order.size == walk.begin.fixed:
        return
    now, end, total = steps
    shares = 1.0 if _may_be_too_many(machine) else 1.0 - URGENCIES
    for step in range(now, end):
        temperature = heat[0] * (heat[1] / heat[0]) ** (step / total)
        limit = walk.cost[0] - temperature * np.log(1.0 - uniform(stream))
        move = shares * uniform(stream)
        if move < WAITS:
            _try_wait(machine, walk, stream, limit)
        elif move < WAITS + LEASTS:
            _try_least(machine, walk, stream, limit)
        elif move < WAITS + LEASTS + MOSTS:
            _try_most(machine, walk, stream, limit)
        elif move < WAITS + LEASTS + MOSTS + FIRM:
            _try_firm(machine, walk, stream, limit)
        elif move < 1.0 - URGENCIES:
            _try_order(machine, walk, stream, limit)
        else:
            _try_urgency(machine, walk, stream, limit)


@njit(cache=True, nogil=True)
def _may_be_too_many(machine: Machine) -> bool:
    """Whether more may run at once, as far as KV goes, than a token batch serves."""
    held, room = np.sort(machine.prompt + 1), machine.M
    for k in range(held.size):
        room -= held[k]
        if room < 0:
            return False
        if k >= machine.B_D:
            return True
    return False


@njit(cache=True, nogil=True)
def _try_wait(machine: Machine, walk: Walk, stream: Stream, limit: float) -> None:
    """Let a prompt batch wait for more token batches, or for fewer."""
    batch = _free_batch(walk, stream, min(1, walk.begin.fixed))
    before = walk.code.wait[batch]
    if uniform(stream) < LEAPS:
        after = below(stream, 2 * before + 8)
    else:
        after = max(0, before - 2 + below(stream, 5))
    _try_value(machine, walk, walk.code.wait, batch, after, limit)


@njit(cache=True, nogil=True)
def _try_least(machine: Machine, walk: Walk, stream: Stream, limit: float) -> None:
    """Let a prompt batch wait for other many requests."""
    batch, after = _free_batch(walk, stream, min(1, walk.begin.fixed)), 1
    if uniform(stream) >= FREED:
        after = 1 + below(stream, min(machine.B_P, MOST_DRAWN))
    _try_value(machine, walk, walk.code.least, batch, after, limit)


@njit(cache=True, nogil=True)
def _try_most(machine: Machine, walk: Walk, stream: Stream, limit: float) -> None:
    """Let a prompt batch hold other many requests, not fewer than are fixed."""
    batch, after = _free_batch(walk, stream, 0), walk.code.order.size
    if uniform(stream) >= FREED:
        after = 1 + below(stream, min(machine.B_P, MOST_DRAWN))
    if batch == 0:
        after = max(after, walk.begin.fixed)
    _try_value(machine, walk, walk.code.most, batch, after, limit)


@njit(cache=True, nogil=True)
def _free_batch(walk: Walk, stream: Stream, first: int) -> int:
    """One of the present schedule's batches from the first on that may change, or the next one."""
    end = min(walk.cost[2] + 1, walk.code.wait.size)
    return first + below(stream, max(1, end - first))


@njit(cache=True, nogil=True)
def _try_urgency(machine: Machine, walk: Walk, stream: Stream, limit: float) -> None:
    """Make a request more urgent, or less."""
    i = below(stream, walk.code.urgency.size)
    after = below(stream, MOST_URGENT + 1)
    _try_value(machine, walk, walk.code.urgency, i, after, limit)


@njit(cache=True, nogil=True)
def _try_firm(machine: Machine, walk: Walk, stream: Stream, limit: float) -> None:
    """Let nobody overtake a request, or anybody."""
    i = walk.code.order[below(stream, walk.code.order.size)]
    _try_value(machine, walk, walk.code.firm, i, 1 - walk.code.firm[i], limit)


@njit(cache=True, nogil=True)
def _try_value(
    machine: Machine, walk: Walk, column: IntArray, at: int, after: int, limit: float
) -> None:
    """Change one number of the code, if it stays within the limit."""
    if at >= column.size or column[at] == after:
        return
    before = column[at]
    column[at] = after
    if not _accepted(machine, walk, limit):
        column[at] = before


@njit(cache=True, nogil=True)
def _try_order(machine: Machine, walk: Walk, stream: Stream, limit: float) -> None:
    """Exchange two places of the order, or insert one elsewhere; near more often than far."""
    fixed, end = walk.begin.fixed, walk.code.order.size
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
    order = walk.code.order
    swap = uniform(stream) < 0.5
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
    walk.cost[0], walk.cost[2] = cost, walk.space.batches[0]
    if cost < walk.cost[1]:
        walk.cost[1] = cost
        walk.best.order[:], walk.best.wait[:] = walk.code.order, walk.code.wait
        walk.best.least[:], walk.best.most[:] = walk.code.least, walk.code.most
        walk.best.urgency[:], walk.best.firm[:] = walk.code.urgency, walk.code.firm
    return True


@njit(cache=True, nogil=True)
def take_up(begin: Begin, space: Space) -> None:
    """Let those run in the working space who run at the beginning."""
    begun, running = begin.running, space.running
    m = begun.counts[0]
    running.who[:m], running.to_go[:m] = begun.who[:m], begun.to_go[:m]
    running.held[:m], running.counts[:] = begun.held[:m], begun.counts


@njit(cache=True, nogil=True)
def cost_of(machine: Machine, walk: Walk, limit: float) -> int:
    """Latencies from the beginning on under the present code, or `REJECTED` beyond the limit."""
    take_up(walk.begin, walk.space)
    return decode_from(machine, walk.space, walk.begin.now, walk.code, limit, np.zeros(0, np.int64))
