"""Conflict graph and clique inequalities: by theorem, against the checker and exhaustive search."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.conflict_graph import MOST_STARTS, conflict_graph
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.milp.horizon import latest_starts
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.objectives import total_latency
from batchprophet.solvers.mixed.bounds.conflict_cliques import (
    conflict_clique_bound,
    violated_cliques,
)
from batchprophet.solvers.mixed.bounds.linear_relaxation import linear_relaxation
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from tests.brute_force import brute_force
from tests.strategies import random_instance
from tests.tiny_instances import tiny_instance


def within_list_schedule(instance):
    """Latest starts by the value of the list schedule by KV area."""
    schedule = list_schedule(instance, instance.volume)
    return latest_starts(instance, value=total_latency(instance, schedule.completion(instance)))


def test_two_starts_conflict_iff_the_checker_refuses_the_two_alone():
    for seed in range(25):
        instance = random_instance(np.random.default_rng([1, seed]), 4)
        graph = conflict_graph(instance, instance.arrival + 6)
        for (i, k), (j, l) in combinations(sorted(graph), 2):  # noqa: E741
            if i == j:
                assert graph.has_edge((i, k), (j, l))
            else:
                alone = check_mixed(instance.take([i, j]), MixedSchedule([k, l]))
                assert graph.has_edge((i, k), (j, l)) == bool(alone)


def test_every_feasible_schedule_is_a_stable_set():
    for seed in range(50):
        instance = random_instance(np.random.default_rng([2, seed]), 6)
        schedule = list_schedule(instance, instance.volume)
        graph = conflict_graph(instance, schedule.start + 3)
        runs = list(enumerate(schedule.start.tolist()))
        assert graph.subgraph(runs).number_of_edges() == 0


def test_too_many_starts_are_refused():
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    with pytest.raises(InputError) as error:
        conflict_graph(instance, np.array([MOST_STARTS // 2, MOST_STARTS // 2 + 2]))
    assert str(error.value) == (
        "conflict graph: expected at most 1000 starts (request, round), found 1002 in 'instance'; "
        "it is meant for small instances"
    )


def test_the_clique_bound_lies_between_the_lp_and_the_optimum():
    better = 0
    for seed in range(100):
        instance = tiny_instance([3, seed])
        optimum, _ = brute_force(instance)
        bound = conflict_clique_bound(instance)
        relaxed = linear_relaxation(instance, latest=within_list_schedule(instance))
        assert bound.linear_relaxation == pytest.approx(relaxed, abs=1e-6)
        assert bound.linear_relaxation <= bound.value <= optimum + 1e-6
        better += bound.value > bound.linear_relaxation + 1e-3
    assert better >= 20


def test_cliques_close_the_gap_where_no_two_requests_fit_together():
    # Peaks 4 + 4 > 5 whenever two runs overlap: a machine that runs one at a time. In each round
    # one clique holds all starts whose run covers it, and those alone give the optimum 2 + 4 + 6.
    instance = Instance(gpu=Gpu(kv_capacity=5), arrival=[0] * 3, prompt=[2] * 3, output=[2] * 3)
    bound = conflict_clique_bound(instance)
    assert bound.linear_relaxation < 11
    assert bound.value == pytest.approx(12)
    graph = conflict_graph(instance, within_list_schedule(instance))
    for clique in bound.cliques:
        assert all(graph.has_edge(*pair) for pair in combinations(clique, 2))


def test_no_rounds_leave_the_linear_relaxation():
    instance = Instance(gpu=Gpu(kv_capacity=5), arrival=[0] * 3, prompt=[2] * 3, output=[2] * 3)
    bound = conflict_clique_bound(instance, rounds=0)
    assert (bound.value, bound.cliques) == (bound.linear_relaxation, ())


def test_the_heaviest_clique_is_found_where_greed_fails():
    # Each corner of the triangle has a heavier wing, which greed takes first: weight 0.9. The
    # triangle weighs 1.2.
    corners, wings = [(0, 0), (1, 0), (2, 0)], [(3, 0), (4, 0), (5, 0)]
    graph = nx.Graph([*combinations(corners, 2), *zip(corners, wings, strict=True)])
    x = {**dict.fromkeys(corners, 0.4), **dict.fromkeys(wings, 0.5)}
    assert violated_cliques(graph, x) == [corners]
