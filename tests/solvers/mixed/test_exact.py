"""The exact method: proofs against exhaustive search, and what it promises about limits."""

import numpy as np
import pytest

from batchprophet.models.families import make_instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.solvers.mixed.bounds.configuration import configuration_prices
from batchprophet.solvers.mixed.exact import proof as exact_proof
from batchprophet.solvers.mixed.exact import search
from batchprophet.solvers.mixed.exact.proof import prove
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from batchprophet.solvers.mixed.search.recipe import improve_schedule
from tests.brute_force import brute_force
from tests.strategies import random_instance


def latency(instance, schedule):
    return int((schedule.completion(instance) - instance.arrival).sum())


def proof(instance, work=40, **options):
    schedule = list_schedule(instance, instance.arrival)
    return prove(
        instance, schedule, configuration_prices(instance, schedule, work_limit=work), **options
    )


def agrees_with_brute_force(rng, **options):
    n = int(rng.integers(1, 8))
    instance = random_instance(rng, n, capacity=(4, 16), last_arrival=int(rng.integers(0, 9)))
    if n > 1 and rng.random() < 0.5:  # equal requests
        rows = rng.integers(0, n, size=n)
        instance = instance.replace(prompt=instance.prompt[rows], output=instance.output[rows])
    best, _ = brute_force(instance)
    # Few steps leave a wide gap: the search has work to do.
    outcome = proof(instance, work=int(rng.integers(1, 60)), **options)
    assert outcome.complete
    assert outcome.bound == best == latency(instance, outcome.schedule)
    assert not check_mixed(instance, outcome.schedule)
    return outcome.nodes


def test_tiny_instances_agree_with_brute_force():
    rng = np.random.default_rng(1)
    assert sum(agrees_with_brute_force(rng) for _ in range(60)) > 600


def test_threads_that_share_the_states_agree_with_brute_force(monkeypatch):
    shared = []
    run_all = search._run_all

    def spy(crew, work):
        shared.append(len(work))
        run_all(crew, work)

    monkeypatch.setattr(search, "_run_all", spy)
    monkeypatch.setattr(search, "LEAST_SHARE", 1)
    rng = np.random.default_rng(2)
    for _ in range(15):
        agrees_with_brute_force(rng, threads=3)
    assert shared.count(3) > 30


@pytest.mark.slow
def test_dominance_drops_states_and_no_optimum(monkeypatch):
    # Where no state is called needless the same bound takes more states.
    instance = make_instance("arrival-model-1", seed=100, settings={"n": 10})
    richer = proof(instance)
    monkeypatch.setattr(search, "mark_needless", lambda *arguments: arguments[4])
    plain = proof(instance)
    assert richer.complete
    assert (plain.bound, plain.complete) == (richer.bound, True)
    assert richer.nodes < plain.nodes


def test_a_known_bound_is_where_the_search_begins():
    instance = make_instance("arrival-model-1", seed=100, settings={"n": 9})
    whole = proof(instance)
    assert whole.complete
    schedule = whole.schedule
    prices = configuration_prices(instance, schedule, work_limit=40)
    assert prove(instance, schedule, prices, bound=whole.bound).nodes == 0


def test_a_proof_far_out_of_reach_is_given_up(monkeypatch):
    instance = make_instance("arrival-model-1", seed=109, settings={"n": 12})
    first = list_schedule(instance, instance.arrival)
    schedule = improve_schedule(instance, first, time_limit=0, work_limit=200_000)
    prices = configuration_prices(instance, schedule, work_limit=10_000)
    monkeypatch.setattr(exact_proof, "TELLING", 1)
    stubborn = prove(instance, schedule, prices, work_limit=5000)
    assert (stubborn.nodes, stubborn.complete) == (5000, False)
    given_up = prove(instance, schedule, prices, work_limit=5000, give_up=True)
    assert not given_up.complete
    assert 0 < given_up.nodes < 5000
