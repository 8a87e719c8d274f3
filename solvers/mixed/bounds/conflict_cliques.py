"""Clique inequalities of the conflict graph: a first strengthening of the linear relaxation.

Of starts that exclude each other pairwise a schedule contains at most one, so
``Σ_{(i,k) in clique} x_{i,k} ≤ 1`` holds for every clique of the conflict graph. For small
instances, to learn from: the pairs see nothing of three runs that exceed M together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import networkx as nx
import pyomo.environ as pyo

from ....models.errors import BatchprophetError
from ....models.instance import Instance, IntArray
from ....models.mixed.conflict_graph import Start, conflict_graph
from ....models.mixed.milp.formulation import build_model
from ....models.mixed.milp.horizon import latest_starts
from ....models.objectives import total_latency
from ...highs import HighsResult, solve_model
from ...weak_duality import dual_bound
from ..list_scheduling.list_schedule import list_schedule

#: A clique is added if it is violated by more than this.
TOLERANCE = 1e-6

#: Weights for networkx are integers: parts of this.
PARTS = 2**20

#: Up to this many fractional starts the heaviest clique is searched exhaustively.
MOST_FRACTIONAL = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CliqueBound:
    """The LP bound with clique inequalities, and without.

    Attributes
    ----------
    value, linear_relaxation : float
        Lower bounds on the total latency by weak duality (see `weak_duality.dual_bound`).
    cliques : tuple of tuple of (int, int)
        The inequalities that were added, each by its starts (i, k).
    """

    value: float
    linear_relaxation: float
    cliques: tuple[tuple[Start, ...], ...]


def conflict_clique_bound(
    instance: Instance, *, latest: IntArray | None = None, rounds: int = 20
) -> CliqueBound:
    """Bound the total latency by the LP relaxation with violated clique inequalities, in rounds.

    Parameters
    ----------
    instance : Instance
        A small instance (mixed batching; see `conflict_graph.MOST_STARTS`).
    latest : ndarray of int64, shape (n,), optional
        Latest starts that keep an optimal schedule; by default those that follow from the list
        schedule by KV area.
    rounds : int
        At most this many times violated cliques are looked for.

    Returns
    -------
    CliqueBound
        ``linear_relaxation ≤ value ≤`` optimum, within the solver's tolerance on the left.

    Raises
    ------
    InputError
        If the instance has too many starts, or mixed batching cannot express it.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=5)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0, 0], prompt=[2, 2, 2], output=[2, 2, 2])
    >>> bound = conflict_clique_bound(instance)
    >>> round(bound.linear_relaxation, 3), round(bound.value, 3)  # one after the other: 2 + 4 + 6
    (10.5, 12.0)
    """
    if latest is None:
        schedule = list_schedule(instance, instance.volume)
        value = total_latency(instance, schedule.completion(instance))
        latest = latest_starts(instance, value=value)
    graph = conflict_graph(instance, latest)
    model = build_model(instance, latest=latest)
    model.cliques = pyo.ConstraintList(doc="at most one start of each clique of the conflict graph")
    result, first = _solve(model)
    bounds, cliques = [first], []
    for _ in range(rounds):
        found = violated_cliques(graph, _values(model, result))
        if not found:
            break
        for clique in found:
            model.cliques.add(sum(model.x[start] for start in clique) <= 1)
        cliques += found
        result, bound = _solve(model)
        bounds.append(bound)
    return CliqueBound(
        value=max(bounds), linear_relaxation=bounds[0], cliques=tuple(map(tuple, cliques))
    )


def violated_cliques(graph: nx.Graph[Start], x: dict[Start, float]) -> list[list[Start]]:
    """Find maximal cliques with ``Σ x > 1``, by greed from every fractional start, else by search.

    Parameters
    ----------
    graph : Graph
        The conflict graph.
    x : dict
        Value of each start.

    Examples
    --------
    >>> triangle = nx.Graph([((0, 0), (1, 0)), ((1, 0), (2, 0)), ((2, 0), (0, 0))])
    >>> violated_cliques(triangle, {(0, 0): 0.5, (1, 0): 0.5, (2, 0): 0.5})
    [[(0, 0), (1, 0), (2, 0)]]
    """
    heaviest_first = sorted(graph, key=lambda start: (-x[start], start))
    support = [start for start in heaviest_first if x[start] > TOLERANCE]
    found = {
        tuple(sorted(clique))
        for seed in support
        if _weight(clique := _extended(graph, [seed], heaviest_first), x) > 1 + TOLERANCE
    }
    if not found and len(support) <= MOST_FRACTIONAL:
        part = graph.subgraph(support).copy()
        nx.set_node_attributes(part, {i: round(x[i] * PARTS) for i in support}, "weight")
        heaviest, _ = nx.max_weight_clique(part)
        if _weight(heaviest, x) > 1 + TOLERANCE:
            found = {tuple(sorted(_extended(graph, heaviest, heaviest_first)))}
    return [list(clique) for clique in sorted(found)]


def _extended(graph: nx.Graph[Start], clique: list[Start], order: list[Start]) -> list[Start]:
    """Add every start of `order` that is adjacent to all so far."""
    clique = list(clique)
    common = set.intersection(*(set(graph[start]) for start in clique))
    for start in order:
        if start in common:
            clique.append(start)
            common &= set(graph[start])
    return clique


def _weight(clique: list[Start], x: dict[Start, float]) -> float:
    return sum(x[start] for start in clique)


def _solve(model: pyo.ConcreteModel) -> tuple[HighsResult, float]:
    result = solve_model(model, relax=True)
    if result.row_duals is None:
        raise BatchprophetError(f"{model.name}: the linear relaxation was not solved to optimality")
    return result, dual_bound(result.form, result.row_duals)


def _values(model: Any, result: HighsResult) -> dict[Start, float]:
    return {start: result.value(variable) for start, variable in model.x.items()}
