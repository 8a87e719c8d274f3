"""Limits on a round of mixed batching: requests that run at once, and tokens."""

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.files.instance_file import read_instance, write_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.conflict_graph import conflict_graph
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.milp.formulation import build_model
from batchprophet.models.mixed.milp.from_variables import decode, set_start
from batchprophet.models.mixed.milp.horizon import latest_starts
from batchprophet.models.mixed.problem import is_limited, limits, require_mixed
from batchprophet.models.mixed.schedule import Eviction, MixedSchedule
from batchprophet.models.objectives import evaluate
from batchprophet.solvers.highs import solve_model
from tests.brute_force import brute_force
from tests.tiny_instances import OBJECTIVES, tiny_limited_instance

THREE = {"arrival": [0, 0, 0], "prompt": [3, 2, 1], "output": [2, 3, 4]}


def three(**gpu):
    return Instance(gpu=Gpu(kv_capacity=40, **gpu), **THREE)


def jobs(instance, schedule):
    """Jobs by round, as the model says: s tokens in the first round of a run, then 1."""
    runs = [(i, k, k + int(instance.output[i])) for i, k in enumerate(schedule.start.tolist())]
    runs += list(schedule.evicted)
    rounds = {}
    for i, start, end in runs:
        for t in range(start + 1, end + 1):
            tokens = int(instance.prompt[i]) if t == start + 1 else 1
            rounds.setdefault(t, []).append(tokens)
    return rounds


def test_the_checker_names_limit_round_and_excess():
    together = MixedSchedule([0, 0, 0])
    assert check_mixed(three(), together) == []
    found = check_mixed(three(running_requests=2), together)
    assert [v.message for v in found] == [
        "rounds 1-2 may have 2 requests (gpu.running_requests), found up to 3"
    ]
    assert (found[0].rule, found[0].time, found[0].amount) == ("running-requests", 1, 1)
    found = check_mixed(three(batch_tokens=5), together)
    assert [(v.rule, v.time, v.amount) for v in found] == [("batch-tokens", 1, 1)]
    assert found[0].message == "round 1 may have 5 tokens (gpu.batch_tokens), found 6"
    # Beside a token job of each of the others the prompt of 3 tokens is one too many.
    assert check_mixed(three(batch_tokens=4), MixedSchedule([1, 0, 0]))[0].time == 2
    assert check_mixed(three(batch_tokens=5), MixedSchedule([1, 0, 0])) == []


def test_the_checker_agrees_with_a_count_round_by_round():
    rng = np.random.default_rng(3)
    seen = set()
    for seed in range(400):
        instance = tiny_limited_instance(seed)
        start = instance.arrival + rng.integers(0, 12, instance.n)
        evicted = []
        for i in np.flatnonzero((instance.output > 1) & (rng.random(instance.n) < 0.3)).tolist():
            begin = int(instance.arrival[i])
            end = begin + int(rng.integers(1, instance.output[i]))
            evicted.append(Eviction(i, begin, end))
            start[i] = max(int(start[i]), end)
        schedule = MixedSchedule(start, evicted)
        B, C = instance.gpu.running_requests, instance.gpu.batch_tokens
        wrong = {"running-requests": set(), "batch-tokens": set()}
        for t, tokens in jobs(instance, schedule).items():
            if B is not None and len(tokens) > B:
                wrong["running-requests"].add(t)
            if C is not None and sum(tokens) > C:
                wrong["batch-tokens"].add(t)
        for rule, rounds in wrong.items():
            found = [v for v in check_mixed(instance, schedule) if v.rule == rule]
            seen |= {v.rule for v in found}
            firsts = {t for t in rounds if t - 1 not in rounds}
            assert {v.time for v in found} == firsts
    assert seen == {"running-requests", "batch-tokens"}


@pytest.mark.parametrize("formulation", ["dense", "running-sum"])
def test_the_milp_finds_the_optimum_of_brute_force(formulation):
    bound_by_limits = 0
    for seed in range(36):
        instance = tiny_limited_instance(seed, most_requests=4)
        objective = OBJECTIVES[seed // 3 % len(OBJECTIVES)]
        if objective == "tardiness":
            instance = instance.replace(deadline=instance.arrival + seed % 7)
        best, start = brute_force(instance, objective)
        found = solve_model(build_model(instance, objective=objective, formulation=formulation))
        assert found.objective == pytest.approx(float(best))
        free = instance.replace(gpu=Gpu(kv_capacity=instance.gpu.kv_capacity))
        bound_by_limits += brute_force(free, objective)[0] != best
        if objective != "reward":
            assert check_mixed(instance, MixedSchedule(start)) == []
    assert bound_by_limits > 8


@pytest.mark.parametrize("formulation", ["dense", "running-sum"])
def test_schedules_go_into_the_milp_and_come_out(formulation):
    for seed in range(12):
        instance = tiny_limited_instance(seed)
        _, start = brute_force(instance)
        model = build_model(instance, formulation=formulation)
        assert set_start(instance, model, MixedSchedule(start))
        for row in model.component_data_objects(ctype=type(model.start_once)):
            assert row.slack() >= -1e-9
        assert decode(instance, model, lambda x: x.value).start.tolist() == start


def test_starts_in_conflict_are_in_no_feasible_schedule_of_both():
    more = 0
    for seed in range(40):
        instance = tiny_limited_instance(seed, most_requests=3)
        free = instance.replace(gpu=Gpu(kv_capacity=instance.gpu.kv_capacity))
        latest = latest_starts(instance)
        graph = conflict_graph(instance, latest)
        more += graph.number_of_edges() > conflict_graph(free, latest).number_of_edges()
        for (i, k), (j, l) in graph.edges:  # noqa: E741 - a start, as in the docstring
            if i == j:
                continue
            pair = instance.take([i, j])
            assert check_mixed(pair, MixedSchedule([k, l])) != []
        for i in range(instance.n):
            for j in range(i):
                pair = instance.take([i, j])
                for k in range(int(instance.arrival[i]), int(latest[i]) + 1):
                    for l in range(int(instance.arrival[j]), int(latest[j]) + 1):  # noqa: E741
                        if check_mixed(pair, MixedSchedule([k, l])):
                            assert graph.has_edge((i, k), (j, l))
    assert more > 10


def test_limits_are_numbers_and_may_never_bind():
    assert limits(three()) == (3, 6)
    assert limits(three(running_requests=2, batch_tokens=9)) == (2, 6)
    assert not is_limited(three(running_requests=3, batch_tokens=6))
    assert is_limited(three(batch_tokens=5))


def test_a_limit_that_no_schedule_can_keep_is_refused():
    with pytest.raises(
        InputError,
        match=(
            r"^requests\[0\]\.prompt: must be at most gpu\.batch_tokens = 2, since mixed batching "
            r"reads a prompt in one round, found 3$"
        ),
    ):
        require_mixed(three(batch_tokens=2))
    with pytest.raises(InputError, match=r"^gpu\.running_requests: expected .*found 0$"):
        three(running_requests=0)
    with pytest.raises(InputError, match="no KV blocks; drop kv_block from 'instance'"):
        require_mixed(three(kv_block=4))


def test_files_keep_limits_and_are_as_before_without(tmp_path):
    path = tmp_path / "instance.json"
    limited = three(running_requests=2, batch_tokens=5)
    write_instance(limited, path)
    assert read_instance(path).gpu == limited.gpu
    write_instance(three(), path)
    text = path.read_text()
    assert "running_requests" not in text
    assert '"batch_tokens"' not in text


def test_one_at_a_time_is_serial():
    instance = three(running_requests=1)
    best, start = brute_force(instance)
    assert best == 2 + 5 + 9
    assert evaluate(instance, MixedSchedule(start).completion(instance), "latency") == best
