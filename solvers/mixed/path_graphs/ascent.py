"""Multipliers for "each request once", improved by the volume algorithm on a path graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....models.instance import FloatArray, IntArray
from ...ascent.volume import StepFactor
from ..exact.search import SearchLimits
from .layered import CostsToGo, PathGraph
from .terms import UNIT, PathTerms

#: Steps at most, and the weight of the newest path in the average.
STEPS = 200
NEWEST = 0.1

#: First step factor; failures in a row that shrink it, by how much, and where the ascent ends.
FACTOR, PATIENCE, SHRINK, SMALLEST = 0.1, 10, 0.7, 0.002

#: The graph is pruned after this many improvements of the multipliers.
PRUNED_AFTER = 15

#: Arcs passed in an ascent that count as much work as one node expanded.
ARCS_PER_NODE = 200


@dataclass(slots=True)
class Ascent:
    """A graph, multipliers and costs to go that belong together.

    Attributes
    ----------
    graph : PathGraph or None
        None: no path is left within the limit, so the target is refuted.
    multiplier : ndarray of int64, shape (n,)
        v: what a start of request i costs less.
    costs : CostsToGo
        Under these multipliers.
    visits : ndarray of float64, shape (n,)
        Average number of starts on shortest paths.
    """

    graph: PathGraph | None
    multiplier: IntArray
    costs: CostsToGo
    visits: FloatArray

    @property
    def value(self) -> int:
        """Cost that no schedule in the graph falls below: Σ v + the shortest path."""
        return int(self.multiplier.sum()) + self.costs.least


def ascend(
    terms: PathTerms, graph: PathGraph, multiplier: IntArray, limits: SearchLimits, *, free: bool
) -> Ascent:
    """Climb from `multiplier`, pruning the graph on the way.

    Parameters
    ----------
    terms : PathTerms
        The terms of the excess.
    graph : PathGraph
        All paths within the limit.
    multiplier : ndarray of int64, shape (n,)
        Where to begin.
    limits : SearchLimits
        Time and work.
    free : bool
        Whether multipliers may be positive; see `expansion` for when they may not.
    """
    state = Ascent(graph, multiplier, graph.costs_to_go(multiplier), np.zeros(multiplier.size))
    if state.value > terms.limit:
        state.graph = None
        return state
    state.visits += _visits(graph, state.costs, multiplier.size)
    factor, improvements = StepFactor(FACTOR, SHRINK, PATIENCE), 0
    for _ in range(STEPS):
        if state.graph is None or factor.value < SMALLEST:
            break
        limits.check()
        trial = _step(terms, state, factor.value, free)
        if trial is None:
            break
        costs = state.graph.costs_to_go(trial)
        limits.spend(1 + state.graph.arcs // ARCS_PER_NODE, 0.0)
        visits = _visits(state.graph, costs, multiplier.size)
        state.visits += NEWEST * (visits - state.visits)
        if int(trial.sum()) + costs.least > state.value:
            state.multiplier, state.costs = trial, costs
            factor.succeeded()
            improvements += 1
            if improvements % PRUNED_AFTER == 0 or state.value > terms.limit:
                _prune(terms, state)
        else:
            factor.failed()
    if state.graph is not None:
        _prune(terms, state)
    return state


def _step(terms: PathTerms, state: Ascent, factor: float, free: bool) -> IntArray | None:
    """Multipliers a step along the averaged subgradient; None if it vanishes."""
    slope = 1.0 - state.visits
    if not free:
        slope = np.where((state.multiplier >= 0) & (slope > 0), 0.0, slope)
    square = float(slope @ slope)
    if square < 1e-9:
        return None
    length = factor * max(terms.limit - state.value, UNIT) / max(square, 1e-3)
    trial = state.multiplier + np.floor(length * slope).astype(np.int64)
    return trial if free else np.minimum(trial, 0)


def _visits(graph: PathGraph, costs: CostsToGo, n: int) -> IntArray:
    requests = [request for request, _ in graph.shortest_path(costs)]
    return np.bincount(np.array(requests, dtype=np.int64), minlength=n)


def _prune(terms: PathTerms, state: Ascent) -> None:
    """Drop what costs more than the limit under the multipliers."""
    assert state.graph is not None
    pruned = state.graph.pruned(state.costs, terms.limit - int(state.multiplier.sum()))
    if pruned is None:
        state.graph = None
    else:
        state.graph, state.costs = pruned
