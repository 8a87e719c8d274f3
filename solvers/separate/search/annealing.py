"""Simulated annealing over encodings of schedules: orders, batches' rules, urgencies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import IntArray
from ....models.separate.problem import Problem
from ...random_stream import Stream, below, uniform
from .encoding import MOST_URGENT, Encoding
from .running import Running
from .schedule_builder import REJECTED, Workspace, latency_from, working_space

#: Shares of the moves that change a batch's wait, its least and its most number of requests,
#: whether a request is firm, and its urgency (none where token batches have room for all); others
#: change the order.
WAITS, LEASTS, MOSTS, FIRM, URGENCIES = 0.15, 0.1, 0.1, 0.1, 0.2

#: Share of changed waits that are drawn anew, up to about twice as long; others change by 1 or 2.
LEAPS = 0.5

#: Share of changed least numbers that become 1, and of changed most numbers that become no limit;
#: others are drawn from 1 up to what a batch holds, at most `MOST_DRAWN`.
FREED, MOST_DRAWN = 0.5, 8


class Begin(NamedTuple):
    """Where all schedules of an annealing begin.

    Attributes
    ----------
    running : Running
        The requests that hold KV then.
    now : int
        The boundary.
    fixed : int
        How many requests, the first of the order, are in a prompt batch now: they stay where they
        are, and if there are any, the first batch waits for nothing.
    """

    running: Running
    now: int
    fixed: int


def empty_begin() -> Begin:
    """Return the beginning of whole schedules."""
    return Begin(working_space(0).running, 0, 0)


class AnnealingState(NamedTuple):
    """Where the annealing stands.

    Attributes
    ----------
    begin : Begin
        Where its schedules begin.
    encoding, best : Encoding
        The present encoding, and the best one seen.
    cost : ndarray of int64, shape (3,)
        Total latencies of both; prompt batches of the present one.
    space : Space
        Working space, for all requests.
    """

    begin: Begin
    encoding: Encoding
    best: Encoding
    cost: IntArray
    space: Workspace


def start_annealing(problem: Problem, begin: Begin, encoding: Encoding) -> AnnealingState:
    """Return the state of an annealing that starts from an encoding."""
    cost = np.zeros(3, np.int64)
    space = working_space(problem.arrival.size)
    state = AnnealingState(begin, encoding.copied(), encoding.copied(), cost, space)
    cost[:2] = cost_of(problem, state, float(REJECTED))
    cost[2] = space.batches[0]
    return state


@njit(cache=True, nogil=True)
def anneal(
    problem: Problem,
    state: AnnealingState,
    stream: Stream,
    steps: tuple[int, int, int],
    heat: tuple[float, float],
) -> None:
    """Anneal on, from step ``steps[0]`` to before ``steps[1]`` of ``steps[2]`` in all.

    The temperature falls geometrically from ``heat[0]`` to ``heat[1]`` over all steps. A candidate
    is accepted if its cost is at most the present one plus temperature × an exponential variable
    (Metropolis' rule, drawn first so that an evaluation can stop early).
    """
    if state.encoding.order.size == state.begin.fixed:
        return
    now, end, total = steps
    shares = 1.0 if _may_be_too_many(problem) else 1.0 - URGENCIES
    for step in range(now, end):
        temperature = heat[0] * (heat[1] / heat[0]) ** (step / total)
        limit = state.cost[0] - temperature * np.log(1.0 - uniform(stream))
        move = shares * uniform(stream)
        if move < WAITS:
            _try_wait(problem, state, stream, limit)
        elif move < WAITS + LEASTS:
            _try_least(problem, state, stream, limit)
        elif move < WAITS + LEASTS + MOSTS:
            _try_most(problem, state, stream, limit)
        elif move < WAITS + LEASTS + MOSTS + FIRM:
            _try_firm(problem, state, stream, limit)
        elif move < 1.0 - URGENCIES:
            _try_order(problem, state, stream, limit)
        else:
            _try_urgency(problem, state, stream, limit)


@njit(cache=True, nogil=True)
def _may_be_too_many(problem: Problem) -> bool:
    """Whether more may run at once, as far as KV goes, than a token batch serves."""
    held, room = np.sort(problem.prompt + 1), problem.M
    for k in range(held.size):
        room -= held[k]
        if room < 0:
            return False
        if k >= problem.B_D:
            return True
    return False


@njit(cache=True, nogil=True)
def _try_wait(problem: Problem, state: AnnealingState, stream: Stream, limit: float) -> None:
    """Let a prompt batch wait for more token batches, or for fewer."""
    batch = _free_batch(state, stream, min(1, state.begin.fixed))
    before = state.encoding.wait[batch]
    if uniform(stream) < LEAPS:
        after = below(stream, 2 * before + 8)
    else:
        after = max(0, before - 2 + below(stream, 5))
    _try_value(problem, state, state.encoding.wait, batch, after, limit)


@njit(cache=True, nogil=True)
def _try_least(problem: Problem, state: AnnealingState, stream: Stream, limit: float) -> None:
    """Let a prompt batch wait for another number of requests."""
    batch, after = _free_batch(state, stream, min(1, state.begin.fixed)), 1
    if uniform(stream) >= FREED:
        after = 1 + below(stream, min(problem.B_P, MOST_DRAWN))
    _try_value(problem, state, state.encoding.least, batch, after, limit)


@njit(cache=True, nogil=True)
def _try_most(problem: Problem, state: AnnealingState, stream: Stream, limit: float) -> None:
    """Let a prompt batch hold another number of requests, at least those that are fixed."""
    batch, after = _free_batch(state, stream, 0), state.encoding.order.size
    if uniform(stream) >= FREED:
        after = 1 + below(stream, min(problem.B_P, MOST_DRAWN))
    if batch == 0:
        after = max(after, state.begin.fixed)
    _try_value(problem, state, state.encoding.most, batch, after, limit)


@njit(cache=True, nogil=True)
def _free_batch(state: AnnealingState, stream: Stream, first: int) -> int:
    """One of the present schedule's batches from the first on that may change, or the next one."""
    end = min(state.cost[2] + 1, state.encoding.wait.size)
    return first + below(stream, max(1, end - first))


@njit(cache=True, nogil=True)
def _try_urgency(problem: Problem, state: AnnealingState, stream: Stream, limit: float) -> None:
    """Make a request more urgent, or less."""
    i = below(stream, state.encoding.urgency.size)
    after = below(stream, MOST_URGENT + 1)
    _try_value(problem, state, state.encoding.urgency, i, after, limit)


@njit(cache=True, nogil=True)
def _try_firm(problem: Problem, state: AnnealingState, stream: Stream, limit: float) -> None:
    """Let no request overtake a request, or any."""
    i = state.encoding.order[below(stream, state.encoding.order.size)]
    _try_value(problem, state, state.encoding.firm, i, 1 - state.encoding.firm[i], limit)


@njit(cache=True, nogil=True)
def _try_value(
    problem: Problem, state: AnnealingState, column: IntArray, at: int, after: int, limit: float
) -> None:
    """Change one number of the encoding, if it stays within the limit."""
    if at >= column.size or column[at] == after:
        return
    before = column[at]
    column[at] = after
    if not _accepted(problem, state, limit):
        column[at] = before


@njit(cache=True, nogil=True)
def _try_order(problem: Problem, state: AnnealingState, stream: Stream, limit: float) -> None:
    """Exchange two places of the order, or insert one elsewhere; near more often than far."""
    fixed, end = state.begin.fixed, state.encoding.order.size
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
    order = state.encoding.order
    swap = uniform(stream) < 0.5
    if swap:
        order[i], order[j] = order[j], order[i]
    else:
        _insert(order, i, j)
    if not _accepted(problem, state, limit):
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
def _accepted(problem: Problem, state: AnnealingState, limit: float) -> bool:
    """Evaluate the candidate; keep it if its cost is within the limit."""
    cost = cost_of(problem, state, limit)
    if cost == REJECTED:
        return False
    state.cost[0], state.cost[2] = cost, state.space.batches[0]
    if cost < state.cost[1]:
        state.cost[1] = cost
        state.best.order[:], state.best.wait[:] = state.encoding.order, state.encoding.wait
        state.best.least[:], state.best.most[:] = state.encoding.least, state.encoding.most
        state.best.urgency[:], state.best.firm[:] = state.encoding.urgency, state.encoding.firm
    return True


@njit(cache=True, nogil=True)
def take_up(begin: Begin, space: Workspace) -> None:
    """Copy the requests that run at the beginning to the working space."""
    begun, running = begin.running, space.running
    m = begun.counts[0]
    running.who[:m], running.to_go[:m] = begun.who[:m], begun.to_go[:m]
    running.held[:m], running.counts[:] = begun.held[:m], begun.counts


@njit(cache=True, nogil=True)
def cost_of(problem: Problem, state: AnnealingState, limit: float) -> int:
    """Latencies from the beginning on under the present encoding; `REJECTED` above the limit."""
    take_up(state.begin, state.space)
    return latency_from(
        problem, state.space, state.begin.now, state.encoding, limit, np.zeros(0, np.int64)
    )
