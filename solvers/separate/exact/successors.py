"""Successors of a label: their bounds, and which of them are added."""

from __future__ import annotations

import numpy as np
from numba import njit

from ..bounds.gpu_path_costs import SCALE
from .labels import LABELS, Labels, add_label, is_dominated
from .lookahead import ARRIVALS, DONE, RUN, bound_alone, bound_by_profiles
from .states import name_in_order, pack, pack_ties
from .workspace import (
    BOUND,
    COST,
    HELD,
    LABEL,
    LAST_LABEL,
    LATENCY,
    LEFT,
    PEAKS,
    RUNNING,
    TOP,
    UNKNOWN,
    WAITING_PRICE,
    StateSpace,
    Workspace,
)


@njit(cache=True, nogil=True)
def begin_successor(space: Workspace) -> None:
    """Begin a successor as a copy of the label."""
    space.next_g[:] = space.g
    space.next_barred[:] = space.barred
    space.next_tied[:] = space.tied


@njit(cache=True, nogil=True)
def bound_unchanged(states: StateSpace, space: Workspace, time: int) -> int:
    """Lower bound on Σ completions if nothing is done until a time; 0 where no table reaches."""
    path, rest, bound = states.lookahead.path, space.rest, 0
    common = bound_in_common(states, space, time)
    if common > UNKNOWN:
        cost = common + path.value[time - path.first, rest.counts[DONE], rest.counts[RUN]]
        bound = -(-cost // SCALE)
    if states.lookahead.has_tables:
        cost = space.counts[COST]
        by_profiles = bound_by_profiles(states.problem, states.lookahead, rest, time, cost)
        bound = max(bound, by_profiles)
    return int(bound)


@njit(cache=True, nogil=True)
def bound_in_common(states: StateSpace, space: Workspace, end: int) -> int:
    """What the path's bound on Σ completions at a time is made of, whatever a batch does till then.

    In units of 1/`SCALE`, without the cost to go; `UNKNOWN` where no table reaches.
    """
    path = states.lookahead.path
    at = end - path.first
    if at >= path.kv.size:
        return UNKNOWN
    cost = (space.counts[COST] + space.rest.counts[RUN] * end + space.rest.sums[ARRIVALS]) * SCALE
    cost += space.counts[WAITING_PRICE] - (states.problem.M - space.counts[HELD]) * path.kv[at]
    for k in range(space.counts[RUNNING]):
        i = space.running[k]
        cost -= path.running[path.stage[i, space.g[i]], at]
    return int(cost)


@njit(cache=True, nogil=True)
def offer(
    states: StateSpace, space: Workspace, labels: Labels, end: int, held: int, bound: int
) -> None:
    """Add what follows a label, unless it is unsafe, useless, dominated or too expensive.

    `held` is the KV at the end of the batch, before the complete ones free theirs, `bound` the
    lower bound on Σ completions by costs to go.
    """
    problem, g = states.problem, space.next_g
    if labels.size[LABELS] == labels.time.size:  # the label is expanded again when there is room
        space.counts[LEFT] = min(space.counts[BOUND], space.limit[LATENCY] - 1)
        return
    label, cost, complete = space.counts[LABEL], space.counts[COST], True
    for i in range(g.size):
        if g[i] == problem.output[i]:
            if space.g[i] < g[i]:
                cost += end
            space.next_barred[i] = False
        else:
            complete = False
            more = problem.prompt[i] + 1 if g[i] == 0 else 1
            if held + more > problem.M:
                space.next_barred[i] = False
            elif space.next_barred[i] and not _may_be_freed(states, space, i, more):
                return
    if complete:
        if cost < space.limit[LATENCY]:
            space.limit[LATENCY], space.limit[LAST_LABEL] = cost, labels.size[LABELS]
            pack(states.packing, g, space.next_barred, space.state, space.bars)
            nothing = np.uint64(0)
            add_label(
                labels, space.state, space.bars, nothing, end, cost, cost, space.counts[LABEL]
            )
        return
    if not states.lookahead.has_tables:
        bound = max(bound, cost + bound_alone(problem, states.lookahead, g, end))
    bound = max(space.counts[BOUND], bound)
    if bound >= min(space.limit[LATENCY], space.counts[TOP]):
        space.counts[LEFT] = min(space.counts[LEFT], bound)
        return
    if not _is_safe(states, space):
        return
    name_in_order(states.packing, g, space.next_barred, space.next_tied)
    pack(states.packing, g, space.next_barred, space.state, space.bars)
    ties = pack_ties(problem, g, space.next_tied, space.order)
    if not is_dominated(labels, space.state, space.bars, ties, end, cost, states.last_arrival):
        add_label(labels, space.state, space.bars, ties, end, cost, bound, label)


@njit(cache=True, nogil=True)
def _may_be_freed(states: StateSpace, space: Workspace, i: int, more: int) -> bool:
    """Whether the KV of all the others can ever be so large that i's next job would not fit."""
    problem, g = states.problem, space.next_g
    now = 0 if g[i] == 0 else problem.prompt[i] + g[i]
    peaks = space.counts[PEAKS] - problem.prompt[i] - problem.output[i]
    return bool(peaks + now + more > problem.M)


@njit(cache=True, nogil=True)
def _is_safe(states: StateSpace, space: Workspace) -> bool:
    """Whether all that hold KV can finish, one after another by tokens to go."""
    problem, g, order = states.problem, space.next_g, space.order
    m = held = 0
    for i in range(g.size):
        if 0 < g[i] < problem.output[i]:
            held += problem.prompt[i] + g[i]
            k = m
            while (
                k > 0 and problem.output[order[k - 1]] - g[order[k - 1]] > problem.output[i] - g[i]
            ):
                order[k] = order[k - 1]
                k -= 1
            order[k] = i
            m += 1
    for k in range(m):
        i = order[k]
        if held + problem.output[i] - g[i] > problem.M:
            return False
        held -= problem.prompt[i] + g[i]
    return True
