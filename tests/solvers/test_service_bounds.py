"""Bounds on time to first token and goodput: beyond every schedule, in every regime."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from batchprophet.models.figures import ServiceTimes
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.latency_limits import LatencyLimits, within_limits
from batchprophet.models.regimes import check, regime
from batchprophet.models.service import percentile, service_value
from batchprophet.online.regimes import regime as online
from batchprophet.solvers.first_tokens import _shortest_remaining_first, first_token_bound
from batchprophet.solvers.goodput import _largest_set, goodput_bound
from tests.brute_force import brute_force
from tests.every_schedule import every_continuous, every_mixed, every_separate
from tests.tiny_continuous import random_continuous, tiny_continuous
from tests.tiny_instances import crowd, tiny_instance
from tests.tiny_separate import random_schedule, tiny_separate


def limits_of(instance, seed):
    """Limits that some requests can keep: on first tokens, on tokens, on both."""
    rng = np.random.default_rng([5, seed])
    per = 4 if instance.gpu.batch_time.time_unit == "microsecond" else 1
    ttft, tpot = per * int(rng.integers(1, 12)), per * int(rng.integers(2, 16)) / 4
    return LatencyLimits(ttft=ttft), LatencyLimits(tpot=tpot), LatencyLimits(ttft=ttft, tpot=tpot)


def no_schedule_is_beyond(model, instance, schedules, seed):
    """Compare bounds with the best of all schedules; return how many of four are attained."""
    found = [ServiceTimes(f, f, c) for f, c in schedules]
    least = min(int((times.first_token - instance.arrival).sum()) for times in found)
    bound = first_token_bound(instance, model=model)
    assert bound <= Fraction(least, instance.n)
    attained = int(bound == Fraction(least, instance.n))
    for limits in limits_of(instance, seed):
        most = max(int(within_limits(instance, times, limits).sum()) for times in found)
        bound = goodput_bound(instance, limits, model=model)
        assert bound >= most
        attained += bound == most
    return attained


MANY = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 24)]


@pytest.mark.parametrize("tens", [*range(4), *MANY])
def test_no_mixed_schedule_is_beyond(tens):
    attained = 0
    for seed in range(10 * tens, 10 * tens + 10):
        instance = tiny_instance(seed, most_requests=3 if tens % 4 == 0 else 2)
        attained += no_schedule_is_beyond("mixed", instance, every_mixed(instance), seed)
    assert attained > 20  # of 40


@pytest.mark.parametrize("tens", [*range(10), *MANY])
def test_no_separate_schedule_is_beyond(tens):
    attained = 0
    for seed in range(10 * tens, 10 * tens + 10):
        instance = tiny_separate(seed, most_requests=2 + (seed % 2), most_output=3)
        wait = 2 if instance.n < 3 else 0  # late batches may have better times per output token
        found = every_separate(instance, wait=wait)
        attained += no_schedule_is_beyond("separate", instance, found, seed)
    assert attained > 20


@pytest.mark.parametrize("tens", [*range(4), *MANY])
def test_no_continuous_schedule_is_beyond(tens):
    attained = looked_at = 0
    for seed in range(10 * tens, 10 * tens + 10):
        instance = tiny_continuous(seed, most_requests=2, most_prompt=2, most_output=2)
        found = every_continuous(instance, most_states=3000)
        if found is not None:
            looked_at += 1
            attained += no_schedule_is_beyond("continuous", instance, found, seed)
    assert looked_at > 3
    assert attained > 2 * looked_at


@pytest.mark.parametrize(
    ("model", "draw", "play"),
    [
        ("continuous", tiny_continuous, random_continuous),
        ("separate", tiny_separate, random_schedule),
    ],
)
def test_no_random_schedule_is_beyond(model, draw, play):
    feasible = 0
    for seed in range(300):
        instance = draw(seed)
        schedule = play(instance, seed)
        if check(instance, schedule):
            continue
        feasible += 1
        bound = first_token_bound(instance, model=model)
        assert 0 < bound <= service_value(instance, schedule, "ttft")
        for limits in limits_of(instance, seed):
            reached = service_value(instance, schedule, "goodput", limits)
            assert goodput_bound(instance, limits, model=model) >= reached
    assert feasible > 60


@pytest.mark.parametrize("model", ["mixed", "separate", "continuous"])
def test_no_policy_is_beyond(model):
    rules = online(model)
    instance = crowd(model)
    bound = first_token_bound(instance, model=model)
    goals = [LatencyLimits(ttft=t, tpot=p) for t in (3, 20, np.inf) for p in (1, 2.5, np.inf)]
    most = [goodput_bound(instance, limits, model=model) for limits in goals]
    assert most == sorted(most) or model != "mixed"  # there every token takes a round
    for policy in ("smallest-volume", "prefill-first" if model == "separate" else "vllm"):
        schedule = rules.simulate(instance, rules.registry.make(policy), seed=0)
        assert bound <= service_value(instance, schedule, "ttft")
        for limits, at_most in zip(goals, most, strict=True):
            assert service_value(instance, schedule, "goodput", limits) <= at_most
    assert 0 < most[0] < 110  # it says something
    assert most[-1] == 120


@pytest.mark.parametrize("seed", range(30))
def test_under_mixed_batching_the_time_to_first_token_is_the_latency(seed):
    # f = c − (o − 1): the same schedule is optimal, and the optimum is a bound.
    instance = tiny_instance([31, seed])
    optimum, start = brute_force(instance)
    bound = first_token_bound(instance, latency_bound=optimum)
    assert bound == Fraction(int((np.array(start) + 1 - instance.arrival).sum()), instance.n)
    assert first_token_bound(instance) <= bound


def test_a_full_memory_delays_first_tokens():
    # M = 11 holds one prompt at a time, so that each waits for a completion. The first is at 6 at
    # least, the second no earlier than ⌈2 · 51/11⌉ = 10, by KV areas of 51: 1, 6 + 1 and 10 + 1.
    gpu = Gpu(kv_capacity=11)
    instance = Instance(gpu=gpu, arrival=[0] * 3, prompt=[5] * 3, output=[6] * 3)
    assert first_token_bound(instance, model="separate") == Fraction(1 + 7 + 11, 3)


@pytest.mark.parametrize("seed", range(40))
def test_the_largest_set_in_time_is_found(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    release = np.sort(rng.integers(0, 12, n))
    work, due = rng.integers(0, 6, n), release + int(rng.integers(1, 9))

    def in_time(chosen):
        now = 0
        for i in chosen:
            now = max(now, release[i]) + work[i]
            if now > due[i]:
                return False
        return True

    sets = (c for k in range(n + 1) for c in combinations(range(n), k))
    most = max(len(chosen) for chosen in sets if in_time(chosen))
    assert _largest_set(release, work, due, n) == most
    assert _largest_set(release, work, due, 2) >= most  # in parts


@pytest.mark.parametrize("seed", range(40))
def test_shortest_remaining_first_unit_by_unit(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    release, rest = np.sort(rng.integers(0, 12, n)), rng.integers(1, 6, n)
    done, left, now = [], rest.copy(), 0
    while left.any():
        here = [i for i in range(n) if left[i] and release[i] <= now]
        now += 1
        if here:
            i = min(here, key=lambda i: left[i])
            left[i] -= 1
            done += [now] * int(left[i] == 0)
    assert _shortest_remaining_first(release, rest).tolist() == done


@pytest.mark.parametrize("n", [1, 2, 7, 101])
def test_percentiles_are_those_of_numpy(n):
    values = np.random.default_rng(n).integers(0, 10**6, n)
    for percent in (0, 50, 99, 100):
        assert float(percentile(values, percent)) == pytest.approx(np.percentile(values, percent))


def test_values_are_those_of_the_figures():
    instance = tiny_continuous(7)
    schedule = online("continuous").simulate(
        instance, online("continuous").registry.make("vllm"), seed=0
    )
    figures = regime("continuous").measure(instance, schedule)
    assert float(service_value(instance, schedule, "ttft")) == pytest.approx(figures.mean_ttft)
    assert float(service_value(instance, schedule, "p99")) == pytest.approx(figures.p99_latency)
