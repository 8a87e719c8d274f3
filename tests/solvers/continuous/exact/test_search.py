"""The exhaustive search is brute force on tiny instances, and what it reports on the way holds."""

from __future__ import annotations

import numpy as np
import pytest

from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import schedule_value
from batchprophet.solvers.continuous.exact import search as module
from batchprophet.solvers.continuous.exact.search import OBJECTIVES, search
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
    for seed in range(12):
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


def test_a_stop_ends_it():
    assert not search(tiny_continuous(11), stop=lambda: True).proved


def test_refusals():
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4])
    with pytest.raises(InputError, match="objective: expected one of latency, weighted, makespan"):
        search(instance, objective="reward")
    large = Instance(gpu=Gpu(kv_capacity=9000), arrival=[0], prompt=[3], output=[4000])
    with pytest.raises(InputError, match="too many or too long"):
        search(large)
