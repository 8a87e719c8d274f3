"""The benchmarks of continuous batching: CP-SAT is brute force, and the family is as described."""

from __future__ import annotations

import numpy as np
import pytest

from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.solvers.continuous.exact.first_schedule import first_schedule
from batchprophet.solvers.continuous.exact.search import search
from tests.brute_force_continuous import brute_force_continuous
from tests.side_by_side import needs_ortools
from tests.tiny_continuous import continuous_law, tiny_continuous


@needs_ortools
@pytest.mark.parametrize("kind", ["unit", "whole", "cheap prompts"])
def test_cp_sat_agrees_with_brute_force(kind):
    from benchmarks.continuous.cp_sat import solve

    proved = 0
    for seed in range(12):
        law = continuous_law(np.random.default_rng([1, seed]), kind)
        instance = tiny_continuous(seed, law=law, most_requests=2, most_prompt=2, most_output=2)
        if instance.gpu.kv_block > 1:
            continue
        best, _ = brute_force_continuous(instance)
        known = int(first_schedule(instance, "latency")[1])
        value, bound = solve(instance, known, 20)
        assert bound <= best <= (known if value is None else value)
        proved += bound == best
    assert proved >= 4


def test_the_small_family_is_bound_by_memory():
    from benchmarks.continuous.small import instance_of, most_held

    for seed in range(4):
        instance = instance_of(seed)
        assert instance.n == 8
        free = instance.replace(gpu=instance.gpu.__class__(
            kv_capacity=10**4, running_requests=instance.gpu.running_requests,
            chunked_prefill=False, batch_time=instance.gpu.batch_time,
        ))  # fmt: skip
        assert most_held(free, first_schedule(free, "latency")[0]) > instance.gpu.kv_capacity


def test_a_smaller_one_is_proved_and_its_proof_is_verified():
    from batchprophet.solvers.certificates.clock import Clock
    from benchmarks.continuous.small import instance_of, proof_of

    instance = instance_of(1, n=4, most=9)
    outcome = search(instance)
    assert outcome.proved
    assert outcome.schedule is None or check_continuous(instance, outcome.schedule) == []
    assert proof_of(outcome).bound(instance, "latency", Clock(None)) == outcome.bound


def test_optima_with_drops_are_found():
    from benchmarks.continuous.dropping import found
    from benchmarks.continuous.pausing import instance_of

    optimal = dropping = 0
    for seed in range(20):
        instance = instance_of("cheap prompts", seed)
        value, drops = found(instance, 200, seed)
        best = brute_force_continuous(instance)[0]
        assert value >= best
        optimal += value == best
        dropping += drops > 0
    assert optimal >= 18
    assert dropping >= 10
