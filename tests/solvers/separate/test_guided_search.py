"""Exhaustive search led by the GPU's path, under good prices and bad ones, against brute force."""

import contextlib
import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime
from batchprophet.models.errors import InputError
from batchprophet.models.families import make_instance
from batchprophet.solvers.certificates.clock import Clock, Contradicted
from batchprophet.solvers.certificates.separate.walk_search import WalkSearch
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.separate.bounds.class_relaxation import class_prices
from batchprophet.solvers.separate.bounds.gpu_path_costs import SCALE, Prices
from batchprophet.solvers.separate.bounds.gpu_path_prices import (
    has_path,
    path_prices,
    unpriced_path,
)
from batchprophet.solvers.separate.bounds.profile_prices import most_running, profile_prices
from batchprophet.solvers.separate.exact import search as exhaustion
from batchprophet.solvers.separate.exact.gpu_path_lookahead import path_table, search_proof
from batchprophet.solvers.separate.exact.search import search_states
from batchprophet.solvers.separate.search.tail_search import improve_tail
from tests.brute_force_separate import brute_force_separate
from tests.solvers.separate.test_engine import latency, one_by_one
from tests.tiny_separate import tiny_separate


def random_prices(instance, like, end, seed):
    """Prices of the same shape that are good for nothing: Π never rises, δ neither and is ≥ 0."""
    rng = np.random.default_rng(seed)
    prompt = rng.integers(0, 20_000, like.prompt.shape)
    running = -np.sort(-rng.integers(-9_000, 9_000, like.running.shape), axis=1)
    kv = -np.sort(-rng.integers(0, 500, like.kv.shape))
    late = (end + 1 - instance.arrival) * SCALE - prompt
    left_out = np.concatenate([[0], np.cumsum(np.sort(late))])
    return Prices(prompt=prompt, running=running, kv=kv, left_out=left_out)


def tiny_tables(seeds):
    """Tiny instances, their optima, a poor schedule, and tables of good prices and of bad ones.

    The second table is None where no end of it will do.
    """
    for seed in seeds:
        instance = tiny_separate(seed)
        if isinstance(instance.gpu.batch_time, AffineTime):
            continue
        begin = one_by_one(instance)
        first = class_prices(instance, begin)
        assert has_path(instance, first.end)
        good = path_prices(instance, begin, first, time_limit=60, most_steps=20).prices
        bad = random_prices(instance, good, first.end, seed)
        known = latency(instance, begin)
        tables = [path_table(instance, prices, first.end, known) for prices in (good, bad)]
        assert tables[0] is not None, seed
        yield seed, instance, brute_force_separate(instance)[0], begin, tables


def agrees(seeds):
    """How many instances have both tables, all of which lead to the optimum."""
    walked = 0
    for seed, instance, best, begin, tables in tiny_tables(seeds):
        if tables[1] is None:
            continue
        walked += 1
        profiles = []
        if most_running(instance) is not None:
            profiles = [profile_prices(instance, best, most_steps=3)]
        for path, prices in itertools.product(tables, ([], profiles)):
            outcome = search_states(instance, begin, prices=prices, path=path)
            assert outcome.complete, seed
            assert outcome.latency == outcome.bound == latency(instance, outcome.schedule) == best
            limited = search_states(instance, begin, prices=prices, path=path, work_limit=3)
            assert limited.bound <= best <= limited.latency, seed
    return walked


def test_tiny_instances_agree_with_brute_force():
    assert agrees(range(40)) > 10


def table_of(instance, begin):
    first = class_prices(instance, begin)
    prices = path_prices(instance, begin, first, time_limit=60, most_steps=20).prices
    return path_table(instance, prices, first.end, latency(instance, begin))


def small_instances(count):
    for seed in range(count):
        instance = make_instance("separate-random", seed=seed, settings={"n": 8})
        begin = one_by_one(instance)
        yield instance, begin, table_of(instance, begin)


def test_a_search_that_runs_out_of_room_goes_on_with_more(monkeypatch):
    for instance, begin, table in small_instances(6):
        outcomes = []
        for room in (1, 2, 2**15):
            monkeypatch.setattr(exhaustion, "FIRST_LABELS", room)
            for path in (None, table):
                outcome = search_states(instance, begin, path=path)
                assert outcome.complete
                assert outcome.latency == latency(instance, outcome.schedule)
                outcomes.append(outcome.latency)
        assert len(set(outcomes)) == 1


def test_a_search_without_room_for_more_keeps_a_valid_bound(monkeypatch):
    instance, begin, table = next(small_instances(1))
    best = search_states(instance, begin, path=table).latency
    for room in (1, 2, 4, 8, 32):
        monkeypatch.setattr(exhaustion, "FIRST_LABELS", room)
        monkeypatch.setattr(exhaustion, "MOST_LABELS", room)
        outcome = search_states(instance, begin, path=table)
        assert outcome.bound <= best <= outcome.latency


def test_the_beginning_of_a_schedule_is_kept():
    for instance, begin, table in small_instances(6):
        optimum = search_states(instance, begin, path=table)
        latencies = []
        for kept in range(0, len(begin.batches) + 1, 2):
            outcome = search_states(instance, begin, kept=kept, path=table)
            assert outcome.complete
            assert outcome.bound == outcome.latency == latency(instance, outcome.schedule)
            assert outcome.schedule.batches[:kept] == begin.batches[:kept]
            latencies.append(outcome.latency)
        assert latencies[0] == optimum.latency
        assert latencies == sorted(latencies)
        assert latencies[-1] == latency(instance, begin)
        better = improve_tail(instance, begin, table)
        assert optimum.latency <= latency(instance, better) <= latency(instance, begin)


def claims_hold(seeds):
    """The certificate's own search, under good prices, bad ones and none; how many of them."""
    claims = 0
    for seed, instance, best, begin, tables in tiny_tables(seeds):
        for table in (*(each for each in tables if each is not None), None):
            claim = search_proof(instance, table, best)
            claims += 1
            assert claim.bound(instance, "latency", Clock(None)) == best, seed
            assert WalkSearch.from_record(json.loads(json.dumps(claim.to_record()))) == claim
            # prices end late enough for claims up to the known schedule's latency
            if table is not None and best < latency(instance, begin):
                bolder = replace(claim, value=best + 1)
                with pytest.raises(Contradicted, match=f"of total latency {best}, below"):
                    bolder.bound(instance, "latency", Clock(None))
    return claims


def test_the_verifier_searches_again_and_agrees_with_brute_force():
    assert claims_hold(range(30)) > 20


@pytest.mark.slow
def test_the_verifier_agrees_with_brute_force_on_many():
    assert claims_hold(range(800, 1000)) > 200


@pytest.mark.parametrize(("n", "seed"), [(6, 3), (14, 102), (20, 101)])
def test_the_engine_certifies_the_optimum(n, seed):
    instance = make_instance("separate-random", seed=seed, settings={"n": n})
    solution = solve(instance, model="separate", time_limit=30)
    assert solution.status == "optimal"
    certificate = solution.certificate
    assert certificate.bound == solution.objective
    verification = verify(certificate, instance, value=solution.objective)
    assert verification.verified, verification.reason
    if certificate.proof.kind == "walk-search":
        bolder = replace(certificate.proof, value=certificate.bound + 1)
        more = replace(certificate, bound=certificate.bound + 1, proof=bolder)
        with contextlib.suppress(InputError):  # the prices end too early for that
            assert not verify(more, instance).verified


def test_prices_that_end_too_early_are_refused():
    instance = make_instance("separate-random", seed=3, settings={"n": 5})
    path = unpriced_path(instance, 20)
    short = replace(path, end=path.end - 15, kv=path.kv[15:])
    with pytest.raises(InputError, match=f"proof.end: expected so late .* found {short.end}"):
        WalkSearch(value=60, walk=short).bound(instance, "latency", Clock(None))


@pytest.mark.slow
def test_many_tiny_instances_agree_with_brute_force():
    assert agrees(range(500, 800)) > 100
