"""Bounds on percentiles of latency: below every schedule, in every regime."""

from functools import partial

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import check
from batchprophet.online.regimes import regime
from batchprophet.solvers.tail_latency import _first_arrivals, _longest_wait, tail_latency_bound
from tests.every_schedule import every_mixed
from tests.tiny_continuous import random_continuous, tiny_continuous
from tests.tiny_instances import crowd, tiny_instance
from tests.tiny_separate import random_schedule, tiny_separate

PERCENTS = (0, 30, 50, 75, 99, 100)


@pytest.mark.parametrize("seed", range(60))
def test_no_mixed_schedule_is_below(seed):
    instance = tiny_instance(seed, most_requests=3)
    found = np.array([completion - instance.arrival for _, completion in every_mixed(instance)])
    for percent in PERCENTS:
        bound = tail_latency_bound(instance, percent=percent)
        assert bound <= np.percentile(found, percent, axis=1).min()


@pytest.mark.parametrize(
    ("model", "draw", "play"),
    [
        ("continuous", tiny_continuous, partial(random_continuous, drops=0.3)),
        ("separate", tiny_separate, random_schedule),
    ],
)
def test_no_random_schedule_is_below(model, draw, play):
    feasible = 0
    for seed in range(300):
        instance = draw(seed)
        schedule = play(instance, seed)
        if check(instance, schedule):
            continue
        feasible += 1
        latency = schedule.completion(instance) - instance.arrival
        for percent in PERCENTS:
            bound = tail_latency_bound(instance, model=model, percent=percent)
            assert 0 < bound <= np.percentile(latency, percent)
    assert feasible > 60


@pytest.mark.parametrize("model", ["mixed", "separate", "continuous"])
def test_no_policy_is_below(model):
    rules = regime(model)
    instance = crowd(model)
    bounds = [tail_latency_bound(instance, model=model, percent=p) for p in PERCENTS]
    least = np.full(len(PERCENTS), np.inf)
    for policy in ("smallest-volume", "prefill-first" if model == "separate" else "vllm"):
        schedule = rules.simulate(instance, rules.registry.make(policy), seed=0)
        latency = schedule.completion(instance) - instance.arrival
        least = np.minimum(least, np.percentile(latency, PERCENTS))
    assert (bounds <= least).all()
    assert bounds[-1] > 0.6 * least[-1]  # it says something


def test_it_is_attained():
    # One seat: first come, first served is optimal, and the GPU never idles.
    gpu = Gpu(kv_capacity=10, running_requests=1)
    instance = Instance(gpu=gpu, arrival=[0] * 9, prompt=[2] * 9, output=[3] * 9)
    for percent in (0, 25, 100):
        bound = tail_latency_bound(instance, model="continuous", percent=percent)
        assert bound == pytest.approx(3 + percent / 100 * 24, rel=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_windows_are_those_of_the_theorem(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    release = np.sort(rng.integers(0, 20, n)).astype(float)
    work = rng.integers(0, 9, n).astype(float)
    for k in range(n):
        largest = 0.0
        for first in range(n):
            for last in range(first, n):
                inside = np.sort(work[first : last + 1])[: max(0, last + 1 - first - k)].sum()
                largest = max(largest, inside - (release[last] - release[first]))
        assert _longest_wait(release, work, _first_arrivals(n), k) == largest


def test_large_instances_take_fewer_windows():
    assert _first_arrivals(10**6).size == 20
    assert _first_arrivals(1000).tolist() == list(range(1000))


def test_a_percentile_is_from_0_to_100():
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4])
    with pytest.raises(InputError, match="percent: expected from 0 to 100, found 101"):
        tail_latency_bound(instance, percent=101)
