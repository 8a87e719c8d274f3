"""Guarantees that papers prove of policies, on random instances with their optimum known."""

from __future__ import annotations

import numpy as np
import pytest

from batchprophet.models import Gpu, Instance
from batchprophet.online.mixed import simulate
from batchprophet.online.mixed.scanning import volume
from tests.brute_force import brute_force


@pytest.mark.parametrize("alpha", [0.34, 0.5, 0.67])
def test_smallest_volume_first_is_within_a_constant_where_peaks_are_small(alpha):
    """At most 1 + 2/(1 − α) times the optimum if all arrive at 0 with peaks ≤ αM: 2606.22327."""
    rng = np.random.default_rng(int(100 * alpha))
    worst = 0.0
    for _ in range(60):
        M, n = int(rng.integers(8, 15)), int(rng.integers(2, 6))
        peak = rng.integers(2, int(alpha * M), n, endpoint=True)
        output = rng.integers(1, peak - 1, endpoint=True)
        instance = Instance(
            gpu=Gpu(kv_capacity=M), arrival=np.zeros(n, int), prompt=peak - output, output=output
        )
        latency = int(simulate(instance, "smallest-volume").completion(instance).sum())
        best, _ = brute_force(instance)
        worst = max(worst, latency / best)
        assert best <= latency <= (1 + 2 / (1 - alpha)) * best
    assert worst > 1  # it is not optimal everywhere


def test_memory_over_time_bounds_the_number_that_can_be_served():
    """Every request takes its volume, so what completes by T has at most M·T of it: 2604.11001.

    If classes arrive at rates λ_k with Σ λ_k·w_k > M, then more is left over every round, whatever
    the schedule. Here (s, o) = (10, 20), (10, 40), (10, 60) with w = 410, 1,220, 2,430.
    """
    prompt, output = np.array([10, 10, 10]), np.array([20, 40, 60])
    w = volume(prompt, output)
    assert w.tolist() == [410, 1220, 2430]
    M, arriving = 16_492, 5
    assert arriving * int(w.sum()) > M >= 4 * int(w.sum()) == 16_240
    rounds = 120
    instance = Instance(
        gpu=Gpu(kv_capacity=M),
        arrival=np.repeat(np.arange(rounds), 3 * arriving),
        prompt=np.tile(np.repeat(prompt, arriving), rounds),
        output=np.tile(np.repeat(output, arriving), rounds),
    )
    for policy in ("mc-sf", "mc-benchmark", "smallest-volume", "shortest-total"):
        completion = simulate(instance, policy).completion(instance)
        volumes = volume(instance.prompt, instance.output)
        for T in range(10, int(completion.max()), 40):
            assert volumes[completion <= T].sum() <= M * T
