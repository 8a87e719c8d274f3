"""Limits hold: what is counted here is work, not seconds."""

from __future__ import annotations

import numpy as np
import pytest

from batchprophet import separate_plots, verbs
from batchprophet.models.batch_time import AffineTime
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.schedules import schedule_value
from batchprophet.models.separate import regime
from batchprophet.models.separate.durations import batch_durations
from batchprophet.models.separate.schedule import Batch, SeparateSchedule
from batchprophet.online import evaluation
from batchprophet.solvers import milp_search
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.separate import hindsight as separate_hindsight
from batchprophet.solvers.separate import milp as separate_milp
from batchprophet.solvers.separate.decode import plain_code, schedule_of

from .tiny_separate import random_laws, random_schedule, tiny_separate

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
    schedule = schedule_of(instance, plain_code(np.array([0]), 1))
    assert schedule.completion(instance).tolist() == [10**12 + 100_000]
