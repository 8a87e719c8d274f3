"""Simulated annealing over the rules of list schedules, compiled.

A rule is an order of the requests and, for each segment of time, how many may run and how many
prompt tokens a batch may have (`list_schedule`). A move changes a place in the order, or a limit
of a few segments. Late in an overload it pays to admit fewer requests, or to read prompts in
smaller pieces: both are found rather than given.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import FloatArray, IntArray
from ...random_stream import Stream, below, uniform
from ..compiled_instance import CompiledInstance
from .list_schedule import Rule, Written, decode

#: Moves of each kind, out of 100: limits on running requests, and on prompt tokens; else the order.
_RUNNING_MOVES, _PROMPT_MOVES = 10, 10

#: Share of the moves in the order that go anywhere; the others prefer near places.
_ANYWHERE = 0.15


class AnnealingState(NamedTuple):
    """Where the annealing stands: everything that it needs to go on later.

    Attributes
    ----------
    order, running, prompt_tokens : ndarray of int64
        The rule, as in `list_schedule.Rule`.
    best_order, best_running, best_prompt_tokens : ndarray of int64
        The best one seen.
    cost : ndarray of float, shape (2,)
        Costs of both.
    """

    order: IntArray
    running: IntArray
    prompt_tokens: IntArray
    best_order: IntArray
    best_running: IntArray
    best_prompt_tokens: IntArray
    cost: FloatArray

    def best(self, width: int, depth: int) -> Rule:
        """Return the best rule, a copy of its own."""
        order, running = self.best_order.copy(), self.best_running.copy()
        return Rule(order, running, self.best_prompt_tokens.copy(), width, depth)


class Landscape(NamedTuple):
    """What is annealed over, and by which cost.

    Attributes
    ----------
    compiled : CompiledInstance
        The instance.
    weight : ndarray of float, shape (n,)
        Of each request's completion.
    due : ndarray of float, shape (n,) or (0,)
        As in `runs.Costs`.
    last : float
        Weight of the makespan.
    width, depth : int
        As in `list_schedule.Rule`.
    ring : int
        As `list_schedule.ring_size` gives for the smallest limit on prompt tokens.
    most_running, most_tokens, least_tokens : int
        Ranges of the limits.
    """

    compiled: CompiledInstance
    weight: FloatArray
    due: FloatArray
    last: float
    width: int
    depth: int
    ring: int
    most_running: int
    most_tokens: int
    least_tokens: int


def begin(landscape: Landscape, rule: Rule, written: Written) -> AnnealingState:
    """Return the annealing that stands at a rule."""
    value = cost(landscape, rule, written)
    return AnnealingState(
        order=rule.order.copy(),
        running=rule.running.copy(),
        prompt_tokens=rule.prompt_tokens.copy(),
        best_order=rule.order.copy(),
        best_running=rule.running.copy(),
        best_prompt_tokens=rule.prompt_tokens.copy(),
        cost=np.array([value, value]),
    )


@njit(cache=True, nogil=True)
def cost(landscape: Landscape, rule: Rule, written: Written) -> float:
    """Cost of a rule's schedule."""
    completion, _, _ = decode(landscape.compiled, rule, landscape.ring, written, False)
    total, last = 0.0, 0.0
    for i in range(completion.size):
        cost = float(completion[i])
        if landscape.due.size > 0:
            cost = max(0.0, cost - landscape.due[i])
        total += landscape.weight[i] * cost
        last = max(last, float(completion[i]))
    return total + landscape.last * last


@njit(cache=True, nogil=True)
def anneal(
    landscape: Landscape,
    state: AnnealingState,
    stream: Stream,
    written: Written,
    steps: int,
    hot: float,
    cold: float,
) -> None:
    """Try moves, at temperatures that fall geometrically from `hot` to `cold`."""
    segments = state.running.size
    order, running, prompt = (
        state.order.copy(), state.running.copy(), state.prompt_tokens.copy(),
    )  # fmt: skip
    rule = Rule(order, running, prompt, landscape.width, landscape.depth)
    for step in range(steps):
        temperature = hot * (cold / hot) ** (step / max(1, steps - 1))
        kind = below(stream, 100)
        if kind < _RUNNING_MOVES:
            at = below(stream, segments)
            end = min(segments, at + 1 + below(stream, 3))
            factor = math.exp(0.5 * (2.0 * uniform(stream) - 1.0))
            free = uniform(stream) < 0.1
            for j in range(at, end):
                value = landscape.most_running if free else int(running[j] * factor + 0.5)
                running[j] = max(1, min(landscape.most_running, value))
        elif kind < _RUNNING_MOVES + _PROMPT_MOVES:
            at = below(stream, segments)
            end = min(segments, at + 1 + below(stream, 3))
            factor = math.exp(1.4 * (2.0 * uniform(stream) - 1.0))
            free = uniform(stream) < 0.1
            for j in range(at, end):
                value = landscape.most_tokens if free else int(prompt[j] * factor + 0.5)
                value = max(landscape.least_tokens, min(landscape.most_tokens, value))
                prompt[j] = value
        else:
            _move(order, stream)
        found = cost(landscape, rule, written)
        change = found - state.cost[0]
        if change <= 0.0 or uniform(stream) < math.exp(-change / temperature):
            state.order[:] = order
            state.running[:] = running
            state.prompt_tokens[:] = prompt
            state.cost[0] = found
            if found < state.cost[1]:
                state.best_order[:] = order
                state.best_running[:] = running
                state.best_prompt_tokens[:] = prompt
                state.cost[1] = found
        else:
            order[:] = state.order
            running[:] = state.running
            prompt[:] = state.prompt_tokens


@njit(cache=True, nogil=True)
def _move(order: IntArray, stream: Stream) -> None:
    """Move one request to another place in the order, or exchange two."""
    n = order.size
    if n < 2:
        return
    a = below(stream, n)
    if uniform(stream) < _ANYWHERE:
        b = below(stream, n)
    else:
        reach = int(1.0 + 0.15 * n * uniform(stream) * uniform(stream) * uniform(stream))
        b = a + reach if uniform(stream) < 0.5 else a - reach
        b = max(0, min(n - 1, b))
    if uniform(stream) < 0.5:
        order[a], order[b] = order[b], order[a]
        return
    moved = order[a]
    if a < b:
        for j in range(a, b):
            order[j] = order[j + 1]
    else:
        for j in range(a, b, -1):
            order[j] = order[j - 1]
    order[b] = moved
