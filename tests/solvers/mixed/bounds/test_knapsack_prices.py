"""Knapsack prices: any prices prove a bound, exactly; good ones prove more than memory prices."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.solvers.certificates.clock import Clock, OutOfTime
from batchprophet.solvers.certificates.mixed.certified_knapsacks import (
    MOST_PAIRS,
    _at_one_density,
    _knapsack,
    certified_value,
)
from batchprophet.solvers.certificates.mixed.knapsack_prices import KnapsackPriceProof
from batchprophet.solvers.mixed.bounds import presence_kernels
from batchprophet.solvers.mixed.bounds.knapsack_prices import (
    _problem,
    _proof,
    knapsack_price_bound,
)
from batchprophet.solvers.mixed.bounds.memory_prices import memory_price_bound
from tests.brute_force import brute_force
from tests.strategies import random_instance
from tests.tiny_instances import tiny_instance


def random_proof(rng, instance, *, last=25):
    """Prices anywhere, some requests with two runs, often far too high."""
    runs = []
    for i in range(instance.n):
        t = int(rng.integers(1, last))
        for _ in range(int(rng.integers(0, 3))):
            values = rng.integers(0, int(rng.choice([2, 9, 40])), int(rng.integers(1, 8)))
            runs.append((i, t, *values.tolist()))
            t += values.size + int(rng.integers(0, 4))
    prices = rng.integers(0, 5, int(rng.integers(0, last))) * rng.integers(0, 2)
    return KnapsackPriceProof(
        scale=int(rng.choice([1, 16, 64])),
        first=int(rng.integers(1, 9)),
        prices=tuple(prices.tolist()),
        step=int(rng.choice([1, 4])),
        presence=tuple(runs),
    )


def bound_of(proof, instance):
    return proof.bound(instance, "latency", Clock(None))


def rounds(k, o):
    return range(k + 1, k + o + 1)


def by_definition(instance, proof):
    """The bound with every sum written out, every start and every set of requests tried.

    Rounds up to the first arrival are left out.
    """
    end = int(instance.arrival.max() + instance.output.sum()) + 80
    u = [Fraction(0)] * (end + 1)
    u[proof.first : proof.first + len(proof.prices)] = [
        Fraction(p, proof.scale) for p in proof.prices
    ]
    v = [[Fraction(0)] * (end + 1) for _ in range(instance.n)]
    for i, first, *values in proof.presence:
        for t, value in enumerate(values, start=first):
            v[i][t] = Fraction(proof.step * value, proof.scale)
    M, n = instance.gpu.kv_capacity, instance.n
    a, s, o = (c.tolist() for c in (instance.arrival, instance.prompt, instance.output))
    begin = min(a) + 1
    total = -M * sum(u[begin:])
    for i in range(n):
        total += min(
            k
            + o[i]
            - a[i]
            + sum(u[t] * (s[i] + t - k) + v[i][t] for t in range(k + 1, k + o[i] + 1))
            for k in range(a[i], end - o[i])
        )
    fitting = [
        S for m in range(n + 1) for S in combinations(range(n), m) if sum(s[i] + 1 for i in S) <= M
    ]
    return total - sum(max(sum(v[i][t] for i in S) for S in fitting) for t in range(begin, end + 1))


def test_the_certified_value_is_the_definition():
    for seed in range(300):
        rng = np.random.default_rng([1, seed])
        instance = random_instance(rng, 5, capacity=(6, 30), last_arrival=20)
        proof = random_proof(rng, instance)
        assert bound_of(proof, instance) == by_definition(instance, proof)


def test_any_prices_are_a_bound_and_the_best_found_are_one_too():
    # Weak duality asks nothing of the prices but that they are ≥ 0: random ones, and the search's
    # own with every price tampered with, against exhaustive search.
    stronger = 0
    for seed in range(250):
        instance = tiny_instance([4, seed])
        optimum, _ = brute_force(instance)
        rng = np.random.default_rng([5, seed])
        assert bound_of(random_proof(rng, instance), instance) <= optimum
        memory = memory_price_bound(instance, blocks=16, steps=20)
        found = knapsack_price_bound(instance, memory.prices, steps=100)
        assert memory.value - Fraction(1, 50) <= found.value <= optimum
        stronger += found.value > memory.value + Fraction(1, 20)
        tampered = KnapsackPriceProof(
            scale=found.proof.scale,
            first=found.proof.first,
            prices=tuple(p * int(rng.integers(0, 3)) for p in found.proof.prices),
            step=found.proof.step,
            presence=tuple(
                (i, t, *(p * int(rng.integers(0, 3)) for p in values))
                for i, t, *values in found.proof.presence
            ),
        )
        assert bound_of(tampered, instance) <= optimum
    assert stronger > 50


def test_the_search_evaluates_what_the_certificate_proves():
    for seed in range(60):
        rng = np.random.default_rng([6, seed])
        instance = random_instance(rng, 12, capacity=(12, 30), last_arrival=20)
        problem = _problem(instance, memory_price_bound(instance, steps=5).prices)
        point = problem.first + rng.random(problem.first.size) * rng.integers(0, 2)
        value = problem.evaluate(point, np.empty_like(point))
        proof = _proof(problem, point)
        assert float(bound_of(proof, instance)) == pytest.approx(value, abs=0.3)


def test_slopes_are_subgradients():
    # The bound is concave in the prices: f(y) ≤ f(x) + slope(x)·(y − x).
    for seed in range(60):
        rng = np.random.default_rng([7, seed])
        instance = random_instance(rng, 12, capacity=(12, 30), last_arrival=20)
        problem = _problem(instance, memory_price_bound(instance, steps=5).prices)
        x, y = rng.random((2, problem.first.size)) * rng.integers(0, 2, (2, problem.first.size))
        slope = np.empty_like(x)
        at_x = problem.evaluate(x, slope)
        assert problem.evaluate(y, np.empty_like(y)) <= at_x + slope @ (y - x) + 1e-6


def heaviest(w, v, M):
    sets = [S for m in range(w.size + 1) for S in combinations(range(w.size), m)]
    return max(int(v[list(S)].sum()) for S in sets if w[list(S)].sum() <= M)


def test_both_knapsacks_are_the_brute_force():
    pairs, merged = np.zeros((2, MOST_PAIRS, 2), np.int64)
    for seed in range(300):
        rng = np.random.default_rng([8, seed])
        m = int(rng.integers(1, 9))
        w, v = rng.integers(1, 20, m), rng.integers(1, 30, m)
        M = int(rng.integers(20, 60))
        best = heaviest(w, v, M)
        assert _knapsack(w, v, M, pairs, merged) == best
        if w.sum() > M:
            assert best <= _at_one_density(w, v, M) <= best + v.max()
        order = np.argsort(-v / w, kind="stable")
        on, best_on = np.zeros((2, m), np.bool_)
        value = presence_kernels._knapsack(w[order], v[order].astype(float), M, on, best_on)
        assert value == best == v[order][best_on].sum()
        assert w[order][best_on].sum() <= M


def test_knapsacks_with_too_many_pairs_prove_a_little_less():
    # Sizes of which every subset has another weight, and more of them than pairs are kept.
    instance = Instance(
        gpu=Gpu(kv_capacity=2**20), arrival=[0] * 18, prompt=[2**j + 2**16 for j in range(18)],
        output=[1] * 18,
    )  # fmt: skip
    rng = np.random.default_rng(9)
    runs = tuple((i, 1, int(rng.integers(10**6, 2 * 10**6))) for i in range(18))
    proof = KnapsackPriceProof(scale=10**6, first=1, prices=(), step=1, presence=runs)
    values = sorted(run[2] for run in runs)
    paid = sum(min(10**6, value) for value in values)  # or a wait of one round
    least_deducted, most = sum(values[:13]), sum(values)
    bound = 10**6 * bound_of(proof, instance)
    assert 18 * 10**6 + paid - most <= bound <= 18 * 10**6 + paid - least_deducted
    short = Gpu(kv_capacity=2**20 - 1)
    assert bound_of(proof, instance.replace(gpu=short)) >= bound_of(proof, instance)


def test_time_may_begin_anywhere():
    rng = np.random.default_rng(3)
    instance = random_instance(rng, 6, last_arrival=20)
    moved = instance.replace(arrival=instance.arrival + 2**30)
    memory, later = memory_price_bound(instance), memory_price_bound(moved)
    found = knapsack_price_bound(instance, memory.prices, steps=50)
    again = knapsack_price_bound(moved, later.prices, steps=50)
    assert found.value == again.value
    assert again.proof.first == found.proof.first + 2**30


def test_prices_up_to_the_first_arrival_are_left_out():
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[5, 5], prompt=[3, 1], output=[4, 2])
    early = KnapsackPriceProof(scale=1, first=2, prices=(1,), step=1, presence=((0, 1, 7, 7),))
    assert bound_of(early, instance) == 6
    later = KnapsackPriceProof(scale=1, first=5, prices=(8, 1), step=1, presence=((0, 5, 7, 7),))
    assert bound_of(later, instance) == (4 + 1) + (2 + 1) - 9 - 7  # round 6: both rather wait


def test_whole_requests_close_most_of_a_gap():
    # Each holds a third of M and a bit, so only two fit at once; the LP holds 2.9 of them.
    instance = Instance(gpu=Gpu(kv_capacity=100), arrival=[0] * 6, prompt=[33] * 6, output=[2] * 6)
    memory = memory_price_bound(instance)
    found = knapsack_price_bound(instance, memory.prices)
    assert memory.value < 19 < found.value <= 24  # the optimum: 2 + 2 + 4 + 4 + 6 + 6
    assert found.value > 23
    code = make_instance("azure-code", seed=1, settings={"n": 100, "kv_capacity": 16384})
    prices = memory_price_bound(code)
    assert prices.value < 1668
    assert knapsack_price_bound(code, prices.prices, steps=400).value > 1700  # the best is 1724


def test_the_search_ends_at_its_limits():
    instance = make_instance("azure-code", seed=1, settings={"n": 50})
    memory = memory_price_bound(instance)
    one = knapsack_price_bound(instance, memory.prices, steps=100, work_limit=0)
    assert one.evaluations == 1
    assert one.value <= memory.value + 1
    assert knapsack_price_bound(instance, memory.prices, stop=lambda: True).evaluations == 1
    assert knapsack_price_bound(instance, memory.prices, time_limit=0.0).evaluations == 1
    reached = knapsack_price_bound(instance, memory.prices, target=int(memory.value))
    assert reached.evaluations < 20
    with pytest.raises(InputError, match="steps: expected at least 1, found 0"):
        knapsack_price_bound(instance, memory.prices, steps=0)


def test_instances_with_too_many_rounds_are_left_alone():
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2**40], prompt=[3, 1], output=[4, 2])
    assert knapsack_price_bound(instance, memory_price_bound(instance).prices) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"presence": ((2, 1, 1),)}, r"presence\[0\]: expected a request of 2"),
        ({"presence": ((0, 0, 1),)}, r"presence\[0\]: expected a request of 2, a round ≥ 1"),
        ({"presence": ((0, 1),)}, r"presence\[0\]: expected a request of 2.* and prices"),
        ({"presence": ((1, 1, 1), (0, 1, 1))}, r"presence\[1\]: expected requests and rounds to"),
        ({"presence": ((0, 1, 1, 1), (0, 2, 1))}, r"presence\[1\]: expected requests and rounds"),
        ({"presence": ((0, 1, 1), (0, 2**61, 1))}, "presence: expected at most 16777216 prices"),
        ({"presence": ((0, 2**61, 1),)}, "presence: expected rounds up to"),
        ({"first": 2**61}, "prices: expected rounds up to"),
        ({"presence": ((0, 1, 2**61),)}, "expected numbers that keep to arithmetic of 64 bits"),
        ({"prices": (2**61,)}, "expected numbers that keep to arithmetic of 64 bits"),
        ({"scale": 2**61}, "expected numbers that keep to arithmetic of 64 bits"),
        ({"step": 2**61, "presence": ((0, 1, 1),)}, "expected numbers that keep to arithmetic"),
    ],
)
def test_what_is_no_proof_is_refused(changes, message):
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    good = {"scale": 1, "first": 1, "prices": (1,), "step": 1, "presence": ()}
    with pytest.raises(InputError, match=rf"proof\..*{message}"):
        bound_of(KnapsackPriceProof(**{**good, **changes}), instance)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 0}, "proof.scale: expected an integer from 1"),
        ({"step": 0}, "proof.step: expected an integer from 1"),
        ({"first": 0}, "proof.first: expected an integer from 1"),
        ({"prices": [-1]}, r"proof.prices\[0\]: expected an integer from 0"),
        ({"presence": [[0, 1, -1]]}, r"proof.presence\[0\]\[2\]: expected an integer from 0"),
        ({"presence": [[0, 1]]}, r"proof.presence\[0\]: expected a request, a round ≥ 1 and"),
        ({"presence": [[0, 0, 1]]}, r"proof.presence\[0\]: expected a request, a round ≥ 1 and"),
        ({"presence": [3]}, r"proof.presence\[0\]: expected an array"),
        ({"more": 1}, "proof.more: unknown key"),
    ],
)
def test_records_are_read_strictly(changes, message):
    good = {
        "kind": "knapsack-prices", "scale": 8, "first": 4, "prices": [3], "step": 4,
        "presence": [[0, 2, 1, 1]],
    }  # fmt: skip
    assert KnapsackPriceProof.from_record(good).to_record() == good
    with pytest.raises(InputError, match=message):
        KnapsackPriceProof.from_record({**good, **changes})


def test_a_verification_that_is_too_long_ends():
    instance = make_instance("azure-code", seed=1, settings={"n": 50})
    with pytest.raises(OutOfTime):
        certified_value(
            instance, scale=1, first=1, prices=[], step=1, presence=[], clock=Clock(0.0)
        )
