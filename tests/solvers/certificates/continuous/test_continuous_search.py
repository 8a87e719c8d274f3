"""Proofs by a search of states: honest ones are accepted, and none above the optimum is."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.solvers.certificates.certificate import Certificate
from batchprophet.solvers.certificates.clock import Clock, Contradicted, OutOfTime
from batchprophet.solvers.certificates.continuous.continuous_search import ContinuousSearch
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.continuous.exact.prices import SCALE
from batchprophet.solvers.continuous.exact.search import search
from batchprophet.solvers.hindsight import solve
from tests.brute_force_continuous import brute_force_continuous
from tests.solvers.continuous.exact.test_search import five_requests
from tests.tiny_continuous import LAWS, continuous_law, tiny_continuous


def random_prices(rng, value):
    """A proof of a value by any prices, useless and extreme ones among them."""
    K = int(rng.integers(0, 12))
    highest = int(rng.choice([0, 1, 7, 2**12]))
    return ContinuousSearch(
        value=value,
        scale=int(rng.choice([1, 5, 2**10])),
        cell=int(rng.integers(1, 5)),
        width=int(rng.integers(1, 4)),
        kv=tuple(rng.integers(0, highest + 1, K).tolist()),
        seat=tuple(rng.integers(0, highest + 1, K).tolist()),
    )


def verdicts_are_right(seed):
    """The optimum is proved by any prices, and nothing above it."""
    law = continuous_law(np.random.default_rng([1, seed]), LAWS[seed % len(LAWS)])
    instance = tiny_continuous(seed, law=law)
    best, _ = brute_force_continuous(instance)
    rng = np.random.default_rng([6, seed])
    for _ in range(3):
        proof = random_prices(rng, best)
        assert proof.bound(instance, "latency", Clock(None)) == best
        above = best + int(rng.choice([1, 2, 50, 10**6]))
        with pytest.raises(Contradicted):
            replace(proof, value=above).bound(instance, "latency", Clock(None))


def test_any_prices_prove_the_optimum_and_nothing_above_it():
    for seed in range(24):
        verdicts_are_right(seed)


@pytest.mark.slow
def test_any_prices_prove_the_optimum_and_nothing_above_it_on_many():
    for seed in range(24, 500):
        verdicts_are_right(seed)


def test_what_the_search_proves_is_verified():
    for seed in range(20):
        instance = tiny_continuous(seed)
        outcome = search(instance)
        prices = outcome.prices
        proof = ContinuousSearch(
            value=outcome.bound, scale=SCALE, cell=prices.cell, width=prices.width,
            kv=tuple(prices.block.tolist()), seat=tuple(prices.seat.tolist()),
        )  # fmt: skip
        assert proof.bound(instance, "latency", Clock(None)) == outcome.bound
        record = json.loads(json.dumps(proof.to_record()))
        assert ContinuousSearch.from_record(record) == proof


def test_five_requests_are_verified_and_nothing_above_is():
    # More than two requests rest at once here; a bound on rests that were too high would show.
    for seed in range(15):
        instance = five_requests(seed)
        best = search(instance).bound
        rng = np.random.default_rng([6, seed])
        proof = random_prices(rng, best)
        assert proof.bound(instance, "latency", Clock(None)) == best
        with pytest.raises(Contradicted):
            replace(proof, value=best + 1).bound(instance, "latency", Clock(None))


def test_a_solution_has_it():
    # Simple bounds say 6: both requests read at once do not fit.
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[4, 3], output=[3, 3])
    solution = solve(instance, model="continuous", work_limit=2000)
    assert solution.certificate.proof.kind == "continuous-search"
    document = json.loads(json.dumps(solution.certificate.to_record()))
    assert verify(Certificate.from_record(document), instance, value=7).verified
    document["proof"]["value"] = document["bound"] = 8
    verdict = verify(Certificate.from_record(document), instance)
    assert verdict.reason == (
        "nothing is proved: there is a schedule of total latency 7, below the value 8 of the proof"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 0}, "proof.scale: expected an integer from 1"),
        ({"scale": 2**25}, "scale 1 to"),
        ({"cell": 2**51}, "cell 1 to"),
        ({"value": 2**51}, "proof.value: expected 0 to"),
        ({"value": -1}, "proof.value: expected an integer from 0"),
        ({"kv": [1]}, r"proof.seat: expected 1 prices, as proof.kv, found 0"),
        ({"kv": [1] * 2, "seat": [1] * 2, "width": 2**60}, "proof.width: expected at most"),
        ({"kv": [2**41], "seat": [0]}, "prices from 0 to"),
        ({"kv": [1.5], "seat": [0]}, "proof.kv"),
        ({"more": 1}, "more"),
    ],
)  # fmt: skip
def test_malformed_files_are_refused(change, message):
    record = ContinuousSearch(value=7, scale=1, cell=1, width=1, kv=(), seat=()).to_record()
    with pytest.raises(InputError, match=message):
        ContinuousSearch.from_record({**record, **change})


def test_what_is_too_large_is_refused():
    proof = ContinuousSearch(value=3, scale=1, cell=1, width=2**16, kv=(2**40,), seat=(0,))
    gpu = Gpu(kv_capacity=10**6)
    with pytest.raises(InputError, match="products are below"):
        proof.bound(Instance(gpu=gpu, arrival=[0], prompt=[3], output=[4]), "latency", Clock(None))
    with pytest.raises(InputError, match="a search of states is for at most 24 requests"):
        proof.bound(
            Instance(gpu=gpu, arrival=[0] * 25, prompt=[3] * 25, output=[4] * 25),
            "latency", Clock(None),
        )  # fmt: skip
    with pytest.raises(InputError, match="costs to go"):
        proof.bound(
            Instance(gpu=gpu, arrival=[0] * 9, prompt=[3] * 9, output=[1000] * 9),
            "latency", Clock(None),
        )  # fmt: skip


def test_the_clock_ends_it():
    gpu = Gpu(kv_capacity=200, running_requests=4)
    instance = Instance(gpu=gpu, arrival=range(9), prompt=range(20, 29), output=range(30, 21, -1))
    proof = ContinuousSearch(value=500, scale=1, cell=1, width=1, kv=(), seat=())
    with Clock(1) as clock, pytest.raises(OutOfTime):
        proof.bound(instance, "latency", clock)
