"""Beam search: feasible, never worse, reproducible; exhaustive ones find the optimum."""

from __future__ import annotations

import numpy as np
import pytest

from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.objectives import total_latency
from batchprophet.solvers.limits import Budget, Incumbent
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from batchprophet.solvers.mixed.search.beam import beam_search, widen
from batchprophet.solvers.mixed.search.recipe import improve_schedule
from tests.brute_force import brute_force
from tests.strategies import random_instance


def latency(instance, schedule):
    return total_latency(instance, schedule.completion(instance))


def unlimited():
    return Budget(0.0, 10**9, None)


def searched(instance, width, limit=2**60, share=0.85):
    return beam_search(instance, width, share, unlimited(), limit)


def test_what_was_not_cut_off_is_optimal():
    # A width that no boundary fills: 100 instances against exhaustive search.
    rng = np.random.default_rng(0)
    for _ in range(100):
        instance = random_instance(rng, int(rng.integers(1, 7)), capacity=(6, 13), last_arrival=5)
        result = searched(instance, 2**16)
        assert result.complete
        schedule = MixedSchedule(result.start)
        assert check_mixed(instance, schedule) == []
        assert latency(instance, schedule) == brute_force(instance)[0]


def test_a_narrow_beam_is_feasible_and_a_wide_one_no_worse_where_it_counts():
    rng = np.random.default_rng(1)
    narrow_total = wide_total = 0
    for _ in range(100):
        instance = random_instance(rng, int(rng.integers(8, 20)), capacity=(8, 30))
        narrow, wide = (MixedSchedule(searched(instance, width).start) for width in (1, 64))
        for schedule in (narrow, wide):
            assert check_mixed(instance, schedule) == []
        narrow_total += latency(instance, narrow)
        wide_total += latency(instance, wide)
    assert wide_total < narrow_total


def test_delays_that_no_order_gives_are_found():
    # No order of serial list scheduling is below 45; the optimum is 44.
    instance = Instance(
        gpu=Gpu(kv_capacity=12),
        arrival=[0] * 6,
        prompt=[1, 1, 1, 1, 2, 1],
        output=[3, 1, 10, 4, 8, 4],
    )
    assert latency(instance, MixedSchedule(searched(instance, 2**14).start)) == 44


def test_only_what_is_better_is_returned():
    # Two requests at 0 that fit side by side: the starts sum up to 0, and nothing is below.
    instance = Instance(gpu=Gpu(kv_capacity=20), arrival=[3, 3], prompt=[3, 3], output=[4, 4])
    assert searched(instance, 8, limit=7).start.tolist() == [3, 3]
    result = searched(instance, 8, limit=6)
    assert result.start is None
    assert result.complete


def test_the_better_schedule_is_told_and_the_search_repeats_itself():
    instance = make_instance("arrival-model-2", seed=100)
    given = list_schedule(instance, instance.output)
    found = []
    for _ in range(2):
        told = []
        incumbent = Incumbent(instance, given, lambda _, value, told=told: told.append(value))
        assert not widen(instance, Budget(0.0, 3_000_000, None), incumbent)
        assert told == sorted(told, reverse=True)
        assert check_mixed(instance, incumbent.schedule) == []
        assert latency(instance, incumbent.schedule) == told[-1] < latency(instance, given)
        found.append(incumbent.schedule)
    assert found[0] == found[1]


def test_no_budget_changes_nothing():
    instance = make_instance("arrival-model-1", seed=100)
    incumbent = Incumbent(instance, list_schedule(instance, instance.output), None)
    before = incumbent.schedule
    assert not widen(instance, Budget(0.0, 0, None), incumbent)
    assert incumbent.schedule is before


@pytest.mark.parametrize(("model", "seed", "annealed"), [(1, 100, 3268), (2, 102, 9581)])
def test_it_betters_a_million_steps_of_plain_annealing(model, seed, annealed):
    # The values of benchmarks/hindsight/schedules.py, column "plain".
    instance = make_instance(f"arrival-model-{model}", seed=seed)
    given = list_schedule(instance, instance.output)
    found = improve_schedule(instance, given, time_limit=0, work_limit=20_000_000)
    assert latency(instance, found) < annealed


@pytest.mark.slow  # three hundred times some twenty beams
def test_tiny_instances_are_solved_by_the_whole_search():
    rng = np.random.default_rng(3)
    for seed in range(300):
        instance = random_instance(rng, int(rng.integers(1, 8)), capacity=(4, 12), last_arrival=6)
        given = list_schedule(instance, instance.arrival)
        found = improve_schedule(instance, given, time_limit=0, work_limit=300_000, seed=seed)
        assert check_mixed(instance, found) == []
        assert latency(instance, found) == brute_force(instance)[0]
