"""WAIT and nested WAIT: thresholds, reductions, no stalls."""

from __future__ import annotations

import numpy as np
import pytest

from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.models.continuous.problem import Limits
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.online.conformance import check_policy
from batchprophet.online.continuous.conformance import random_instance
from batchprophet.online.continuous.observation import ContinuousView
from batchprophet.online.continuous.policies.wait import fluid_threshold
from batchprophet.online.continuous.policy import REGISTRY
from batchprophet.online.continuous.simulator import simulate_continuous

POLICIES = [
    "wait",
    "wait:threshold=2",
    "wait:threshold=3,lengths=predicted,error=0.5",
    "nested-wait",
    "nested-wait:threshold=2,segment=2",
    "nested-wait:threshold=3,segment=1,segments=3,max_num_seqs=2",
]


@pytest.mark.parametrize("policy", POLICIES)
def test_they_conform_and_serve_all(policy):
    assert check_policy(policy, model="continuous", trials=15) == []
    rng = np.random.default_rng(7)
    for _ in range(60):
        instance = random_instance(rng)
        chunked = instance.replace(
            gpu=Gpu(kv_capacity=instance.gpu.kv_capacity, running_requests=3)
        )
        assert check_continuous(chunked, simulate_continuous(chunked, policy)) == []


def test_with_thresholds_of_one_a_request_is_read_when_it_comes():
    # One at a time, with room for all: nothing is left to wait for.
    rng = np.random.default_rng(2)
    for _ in range(60):
        n = int(rng.integers(2, 9))
        instance = Instance(
            gpu=Gpu(kv_capacity=1000), arrival=np.arange(n) * int(rng.integers(1, 4)),
            prompt=rng.integers(1, 20, n), output=rng.integers(1, 20, n),
        )  # fmt: skip
        vllm = simulate_continuous(instance, "vllm")
        assert simulate_continuous(instance, "wait:threshold=1") == vllm
        assert simulate_continuous(instance, "nested-wait:threshold=1,segments=1") == vllm


def test_a_class_waits_for_its_threshold_while_others_run():
    # Outputs of 8 to 15 are a class, those of 2 and 3 another: its second request comes at 4.
    instance = Instance(
        gpu=Gpu(kv_capacity=99), arrival=[0, 0, 1, 4], prompt=[2] * 4, output=[9, 12, 2, 3]
    )
    batches = simulate_continuous(instance, "wait:threshold=2").batches
    assert [(batch.start, batch.prefill) for batch in batches if batch.prefill] == [
        (0, ((0, 2), (1, 2))),
        (4, ((2, 2), (3, 2))),
    ]


def test_the_fluid_threshold_fills_the_memory():
    # n of both classes at all stages: caches of 3, 4 and of 5, 6, 7, 8 tokens; 6 seats for each.
    views = tuple(
        ContinuousView(i, 0, s, shortest=o, longest=o) for i, (s, o) in enumerate([(3, 2), (5, 4)])
    )
    for n in (1, 2, 5):
        assert fluid_threshold(views, Limits(33 * n, 1, 99, 99, True)) == n
        assert fluid_threshold(views, Limits(33 * n + 32, 1, 99, 99, True)) == n
        assert fluid_threshold(views, Limits(999, 1, 6 * n, 99, True)) == n
    assert fluid_threshold(views, Limits(20, 1, 99, 99, True)) == 1


def test_requests_wait_for_company_at_the_ends_of_segments():
    # Two begin together, and pause after 2 tokens until the third and the fourth, which come at 1
    # and are read at 2, have 2 tokens also: the second segment is begun by three.
    instance = Instance(
        gpu=Gpu(kv_capacity=99), arrival=[0, 0, 1, 1], prompt=[2] * 4, output=[5, 5, 5, 1]
    )
    batches = simulate_continuous(instance, "nested-wait:threshold=5,segment=2,segments=2").batches
    jobs = [(batch.start, batch.prefill, batch.decode) for batch in batches]
    assert jobs[:2] == [(0, ((0, 2), (1, 2)), ()), (1, (), (0, 1))]
    assert all(check in ((0, 1), (0, 1, 2), (2,)) for _, _, check in jobs if check)
    assert check_continuous(instance, simulate_continuous(instance, "nested-wait")) == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("wait:threshold=0", "threshold: expected an integer of at least 1, found 0"),
        ("wait:lengths=none", "lengths: expected one of exact, predicted, interval; found 'none'"),
        ("nested-wait:segment=0", "segment: expected an integer of at least 1, found 0"),
        ("nested-wait:segments=41", "segments: expected an integer of at most 40, found 41"),
    ],
)
def test_options_are_checked(spec, message):
    with pytest.raises(InputError, match=message):
        REGISTRY.make(spec)
