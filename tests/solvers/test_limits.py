"""Limits hold: what is counted here is work, not seconds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from batchprophet import api as verbs
from batchprophet.models.batch_time import AffineTime
from batchprophet.models.durations import batch_durations
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import schedule_value
from batchprophet.models.separate import problem as regime
from batchprophet.models.separate import schedule as separate_schedule
from batchprophet.models.separate.schedule import Batch, SeparateSchedule
from batchprophet.online import evaluation
from batchprophet.pictures import separate as separate_plots
from batchprophet.solvers import best_so_far
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.mixed import milp as milp_search
from batchprophet.solvers.separate import hindsight as separate_hindsight
from batchprophet.solvers.separate import milp as separate_milp
from batchprophet.solvers.separate.bounds.workloads import MIXES, works
from batchprophet.solvers.separate.search.encoding import MOST_URGENT, plain_encoding
from batchprophet.solvers.separate.search.list_encodings import _urgency
from batchprophet.solvers.separate.search.schedule_builder import REJECTED, schedule_of
from tests.tiny_separate import random_laws, random_schedule, tiny_separate

K = np.arange(40)
MIDDLE = Instance(
    gpu=Gpu(kv_capacity=60), arrival=3 * K, prompt=1 + K**2 % 7, output=1 + K * 7919 % 50,
    weight=1.0 + K % 5, horizon=200,
)  # fmt: skip
AFFINE = AffineTime(c0=20.0, c1=0.11, c2=0.062, c3=8.7e-5)


@pytest.mark.parametrize("objective", ["weighted", "makespan", "reward"])
@pytest.mark.parametrize("model", ["mixed", "separate"])
def test_a_small_limit_on_work_builds_no_large_milp(monkeypatch, objective, model):
    # The root of a MILP takes minutes whatever the limit on nodes.
    for module in (milp_search, separate_milp):
        monkeypatch.setattr(module, "build_model", _no_model)
    solution = solve(MIDDLE, model=model, objective=objective, work_limit=5)
    assert solution.bound is not None
    assert (
        "not tried" in solution.method
        or "1 block" in solution.method
        or "blocks" in solution.method
    )


def _no_model(instance, **_):
    raise AssertionError(f"a model of {instance.n} requests was built")


def test_a_limit_on_work_lists_few_long_schedules(monkeypatch):
    monkeypatch.setattr(separate_hindsight, "MOST_LISTED_BATCHES", 100)
    made = []
    real = separate_hindsight.schedule_of

    def counted(instance, code):
        made.append(instance.n)
        return real(instance, code)

    monkeypatch.setattr(separate_hindsight, "schedule_of", counted)
    solve(MIDDLE, model="separate", objective="weighted", work_limit=5)
    assert made.count(MIDDLE.n) == 1  # it has more than 105 batches


def test_batches_are_measured_as_one_by_one():
    for seed in range(60):
        instance = tiny_separate(seed, law=random_laws(seed))
        schedule = random_schedule(instance, seed)
        law, tokens = batch_durations(instance), [0] * instance.n
        ends, completion = [], [0] * instance.n
        for batch in schedule.batches:
            members = batch.requests
            kv = sum(int(instance.prompt[i]) + tokens[i] for i in members)
            prompt = batch.kind == "prompt"
            length = law.prompt_batch(kv) if prompt else law.token_batch(len(members), kv)
            ends.append(batch.start + length)
            for i in members:
                tokens[i] += 1
                completion[i] = ends[-1]
        assert schedule.ends(instance).tolist() == ends
        assert schedule.completion(instance).tolist() == completion
        assert schedule.accepted().tolist() == list(range(instance.n))
    nothing = SeparateSchedule([])
    assert nothing.ends(instance).size == nothing.accepted().size == 0
    with_empty = SeparateSchedule([Batch("token", 0, ()), Batch("prompt", 9, (0,))])
    one = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[1])
    assert with_empty.ends(one).tolist() == [1, 10]


def test_times_alone_under_the_affine_law_are_sums_of_batches():
    gpu = Gpu(kv_capacity=10**6, batch_time=AFFINE)
    instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[3, 700], output=[500, 1])
    law = batch_durations(instance)
    slow = [
        law.prompt_batch(s) + sum(law.token_batch(1, s + g) for g in range(1, o))
        for s, o in ((3, 500), (700, 1))
    ]
    assert regime.times_alone(instance) == slow


def test_a_comparison_computes_each_value_once(monkeypatch):
    counted = []

    def value(*arguments):
        counted.append(1)
        return schedule_value(*arguments)

    compared = verbs.compare(MIDDLE, model="separate", time_limit=0)
    monkeypatch.setattr(evaluation, "schedule_value", value)
    policies = len(compared.comparison.results)
    for _ in range(3):
        compared.summary()
    assert len(counted) <= policies


def test_bars_have_the_limits_of_what_they_show():
    figure_axes = pytest.importorskip("matplotlib.figure").Figure().subplots()
    first = np.array([5, 7, 9])
    separate_plots.bars(
        figure_axes, first, first + np.array([2, 0, 4]), np.arange(3), 0.8, label="bars"
    )
    assert figure_axes.dataLim.extents.tolist() == pytest.approx([5, -0.4, 13, 2.4])
    assert len(figure_axes.patches) == 1


def test_the_code_of_a_million_tokens_has_a_schedule_that_is_measured():
    instance = Instance(gpu=Gpu(kv_capacity=10**6), arrival=[10**12], prompt=[1], output=[100_000])
    schedule = schedule_of(instance, plain_encoding(np.array([0]), 1))
    assert schedule.completion(instance).tolist() == [10**12 + 100_000]


@pytest.mark.parametrize("objective", ["latency", "weighted", "reward"])
def test_of_long_outputs_no_batch_becomes_an_object(monkeypatch, objective):
    # A million objects take seconds to make, and seconds more each time they are walked through.
    monkeypatch.setattr(separate_schedule, "Batch", _no_batch)
    gpu = Gpu(kv_capacity=200_000, token_batch_requests=2, batch_time=AFFINE)
    instance = Instance(
        gpu=gpu, arrival=[0, 5, 9], prompt=[3, 7, 5], output=[20_000] * 3, horizon=2 * 10**9
    )
    solution = solve(instance, model="separate", objective=objective, time_limit=0.0)
    assert solution.schedule.starts.size >= 20_000


def _no_batch(*_):
    raise AssertionError("a batch was made")


def test_list_schedules_end_with_their_share_of_the_time(monkeypatch):
    clock = [0.0]

    def slow_decode(*_):
        clock[0] += 1.0
        return REJECTED  # no schedule is better: the clock counts all the same

    monkeypatch.setattr(best_so_far.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(separate_hindsight, "total_latency", slow_decode)
    search = best_so_far.BestSoFar(MIDDLE, "latency", 12.0, began=0.0)
    separate_hindsight._try_list_schedules(search, None, None)
    assert search.schedule is not None
    assert clock[0] == separate_hindsight.LISTED_SHARE * 12


def test_works_are_exact_sums_of_their_three_ways():
    for seed in range(40):
        instance = tiny_separate(seed, law=random_laws(seed))
        law, gpu = batch_durations(instance), instance.gpu
        for mix in MIXES:
            scaled, unit = works(instance, mix)
            places, tokens, kv = mix
            for i, (s, o) in enumerate(
                zip(instance.prompt.tolist(), instance.output.tolist(), strict=True)
            ):
                read = [s + g for g in range(1, o)]
                added = law.per_prompt_token * s + sum(
                    law.per_token_job + law.per_kv_token * tokens for tokens in read
                )
                work = Fraction(0)
                if gpu.prompt_batch_requests:
                    work += places * Fraction(law.prompt, gpu.prompt_batch_requests)
                if gpu.prompt_batch_tokens:
                    work += tokens * Fraction(law.prompt * s, gpu.prompt_batch_tokens)
                decode = Fraction((o - 1) * law.token, gpu.token_batch_requests or 1)
                if gpu.token_batch_requests:
                    work += (places + tokens) * decode
                work = (work + (places + tokens) * added) / law.divisor
                area = law.prompt_batch(s) * (s + 1)
                area += sum(law.token_batch(1, tokens) * (tokens + 1) for tokens in read)
                assert Fraction(scaled[i], unit) == work + kv * area / gpu.kv_capacity


def test_urgencies_are_those_of_batch_by_batch():
    urgent = 0
    for seed in range(300):
        instance = tiny_separate(seed, most_output=6)
        schedule = random_schedule(instance, seed)
        to_go, expected = instance.output.tolist(), [0] * instance.n
        for batch in schedule.batches:
            begun = [i for i in range(instance.n) if 0 < to_go[i] < instance.output[i]]
            others = [to_go[i] for i in begun if i not in batch.requests]
            for i in batch.requests:
                if batch.kind == "token" and others and to_go[i] > min(others):
                    expected[i] = MOST_URGENT
            for i in batch.requests:
                to_go[i] -= 1
        assert _urgency(instance, schedule.columns).tolist() == expected
        urgent += any(expected)
    assert urgent > 30
