"""Bounds on separate batching by continuous batching: every schedule there is one here."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime, ConstantTime, UnitTime
from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.models.continuous.schedule import Batch, ContinuousSchedule
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.separate.feasibility import check_separate
from batchprophet.solvers.best_so_far import BestSoFar
from batchprophet.solvers.certificates.blocks import Part, SeparateBlocksProof
from batchprophet.solvers.certificates.certificate import Certificate, best_certificate
from batchprophet.solvers.certificates.clock import Clock
from batchprophet.solvers.certificates.continuous.simple import ContinuousBound
from batchprophet.solvers.certificates.mixed.combinatorial import CombinatorialBound
from batchprophet.solvers.certificates.relaxation import RelaxationProof
from batchprophet.solvers.certificates.separate.as_continuous import as_continuous
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.recipe import Options
from batchprophet.solvers.relaxation import stages
from batchprophet.solvers.separate.hindsight import RELAXATIONS, begin
from batchprophet.solvers.stages import Driver
from tests.brute_force_continuous import brute_force_continuous
from tests.brute_force_separate import brute_force_separate
from tests.solvers.certificates.continuous.test_batch_length_prices import random_proof
from tests.tiny_instances import OBJECTIVES
from tests.tiny_separate import affine_law, random_laws, random_schedule, tiny_separate


def any_law(seed):
    """Any law: some with an intercept of prompts of their own, below and above the other."""
    rng = np.random.default_rng([31, seed])
    law = random_laws(seed)
    if isinstance(law, AffineTime) and rng.random() < 0.7:
        own = float(rng.integers(1, 30)) / 4000
        return AffineTime(c0=law.c0, c1=law.c1, c2=law.c2, c3=law.c3, c0_prompt=own)
    return law


def continued(instance, schedule):
    """The same batches as batches of continuous batching."""
    prompt = instance.prompt.tolist()
    return ContinuousSchedule(
        [
            Batch(each.start, prefill=tuple((i, prompt[i]) for i in each.requests))
            if each.kind == "prompt"
            else Batch(each.start, decode=tuple(each.requests))
            for each in schedule.batches
        ]
    )


def test_every_separate_schedule_is_a_continuous_one_with_the_same_completions():
    tried = 0
    for seed in range(600):
        instance = tiny_separate(seed, law=any_law(seed), most_requests=4)
        schedule = random_schedule(instance, seed)
        if check_separate(instance, schedule):
            continue
        relaxed = as_continuous(instance)
        same = continued(instance, schedule)
        assert check_continuous(relaxed, same) == [], seed
        assert (same.completion(relaxed) == schedule.completion(instance)).all()
        tried += 1
    assert tried > 300


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_relaxed_optimum_is_no_worse(objective):
    lower = 0
    for seed in range(60):
        instance = tiny_separate(seed, law=random_laws(seed), most_requests=2, most_output=3)
        best, _ = brute_force_separate(instance, objective)
        relaxed, _ = brute_force_continuous(as_continuous(instance), objective)
        assert relaxed >= best if objective == "reward" else relaxed <= best, seed
        lower += relaxed != best
    assert lower > 1


def test_limits_are_as_tight_as_batches_can_be():
    def tokens(**limits):
        gpu = Gpu(kv_capacity=30, batch_time=UnitTime(), **limits)
        instance = Instance(gpu=gpu, arrival=[0] * 3, prompt=[2, 5, 4], output=[2] * 3)
        return as_continuous(instance).gpu.batch_tokens

    assert tokens() == 11
    assert tokens(prompt_batch_requests=2) == 9
    assert tokens(prompt_batch_requests=2, prompt_batch_tokens=6) == 6
    gpu = Gpu(kv_capacity=30, prompt_batch_requests=1, token_batch_requests=2)
    ones = Instance(gpu=gpu, arrival=[0] * 3, prompt=[1] * 3, output=[2] * 3)
    assert as_continuous(ones).gpu.batch_tokens == 2  # two token jobs, one prompt token


def test_the_longest_slots_keep_their_numbers():
    law = ConstantTime(prompt=10**12, token=999_999_999_989)
    gpu = Gpu(kv_capacity=9, batch_time=law)
    instance = Instance(gpu=gpu, arrival=[0], prompt=[3], output=[4])
    proof = RelaxationProof(regime="continuous", proof=ContinuousBound(name="served at arrival"))
    assert proof.bound(instance, "latency", Clock(None)) == 4 * law.token  # one batch of both


@pytest.mark.parametrize("part", range(4))
def test_no_forged_proof_gives_more_than_the_optimum(part):
    rng = np.random.default_rng([7, part])
    above = 0
    for seed in range(300 + part, 400, 4):
        law = affine_law(rng) if rng.random() < 0.7 else random_laws(seed)
        instance = tiny_separate(seed, law=law)
        best, _ = brute_force_separate(instance)
        for _ in range(40):
            proof = RelaxationProof(
                regime="continuous", proof=random_proof(rng, instance.n, int(best))
            )
            found = proof.bound(instance, "latency", Clock(None))
            assert found <= best
            above += found > 0
    assert above > 50


def small():
    gpu = Gpu(kv_capacity=9, batch_time=AffineTime(c0=0.003, c1=0.001, c2=0.001, c3=0.0))
    return Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[2, 2])


ALONE = {"kind": "continuous-combinatorial", "name": "served at arrival"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"regime": "mixed"}, "proof.regime: expected continuous, found 'mixed'"),
        ({"regime": ["continuous"]}, "proof.regime: expected continuous, found"),
        ({"proof": None}, "proof.proof: expected an object"),
        ({"proof": []}, "proof.proof: expected an object"),
        ({"proof": {}}, "proof.proof.kind: expected one of batch-length-prices"),
        ({"proof": {"kind": "walk-search"}}, "proof.proof.kind: expected one of batch-length"),
        ({"proof": {"kind": "combinatorial", "name": "x"}}, "proof.proof.kind: expected one of"),
        ({"proof": {"kind": ["relaxation"]}}, "proof.proof.kind: expected one of"),
        (
            {"proof": {"kind": "relaxation", "regime": "continuous", "proof": ALONE}},
            "proof.proof.kind: expected one of .*; found 'relaxation'",
        ),
        ({"proof": {"kind": "separate-blocks", "parts": []}}, "found 'separate-blocks'"),
        ({"proof": {**ALONE, "colour": 1}}, "proof.colour: unknown key"),
        ({"more": 1}, "proof.more: unknown key"),
    ],
)
def test_hostile_files_are_refused_in_a_line(change, message):
    record = {"kind": "relaxation", "regime": "continuous", "proof": ALONE}
    assert RelaxationProof.from_record(record).to_record() == record
    with pytest.raises(InputError, match=message) as caught:
        RelaxationProof.from_record(record | change)
    assert "\n" not in str(caught.value)


def test_a_file_nested_a_thousand_times_is_refused_at_the_second_level():
    record = ALONE
    for _ in range(1000):
        record = {"kind": "relaxation", "regime": "continuous", "proof": record}
    with pytest.raises(InputError, match="found 'relaxation'"):
        RelaxationProof.from_record(record)


def test_a_proof_of_another_regime_is_none():
    with pytest.raises(InputError, match="'combinatorial' is no proof of a relaxed instance"):
        RelaxationProof(regime="continuous", proof=CombinatorialBound(name="starts at arrival"))
    inner = RelaxationProof(regime="continuous", proof=ContinuousBound(name="served at arrival"))
    with pytest.raises(InputError, match="'relaxation' is no proof of a relaxed instance"):
        RelaxationProof(regime="continuous", proof=inner)


def test_an_objective_that_the_proof_within_does_not_bound_is_refused():
    rng = np.random.default_rng(1)
    proof = RelaxationProof(regime="continuous", proof=random_proof(rng, 2, 20))
    with pytest.raises(InputError, match="batch-length-prices proves no bound on makespan"):
        proof.bound(small(), "makespan", Clock(None))


def test_an_instance_of_continuous_batching_is_not_relaxed():
    proof = RelaxationProof(regime="continuous", proof=ContinuousBound(name="served at arrival"))
    seats = small().replace(gpu=Gpu(kv_capacity=9, running_requests=1))
    with pytest.raises(InputError, match="separate batching knows no limits of continuous"):
        proof.bound(seats, "latency", Clock(None))


def test_a_certificate_is_written_read_and_verified_within_blocks_too():
    instance = small()
    inner = RelaxationProof(regime="continuous", proof=ContinuousBound(name="served at arrival"))
    for proof in (inner, SeparateBlocksProof(parts=(Part(requests=(0, 1), proof=inner),))):
        bound = proof.bound(instance, "latency", Clock(None))
        certificate = best_certificate(instance, "latency", [(bound, proof)])
        again = Certificate.from_record(json.loads(json.dumps(certificate.to_record())))
        assert again == certificate
        assert verify(again, instance).verified
        assert again.model == "separate"


def crowded(n):
    """Many requests at once, affine batch times."""
    rng = np.random.default_rng(5)
    law = AffineTime(c0=0.02, c1=0.0005, c2=0.0005, c3=0.00001, c0_prompt=0.015)
    gpu = Gpu(kv_capacity=400, prompt_batch_tokens=60, token_batch_requests=16, batch_time=law)
    return Instance(
        gpu=gpu,
        arrival=rng.integers(0, 200, n),
        prompt=rng.integers(5, 40, n),
        output=rng.integers(5, 60, n),
    )


def bounded_by_stage(instance, work):
    """What the stage alone proves, by work."""
    search = BestSoFar(instance, "latency", math.inf)
    begin(search, None, Options())
    driver = Driver(search, work=work)
    driver.run(stages(RELAXATIONS, driver))
    return search.solution()


def test_the_stage_hands_in_a_bound_that_is_verified():
    instance = crowded(40)
    solution = bounded_by_stage(instance, 800_000)
    bounds = dict(solution.bounds)
    assert bounds["relaxed to continuous batching"] > bounds["work of one machine"]
    assert solution.certificate.proof.kind == "relaxation"
    assert solution.certificate.bound == solution.bound
    assert verify(solution.certificate, instance, value=solution.objective).verified
    again = bounded_by_stage(instance, 800_000)
    assert again.certificate == solution.certificate


def test_where_value_and_bound_are_near_it_is_not_asked():
    instance = crowded(40)
    search = BestSoFar(instance, "latency", math.inf)
    begin(search, None, Options())
    search.better_bound("as good as known", 0.985 * search.value)
    driver = Driver(search, work=800_000)
    driver.run(stages(RELAXATIONS, driver))
    assert "relaxed to continuous batching" not in dict(search.bounds)


def test_too_little_work_for_a_step_gives_no_bound():
    assert "relaxed to continuous batching" not in dict(bounded_by_stage(crowded(40), 5).bounds)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_solve_by_clock_asks_for_it_and_ends_in_time(threads):
    began = time.perf_counter()
    instance = crowded(60)
    solution = solve(instance, model="separate", time_limit=3, threads=threads)
    assert "relaxed to continuous batching" in dict(solution.bounds)
    assert time.perf_counter() - began < 60  # compilation included, on a busy machine
    assert verify(solution.certificate, instance, value=solution.objective).verified


def test_where_there_are_prices_of_its_own_it_is_not_asked():
    slots = crowded(40).replace(gpu=Gpu(kv_capacity=400, token_batch_requests=16))
    search = BestSoFar(slots, "latency", math.inf)
    assert list(stages(RELAXATIONS, Driver(search))) == []


def test_an_instance_beyond_the_range_of_the_other_regime_is_left_out():
    huge = crowded(40).replace(gpu=Gpu(kv_capacity=2**30, batch_time=crowded(1).gpu.batch_time))
    long = huge.replace(output=[2**25] * 40)  # more tokens than a continuous schedule can list
    search = BestSoFar(long, "latency", math.inf)
    assert list(stages(RELAXATIONS, Driver(search))) == []
    assert len(list(stages(RELAXATIONS, Driver(BestSoFar(huge, "latency", math.inf))))) == 1
