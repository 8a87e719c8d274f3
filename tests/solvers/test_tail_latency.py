"""Bounds on percentiles of latency: below every schedule, in every regime."""

from fractions import Fraction
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import check
from batchprophet.models.service import percentile
from batchprophet.online.regimes import regime
from batchprophet.solvers import tail_latency
from batchprophet.solvers.machines import Machines
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
        values = [percentile(latency, percent) for latency in found]
        assert Fraction(bound) <= min(values)


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
            assert 0 < Fraction(bound) <= percentile(latency, percent)
    assert feasible > 60


@pytest.mark.parametrize("model", ["mixed", "separate", "continuous"])
def test_no_policy_is_below(model):
    rules = regime(model)
    instance = crowd(model)
    bounds = [tail_latency_bound(instance, model=model, percent=p) for p in PERCENTS]
    least = np.full(len(PERCENTS), 2**62, dtype=object)
    for policy in ("smallest-volume", "prefill-first" if model == "separate" else "vllm"):
        schedule = rules.simulate(instance, rules.registry.make(policy), seed=0)
        latency = schedule.completion(instance) - instance.arrival
        least = np.minimum(least, [percentile(latency, percent) for percent in PERCENTS])
    assert (np.array([Fraction(bound) for bound in bounds]) <= least).all()
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
    release = np.sort(rng.integers(0, 20, n))
    work = rng.integers(0, 9, n)
    for k in range(n):
        largest = 0
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


def bound_from_times_alone(monkeypatch, alone, percent):
    """The bound where nothing is known but the times that requests take alone."""
    rules = SimpleNamespace(
        rules=SimpleNamespace(require=lambda instance: None),
        machines=lambda instance: Machines(np.array(alone, dtype=np.int64), iter(())),
    )
    monkeypatch.setattr(tail_latency, "recipe", lambda model: rules)
    n = len(alone)
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0] * n, prompt=[3] * n, output=[4] * n)
    return tail_latency_bound(instance, percent=percent)


@pytest.mark.parametrize("seed", range(40))
def test_it_is_rounded_down(monkeypatch, seed):
    # Microseconds of a day and more leave a float few digits behind the point; from 2^53 on none.
    rng = np.random.default_rng(seed)
    for low in (2**40, 2**53, 2**60):
        alone = low + rng.integers(0, 9, 5)
        for percent in (0, 1, 29, 50, 99, 100):
            bound = bound_from_times_alone(monkeypatch, alone, percent)
            exact = percentile(alone, percent)
            assert Fraction(bound) <= exact
            assert Fraction(np.nextafter(bound, np.inf)) > exact


def test_a_percentile_at_an_order_statistic_is_that_one(monkeypatch):
    # 7 % of 100 steps are 7, but 7 / 100 * 100 is a little more in floating point: the place of the
    # eighth of 101 requests must not reach for the ninth.
    alone = [1] * 8 + [10**15] * 93
    assert 7 / 100 * 100 > 7
    assert bound_from_times_alone(monkeypatch, alone, 7) == 1


def test_late_arrivals_do_not_round_a_wait_up():
    # One seat, and two requests that arrive 2 rounds after one another, 2^54 rounds after the first
    # one: as floats both arrive at 2^54 + 4.
    gpu = Gpu(kv_capacity=10, running_requests=1)
    late = 2**54 + 3
    assert float(late) == float(late + 2)
    instance = Instance(gpu=gpu, arrival=[0, late, late + 2], prompt=[2] * 3, output=[3] * 3)
    bound = tail_latency_bound(instance, model="continuous", percent=100)
    # 6 rounds of work from the second arrival on, less 2; works in whole 2^−5 of a round, for the
    # times of the whole instance leave so many of 64 bits.
    assert 4 - 2 * 2.0**-5 <= bound <= 4
