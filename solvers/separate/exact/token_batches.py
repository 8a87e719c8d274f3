"""Token batches that may follow a state: sets of running requests, as the rules allow."""

from __future__ import annotations

import numpy as np
from numba import njit

from ..bounds.gpu_path_costs import SCALE
from ..compiled_instance import token_time
from .gpu_path_lookahead import look_ahead
from .labels import Labels
from .lookahead import DONE, bound_by_profiles, count_token
from .successors import begin_successor, bound_in_common, offer
from .workspace import COST, HELD, LATENCY, RUNNING, TIME, UNKNOWN, StateSpace, Workspace, is_left


@njit(cache=True, nogil=True)
def add_token_batches(states: StateSpace, space: Workspace, labels: Labels) -> None:
    """Token batches of all sets of running requests that the rules allow, depth first."""
    problem, plan, picked = states.problem, space.plan, space.picked
    m, barred = space.counts[RUNNING], _compare_running(states, space)
    end = space.counts[TIME] + token_time(problem.law, 1, 0)
    common = bound_in_common(states, space, end)
    ending = _plan_tokens(states, space, common, end)
    most = min(m, problem.B_D)
    cheapest = plan.value[: min(ending, most) + 1].min()
    size, at, members, kv, total, complete = 0, 0, 0, 0, common, 0
    while True:
        to_go = cheapest if at < ending else plan.value[complete]
        if at == m or size == most or is_left(space.counts, total + plan.least[at, size] + to_go):
            if size == 0:
                return
            size -= 1
            at = picked[size]
            i = space.running[at]
            members ^= 1 << at
            kv -= problem.prompt[i] + space.g[i]
            total -= plan.gain[at]
            complete -= at < ending
            at += 1
            continue
        i = space.running[at]
        if (
            barred >> at & 1
            or space.counts[HELD] + size + 1 > problem.M
            or (states.has_rules and space.equal[at] & ~members)
        ):
            at += 1
            continue
        picked[size] = at
        size += 1
        members |= 1 << at
        kv += problem.prompt[i] + space.g[i]
        total += plan.gain[at]
        complete += at < ending
        cost = total + plan.value[complete]
        if not is_left(space.counts, cost):
            _token_batch(states, space, labels, members, size, kv, -(-cost // SCALE))
        at += 1


@njit(cache=True, nogil=True)
def _plan_tokens(states: StateSpace, space: Workspace, common: int, end: int) -> int:
    """Prepare the bounds of token batches; return how many requests would complete in one."""
    problem, path, plan = states.problem, states.lookahead.path, space.plan
    at, m, ending = end - path.first, space.counts[RUNNING], 0
    plan.gain[:m] = 0
    plan.value[:] = 0
    for k in range(m):
        i, g = space.running[k], space.g[space.running[k]]
        ending += g + 1 == problem.output[i]
        if common == UNKNOWN:
            continue
        plan.gain[k] = path.running[path.stage[i, g], at]
        if g + 1 < problem.output[i]:
            plan.gain[k] += path.kv[at] - path.running[path.stage[i, g + 1], at]
        else:
            plan.gain[k] -= (problem.prompt[i] + g) * path.kv[at]
    most = min(m, problem.B_D)
    look_ahead(plan, m, most, False)
    if common > UNKNOWN:
        for c in range(min(ending, most) + 1):
            plan.value[c] = path.value[at, space.rest.counts[DONE], m - c]
    return ending


@njit(cache=True, nogil=True)
def _token_batch(
    states: StateSpace,
    space: Workspace,
    labels: Labels,
    members: int,
    size: int,
    kv: int,
    bound: int,
) -> None:
    problem = states.problem
    if states.has_rules and not _ties_are_kept(space, members):
        return
    end = space.counts[TIME] + token_time(problem.law, size, kv)
    bound = max(bound, _bound_of_tokens(states, space, members, end))
    if bound >= space.limit[LATENCY]:
        return
    begin_successor(space)
    for k in range(space.counts[RUNNING]):
        i = space.running[k]
        if members >> k & 1:
            space.next_g[i] += 1
        elif states.has_rules and size < problem.B_D:
            space.next_barred[i] = True
    if states.has_rules and not _tie(states, space, members):
        return
    offer(states, space, labels, end, space.counts[HELD] + size, bound)


@njit(cache=True, nogil=True)
def _bound_of_tokens(states: StateSpace, space: Workspace, members: int, end: int) -> int:
    """Lower bound on Σ completions after a token batch; 0 without tables."""
    if not states.lookahead.has_tables:
        return 0
    problem, cost = states.problem, space.counts[COST]
    for k in range(space.counts[RUNNING]):
        if members >> k & 1:
            to_go = problem.output[space.running[k]] - space.g[space.running[k]]
            count_token(space.rest, to_go, 1)
            if to_go == 1:
                cost += end
    bound = bound_by_profiles(problem, states.lookahead, space.rest, end, cost)
    for k in range(space.counts[RUNNING]):
        if members >> k & 1:
            to_go = problem.output[space.running[k]] - space.g[space.running[k]]
            count_token(space.rest, to_go, -1)
    return bound


@njit(cache=True, nogil=True)
def _compare_running(states: StateSpace, space: Workspace) -> int:
    """Fill `behind`, `equal` and `bound_to`; return the barred requests, as bits."""
    problem = states.problem
    m, barred = space.counts[RUNNING], 0
    space.equal[:m] = 0
    untied = True
    for k in range(m):
        i = space.running[k]
        if space.barred[i]:
            barred |= 1 << k
        space.behind[k] = space.bound_to[k] = 0
        if space.tied.size and space.tied[i] != np.uint64(0):
            untied = False
            for other in range(m):
                if space.tied[i] >> np.uint64(space.running[other]) & np.uint64(1):
                    space.bound_to[k] |= 1 << other
    for k in range(m):
        i = space.running[k]
        peak, to_go = problem.prompt[i] + problem.output[i], problem.output[i] - space.g[i]
        for other in range(k + 1, m):
            j = space.running[other]
            if problem.prompt[j] + problem.output[j] > peak:
                continue
            if problem.output[j] - space.g[j] > to_go:
                space.behind[k] |= 1 << other
            elif problem.prompt[j] + problem.output[j] < peak or (
                not space.barred[i] and (untied or problem.output[i] != problem.output[j])
            ):
                space.equal[other] |= 1 << k
    return barred


@njit(cache=True, nogil=True)
def _ties_are_kept(space: Workspace, members: int) -> bool:
    """Whether every request that a member is tied to is served."""
    for k in range(space.counts[RUNNING]):
        if members >> k & 1 and space.bound_to[k] & ~members:
            return False
    return True


@njit(cache=True, nogil=True)
def _tie(states: StateSpace, space: Workspace, members: int) -> bool:
    """Tie the overtaken requests; whether all that are tied can still be served with the others."""
    if space.tied.size == 0:
        return True
    problem = states.problem
    for k in range(space.counts[RUNNING]):
        i = space.running[k]
        others = space.bound_to[k]
        if not members >> k & 1:
            others |= space.behind[k] & members
        to_go = problem.output[i] - space.next_g[i]
        if others == 0 or to_go == 0:
            space.next_tied[i] = 0
            continue
        size = 1
        for other in range(space.counts[RUNNING]):
            if others >> other & 1:
                j = space.running[other]
                size += 1
                if problem.output[j] - space.next_g[j] < to_go:
                    return False
                space.next_tied[i] |= np.uint64(1) << np.uint64(j)
        if size > problem.B_D:
            return False
    return True
