"""Ruin and recreate: feasible under every limit, with exact costs and best places."""

import dataclasses

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime, UnitTime
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import check
from batchprophet.online.continuous.simulator import simulate_continuous
from batchprophet.solvers import solve
from batchprophet.solvers.continuous.compiled_instance import compiled_instance
from batchprophet.solvers.continuous.search.list_schedule import list_schedule
from batchprophet.solvers.continuous.search.places import best_place, has_room, place, read_back
from batchprophet.solvers.continuous.search.recipe import Search, weights
from batchprophet.solvers.continuous.search.ruin_and_recreate import begin, ruin_and_recreate
from batchprophet.solvers.continuous.search.run_schedules import runs_of, schedule_of
from batchprophet.solvers.continuous.search.runs import costs, no_runs, put, tell_time
from batchprophet.solvers.continuous.search.starts import least_work
from batchprophet.solvers.random_stream import random_stream
from batchprophet.solvers.stages import Limits
from tests.brute_force_continuous import brute_force_continuous
from tests.solvers.continuous.search.test_list_schedule import random_instance, random_rule
from tests.tiny_continuous import random_continuous, tiny_continuous


def whole(instance):
    """The instance under a law in whole microseconds, so that no batch time is rounded."""
    law = instance.gpu.batch_time
    if isinstance(law, UnitTime):
        return instance
    own = None if law.c0_prompt is None else round(law.c0_prompt, 3)
    c0, c1, c2, c3 = (round(c, 3) for c in (law.c0, law.c1, law.c2, law.c3))
    rounded = AffineTime(c0=c0, c1=c1, c2=c2, c3=c3, c0_prompt=own)
    return instance.replace(gpu=dataclasses.replace(instance.gpu, batch_time=rounded))


def cost_of(instance, schedule, objective):
    weight, last = weights(instance, objective)
    completion = schedule.completion(instance)
    return float(weight @ completion) + last * int(completion.max())


@pytest.mark.parametrize("seed", range(300))
def test_all_that_it_finds_is_feasible_and_costs_what_it_says(seed):
    rng = np.random.default_rng(seed)
    instance = whole(random_instance(rng))
    objective = "makespan" if seed % 3 == 0 else "latency"
    numbers = compiled_instance(instance)
    charged = costs(numbers, *weights(instance, objective))
    start = list_schedule(numbers, random_rule(rng, instance.n))
    runs, cost = runs_of(instance, numbers, charged, start)
    state = begin(runs, least_work(numbers), cost)
    stream = random_stream(seed)
    for _ in range(5):
        ruin_and_recreate(numbers, charged, state, stream, 8, 0.1 * cost, 0.01 * cost)
        for places, value in zip((state.current, state.best), state.cost, strict=True):
            schedule = schedule_of(numbers, places)
            assert check(instance, schedule) == []
            assert cost_of(instance, schedule, objective) == pytest.approx(value, rel=1e-12)
    assert state.cost[1] <= min(cost, state.cost[0])
    # What was kept up by steps is what the places say.
    anew = no_runs(numbers, runs.start.size)
    for i in range(instance.n):
        anew.first[i], anew.chunks[i] = runs.first[i], runs.chunks[i]
        anew.tokens[i] = runs.tokens[i]
        put(numbers, charged, anew, i, 1)
    for name in ("prompt", "jobs", "read", "running", "blocks"):
        assert getattr(anew, name).tolist() == getattr(runs, name).tolist()
    assert np.allclose(anew.present, runs.present, atol=1e-9)
    for i in range(instance.n):
        put(numbers, charged, runs, i, -1)
        runs.first[i] = -1
    for name in ("prompt", "jobs", "read", "running", "blocks"):
        assert not getattr(runs, name).any()


@pytest.mark.parametrize("seed", range(200))
def test_the_best_place_is_the_best_of_all(seed):
    # All are there from the beginning: where the GPU idles, a later batch may be delayed less.
    rng = np.random.default_rng(500 + seed)
    instance = whole(random_instance(rng))
    instance = instance.replace(arrival=[0] * instance.n)
    numbers = compiled_instance(instance)
    charged = costs(numbers, *weights(instance, "latency"))
    stream = random_stream(seed)
    runs = no_runs(numbers, 2 * int(instance.peak.sum()))
    order = rng.permutation(instance.n)
    place(numbers, charged, runs, order[:-1], stream, 0.3)
    i = order[-1]
    values = {}
    tell_time(numbers, charged, runs)
    for f in range(runs.length[0] + runs.tokens.shape[1] + 1):
        if has_room(numbers, runs, i, f) and read_back(numbers, charged, runs, i, f)[0]:
            runs.first[i] = f
            put(numbers, charged, runs, i, 1)
            values[f] = tell_time(numbers, charged, runs)
            put(numbers, charged, runs, i, -1)
            runs.first[i] = -1
            tell_time(numbers, charged, runs)
    found = best_place(numbers, charged, runs, i, stream, 0.0)
    assert values[found] == pytest.approx(min(values.values()), rel=1e-12)


@pytest.mark.parametrize("seed", range(200))
def test_without_a_break_is_no_worse_where_all_are_there(seed):
    # The theorem of `runs`: no rounding, one intercept, no token budget, no preemption.
    law = AffineTime(c0=0.005, c1=0.001, c2=0.002, c3=0.001)
    instance = tiny_continuous(seed, most_requests=4, most_prompt=6, most_output=6, law=law)
    gpu = dataclasses.replace(instance.gpu, batch_tokens=None)
    instance = instance.replace(gpu=gpu, arrival=[0] * instance.n)
    schedule = random_continuous(instance, seed, drops=0.0)
    if check(instance, schedule):
        schedule = list_schedule(
            compiled_instance(instance), random_rule(np.random.default_rng(seed), instance.n)
        )
    numbers = compiled_instance(instance)
    charged = costs(numbers, *weights(instance, "latency"))
    runs, cost = runs_of(instance, numbers, charged, schedule)
    assert cost <= cost_of(instance, schedule, "latency") + 1e-6
    assert check(instance, schedule_of(numbers, runs.places)) == []


@pytest.mark.parametrize("seed", range(60))
def test_tiny_optima_are_found_and_never_undercut(seed):
    instance = tiny_continuous(seed, most_requests=3)
    best = []
    search = Search(instance, "latency", seed, lambda schedule, _: best.append(schedule))
    search.try_rules(None, Limits(work=1))
    search.improve(Limits(work=100))
    value = int((best[-1].completion(instance) - instance.arrival).sum())
    assert value >= brute_force_continuous(instance)[0]
    together = instance.replace(arrival=[0] * instance.n)
    search = Search(together, "latency", seed, lambda schedule, _: best.append(schedule))
    search.try_rules(None, Limits(work=1))
    search.improve(Limits(work=100))
    value = int(best[-1].completion(together).sum())
    assert value == brute_force_continuous(together, skipping=False, drops=False)[0]


def test_it_starts_from_a_schedule_with_preemption():
    rng = np.random.default_rng(4)
    gpu = Gpu(kv_capacity=60, batch_time=AffineTime(c0=1, c1=0.1, c2=0.1, c3=0.01))
    prompt, output = rng.integers(3, 12, 12), rng.integers(5, 20, 12)
    instance = Instance(gpu=gpu, arrival=[0] * 12, prompt=prompt, output=output)
    given = simulate_continuous(instance, "vllm")
    assert given.columns.drop_of.size > 0
    numbers = compiled_instance(instance)
    charged = costs(numbers, *weights(instance, "latency"))
    runs, cost = runs_of(instance, numbers, charged, given)
    assert check(instance, schedule_of(numbers, runs.places)) == []
    best = []
    search = Search(instance, "latency", 0, lambda schedule, _: best.append(schedule))
    search.try_rules(given, Limits(work=100))
    search.improve(Limits(work=200))
    values = [cost_of(instance, each, "latency") for each in best]
    assert values == sorted(values, reverse=True)
    assert values[-1] < min(cost, cost_of(instance, given, "latency"))
    assert check(instance, best[-1]) == []


def test_schedules_say_what_they_were_found_by():
    rng = np.random.default_rng(3)
    gpu = Gpu(kv_capacity=60, batch_time=AffineTime(c0=1, c1=0.1, c2=0.1, c3=0.01))
    prompt, output = rng.integers(3, 12, 12), rng.integers(5, 20, 12)
    instance = Instance(gpu=gpu, arrival=[0] * 12, prompt=prompt, output=output)
    found = []
    search = Search(instance, "latency", 0, lambda schedule, by: found.append((schedule, by)))
    search.try_rules(None, Limits(work=1))
    assert {by for _, by in found} == {"list rules"}
    search.improve(Limits(work=300))
    names = [by for _, by in found]
    assert list(dict.fromkeys(names)) == ["list rules", "annealed list rules", "ruin and recreate"]
    solution = solve(instance, model="continuous", work_limit=300)
    assert solution.method.startswith("ruin and recreate")
