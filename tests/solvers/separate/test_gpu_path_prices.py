"""Bounds of separate batching beyond exhaustive search: class relaxation, prices of the path."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.families.registry import make_instance
from batchprophet.models.separate.feasibility import check_separate
from batchprophet.solvers.certificates.clock import Clock
from batchprophet.solvers.certificates.file import read_certificate, write_certificate
from batchprophet.solvers.certificates.separate.walk_prices import WalkPriceProof
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.separate.bounds import class_relaxation as class_bound
from batchprophet.solvers.separate.bounds.class_relaxation import (
    ClassPrices,
    class_prices,
    end_of_relaxation,
    has_class_bound,
)
from batchprophet.solvers.separate.bounds.gpu_path_prices import (
    classes_of,
    has_path,
    never_rising,
    path_prices,
    proof_of,
)
from batchprophet.solvers.separate.search.list_encodings import list_encodings
from batchprophet.solvers.separate.search.schedule_builder import schedule_of
from tests.brute_force_separate import brute_force_separate
from tests.tiny_separate import affine_law, tiny_separate


def list_schedule(instance):
    return schedule_of(instance, next(list_encodings(instance))[1])


def random_prices(rng, instance, end):
    """Prices of any size and sign; what must not rise may."""
    classes = classes_of(instance, end).held.size
    times = end - int(instance.arrival.min()) + 1
    scale = rng.choice([0.3, 3.0, 30.0])
    return ClassPrices(
        bound=0.0,
        end=end,
        prompt=scale * rng.normal(1.0, 1.0, instance.n),
        running=scale * rng.normal(0.0, 1.0, (classes, times)),
        kv=np.cumsum(rng.exponential(scale / 20, times))[::-1],
    )


@pytest.mark.parametrize("block", range(5))
def test_both_bounds_are_below_the_optimum(block):
    climbed = 0
    for seed in range(30 * block, 30 * (block + 1)):
        instance = tiny_separate(seed)
        optimum, _ = brute_force_separate(instance)
        schedule = list_schedule(instance)
        prices = class_prices(instance, schedule)
        assert prices.bound <= optimum + 1e-6, seed
        path = path_prices(instance, schedule, prices, time_limit=math.inf, most_steps=60)
        assert path.bound <= optimum, seed
        climbed += path.bound > prices.bound + 0.1
    assert climbed >= 1


@pytest.mark.parametrize("block", range(3))
def test_any_prices_and_any_end_give_a_bound(block):
    tight = 0
    for seed in range(60 * block, 60 * (block + 1)):
        instance = tiny_separate(seed)
        rng = np.random.default_rng(seed)
        optimum, best = brute_force_separate(instance)
        last = int(best.ends(instance).max())
        end = int(rng.integers(int(instance.arrival.min()) + 1, last + 3))
        prices = random_prices(rng, instance, end)
        bound = path_prices(instance, best, prices, time_limit=0.0).bound
        assert bound <= optimum, (seed, end)
        tight += bound >= 0
    assert tight >= 5  # not all of them are far below


def test_late_requests_are_part_of_the_relaxation(monkeypatch):
    """A relaxation that ends with the schedule is a bound on schedules that end later, too."""
    monkeypatch.setattr(class_bound, "BEYOND", 0.0)
    later = 0
    for seed in range(40):
        instance = tiny_separate(seed)
        optimum, best = brute_force_separate(instance)
        schedule = list_schedule(instance)
        prices = class_prices(instance, schedule)
        assert prices.bound <= optimum + 1e-6
        later += best.ends(instance).max() > prices.end
    assert end_of_relaxation(instance, schedule) == prices.end


def test_the_walk_climbs_well_above_the_relaxation_and_steps_decide_not_the_clock():
    instance = make_instance("separate-random", seed=102, settings={"n": 14})  # optimum 179
    schedule = list_schedule(instance)
    prices = class_prices(instance, schedule)
    assert 156 < prices.bound < 179
    one, two = (
        path_prices(instance, schedule, prices, time_limit=math.inf, most_steps=1500)
        for _ in range(2)
    )
    assert prices.bound + 5 < one.bound <= 179
    assert one.bound == two.bound
    assert one.steps == two.steps == 1500


def test_better_bounds_are_told_and_stopping_is_heeded():
    instance = make_instance("separate-random", seed=102, settings={"n": 14})
    schedule = list_schedule(instance)
    prices = class_prices(instance, schedule)
    told = []
    path = path_prices(
        instance, schedule, prices, time_limit=math.inf, most_steps=300, found=told.append
    )
    assert len(told) > 3
    assert told == sorted(told)
    assert told[-1] == path.bound
    stopped = path_prices(instance, schedule, prices, time_limit=math.inf, stop=lambda: True)
    assert stopped.steps == 0
    assert stopped.bound == told[0]


def test_prices_that_do_not_rise_are_the_nearest_ones():
    rows = np.array([[3.0, 1.0, 2.0, 0.0], [1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]])
    never_rising(rows)
    assert rows.tolist() == [[3.0, 1.5, 1.5, 0.0], [2.5] * 4, [4.0, 3.0, 2.0, 1.0]]


def test_what_is_too_large_or_affine_is_left_out():
    instance = make_instance("separate-random", settings={"n": 40})
    assert has_class_bound(instance, 80)
    assert has_path(instance, 80)
    assert not has_class_bound(instance, 10_000)
    assert not has_path(instance, 10**6)
    affine = tiny_separate(1, law=affine_law(np.random.default_rng(0)))
    assert not has_class_bound(affine, 10)


@pytest.mark.parametrize("threads", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_the_engine_bounds_40_requests_with_it(threads):
    instance = make_instance("separate-random", seed=100, settings={"n": 40})
    solution = solve(instance, model="separate", time_limit=20.0, threads=threads)
    assert check_separate(instance, solution.schedule) == []
    assert solution.lower_bound >= 370  # the class relaxation; one machine's work alone gives 327
    assert solution.gap < 0.2


def test_a_work_limit_gives_the_same_bound_again():
    instance = make_instance("separate-random", seed=100, settings={"n": 32})
    one, two = (solve(instance, model="separate", work_limit=20_000) for _ in range(2))
    assert one.lower_bound == two.lower_bound
    assert one.objective == two.objective
    assert dict(one.bounds)["prices of the GPU's walk"] > 256


@pytest.mark.parametrize("block", range(3))
def test_the_verifier_recomputes_the_bound_without_the_code_that_found_it(block):
    """Equal, but where prompt tokens are counted in coarse units (not on tiny instances)."""
    for seed in range(40 * block, 40 * (block + 1)):
        instance = tiny_separate(seed)
        rng = np.random.default_rng(seed)
        optimum, best = brute_force_separate(instance)
        end = int(best.ends(instance).max()) + int(rng.integers(-2, 3))
        end = max(end, int(instance.arrival.min()) + 1)
        path = path_prices(instance, best, random_prices(rng, instance, end), time_limit=0.0)
        proof = proof_of(instance, path.prices, end)
        assert proof.bound(instance, "latency", Clock(None)) == path.bound <= optimum, seed
        assert WalkPriceProof.from_record(json.loads(json.dumps(proof.to_record()))) == proof


@pytest.fixture(scope="module")
def certified():
    """An instance of 62 requests, its certificate, and the value of a schedule."""
    instance = make_instance("separate-random", seed=100, settings={"n": 62})
    solution = solve(instance, model="separate", work_limit=40_000)
    return instance, solution


def test_the_engine_certifies_its_bound_beyond_exhaustive_search(certified, tmp_path):
    instance, solution = certified
    certificate = solution.certificate
    assert (certificate.model, certificate.proof.kind) == ("separate", "walk-prices")
    assert certificate.bound == solution.lower_bound
    path = tmp_path / "certificate.json"
    write_certificate(certificate, path)
    verification = verify(read_certificate(path), instance, value=solution.objective)
    assert verification.verified, verification.reason


def test_a_tampered_certificate_is_refused(certified):
    instance, solution = certified
    certificate = solution.certificate
    more = verify(replace(certificate, bound=certificate.bound + 1), instance)
    assert not more.verified
    assert "not the bound" in more.reason
    bolder = replace(certificate.proof, prompt=tuple(2 * p for p in certificate.proof.prompt))
    assert not verify(replace(certificate, proof=bolder), instance).verified
    gpu = replace(instance.gpu, token_batch_requests=5)
    with pytest.raises(InputError, match="another instance's"):
        verify(certificate, replace(instance, gpu=gpu))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 0}, "proof.scale: expected an integer from 1 to 2^62, found 0"),
        ({"kv": [[-1, 3]]}, "proof.kv[0][0]: expected an integer from 0 to 2^62, found -1"),
        ({"kv": [[1, 1], [2, 2]]}, "proof.kv: expected prices that do not rise"),
        ({"kv": [[1, 0]]}, "proof.kv[0]: expected a price and a number of times ≥ 1, found [1, 0]"),
        ({"running": [{"held": 2, "to_go": 1}]}, "proof.running[0].prices: missing"),
        ({"extra": 1}, "proof.extra: unknown key"),
    ],
)
def test_a_damaged_proof_is_refused(change, message):
    proof = WalkPriceProof(scale=1, end=2, prompt=(2, 1), kv=(0, 0, 0), running={})
    with pytest.raises(InputError) as error:
        WalkPriceProof.from_record(proof.to_record() | change)
    assert str(error.value) == message


def test_a_proof_of_another_size_is_refused(certified):
    instance, solution = certified
    proof = solution.certificate.proof
    for change, message in (
        ({"prompt": proof.prompt[1:]}, "proof.prompt: expected 62 prices, found 61"),
        ({"kv": proof.kv[1:]}, f"proof.kv: expected {len(proof.kv)} prices"),
        ({"end": 10**9}, "proof.end: out of range for the instance, found 1000000000"),
    ):
        with pytest.raises(InputError, match=message):
            replace(proof, **change).bound(instance, "latency", Clock(None))
