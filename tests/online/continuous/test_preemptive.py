"""Policies that rank all that is present: what they reduce to, and whom they preempt."""

from __future__ import annotations

import numpy as np
import pytest

from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.models.errors import DoesNotFinish, InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.online.conformance import check_policy
from batchprophet.online.continuous.conformance import random_instance
from batchprophet.online.continuous.policy import REGISTRY
from batchprophet.online.continuous.simulator import simulate_continuous

POLICIES = [
    "least-attained:quantum=1",
    "least-attained:quantum=2,max_num_seqs=2,preempt=false",
    "multi-level-feedback:quantum=1,levels=3",
    "multi-level-feedback:max_num_batched_tokens=3",
    "gittins",
    "gittins:max_num_seqs=2,max_num_batched_tokens=3",
    "gittins:preempt=false",
]


@pytest.mark.parametrize("policy", POLICIES)
def test_they_conform_and_are_feasible(policy):
    assert check_policy(policy, model="continuous", trials=15) == []
    rng, served = np.random.default_rng(7), 0
    for _ in range(60):
        instance = random_instance(rng)
        try:
            schedule = simulate_continuous(instance, policy)
        except DoesNotFinish:
            assert not instance.gpu.chunked_prefill  # a preempted request longer than a batch
            continue
        assert check_continuous(instance, schedule) == []
        served += 1
    assert served > 40


def one_seat(rng, n):
    gpu = Gpu(kv_capacity=1000, running_requests=1)
    return Instance(
        gpu=gpu, arrival=np.zeros(n, int), prompt=rng.integers(1, 9, n),
        output=rng.permutation(np.arange(1, n + 1)),
    )  # fmt: skip


def test_least_attained_service_completes_in_order_of_length():
    # All at 0 on one seat: whoever has fewer tokens is served, so the shorter ends first.
    rng = np.random.default_rng(1)
    for _ in range(20):
        instance = one_seat(rng, 6)
        end = simulate_continuous(instance, "least-attained:quantum=1").completion(instance)
        assert np.argsort(end).tolist() == np.argsort(instance.output).tolist()


@pytest.mark.parametrize(
    "policy", ["least-attained:quantum=99", "multi-level-feedback:levels=1", "multi-level-feedback"]
)
def test_with_one_level_and_room_they_are_vllm(policy):
    rng = np.random.default_rng(2)
    for _ in range(60):
        instance = random_instance(rng)
        roomy = instance.replace(
            gpu=Gpu(kv_capacity=1000, running_requests=3, batch_tokens=int(rng.integers(1, 30)))
        )
        assert simulate_continuous(roomy, policy) == simulate_continuous(roomy, "vllm")


def test_long_prompts_join_a_lower_level():
    # A prompt of 400 tokens takes as long as 41 token jobs of 10 ms: the third level of 16·2^k.
    from batchprophet.models.batch_time import AffineTime
    from batchprophet.models.durations import batch_durations
    from batchprophet.online.continuous.observation import ContinuousView

    gpu = Gpu(kv_capacity=9999, batch_time=AffineTime(c0=10.0, c1=1.0, c2=0.0, c3=0.0))
    law = batch_durations(Instance(gpu=gpu, arrival=[0], prompt=[1], output=[1]))
    policy = REGISTRY.make("multi-level-feedback:quantum=16")
    ranks = [policy.rank(ContinuousView(0, 0, 400, tokens=g), law) for g in (0, 63, 64, 191, 192)]
    assert ranks == [2, 2, 3, 3, 4]
    assert [policy.rank(ContinuousView(0, 0, 1, tokens=g), law) for g in (15, 16, 48)] == [0, 1, 2]


def test_gittins_runs_equal_lengths_to_their_ends():
    # What remains is shorter than what is new, once a length is known.
    rng = np.random.default_rng(4)
    for _ in range(20):
        instance = one_seat(rng, 6).replace(output=np.full(6, 7))
        assert simulate_continuous(instance, "gittins").columns.drop_of.size == 0


def test_gittins_tries_new_requests_where_most_are_short():
    # Nine of ten have 1 token: with 30 tokens to go the long one yields at once.
    arrival = [*range(0, 18, 2), 20, 25]
    gpu = Gpu(kv_capacity=999, running_requests=1)
    instance = Instance(gpu=gpu, arrival=arrival, prompt=[2] * 11, output=[*[1] * 9, 30, 1])
    schedule = simulate_continuous(instance, "gittins")
    assert schedule.columns.drop_of.tolist() == [9]
    assert schedule.completion(instance)[10] == 26


@pytest.mark.parametrize("policy", ["least-attained:quantum=1", "gittins", "multi-level-feedback"])
def test_without_preemption_by_waiting_requests_seats_are_kept(policy):
    rng = np.random.default_rng(5)
    dropped = 0
    for _ in range(40):
        instance = random_instance(rng)
        roomy = instance.replace(gpu=Gpu(kv_capacity=1000, running_requests=2))
        kept = simulate_continuous(roomy, f"{policy}{',' if ':' in policy else ':'}preempt=false")
        assert kept.columns.drop_of.size == 0
        dropped += simulate_continuous(roomy, policy).columns.drop_of.size
    assert policy == "multi-level-feedback" or dropped > 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("least-attained:quantum=0", "quantum: expected an integer of at least 1, found 0"),
        ("multi-level-feedback:levels=41", "levels: expected an integer of at most 40, found 41"),
        ("gittins:max_num_seqs=0", "max_num_seqs: expected an integer of at least 1, found 0"),
        ("gittins:preempt=1", "preempt: expected true or false"),
    ],
)
def test_options_are_checked(spec, message):
    with pytest.raises(InputError, match=message):
        REGISTRY.make(spec)
