"""Ruin and recreate: requests are taken out, and put back one by one where they cost least.

Those taken out begin or complete near one another, or are any. They come back in an order drawn
anew: by chance, less work first, as they were, or longer outputs first; and each now and then
passes over a better place. They run without a break, or are dropped in between where that costs
less; the more often drops pay, the more often they are tried. What is worse is kept with the
probability of simulated annealing.

References
----------
Schrimpf, Schneider, Stamm-Wilbrandt, Dueck, *Record breaking optimization results using the ruin
and recreate principle*, Journal of Computational Physics 159, 2000.
Christiaens, Vanden Berghe, *Slack induction by string removals for vehicle routing problems*,
Transportation Science 54, 2020 (places passed over).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import FloatArray, IntArray
from ...random_stream import Stream, below, uniform
from ..compiled_instance import CompiledInstance
from .places import place
from .runs import Costs, Places, Runs, last_batch, places_of, put

#: Requests that are taken out at once, at most.
MOST_TAKEN = 8

#: Probability that a better place is passed over.
BLINK = 0.02


class RuinState(NamedTuple):
    """Where the search stands: everything that it needs to go on later.

    Attributes
    ----------
    runs : Runs
        The current runs.
    current, best : Places
        Copies of their places to return to, and the best ones seen.
    by_first, by_end : ndarray of int64, shape (n,)
        Requests in order of their first and their last batch, as of the last time they were asked.
    taken : ndarray of int64, shape (MOST_TAKEN,)
        Those that are taken out.
    key, work : ndarray of float, shape (n,)
        Room for keys to sort by, and the work of each request.
    cost : ndarray of float, shape (2,)
        Costs of the current and of the best runs.
    """

    runs: Runs
    current: Places
    best: Places
    by_first: IntArray
    by_end: IntArray
    taken: IntArray
    key: FloatArray
    work: FloatArray
    cost: FloatArray


def begin(runs: Runs, work: IntArray, cost: float) -> RuinState:
    """Return the search that stands at some runs, of which the cost is known."""
    n = runs.number.size
    return RuinState(
        runs, places_of(runs).copy(), places_of(runs).copy(), np.arange(n), np.arange(n),
        np.zeros(min(n, MOST_TAKEN), np.int64), np.zeros(n), work.astype(np.float64),
        np.array([cost, cost]),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def ruin_and_recreate(
    compiled: CompiledInstance,
    costs: Costs,
    state: RuinState,
    stream: Stream,
    steps: int,
    hot: float,
    cold: float,
) -> None:
    """Ruin and recreate, at temperatures that fall geometrically from `hot` to `cold`."""
    runs, current, best = state.runs, state.current, state.best
    for step in range(steps):
        temperature = hot * (cold / hot) ** (step / max(1, steps - 1))
        taken = _choose(compiled, state, stream)
        for i in taken:
            put(compiled, costs, runs, i, -1)
            runs.number[i] = 0
        _shuffle(compiled, state, taken, stream)
        found = place(compiled, costs, runs, taken, stream, BLINK)
        change = found - state.cost[0]
        if change <= 0.0 or uniform(stream) < math.exp(-change / temperature):
            state.cost[0] = found
            for i in taken:
                _copy(places_of(runs), current, i)
            if found < state.cost[1]:
                state.cost[1] = found
                for i in range(current.number.size):
                    _copy(current, best, i)
            continue
        for i in taken:
            if runs.number[i] > 0:
                put(compiled, costs, runs, i, -1)
        for i in taken:
            _copy(current, places_of(runs), i)
            put(compiled, costs, runs, i, 1)


@njit(cache=True, nogil=True)
def _copy(here: Places, there: Places, i: int) -> None:
    """Copy the runs of a request."""
    there.number[i] = here.number[i]
    for j in range(here.number[i]):
        there.before[i, j], there.first[i, j] = here.before[i, j], here.first[i, j]
        there.chunks[i, j] = here.chunks[i, j]
        for at in range(here.chunks[i, j]):
            there.tokens[i, j, at] = here.tokens[i, j, at]


@njit(cache=True, nogil=True)
def _choose(compiled: CompiledInstance, state: RuinState, stream: Stream) -> IntArray:
    """Choose who is taken out: any, or some of those that begin or complete near one another."""
    n = state.current.number.size
    count = 1 + below(stream, state.taken.size)
    lo, reach = 0, n
    order = state.by_first
    if uniform(stream) < 2 / 3:
        if uniform(stream) < 0.5:
            state.key[:] = state.current.first[:, 0]
        else:
            order = state.by_end
            for i in range(n):
                state.key[i] = last_batch(compiled, state.runs, i)
        _sort(order, state.key)
        reach = min(n, count * (1 + below(stream, 4)))
        lo = below(stream, n - reach + 1)
    chosen = 0
    for at in range(reach):
        if uniform(stream) * (reach - at) < count - chosen:
            state.taken[chosen] = order[lo + at]
            chosen += 1
    return state.taken[:chosen]


@njit(cache=True, nogil=True)
def _shuffle(compiled: CompiledInstance, state: RuinState, taken: IntArray, stream: Stream) -> None:
    """Draw the order in which requests are put back."""
    kind = below(stream, 4)
    for i in taken:
        if kind == 0:
            state.key[i] = uniform(stream)
        elif kind == 1:
            state.key[i] = state.work[i]
        elif kind == 2:
            state.key[i] = state.current.first[i, 0]
        else:
            state.key[i] = -compiled.output[i]
    _sort(taken, state.key)


@njit(cache=True, nogil=True)
def _sort(values: IntArray, key: FloatArray) -> None:
    """Sort values by their keys, by insertion: they are few, or almost in order."""
    for at in range(1, values.size):
        value = values[at]
        b = at
        while b > 0 and key[values[b - 1]] > key[value]:
            values[b] = values[b - 1]
            b -= 1
        values[b] = value
