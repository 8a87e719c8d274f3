"""The GPU's time-expanded network, and schedules made tidy: left-shifted, merged, renamed."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchprophet.models.batch_time import ConstantTime
from batchprophet.models.durations import batch_durations
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import check, schedule_value
from batchprophet.models.separate.milp.from_variables import left_shifted
from batchprophet.models.separate.milp.horizon import latest_completions
from batchprophet.models.separate.milp.network import gpu_network, job_windows
from batchprophet.models.separate.milp.request_types import request_types
from batchprophet.models.separate.milp.tidy import tidied
from batchprophet.models.separate.schedule import Batch, SeparateSchedule
from tests.brute_force_separate import brute_force_separate
from tests.tiny_instances import OBJECTIVES
from tests.tiny_separate import random_laws, random_schedule, tiny_separate


def network(instance, objective="latency"):
    windows = job_windows(instance, latest_completions(instance, objective))
    return gpu_network(instance, windows)


@given(st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_every_left_shifted_schedule_is_a_path(seed):
    instance = tiny_separate(seed)
    graph = network(instance)
    law = batch_durations(instance)
    t = graph.graph["source"]
    for batch in random_schedule(instance, seed).batches:
        while t < batch.start:  # waiting ends at the next arrival each time
            (t,) = (end for _, end, kind in graph.out_edges(t, keys=True) if kind == "idle")
        assert t == batch.start
        t += law.prompt if batch.kind == "prompt" else law.token
        assert graph.has_edge(batch.start, t, key=batch.kind)
    assert nx.has_path(graph, t, graph.graph["sink"])


@given(st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_nodes_are_times_of_batches_after_an_arrival(seed):
    instance = tiny_separate(seed)
    graph, law = network(instance), batch_durations(instance)
    end, reached = graph.graph["sink"], set(instance.arrival.tolist())
    for t in range(end):
        if t in reached:
            reached |= {t + law.prompt, t + law.token}
    assert set(graph) <= reached | {end}
    assert nx.is_directed_acyclic_graph(graph)
    arrived = sorted(i for _, who in graph.nodes(data="arrivals") for i in who)
    assert arrived == list(range(instance.n))


def test_long_batches_have_few_nodes():
    # From 0 and 1000 in steps of 300 and 500, whatever the horizon of 13,400 slots is.
    law = ConstantTime(prompt=500, token=300)
    instance = Instance(
        gpu=Gpu(kv_capacity=99, batch_time=law), arrival=[0, 1000], prompt=[3, 3], output=[20, 20]
    )
    graph = network(instance)
    assert graph.graph["sink"] == 1000 + 2 * (500 + 19 * 300)
    assert all(t % 100 == 0 for t in graph)
    assert len(graph) < 135


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_tidy_schedules_are_feasible_and_no_worse(objective):
    better = 0
    for seed in range(150):
        instance = tiny_separate(seed, law=random_laws(seed), most_requests=4)
        schedule = random_schedule(instance, seed)
        if check(instance, schedule):
            continue
        tidy = tidied(instance, schedule, objective)
        assert check(instance, tidy) == []
        gain = schedule_value(instance, tidy, objective) - schedule_value(
            instance, schedule, objective
        )
        assert (gain >= 0) if objective == "reward" else (gain <= 0)
        assert tidied(instance, tidy, objective) == tidy
        better += gain != 0
    assert better >= 1


def test_optimal_schedules_stay_optimal_when_tidied():
    for seed in range(60):
        instance = tiny_separate(seed, law=random_laws(seed))
        optimum, schedule = brute_force_separate(instance)
        assert schedule_value(instance, tidied(instance, schedule)) == optimum


def test_equal_requests_take_each_other_s_names():
    # r1 arrived first and r0 overtakes it; with names exchanged r1 is never behind.
    instance = Instance(
        gpu=Gpu(kv_capacity=5, prompt_batch_requests=1), arrival=[1, 0], prompt=[2, 2],
        output=[2, 2],
    )  # fmt: skip
    order = [("prompt", (0,)), ("token", (0,)), ("prompt", (1,)), ("token", (1,))]
    tidy = tidied(instance, left_shifted(instance, order))
    assert [batch.requests for batch in tidy.batches] == [(1,), (1,), (0,), (0,)]
    assert tidy.batches[0].start == 0  # r1 need not wait for the arrival of r0
    assert request_types(instance) == [[1, 0]]


def test_types_are_told_apart_by_what_the_objective_looks_at():
    instance = Instance(
        gpu=Gpu(kv_capacity=9), arrival=[0, 0, 0], prompt=[3, 3, 3], output=[2, 2, 2],
        weight=[1, 1, 2], reward=[1, 2, 1], deadline=[9, 9, 8], horizon=9,
    )  # fmt: skip
    assert request_types(instance) == request_types(instance, "makespan") == [[0, 1, 2]]
    assert request_types(instance, "weighted") == [[0, 1], [2]]
    assert request_types(instance, "reward") == [[0], [1], [2]]


def test_prompts_in_a_row_are_merged_only_where_nothing_is_lost():
    gpu = Gpu(kv_capacity=12, prompt_batch_requests=2, batch_time=ConstantTime(prompt=3, token=1))
    three = Instance(gpu=gpu, arrival=[0, 0, 2], prompt=[2, 2, 2], output=[2, 1, 2])
    # r1 completes in the first batch: merged, r2 would wait for it or it for r2. r2 came at 2.
    batches = [Batch("prompt", 0, (0, 1)), Batch("prompt", 3, (2,)), Batch("token", 6, (0, 2))]
    assert tidied(three, SeparateSchedule(batches)).batches == tuple(batches)
    later = [("prompt", (0,)), ("prompt", (2,)), ("token", (0, 2)), ("prompt", (1,))]
    apart = left_shifted(three.replace(arrival=[0, 0, 0]), later)
    merged = tidied(three.replace(arrival=[0, 0, 0]), apart)
    assert merged.batches[0] == Batch("prompt", 0, (0, 2))
    assert np.array_equal(merged.ends(three), [3, 4, 7])


def test_tokens_move_into_the_batch_just_before_where_nobody_completes_in_it():
    # M = 7 = 2 · (1 + 2) + 1 binds, so jobs do not move further than that. r1's job moves beside
    # r0's and its own next one follows; not into a batch in which r0 completes.
    instance = Instance(gpu=Gpu(kv_capacity=7), arrival=[0, 0], prompt=[1, 1], output=[3, 3])
    order = [("prompt", (0, 1)), *[("token", (i,)) for i in (0, 1, 0, 1)]]
    tidy = tidied(instance, left_shifted(instance, order))
    assert [batch.requests for batch in tidy.batches] == [(0, 1), (0, 1), (0,), (1,)]
    assert schedule_value(instance, tidy) == 3 + 4
    full = instance.replace(gpu=Gpu(kv_capacity=7, token_batch_requests=1))
    assert len(tidied(full, left_shifted(full, order)).batches) == 5
