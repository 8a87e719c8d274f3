"""The solvers of separate batching against brute force: search, bounds, exact search, recipe."""

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.separate.feasibility import check_separate
from batchprophet.models.separate.schedule import SeparateSchedule
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.separate.bounds.profile_prices import most_running, profile_prices
from batchprophet.solvers.separate.exact.search import is_applicable, search_states
from batchprophet.solvers.separate.search.encoding import plain_encoding
from batchprophet.solvers.separate.search.recipe import improve_separate
from batchprophet.solvers.separate.search.schedule_builder import schedule_of
from tests.brute_force_separate import brute_force_separate
from tests.tiny_separate import affine_law, tiny_separate


def one_by_one(instance):
    """Prompts in order of arrival, mostly each after everybody before it is done."""
    order = np.argsort(instance.arrival, kind="stable")
    return schedule_of(instance, plain_encoding(order, instance.n, wait=10**6))


def latency(instance, schedule):
    assert check_separate(instance, schedule) == []
    return int((schedule.completion(instance) - instance.arrival).sum())


def instances(seeds):
    for seed in seeds:
        yield seed, tiny_separate(seed)
        if seed % 5 == 0:
            yield seed, tiny_separate(seed, law=affine_law(np.random.default_rng(seed)))


def agrees(seeds):
    """Search, prices and exhaustive search on tiny instances; how many were priced."""
    priced = 0
    for seed, instance in instances(seeds):
        best, _ = brute_force_separate(instance)
        begin = one_by_one(instance)
        improved = improve_separate(instance, begin, time_limit=0, work_limit=500, seed=seed)
        assert best <= latency(instance, improved) <= latency(instance, begin), seed
        assert is_applicable(instance)
        prices = []
        if most_running(instance) is not None:
            prices = [profile_prices(instance, best, most_steps=5)]
            assert prices[0].bound <= best, seed
            priced += 1
        for guides in ([], prices):
            outcome = search_states(instance, begin, prices=guides)
            assert outcome.complete, seed
            assert outcome.bound == outcome.latency == latency(instance, outcome.schedule) == best
    return priced


def test_tiny_instances_agree_with_brute_force():
    assert agrees(range(40)) > 10


@pytest.mark.slow
def test_many_tiny_instances_agree_with_brute_force():
    assert agrees(range(100, 400)) > 100


def test_a_limited_search_keeps_a_valid_bound():
    for seed in range(30):
        instance = tiny_separate(seed)
        best, _ = brute_force_separate(instance)
        outcome = search_states(instance, one_by_one(instance), work_limit=2)
        assert outcome.bound <= best <= outcome.latency


def test_the_recipe_proves_tiny_instances():
    for seed in range(0, 40, 8):
        instance = tiny_separate(seed)
        solution = solve(instance, model="separate", time_limit=20)
        assert solution.status == "optimal"
        assert solution.objective == brute_force_separate(instance)[0]


def test_bad_arguments():
    instance = tiny_separate(1)
    with pytest.raises(InputError, match="warm_start: expected a feasible schedule"):
        solve(instance, model="separate", warm_start=SeparateSchedule([]))
