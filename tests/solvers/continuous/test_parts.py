"""Blocks of continuous batching: the theorem, by brute force, and the proofs that rest on it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime
from batchprophet.models.blocks import blocks
from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.models.errors import InputError
from batchprophet.models.instance import NO_DEADLINE, Gpu, Instance
from batchprophet.models.regimes import schedule_value
from batchprophet.solvers.certificates.blocks import ContinuousBlocksProof, Part
from batchprophet.solvers.certificates.certificate import Certificate, best_certificate
from batchprophet.solvers.certificates.clock import Clock
from batchprophet.solvers.certificates.continuous.simple import ContinuousBound, own_times
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.continuous.parts import continuous_parts, left_shifted, times_within
from batchprophet.solvers.hindsight import solve
from tests.brute_force_continuous import brute_force_continuous
from tests.solvers.certificates.continuous.test_batch_length_prices import random_proof
from tests.tiny_continuous import random_continuous, tiny_continuous
from tests.tiny_instances import OBJECTIVES


def with_gap(instance, members, gap):
    """The others of an instance arrive from some time on after the last of these."""
    arrival = instance.arrival.copy()
    others = np.setdiff1d(np.arange(instance.n), members)
    arrival[members] -= arrival[members].min()
    late = int(arrival[members].max()) + gap
    arrival[others] += late - int(arrival[others].min())
    due = instance.deadline
    due = np.where(due == NO_DEADLINE, due, np.maximum(0, due + arrival - instance.arrival))
    return instance.replace(arrival=arrival, horizon=instance.horizon + late, deadline=due)


def divided(seed):
    """An instance in two blocks that just do not overlap, and the blocks; None if it has none."""
    instance = tiny_continuous(seed, most_requests=3, most_prompt=3)
    if instance.n == 1 or continuous_parts(instance) is None:
        return None
    members = np.arange(int(np.random.default_rng(seed).integers(1, instance.n)))
    gap = int(np.array(times_within(instance))[members].sum())
    far = with_gap(instance, members, gap)
    return far, [members, np.arange(members.size, instance.n)]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_blocks_that_just_do_not_overlap_have_the_optimum_of_the_whole(objective):
    tried = 0
    for seed in range(17 if objective == "tardiness" else 50):  # brute force prunes less there
        found = divided(seed)
        if found is None:
            continue
        instance, groups = found
        assert len(blocks(instance, times_within(instance))) >= 2
        best, _ = brute_force_continuous(instance, objective)
        values = [brute_force_continuous(instance.take(each), objective)[0] for each in groups]
        assert best == (max(values) if objective == "makespan" else sum(values)), seed
        tried += 1
    assert tried > (5 if objective == "tardiness" else 12)


def test_an_optimal_schedule_ends_within_the_work_after_the_last_arrival():
    # The theorem says some does; the makespan is the least end of any.
    for seed in range(120):
        instance = tiny_continuous(seed, most_requests=2)
        if continuous_parts(instance) is None:
            continue
        end, _ = brute_force_continuous(instance, "makespan")
        assert end <= instance.arrival.max() + sum(times_within(instance))


def test_no_request_is_faster_than_alone():
    for seed in range(150):
        instance = tiny_continuous(seed, most_requests=1)
        best, _ = brute_force_continuous(instance)
        assert own_times(instance, Clock(None))[0] <= best


def test_schedules_are_taken_apart_and_put_together():
    tried = 0
    for seed in range(400):
        instance = tiny_continuous(seed, most_requests=4)
        schedule = random_continuous(instance, seed, drops=0.3)
        parts = continuous_parts(instance)
        if parts is None or check_continuous(instance, schedule) or instance.n < 2:
            continue
        rng = np.random.default_rng(seed)
        groups = [g for g in np.split(rng.permutation(instance.n), [instance.n // 2]) if g.size]
        apart = parts.apart(instance, groups, schedule)
        completion = schedule.completion(instance)
        for members, part in zip(groups, apart, strict=True):
            kept = instance.take(members)
            shift = int(kept.arrival.min())
            moved = kept.replace(arrival=kept.arrival - shift)
            assert check_continuous(moved, part) == [], seed
            assert (part.completion(moved) + shift <= completion[members]).all()
        assert parts.apart(instance, groups[1:], schedule) == apart[1:]
        together = parts.together(instance, groups, apart)
        assert check_continuous(instance, together) == []
        again = left_shifted(instance, schedule.columns)
        assert check_continuous(instance, again) == []
        assert (again.completion(instance) <= completion).all()
        tried += 1
    assert tried > 80


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_solving_block_by_block_gives_the_optimum_and_proofs(objective):
    by_blocks = 0
    for seed in range(0, 60, 4):
        found = divided(seed)
        if found is None:
            continue
        instance, _ = found
        solution = solve(instance, model="continuous", objective=objective, work_limit=3000)
        best, _ = brute_force_continuous(instance, objective)
        assert solution.objective == best, seed
        assert solution.status == "optimal"
        assert schedule_value(instance, solution.schedule, objective) == best
        certificate = solution.certificate
        assert verify(certificate, instance, value=best).verified
        by_blocks += certificate.proof.kind == "continuous-blocks" or "block" in solution.method
    assert by_blocks > 1 or objective == "reward"  # where list schedules are enough


@pytest.mark.parametrize("gap", [10**5, 10**7, 10**9, 10**12])
def test_pairs_far_apart_are_proved_at_once(gap):
    law = AffineTime(c0=13.67, c1=0.0984, c2=0.0504, c3=1.88e-4)
    gpu = Gpu(kv_capacity=7, batch_time=law)
    instance = Instance(gpu=gpu, arrival=[0, 0, gap, gap], prompt=[3, 2, 3, 1], output=[4, 2, 4, 3])
    solution = solve(instance, model="continuous", time_limit=20)
    assert (solution.status, solution.objective) == ("optimal", 193_872)
    assert solution.seconds < 20


def dear_prompts():
    """Prompts alone are dear: a token that waits for them makes them cheap."""
    law = AffineTime(c0=0.001, c1=0, c2=0, c3=0, c0_prompt=0.01)
    gpu = Gpu(kv_capacity=9, batch_time=law)
    return Instance(gpu=gpu, arrival=[0, 22, 22], prompt=[1, 1, 1], output=[2, 1, 1])


def test_with_dear_prompts_parts_prove_nothing_and_nothing_is_taken_apart():
    instance = dear_prompts()
    assert len(blocks(instance, times_within(instance))) == 2
    best, _ = brute_force_continuous(instance)
    values = [brute_force_continuous(instance.take(each))[0] for each in ([0], [1, 2])]
    assert best == 23 + 1 + 1
    assert sum(values) == 11 + 10 + 10
    assert continuous_parts(instance) is None
    alone = tuple(Part(requests=(i,), proof=None) for i in range(3))
    with pytest.raises(InputError, match=r"takes c0_prompt up to c0, found c0_prompt 0\.01"):
        ContinuousBlocksProof(parts=alone).bound(instance, "latency", Clock(None))
    assert solve(instance, model="continuous", work_limit=3000).objective == best


def test_where_whole_prompts_may_not_be_read_again_nothing_is_taken_apart():
    gpu = Gpu(kv_capacity=9, batch_tokens=3, chunked_prefill=False)
    instance = Instance(gpu=gpu, arrival=[0, 900], prompt=[3, 1], output=[2, 1])
    assert continuous_parts(instance) is None
    assert continuous_parts(instance.replace(output=[1, 1])) is not None


def proof_by_chance(rng, instance, best):
    """Parts with nothing, a name, or prices by chance; shares of requests that are not there."""
    members = rng.permutation(instance.n)
    cut = int(rng.integers(0, instance.n + 1))
    parts = []
    for some in (members[:cut], members[cut:]):
        if some.size == 0:
            continue
        names = ("served at arrival", "work, shortest remaining first")
        proof = [
            None,
            ContinuousBound(name=str(rng.choice(names))),
            random_proof(rng, some.size, best),
        ][int(rng.integers(3))]
        parts.append(Part(requests=tuple(some.tolist()), proof=proof))
    return ContinuousBlocksProof(parts=tuple(parts))


@pytest.mark.parametrize("part", range(3))
def test_no_forged_proof_gives_more_than_the_optimum(part):
    rng = np.random.default_rng([9, part])
    tried = 0
    for seed in range(part, 90, 3):
        instance = tiny_continuous(seed)
        law = instance.gpu.batch_time
        if isinstance(law, AffineTime) and law.intercept_of_prompts > law.c0:
            continue
        best, _ = brute_force_continuous(instance)
        for _ in range(30):
            proof = proof_by_chance(rng, instance, int(best))
            assert proof.bound(instance, "latency", Clock(None)) <= best
            tried += 1
    assert tried > 400


def test_for_every_objective_parts_alone_are_a_bound():
    for seed in range(40):
        instance = tiny_continuous(seed, most_requests=2)
        alone = ContinuousBlocksProof(
            parts=tuple(Part(requests=(i,), proof=None) for i in range(instance.n))
        )
        if continuous_parts(instance) is None:
            continue
        for objective in OBJECTIVES:
            best, _ = brute_force_continuous(instance, objective)
            bound = alone.bound(instance, objective, Clock(None))
            assert bound >= best if objective == "reward" else bound <= best


def test_a_certificate_is_written_read_and_verified():
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 90], prompt=[3, 1], output=[4, 2])
    inner = ContinuousBound(name="served at arrival")
    proof = ContinuousBlocksProof(
        parts=(Part(requests=(0,), proof=None), Part(requests=(1,), proof=inner))
    )
    certificate = best_certificate(instance, "latency", [(6, proof)])
    again = Certificate.from_record(json.loads(json.dumps(certificate.to_record())))
    assert again == certificate
    assert verify(again, instance).verified
    assert not verify(replace(again, bound=7), instance).verified


@pytest.mark.parametrize(
    ("proof", "message"),
    [
        ({"kind": "continuous-blocks", "parts": []}, "found 'continuous-blocks'"),
        ({"kind": "relaxation", "regime": "continuous", "proof": {}}, "found 'relaxation'"),
        ({"kind": "combinatorial", "name": "starts at arrival"}, "found 'combinatorial'"),
        ({"kind": None}, "found None"),
        ([], "expected an object"),
    ],
)
def test_other_proofs_within_are_refused_in_a_line(proof, message):
    record = {"kind": "continuous-blocks", "parts": [{"requests": [0], "proof": proof}]}
    with pytest.raises(InputError, match=message) as caught:
        ContinuousBlocksProof.from_record(record)
    assert "\n" not in str(caught.value)
