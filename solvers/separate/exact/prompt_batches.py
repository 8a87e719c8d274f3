"""Prompt batches that may follow a state: sets of waiting requests within the limits."""

from __future__ import annotations

from numba import njit

from ....models.separate.problem import Problem
from ..bounds.gpu_path_costs import SCALE
from ..compiled_instance import prompt_time
from .gpu_path_lookahead import look_ahead
from .labels import Labels
from .lookahead import DONE, bound_by_profiles, count_prompt
from .successors import begin_successor, bound_in_common, offer
from .workspace import (
    COST,
    HELD,
    LATENCY,
    RUNNING,
    TIME,
    UNKNOWN,
    WAITING,
    StateSpace,
    Workspace,
    is_left,
)


@njit(cache=True, nogil=True)
def add_prompt_batches(states: StateSpace, space: Workspace, labels: Labels) -> None:
    """Prompt batches of all sets of waiting requests within B_P, C_P and KV, depth first."""
    problem, path, plan = states.problem, states.lookahead.path, space.plan
    w, picked = space.counts[WAITING], space.picked
    most = min(w, problem.B_P, space.most)
    end = space.counts[TIME] + prompt_time(problem.law, 0)
    common = bound_in_common(states, space, end)
    _plan_prompts(states, space, common, end)
    free, done, running = (
        problem.M - space.counts[HELD],
        space.rest.counts[DONE],
        space.counts[RUNNING],
    )
    waiting, barred, counts = space.waiting, space.barred, space.counts
    depth, tokens, at, complete, total = 0, 0, 0, 0, common
    while True:
        if at == w or depth == most or is_left(counts, total + plan.least[at, depth]):
            if depth == 0:
                return
            depth -= 1
            at = picked[depth]
            i = waiting[at]
            tokens -= problem.prompt[i]
            complete -= problem.output[i] == 1
            total -= plan.gain[at]
            if states.lookahead.has_tables:
                count_prompt(problem, states.lookahead, space.rest, i, -1)
            at += 1
            continue
        i = waiting[at]
        if (
            barred[i]
            or tokens + problem.prompt[i] > problem.C_P
            or tokens + problem.prompt[i] + depth + 1 > free
            or _has_equal_before(problem, space, depth, at)
        ):
            at += 1
            continue
        picked[depth] = at
        depth += 1
        tokens += problem.prompt[i]
        complete += problem.output[i] == 1
        total += plan.gain[at]
        if states.lookahead.has_tables:
            count_prompt(problem, states.lookahead, space.rest, i, 1)
        cost = total
        if common > UNKNOWN:
            after = running + depth - complete
            cost += path.value[end - path.first, done + depth, after]
        if not is_left(counts, cost):
            bound, over = -(-cost // SCALE), space.counts[TIME] + prompt_time(problem.law, tokens)
            if states.lookahead.has_tables:
                completions = space.counts[COST] + complete * over
                bound = max(
                    bound,
                    bound_by_profiles(problem, states.lookahead, space.rest, over, completions),
                )
            if bound < space.limit[LATENCY]:
                _prompt_batch(states, space, labels, depth, tokens, over, bound)
        at += 1


@njit(cache=True, nogil=True)
def _plan_prompts(states: StateSpace, space: Workspace, common: int, end: int) -> None:
    """Prepare the bounds of prompt batches."""
    problem, path, plan = states.problem, states.lookahead.path, space.plan
    at, k, waiting = end - path.first, space.counts[RUNNING], space.counts[WAITING]
    most = min(waiting, problem.B_P, space.most)
    plan.gain[:waiting] = 0
    plan.value[:] = 0
    for position in range(waiting if common > UNKNOWN else 0):
        i = space.waiting[position]
        gain = (end - problem.arrival[i]) * SCALE - path.prompt[i]
        if problem.output[i] > 1:
            gain += (problem.prompt[i] + 1) * path.kv[at]
            gain -= path.running[path.stage[i, 1], at]
        plan.gain[position] = gain
    for j in range(1, most + 1 if common > UNKNOWN else 1):
        value = path.value[at, space.rest.counts[DONE] + j]
        plan.value[j] = value[k : k + j + 1].min()
    look_ahead(plan, waiting, most, True)


@njit(cache=True, nogil=True)
def _has_equal_before(problem: Problem, space: Workspace, depth: int, at: int) -> bool:
    """Whether an equal request that waits, is not barred and comes before has not been picked."""
    if at == 0 or (depth > 0 and space.picked[depth - 1] == at - 1):
        return False
    i, j = space.waiting[at], space.waiting[at - 1]
    return (
        problem.prompt[i] == problem.prompt[j]
        and problem.output[i] == problem.output[j]
        and not space.barred[j]
    )


@njit(cache=True, nogil=True)
def _prompt_batch(
    states: StateSpace,
    space: Workspace,
    labels: Labels,
    size: int,
    tokens: int,
    end: int,
    bound: int,
) -> None:
    problem = states.problem
    begin_successor(space)
    for k in range(size):
        space.next_g[space.waiting[space.picked[k]]] = 1
    if states.has_rules and size < problem.B_P:
        for k in range(space.counts[WAITING]):
            i = space.waiting[k]
            if space.next_g[i] == 0 and tokens + problem.prompt[i] <= problem.C_P:
                space.next_barred[i] = True
    offer(states, space, labels, end, space.counts[HELD] + tokens + size, bound)
