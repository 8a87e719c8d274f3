"""The exhaustive search is brute force on tiny instances, and what it reports on the way holds."""

from __future__ import annotations

import time

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime
from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.models.durations import batch_durations
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import schedule_value
from batchprophet.solvers.continuous.exact import search as module
from batchprophet.solvers.continuous.exact import workspace
from batchprophet.solvers.continuous.exact.prices import climb
from batchprophet.solvers.continuous.exact.problem import problem_of
from batchprophet.solvers.continuous.exact.search import OBJECTIVES, search
from batchprophet.solvers.limits import Budget
from tests.brute_force_continuous import brute_force_continuous
from tests.tiny_continuous import LAWS, continuous_law, tiny_continuous


def agrees(seed, instance):
    objective = OBJECTIVES[seed % 3]
    optimum, _ = brute_force_continuous(instance, objective)
    outcome = search(instance, objective=objective)
    assert outcome.proved
    assert outcome.bound == optimum
    assert check_continuous(instance, outcome.schedule) == []
    assert schedule_value(instance, outcome.schedule, objective) == optimum
    # Nothing is better than the optimum; the search for it says so.
    beyond = search(instance, optimum, objective=objective)
    assert beyond.proved
    assert beyond.bound == optimum
    limited = search(instance, objective=objective, work_limit=2)
    assert limited.bound <= optimum <= schedule_value(instance, limited.schedule, objective)


@pytest.mark.parametrize("kind", LAWS)
def test_the_search_is_brute_force(kind):
    for seed in range(6):
        law = continuous_law(np.random.default_rng([1, seed]), kind)
        agrees(seed, tiny_continuous(seed, law=law))


def test_rounding_lets_a_prompt_be_read_again_in_two_chunks():
    # Seed 400: to drop a cache that fits and read it in advance, in a batch whose time is rounded
    # up anyhow, is 1/2 better than keeping it.
    agrees(400, tiny_continuous(400))
    assert brute_force_continuous(tiny_continuous(400), "weighted")[0] == 79 / 2


@pytest.mark.slow
def test_the_search_is_brute_force_on_many():
    for seed in range(1000, 1400):
        agrees(seed, tiny_continuous(seed))


def test_what_is_found_on_the_way_is_feasible_and_bounds_rise():
    instance = tiny_continuous(11)
    told = []
    outcome = search(instance, found=lambda schedule, bound, _: told.append((schedule, bound)))
    bounds = [bound for _, bound in told]
    assert bounds == sorted(bounds)
    assert bounds[-1] == outcome.bound
    assert all(check_continuous(instance, schedule) == [] for schedule, _ in told if schedule)


def test_little_room_is_enlarged_and_no_room_keeps_a_valid_bound(monkeypatch):
    instance = tiny_continuous(11)
    optimum = search(instance).bound
    monkeypatch.setattr(module, "FIRST_LABELS", 2)
    assert search(instance).bound == optimum
    monkeypatch.setattr(module, "MOST_LABELS", 8)
    assert search(instance).bound <= optimum


def five_requests(seed):
    """Five requests that fill the memory, any law, prompts read whole: too many for brute force."""
    rng = np.random.default_rng([23, seed])
    prompt, output = rng.integers(1, 5, 5), rng.integers(2, 7, 5)
    law = continuous_law(rng)
    gpu = Gpu(
        kv_capacity=int(rng.integers((prompt + output).max(), (prompt + output).sum())),
        running_requests=int(rng.integers(2, 6)),
        chunked_prefill=False,
        batch_time=law,
    )
    return Instance(gpu=gpu, arrival=rng.integers(0, 40, 5), prompt=prompt, output=output)


def without_rests(monkeypatch):
    facts = workspace._facts

    def changed(*given):
        fact = facts(*given)
        fact[workspace.EQUAL] = 0
        return fact

    monkeypatch.setattr(workspace, "_facts", changed)


def test_the_bound_that_counts_rests_changes_no_optimum(monkeypatch):
    with_rests = [search(five_requests(seed)) for seed in range(40)]
    without_rests(monkeypatch)
    plain = [search(five_requests(seed)) for seed in range(40)]
    assert all(outcome.proved for outcome in plain)
    assert [outcome.bound for outcome in with_rests] == [outcome.bound for outcome in plain]
    assert sum(o.expanded for o in with_rests) < sum(o.expanded for o in plain)


def bounds_on_the_way(instance, schedule):
    """Lower bounds on the sum of completions, from the beginning and after each batch."""
    from batchprophet.solvers.continuous.exact.bound import least_cost

    n, law = instance.n, batch_durations(instance)
    order = np.argsort(instance.arrival, kind="stable")
    problem = problem_of(instance, "latency", order)
    best = int(schedule.completion(instance).sum())
    tables, _ = climb(problem, best, Budget(np.inf, None, None))
    here = workspace.workspace(problem, tables)
    g, cache, ready = [0] * n, [0] * n, [False] * n
    now, paid = int(instance.arrival.min()), 0
    for batch in (None, *schedule.batches):
        if batch is not None:
            kv = sum(int(instance.prompt[i]) + g[i] for i in batch.decode)
            now = batch.start + law.batch(sum(p for _, p in batch.prefill), len(batch.decode), kv)
            for i in batch.preempt:
                cache[i], ready[i] = 0, False
            for i, p in batch.prefill:
                cache[i] += p
                ready[i] = cache[i] == instance.prompt[i] + g[i]
                g[i] += ready[i]
            for i in batch.decode:
                cache[i], g[i] = cache[i] + 1, g[i] + 1
            for i in range(n):
                if g[i] == instance.output[i] and (cache[i] or ready[i]):
                    cache[i], ready[i], paid = 0, False, paid + now
        state = np.array([g[i] | cache[i] << 10 | ready[i] << 24 for i in order], dtype=np.int64)
        yield int(least_cost(
            here.fact, here.request, here.rest, tables.job, tables.read, tables.charge,
            state, now, paid, here.space,
        ))  # fmt: skip


def test_no_bound_on_the_way_is_above_the_optimum():
    for seed in range(60):
        instance = five_requests(seed) if seed % 2 else tiny_continuous(seed)
        schedule = search(instance).schedule
        best = int(schedule.completion(instance).sum())
        bounds = list(bounds_on_the_way(instance, schedule))
        assert max(bounds) == bounds[-1] == best


@pytest.mark.parametrize("limit", [0.0, 0.1])
def test_limits_hold_with_real_prompts(limit):
    # Millions of batches may follow a state, and an ascent to prices takes seconds.
    law = AffineTime(c0=13.67, c1=0.0984, c2=0.0504, c3=1.88e-4)
    gpu = Gpu(kv_capacity=4000, batch_tokens=512, batch_time=law)
    instance = Instance(gpu=gpu, arrival=[0, 9, 20], prompt=[900, 800, 700], output=[90, 300, 200])
    search(instance, time_limit=0.0)  # compiles
    began = time.process_time()
    outcome = search(instance, time_limit=limit)
    assert time.process_time() - began < limit + 0.5
    assert not outcome.proved
    assert 0 < outcome.bound <= schedule_value(instance, outcome.schedule, "latency")


def test_a_stop_ends_it():
    assert not search(tiny_continuous(11), stop=lambda: True).proved


def test_refusals():
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4])
    with pytest.raises(InputError, match="objective: expected one of latency, weighted, makespan"):
        search(instance, objective="reward")
    large = Instance(gpu=Gpu(kv_capacity=9000), arrival=[0], prompt=[3], output=[4000])
    with pytest.raises(InputError, match="too many or too long"):
        search(large)
