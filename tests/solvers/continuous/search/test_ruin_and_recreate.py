"""Ruin and recreate: feasible under every limit, with exact costs and best places."""

import dataclasses
import itertools

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime, UnitTime
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.objectives import evaluate
from batchprophet.models.regimes import check
from batchprophet.online.continuous.simulator import simulate_continuous
from batchprophet.solvers import solve
from batchprophet.solvers.continuous.compiled_instance import compiled_instance
from batchprophet.solvers.continuous.search.list_schedule import list_schedule
from batchprophet.solvers.continuous.search.places import best_place, has_room, place, read_back
from batchprophet.solvers.continuous.search.recipe import Search, weights
from batchprophet.solvers.continuous.search.ruin_and_recreate import begin, ruin_and_recreate
from batchprophet.solvers.continuous.search.run_schedules import runs_of, schedule_of, take_runs
from batchprophet.solvers.continuous.search.runs import costs, no_runs, places_of, put, tell_time
from batchprophet.solvers.continuous.search.starts import least_work
from batchprophet.solvers.random_stream import random_stream
from batchprophet.solvers.stages import Limits
from tests.brute_force_continuous import brute_force_continuous
from tests.solvers.continuous.search.test_list_schedule import random_instance, random_rule
from tests.tiny_continuous import random_continuous, tiny_continuous

#: Seeds; most of them in the long run only.
LATER = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(100, 300)]
SEEDS = [*range(100), *LATER]


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
    weight, last, due = weights(instance, objective)
    completion = schedule.completion(instance)
    late = np.maximum(0, completion - due) if objective == "tardiness" else completion
    return float(weight @ late) + last * int(completion.max())


@pytest.mark.parametrize("objective", ["latency", "weighted", "tardiness"])
def test_what_is_searched_for_is_the_objective(objective):
    rng = np.random.default_rng(5)
    for _ in range(20):
        instance = random_instance(rng)
        instance = instance.replace(
            weight=rng.integers(1, 5, instance.n) / 2, reward=rng.integers(1, 9, instance.n),
            deadline=instance.arrival + rng.integers(0, 50, instance.n),
        )  # fmt: skip
        schedule = list_schedule(compiled_instance(instance), random_rule(rng, instance.n))
        value = float(evaluate(instance, schedule.completion(instance), objective))
        cost = cost_of(instance, schedule, objective)
        if objective == "latency":
            assert cost == value + instance.arrival.sum()
        else:
            assert cost * instance.weight.max() == pytest.approx(value)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_that_it_finds_is_feasible_and_costs_what_it_says(seed):
    rng = np.random.default_rng(seed)
    instance = whole(random_instance(rng))
    objective = ("makespan", "latency", "latency", "tardiness")[seed % 4]
    if objective == "tardiness":
        late = rng.integers(0, 1 + instance.volume.sum() // 4, instance.n)
        instance = instance.replace(
            deadline=instance.arrival + late, weight=rng.integers(0, 3, instance.n)
        )
    numbers = compiled_instance(instance)
    charged = costs(numbers, *weights(instance, objective))
    start = list_schedule(numbers, random_rule(rng, instance.n))
    runs, cost = runs_of(instance, numbers, charged, start)
    state = begin(runs, least_work(numbers), cost)
    stream = random_stream(seed)
    for _ in range(5):
        ruin_and_recreate(numbers, charged, state, stream, 8, 0.1 * cost + 1, 0.01 * cost + 1)
        for places, value in zip((state.current, state.best), state.cost, strict=True):
            schedule = schedule_of(numbers, places)
            assert check(instance, schedule) == []
            assert cost_of(instance, schedule, objective) == pytest.approx(value, rel=1e-12)
    assert state.cost[1] <= min(cost, state.cost[0])
    # What was kept up by steps is what the places say.
    anew = no_runs(numbers, runs.start.size, runs.before.shape[1])
    for here, there in zip(places_of(runs), places_of(anew), strict=True):
        there[:] = here
    for i in range(instance.n):
        put(numbers, charged, anew, i, 1)
    for name in ("prompt", "jobs", "read", "running", "blocks"):
        assert getattr(anew, name).tolist() == getattr(runs, name).tolist()
    if objective == "tardiness":  # who is late is seen from the whole
        tell_time(numbers, charged, anew)
        tell_time(numbers, charged, runs)
    known = runs.length[1]
    assert np.allclose(anew.present[:known], runs.present[:known], atol=1e-9)
    for i in range(instance.n):
        put(numbers, charged, runs, i, -1)
        runs.number[i] = 0
    for name in ("prompt", "jobs", "read", "running", "blocks"):
        assert not getattr(runs, name).any()


def chains(numbers, charged, runs, i, points):
    """Try all ways to run a request beside others, dropped at some of the points or at none.

    Yields after which tokens, and what the whole costs.
    """
    runs.number[i] = 0
    tell_time(numbers, charged, runs)
    length = int(runs.length[0])
    s, o = int(numbers.prompt[i]), int(numbers.output[i])
    for size in range(len(points) + 1):
        for dropped in itertools.combinations(points, size):
            ends = (*dropped, o)
            for firsts in itertools.combinations(range(length + runs.reading.size + o), size + 1):
                cost = put_chain(numbers, charged, runs, i, s, (0, *dropped), ends, firsts)
                if cost is not None:
                    yield dropped, cost


def put_chain(numbers, charged, runs, i, s, before, ends, firsts):
    """What the whole costs if a request has these runs; None if there is no room."""
    free = 0
    for j, (g, until, f) in enumerate(zip(before, ends, firsts, strict=True)):
        if not has_room(numbers, runs, s + g, until - g, f):
            return None
        chunks, _ = read_back(numbers, charged, runs, i, s + g, f, j == 0)
        if chunks == 0 or f - chunks + 1 < free:
            return None
        runs.before[i, j], runs.first[i, j], runs.chunks[i, j] = g, f, chunks
        runs.tokens[i, j] = runs.reading
        free = f + until - g
    runs.number[i] = len(firsts)
    put(numbers, charged, runs, i, 1)
    cost = tell_time(numbers, charged, runs)
    put(numbers, charged, runs, i, -1)
    runs.number[i] = 0
    tell_time(numbers, charged, runs)
    return cost


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_place_is_the_best_of_all(seed):
    # All are there from the beginning: where the GPU idles, a later batch may be delayed less.
    # Two seeds of three allow for drops after any token.
    rng = np.random.default_rng(500 + seed)
    if seed % 3 == 0:
        instance = whole(random_instance(rng))
    else:
        instance = whole(tiny_continuous(seed, most_requests=4, most_output=4))
    instance = instance.replace(arrival=[0] * instance.n)
    numbers = compiled_instance(instance)
    charged = costs(numbers, *weights(instance, "latency"))
    stream = random_stream(seed)
    most = 1 if seed % 3 == 0 else int(instance.output.max())
    runs = no_runs(numbers, 3 * int(instance.peak.sum()) + 60, most)
    order = rng.permutation(instance.n)
    place(numbers, charged, runs, order[:-1], stream, 0.3)
    i = order[-1]
    points = [] if seed % 3 == 0 else list(range(1, int(instance.output[i])))
    least = min(cost for _, cost in chains(numbers, charged, runs, i, points))
    runs.point[1 : 1 + len(points)] = points
    assert best_place(numbers, charged, runs, i, 1 + len(points), stream, 0.0)
    put(numbers, charged, runs, i, 1)
    assert tell_time(numbers, charged, runs) == pytest.approx(least, rel=1e-12)
    assert check(instance, schedule_of(numbers, places_of(runs))) == []


@pytest.mark.parametrize("seed", range(200))
def test_runs_are_no_worse_where_all_are_there(seed):
    # The theorem of `runs`: no rounding, one intercept, no token budget. Every other seed has
    # drops.
    law = AffineTime(c0=0.005, c1=0.001, c2=0.002, c3=0.001)
    instance = tiny_continuous(seed, most_requests=4, most_prompt=6, most_output=6, law=law)
    gpu = dataclasses.replace(instance.gpu, batch_tokens=None)
    instance = instance.replace(gpu=gpu, arrival=[0] * instance.n)
    schedule = random_continuous(instance, seed, drops=seed % 2 * 0.2)
    if check(instance, schedule):
        schedule = list_schedule(
            compiled_instance(instance), random_rule(np.random.default_rng(seed), instance.n)
        )
    numbers = compiled_instance(instance)
    charged = costs(numbers, *weights(instance, "latency"))
    runs, cost = runs_of(instance, numbers, charged, schedule)
    assert cost <= cost_of(instance, schedule, "latency") + 1e-6
    assert check(instance, schedule_of(numbers, places_of(runs))) == []


@pytest.mark.parametrize("seed", range(200))
def test_what_runs_without_a_pause_runs_as_it_did(seed):
    rng = np.random.default_rng(900 + seed)
    instance = whole(random_instance(rng))
    numbers = compiled_instance(instance)
    charged = costs(numbers, *weights(instance, "latency"))
    if seed % 2 or not instance.gpu.chunked_prefill:
        given = list_schedule(numbers, random_rule(rng, instance.n))
    else:
        given = simulate_continuous(instance, "vllm")
    taken = no_runs(numbers, given.columns.start.size, 1 + int(instance.output.max()))
    last = take_runs(numbers.prompt, given.columns, places_of(taken))
    emitted = np.diff(taken.before, axis=1, append=0)
    emitted[np.arange(instance.n), taken.number - 1] += instance.output
    assert (taken.number - 1 <= given.timeline(instance).preemptions).all()
    runs, cost = runs_of(instance, numbers, charged, given)
    unbroken = [
        all(
            taken.first[i, j] + emitted[i, j] - 1 == last[i, j]
            and taken.chunks[i, j] <= taken.reading.size
            for j in range(taken.number[i])
        )
        for i in range(instance.n)
    ]
    if instance.peak.max() <= numbers.limits.tokens:
        return  # no token budget binds: all run as late as they can
    for i in np.flatnonzero(unbroken):
        for here, there in zip(places_of(runs), places_of(taken), strict=True):
            j = slice(taken.number[i])
            assert np.array_equal(np.atleast_1d(here[i])[j], np.atleast_1d(there[i])[j])
    if all(unbroken):
        assert cost <= cost_of(instance, given, "latency") + 1e-6
    assert check(instance, schedule_of(numbers, places_of(runs))) == []


def best_found(instance, seed, work):
    best = []
    search = Search(instance, "latency", seed, lambda schedule, _: best.append(schedule))
    search.try_rules(None, Limits(work=1))
    search.improve(Limits(work=work))
    assert check(instance, best[-1]) == []
    return int((best[-1].completion(instance) - instance.arrival).sum())


@pytest.mark.parametrize("seed", [*range(15), *LATER[:45]])
def test_tiny_optima_are_found_and_never_undercut(seed):
    instance = tiny_continuous(seed, most_requests=3)
    assert best_found(instance, seed, 100) >= brute_force_continuous(instance)[0]
    together = instance.replace(arrival=[0] * instance.n)
    value = best_found(together, seed, 100)
    assert value >= brute_force_continuous(together)[0]
    assert value <= brute_force_continuous(together, skipping=False, drops=False)[0]


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
    kept = schedule_of(numbers, places_of(runs))
    assert check(instance, kept) == []
    assert kept.columns.drop_of.size == given.columns.drop_of.size
    assert cost_of(instance, kept, "latency") == cost <= cost_of(instance, given, "latency")
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
