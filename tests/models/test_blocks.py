"""Blocks: the theorem on every objective and regime, and work that follows events, not rounds."""

from __future__ import annotations

import json

import numpy as np
import pytest

from batchprophet.models.blocks import blocks, closed_up, moved_to_zero
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.regimes import check
from batchprophet.models.separate.problem import times_alone
from batchprophet.solvers.certificates.blocks import BlocksProof, Part, SeparateBlocksProof
from batchprophet.solvers.certificates.certificate import Certificate
from batchprophet.solvers.certificates.clock import Clock
from batchprophet.solvers.certificates.mixed.combinatorial import CombinatorialBound
from batchprophet.solvers.certificates.verification import verify
from batchprophet.solvers.hindsight import solve
from tests.brute_force import brute_force
from tests.brute_force_separate import brute_force_separate
from tests.tiny_instances import OBJECTIVES, tiny_instance
from tests.tiny_separate import random_laws, tiny_separate

#: The instance of the two pairs: work by rounds does not come back where they lie 10^9 apart.
PAIRS = {"prompt": [3, 2, 3, 1], "output": [4, 2, 4, 3], "weight": [1, 2.5, 1, 3]}


def pairs(gap):
    """Two pairs of requests, `gap` rounds apart."""
    return Instance(
        gpu=Gpu(kv_capacity=7), arrival=[0, 0, gap, gap], reward=[3, 1, 2, 2], horizon=gap + 6,
        deadline=[5, 9, gap + 6, gap + 4], **PAIRS,
    )  # fmt: skip


def with_gaps(instance, seed, alone):
    """Arrivals moved apart, by about as much as makes a block of some requests or does not."""
    rng = np.random.default_rng([15, seed])
    order = np.argsort(instance.arrival, kind="stable")
    arrival = instance.arrival.copy()
    late = 0
    for i in order.tolist():
        late += int(rng.integers(0, 2 * sum(alone))) if rng.random() < 0.5 else 0
        arrival[i] += late
    return instance.replace(arrival=arrival, horizon=instance.horizon + late // 2)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_mixed_blocks_have_the_optimum_of_the_whole(objective):
    divided = 0
    for seed in range(25):
        tiny = tiny_instance([21, seed])
        instance = with_gaps(tiny, seed, tiny.output.tolist())
        divided += len(blocks(instance, instance.output)) > 1
        solution = solve(instance, objective=objective)
        assert solution.objective == brute_force(instance, objective)[0]
        assert solution.status == "optimal"
        _assert_verified(instance, solution)
    assert divided > 5


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_separate_blocks_have_the_optimum_of_the_whole(objective):
    divided = 0
    for seed in range(25):
        tiny = tiny_separate(seed, law=random_laws(seed))
        instance = with_gaps(tiny, seed, times_alone(tiny))
        divided += len(blocks(instance, times_alone(instance))) > 1
        solution = solve(instance, model="separate", objective=objective)
        assert solution.objective == brute_force_separate(instance, objective)[0]
        assert solution.status == "optimal"
        _assert_verified(instance, solution)
    assert divided > 5


def _assert_verified(instance, solution):
    if solution.certificate is None:
        assert solution.schedule.model == "separate"  # some bounds there have no proof
        return
    assert verify(solution.certificate, instance, value=solution.objective).verified
    record = json.loads(json.dumps(solution.certificate.to_record()))
    assert Certificate.from_record(record) == solution.certificate


@pytest.mark.parametrize("model", ["mixed", "separate", "continuous"])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("gap", [10**5, 10**7, 10**9, 10**12])
def test_a_gap_of_any_length_changes_the_optimum_by_a_constant(gap, objective, model):
    near, far = pairs(40), pairs(gap)
    found = solve(far, model=model, objective=objective)
    assert found.status == "optimal"
    known = solve(near, model=model, objective=objective)
    shift = {"weighted": 4 * (gap - 40), "makespan": gap - 40}.get(objective, 0)
    assert found.objective == known.objective + shift
    _assert_verified(far, found)


@pytest.mark.parametrize(("model", "best"), [("mixed", 7), ("separate", 7), ("continuous", 6)])
def test_a_lone_block_that_begins_late_is_moved_to_zero(model, best):
    late = Instance(
        gpu=Gpu(kv_capacity=9), arrival=[10**9 + 2, 10**9], prompt=[1, 3], output=[2, 4]
    )
    solution = solve(late, model=model)  # continuous batching holds a token less of each
    assert (solution.objective, solution.status) == (best, "optimal")
    _assert_verified(late, solution)


def test_ten_thousand_requests_far_apart_are_solved_block_by_block():
    k = np.arange(10_000)
    instance = Instance(
        gpu=Gpu(kv_capacity=13), arrival=10**8 * (k // 2), prompt=1 + k % 7, output=1 + k % 5
    )
    solution = solve(instance, time_limit=1)  # a second is not enough for all
    assert solution.gap < 0.2
    assert "5000 blocks" in solution.method
    _assert_verified(instance, solution)


def test_a_work_limit_is_shared_by_the_blocks():
    first, second = (solve(pairs(10**9), work_limit=50, time_limit=0, seed=1) for _ in range(2))
    assert first.schedule == second.schedule
    assert first.bounds == second.bounds


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_any_partition_proves_a_bound(objective):
    # Of any parts, not of blocks only: the optimum is no less than their sum, or no more.
    rng = np.random.default_rng(3)
    for seed in range(30):
        instance = tiny_instance([22, seed])
        parts = tuple(
            Part(requests=tuple(members.tolist()), proof=CombinatorialBound(name=name))
            for members in np.array_split(rng.permutation(instance.n), 2) if members.size
            for name in [rng.choice(["starts at arrival"])]
        )  # fmt: skip
        bound = BlocksProof(parts=parts).bound(instance, objective, Clock(None))
        optimum = brute_force(instance, objective)[0]
        assert bound >= optimum if objective == "reward" else bound <= optimum


def test_requests_named_twice_or_not_at_all_prove_nothing():
    instance = pairs(100)
    for named in ([(0, 1), (2,)], [(0, 1), (1, 2, 3)], [(0, 1, 2, 4)], [(0, 0, 1, 2, 3)]):
        proof = BlocksProof(parts=tuple(Part(requests=part, proof=None) for part in named))
        with pytest.raises(InputError, match=r"proof\.parts: expected each of 4 requests in one"):
            proof.bound(instance, "latency", Clock(None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": 3}, "proof.parts: expected an array"),
        ({"parts": [3]}, r"proof.parts\[0\]: expected an object"),
        ({"parts": [{"requests": [0]}]}, r"proof.parts\[0\].proof: missing"),
        ({"parts": [{"requests": [], "proof": None}]}, "expected at least one, found none"),
        ({"parts": [{"requests": [-1], "proof": None}]}, r"requests\[0\]: expected an integer"),
        (
            {"parts": [{"requests": [0], "proof": {"kind": "blocks", "parts": []}}]},
            r"proof.parts\[0\].proof.kind: expected one of combinatorial.*found 'blocks'",
        ),
        (
            {"parts": [{"requests": [0], "proof": {"kind": "walk-search"}}]},
            "proof.kind: expected one of",
        ),
        ({"more": 1}, "proof.more: unknown key"),
    ],
)
def test_records_are_read_strictly(change, message):
    record = {"kind": "blocks", "parts": [{"requests": [0], "proof": None}]}
    assert BlocksProof.from_record(record).to_record() == record
    with pytest.raises(InputError, match=message):
        BlocksProof.from_record(record | change)


def test_a_part_takes_no_proof_of_another_objective():
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[1], output=[2])
    record = {
        "kind": "separate-blocks",
        "parts": [
            {
                "requests": [0],
                "proof": {"kind": "waits-and-stalls", "memory": 0, "remembered": 1, "reach": 9},
            }
        ],
    }
    proof = SeparateBlocksProof.from_record(record)
    with pytest.raises(InputError, match="waits-and-stalls proves no bound on makespan"):
        proof.bound(instance, "makespan", Clock(None))


def test_closing_up_keeps_schedules_feasible_and_ends_in_time():
    rng = np.random.default_rng(4)
    for seed in range(100):
        instance = tiny_instance([23, seed])
        order = rng.permutation(instance.n)
        start = instance.arrival.copy()
        now = 0
        for i in order.tolist():  # one by one, with pauses
            start[i] = max(now, int(instance.arrival[i])) + int(rng.integers(0, 4))
            now = int(start[i] + instance.output[i])
        last = int(instance.arrival.max())
        closed = MixedSchedule(closed_up(start, instance.output, last))
        assert check(instance, closed) == []
        assert (closed.start <= start).all()
        assert closed.completion(instance).max() <= last + instance.output.sum()


def test_what_is_late_stays_late_when_a_block_is_moved():
    gpu = Gpu(kv_capacity=9)
    instance = Instance(
        gpu=gpu, arrival=[0, 50], prompt=[1, 1], output=[1, 1], deadline=[5, 49], horizon=50
    )
    block, shift = moved_to_zero(instance, np.array([1]))
    assert (block.deadline.tolist(), block.horizon, shift) == ([0], 1, 50)
    assert solve(instance, objective="reward").objective == 1
