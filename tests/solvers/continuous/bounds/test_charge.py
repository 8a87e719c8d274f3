"""The charge by batch length: no bound above the optimum, its proof, its gradient."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime
from batchprophet.models.continuous.schedule import Batch, ContinuousSchedule
from batchprophet.models.durations import batch_durations
from batchprophet.models.instance import Gpu, Instance
from batchprophet.solvers.certificates.clock import Clock
from batchprophet.solvers.continuous.bounds import charge
from batchprophet.solvers.continuous.bounds.charge import Stage, charge_bound, proof_of
from batchprophet.solvers.continuous.bounds.levels import law_of, levels_of
from batchprophet.solvers.continuous.bounds.multipliers import Evaluator, Variables, problem_of
from tests.brute_force_continuous import brute_force_continuous
from tests.solvers.continuous.bounds.tiny import optimum, tiny
from tests.tiny_continuous import tiny_continuous

INSTANCES = 120


@cache
def known(seed):
    instance = tiny(seed)
    return instance, optimum(instance)


def one_by_one(instance):
    """Requests alone, one after another: prompts in chunks as large as may be."""
    batches, at, law = [], 0, batch_durations(instance)
    C = instance.gpu.batch_tokens or 10**9
    for i in np.argsort(instance.arrival, kind="stable").tolist():
        at = max(at, int(instance.arrival[i]))
        left = int(instance.prompt[i])
        while left:
            batches.append(Batch(at, prefill=((i, min(left, C)),)))
            at += law.prompt_batch(min(left, C))
            left -= min(left, C)
        for g in range(1, int(instance.output[i])):
            batches.append(Batch(at, decode=(i,)))
            at += law.token_batch(1, int(instance.prompt[i]) + g)
    return ContinuousSchedule(batches)


def random_variables(rng, n, K):
    spread = rng.uniform(0.1, 2)
    low = [rng.choice([1, 3, 6]), *rng.choice([4, 40], 2)]
    prices = (rng.normal(size=K) * spread + np.log(n) - rng.uniform(0, x) for x in low)
    shares = rng.normal(size=(n + 4, K)) * rng.uniform(0, 4)
    if rng.random() < 0.5:
        shares[rng.integers(0, n + 4)] += 6
    return Variables(*prices, shares)


@pytest.mark.parametrize("part", range(4))
def test_no_multipliers_give_a_bound_above_the_optimum(part):
    rng = np.random.default_rng(part)
    checked = positive = 0
    with ThreadPoolExecutor(2) as pool:
        for seed in range(part, INSTANCES, 4):
            instance, best = known(seed)
            for _ in range(10):
                delta = int(rng.integers(1, best + 2))
                end = best * rng.uniform(0.3, 1.5)
                problem = problem_of(instance, delta, int(rng.integers(1, 4)), end)
                v = random_variables(rng, instance.n, problem.grid.intervals)
                found = Evaluator(problem, pool).evaluate(v, 0.0).bound
                proved = proof_of(problem, v).bound(instance, "latency", Clock(None))
                assert found <= best + 1e-6
                assert proved <= best
                assert abs(float(proved) - max(0.0, found)) <= 1e-3 * best
                checked += 1
                positive += proved > 0
    assert positive > checked / 8  # a test that cannot fail would say nothing


def test_bounds_that_were_climbed_to_stay_below_the_optimum():
    stages = (Stage(4, 3, 40), Stage(9, 4, 60))
    ratios = []
    for seed in range(0, INSTANCES, 4):
        instance, best = known(seed)
        last = 0
        for bound, proof in charge_bound(instance, one_by_one(instance), steps=50, stages=stages):
            assert last < bound <= best
            assert -(-proof.bound(instance, "latency", Clock(None)) // 1) == bound
            last = bound
        ratios.append(last / best)
    assert np.median(ratios) > 0.5


def test_bounds_on_the_weighted_completion_stay_below_the_optimum():
    rng = np.random.default_rng(6)
    ratios = []
    for seed in range(0, 60, 3):
        instance, _ = known(seed)
        weight = rng.integers(0, 4, instance.n).tolist()
        begin = sum(w * a for w, a in zip(weight, instance.arrival.tolist(), strict=True))
        best = optimum(instance, weight)
        heavy = instance.replace(weight=weight)
        found = charge_bound(
            heavy, one_by_one(heavy), objective="weighted", steps=50, stages=(Stage(6, 3, 1),)
        )
        last = begin
        for bound, proof in found:
            assert last <= bound <= best + begin
            assert proof.bound(heavy, "weighted", Clock(None)) <= bound
            last = bound
        ratios.append((last - begin) / best if best else 1)
    assert np.median(ratios) > 0.5


def test_bounds_on_the_tardiness_stay_below_the_optimum():
    rng = np.random.default_rng(8)
    ratios = []
    with ThreadPoolExecutor(2) as pool:
        for seed in range(60):
            instance = tiny_continuous(seed, most_requests=2)
            late = rng.integers(0, 16, instance.n)
            instance = instance.replace(deadline=instance.arrival + late, horizon=None)
            best, _ = brute_force_continuous(instance, "tardiness")
            last = 0
            for bound, proof in charge_bound(
                instance, one_by_one(instance), objective="tardiness", steps=80,
                stages=(Stage(60, 3, 1),),
            ):  # fmt: skip
                assert last < bound <= best
                assert proof.bound(instance, "tardiness", Clock(None)) <= bound
                last = bound
            if best:
                ratios.append(float(last / best))
            for _ in range(6):
                problem = problem_of(
                    instance, int(rng.integers(1, 9)), int(rng.integers(1, 4)),
                    float(rng.integers(1, 60)), "tardiness",
                )  # fmt: skip
                v = random_variables(rng, instance.n, problem.grid.intervals)
                found = Evaluator(problem, pool).evaluate(v, 0.0).bound
                proved = proof_of(problem, v).bound(instance, "tardiness", Clock(None))
                assert found <= best + 1e-6
                assert proved <= best
                assert abs(float(proved) - max(0.0, found)) <= 1e-3 * max(1, best)
    assert sum(ratio > 0.1 for ratio in ratios) > 20


def test_looking_no_further_than_a_cheapest_profile_can_last_loses_nothing():
    # An evaluator's first evaluation looks at all intervals, the later ones at as few as they may.
    rng = np.random.default_rng(12)
    shorter = 0
    with ThreadPoolExecutor(2) as pool:
        for seed in range(0, 80, 2):
            instance, best = known(seed)
            problem = problem_of(instance, int(rng.integers(1, 3)), 1, 6.0 * best)
            evaluator = Evaluator(problem, pool)
            v = random_variables(rng, instance.n, problem.grid.intervals)
            whole = evaluator.evaluate(v, 0.0)
            again = evaluator.evaluate(v, 0.0)
            assert again.bound == pytest.approx(whole.bound, rel=1e-12)
            assert again.costs == pytest.approx(whole.costs, rel=1e-12)
            shorter += evaluator.last.min() < problem.grid.intervals
    assert shorter > 20


def test_it_ends_in_time():
    # A step takes some hundredths of a second here, and so does a verification.
    rng = np.random.default_rng(4)
    n = 120
    instance = Instance(
        gpu=Gpu(kv_capacity=3000, running_requests=30), arrival=rng.integers(0, 200, n),
        prompt=rng.integers(5, 90, n), output=rng.integers(1, 90, n),
    )  # fmt: skip
    schedule = one_by_one(instance)
    list(charge_bound(instance, schedule, steps=2))  # compiled
    began = time.monotonic()
    list(charge_bound(instance, schedule, seconds=3.0))
    assert time.monotonic() - began < 5.0


def test_the_same_steps_give_the_same_bounds():
    instance, _ = known(7)
    schedule = one_by_one(instance)
    runs = [list(charge_bound(instance, schedule, steps=40)) for _ in range(2)]
    assert runs[0] == runs[1]


def test_it_stops_when_told():
    instance, _ = known(7)
    assert list(charge_bound(instance, one_by_one(instance), steps=10**9, stop=lambda: True)) == []


def test_a_stage_on_time_takes_its_own_steps_and_the_next_goes_on_with_its_means(monkeypatch):
    # By clock: 24 steps take no noticeable part of an hour, so nothing hurries.
    instance, _ = known(7)
    stages = (Stage(3, 3, 12, 0.2, 0.08), Stage(6, 3, 12, 0.1, 0.05), Stage(9, 3, 12))
    seen = []
    step = charge._Ascent._step

    def watched(self, rate, heat):
        largest = max(float(np.abs(x).max()) for x in self.state.mean)
        seen.append((self.plan.number, self.state.steps, rate, largest))
        return step(self, rate, heat)

    monkeypatch.setattr(charge._Ascent, "_step", watched)
    list(
        charge_bound(
            instance, one_by_one(instance), seconds=3600.0, stages=stages,
            stop=lambda: len(seen) > 24,
        )
    )  # fmt: skip
    for number, stage in enumerate(stages[:2]):
        own = [row for row in seen if row[0] == number]
        assert len(own) == stage.steps
        assert own[1][2] > 0.9 * stage.first
        assert stage.last <= own[-1][2] < 1.1 * stage.last
    assert [steps for _, steps, _, _ in seen[:25]] == list(range(25))
    assert seen[0][3] == 0 < seen[12][3]


def test_the_gradient_is_the_slope_of_the_bound():
    rng = np.random.default_rng(3)
    n = 8
    gpu = Gpu(kv_capacity=120, running_requests=5, batch_tokens=64)
    instance = Instance(
        gpu=gpu, arrival=rng.integers(0, 30, n), prompt=rng.integers(5, 40, n),
        output=rng.integers(1, 30, n),
    )  # fmt: skip
    with ThreadPoolExecutor(2) as pool:
        problem = problem_of(instance, 6, 2, 80.0)
        v = random_variables(rng, n, problem.grid.intervals)
        evaluator = Evaluator(problem, pool)
        slope = evaluator.evaluate(v, 1e-6).gradient
        for name, values, g in zip(Variables._fields, v, slope, strict=True):
            place = np.unravel_index(np.argmax(np.abs(g)), g.shape)
            ends = []
            for step in (1e-5, -1e-5):
                moved = values.copy()
                moved[place] += step
                ends.append(evaluator.evaluate(v._replace(**{name: moved}), 0.0).bound)
            assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(g[place], rel=1e-3, abs=1e-3)


def test_a_start_at_the_first_level_divides_by_nothing():
    # Prefilling again costs as much as a token job, but for rounding: less by 10^-17, say.
    rng, seen = np.random.default_rng(8), 0
    for _ in range(200):
        c1, c3 = rng.uniform(0.05, 0.2), rng.uniform(1e-4, 1e-3)
        law = AffineTime(c0=20.0, c1=c1, c2=1e4, c3=c3)
        instance = Instance(
            gpu=Gpu(kv_capacity=10**6, batch_time=law), arrival=[0, 0],
            prompt=rng.integers(1, 900, 2), output=[2, 1 + 8 * int(rng.integers(1, 9))],
        )  # fmt: skip
        with np.errstate(all="raise"):
            levels = levels_of(instance, law_of(instance), 8)
        assert np.isfinite(levels.again).all()
        h = instance.prompt[1] + 1
        exact = law_of(instance)
        token = min(exact.c2, (exact.c1 - exact.c3) * h)
        seen += exact.c1 * h - token - exact.c3 * h < 0
    assert seen > 20
