"""Every bound is a bound, exactly: by theorem, against brute force, and where it is tight."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest

from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.objectives import MAXIMISED, evaluate
from batchprophet.solvers.mixed.bounds.combinatorial import AREA_BOUNDS, all_bounds, best_bound
from batchprophet.solvers.mixed.bounds.fluid_machine import preemptive_schedule, scaled_works
from batchprophet.solvers.mixed.bounds.kv_area import (
    area_makespan,
    area_reward,
    mean_busy_time,
    shortest_remaining_area,
)
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from tests.brute_force import brute_force
from tests.tiny_instances import OBJECTIVES, tiny_instance


def medium_instance(seed, n=40):
    rng = np.random.default_rng(seed)
    M = int(rng.integers(20, 60))
    s = rng.integers(1, M // 2, n)
    return Instance(
        gpu=Gpu(kv_capacity=M),
        arrival=rng.integers(0, int(rng.integers(1, 400)), n),
        prompt=s,
        output=[int(rng.integers(1, M - size + 1)) for size in s],
        weight=rng.integers(0, 40, n) / 10,
        reward=rng.integers(0, 40, n) / 10,
        horizon=int(rng.integers(100, 500)),
        deadline=rng.integers(20, 600, n),
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_no_bound_passes_the_optimum(objective):
    for seed in range(150):
        instance = tiny_instance([11, seed])
        optimum, _ = brute_force(instance, objective)
        for name, bound in all_bounds(instance, objective):
            assert bound >= optimum if objective in MAXIMISED else bound <= optimum, name


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_no_bound_passes_a_schedule(objective):
    for seed in range(60):
        instance = medium_instance([12, seed])
        for skip in (False, True):
            schedule = list_schedule(instance, instance.volume, skip=skip)
            value = evaluate(instance, schedule.completion(instance), objective)
            best = best_bound(instance, objective)
            assert best >= value if objective in MAXIMISED else best <= value


def unit_by_unit(instance, key):
    """The fluid machine in units of 1/M rounds, one at a time: completions and mean busy times."""
    M, n = instance.gpu.kv_capacity, instance.n
    release = [(int(a) - int(instance.arrival.min())) * M for a in instance.arrival]
    remaining = instance.volume.tolist()
    completion, moment, now = [0] * n, [Fraction(0)] * n, 0
    while any(remaining):
        ready = [i for i in range(n) if remaining[i] and release[i] <= now]
        now += 1
        if ready:
            i = min(ready, key=lambda i: (key(i, remaining), i))
            remaining[i] -= 1
            completion[i] = now
            moment[i] += Fraction(2 * now - 1, 2) - release[i]
    return completion, [m / int(p) for m, p in zip(moment, instance.volume, strict=True)]


def test_the_machine_is_the_one_that_goes_unit_by_unit():
    for seed in range(40):
        instance = tiny_instance([13, seed], most_requests=6)
        release, work, speed = scaled_works(instance)
        assert speed == instance.gpu.kv_capacity
        by_remaining, _ = preemptive_schedule(release, work, np.zeros(instance.n), True)
        expected, _ = unit_by_unit(instance, lambda i, remaining: remaining[i])
        assert int(by_remaining.sum()) == sum(expected)  # ties may be broken otherwise
        priority = np.random.default_rng(seed).permutation(instance.n).astype(float)
        completion, busy = preemptive_schedule(release, work, priority, False)
        expected, mean = unit_by_unit(instance, lambda i, _, priority=priority: priority[i])
        assert completion.tolist() == expected
        assert busy == pytest.approx([float(m) for m in mean], rel=1e-14)


def test_srpt_by_hand():
    # M = 5. Works 14 and 9, both at 0: 9/5 and 23/5, in all 32/5, so at least 7.
    instance = Instance(gpu=Gpu(kv_capacity=5), arrival=[0, 0], prompt=[1, 3], output=[4, 2])
    assert shortest_remaining_area(instance) == 7
    # The second at 2, when 4 of 14 remain: 14/5 and (23/5 − 2), in all 27/5, so at least 6.
    later = instance.replace(arrival=[0, 2])
    assert shortest_remaining_area(later) == 6


def test_mean_busy_time_is_exact_for_one_request_that_fills_the_gpu_in_no_round():
    # s = 1, o = 3, M = 8: works 2, 3, 4 in the middles ½, 3/2, 5/2: μ = (1 + 4.5 + 10)/9 = 31/18.
    # The machine works 9/8 rounds, B = 9/16, so the bound is 9/16 + 3 − 31/18 = 265/144.
    instance = Instance(gpu=Gpu(kv_capacity=8), arrival=[5], prompt=[1], output=[3])
    bound = mean_busy_time(instance)
    exact = Fraction(265, 144)
    assert bound <= exact
    assert float(exact - bound) < 1e-12


def test_the_makespan_bound_is_reached_by_perfect_packing():
    # (1, 1) in pairs: M = 4 holds two each round, all the time.
    instance = Instance(gpu=Gpu(kv_capacity=4), arrival=[3] * 10, prompt=[1] * 10, output=[1] * 10)
    assert area_makespan(instance) == 8
    assert brute_force(instance.take(range(6)), "makespan")[0] == 6


def test_the_reward_bound_by_hand():
    # 4 rounds of 5 tokens; areas 14 and 9: all of the second and 11/14 of the first.
    gpu = Gpu(kv_capacity=5)
    instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[1, 3], output=[4, 2], horizon=4)
    assert area_reward(instance) == 1 + Fraction(11, 14)
    assert area_reward(instance.replace(reward=[0.5, 0.1])) == Fraction(1, 2) + Fraction(6, 90)
    assert area_reward(instance.replace(horizon=3)) == 1  # the first cannot be done
    assert area_reward(instance.replace(horizon=1)) == 0
    assert area_reward(instance.replace(horizon=1000)) == 2


def test_bounds_shift_with_time_and_survive_numbers_beyond_64_bits():
    # M·(span) is beyond 2^62: works and speed are halved, and the bounds only get weaker.
    near = Instance(
        gpu=Gpu(kv_capacity=10**9), arrival=[0, 1, 2], prompt=[10**8] * 3, output=[1000] * 3
    )
    far = near.replace(arrival=[0, 1, 10**11])
    assert scaled_works(far)[2] < 10**9
    for instance in (near, far):
        for objective in ("latency", "weighted", "makespan"):
            value = evaluate(
                instance, list_schedule(instance, [0, 1, 2]).completion(instance), objective
            )
            assert 0 < best_bound(instance, objective) <= value
    shifted = near.replace(arrival=near.arrival + 10**9)
    for objective in ("latency",):
        assert all_bounds(near, objective) == all_bounds(shifted, objective)


def test_equal_weights_reduce_to_the_latency():
    for seed in range(20):
        instance = medium_instance([14, seed])
        weighted = dict(all_bounds(instance.replace(weight=[2.0] * instance.n), "weighted"))
        latency = dict(all_bounds(instance, "latency"))
        name = "KV area, mean busy time"
        at_arrival = 2 * int(instance.arrival.sum())
        assert float(weighted[name]) == pytest.approx(2 * float(latency[name]) + at_arrival)


def test_every_objective_has_an_area_bound():
    assert tuple(AREA_BOUNDS) == OBJECTIVES


def test_twenty_thousand_requests_take_a_tenth_of_a_second():
    rng = np.random.default_rng(1)
    n = 20_000
    instance = Instance(
        gpu=Gpu(kv_capacity=65_536), arrival=np.sort(rng.integers(0, 60_000, n)),
        prompt=rng.integers(1, 4000, n), output=rng.integers(1, 1000, n),
    )  # fmt: skip
    all_bounds(instance)  # compiled
    began = time.perf_counter()
    all_bounds(instance)
    assert time.perf_counter() - began < 0.5  # 0.03 s measured; machines differ
