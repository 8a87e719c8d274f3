"""Admission in waves: simulated continuations against runs, and what waves are worth."""

from __future__ import annotations

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime
from batchprophet.models.continuous.problem import limits
from batchprophet.models.continuous.schedule import ContinuousSchedule
from batchprophet.models.durations import batch_durations
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.online.continuous.compiled import requests_of
from batchprophet.online.continuous.hindsight_kernels import Scene
from batchprophet.online.continuous.policy import REGISTRY
from batchprophet.online.continuous.rule import PLAN, rule_of
from batchprophet.online.continuous.simulator import simulate_continuous
from batchprophet.online.continuous.wave_kernels import run_waves, sampled_lengths
from batchprophet.online.continuous.wave_rollouts import MOST_WAITING, Grid, choose, wave_cost


def total(instance, schedule):
    return int((schedule.completion(instance) - instance.arrival).sum())


def at_once(rng):
    """All at 0, prompts read at once, times that are not rounded: what is simulated exactly."""
    n = int(rng.integers(3, 14))
    c = rng.integers([5, 0, 0, 0], [30, 6, 6, 3]) / 1000
    gpu = Gpu(
        kv_capacity=int(rng.integers(30, 120)), running_requests=int(rng.integers(2, 8)),
        batch_time=AffineTime(**dict(zip(("c0", "c1", "c2", "c3"), c.tolist(), strict=True))),
    )  # fmt: skip
    prompt, output = rng.integers(1, 12, n), rng.integers(1, 15, n)
    return Instance(gpu=gpu, arrival=np.zeros(n, int), prompt=prompt, output=output)


def scene_of(instance, order):
    gpu = limits(instance)
    numbers = [0, gpu.blocks * gpu.block, gpu.block, gpu.running, gpu.tokens, int(gpu.chunked)]
    none = np.zeros(instance.n, np.int64)
    return Scene(
        instance.arrival[order], instance.prompt[order], instance.output[order], none, none,
        instance.prompt[order], np.arange(0), np.array(numbers), batch_durations(instance),
    )  # fmt: skip


def run_with(instance, ranks, grid):
    gpu, law = limits(instance), batch_durations(instance)
    rule = rule_of(gpu)._replace(reserve=PLAN)
    requests = requests_of(instance, ranks[None], instance.output)
    kv = gpu.blocks * gpu.block
    stalled, _, columns = run_waves(requests, law, kv, gpu.block, True, rule, grid, 0)
    assert stalled == -1
    return ContinuousSchedule.of_columns(columns)


def test_a_continuation_costs_what_its_run_does():
    rng = np.random.default_rng(1)
    for _ in range(150):
        instance = at_once(rng)
        order = rng.permutation(instance.n)
        gpu = limits(instance)
        share, limit = int(rng.integers(1, 96)), int(rng.integers(1, gpu.running, endpoint=True))
        values = np.array([[share, limit, gpu.tokens]] * 2)
        cost = wave_cost(scene_of(instance, order), instance.output[order], values, True, 0, 0)
        grid = Grid(*(np.array([value]) for value in values[0]))
        ranks = np.argsort(order)
        assert cost == total(instance, run_with(instance, ranks, grid))
        more = wave_cost(scene_of(instance, order), instance.output[order], values, True, 0, 2)
        end = run_with(instance, ranks, grid).completion(instance).max()
        assert more == cost + 2 * end


def test_the_setting_chosen_is_no_dearer_than_the_one_before():
    rng = np.random.default_rng(2)
    moved = 0
    for _ in range(60):
        instance = at_once(rng)
        order = np.argsort(instance.output, kind="stable")
        scene = scene_of(instance, order)
        gpu = limits(instance)
        grid = Grid(np.arange(0, 96, 19), np.arange(gpu.running, 0, -1), np.array([gpu.tokens, 9]))
        setting = rng.integers(0, [grid.shares.size, gpu.running, 2], (2, 3))
        before = setting.copy()

        def cost(setting, scene=scene, grid=grid):
            values = np.stack([np.array(grid[part])[setting[:, part]] for part in range(3)], axis=1)
            return wave_cost(scene, scene.output, values, False, 0, 0)

        choose(scene, scene.output[None], False, 0, 0, grid, setting)
        assert cost(setting) <= cost(before)
        moved += cost(setting) < cost(before)
    assert moved > 20


def test_sampled_lengths_are_quantiles_of_the_longer_ones():
    outputs = np.array([2, 4, 4, 9])
    request, tokens = np.arange(3), np.array([0, 3, 9])
    drawn = sampled_lengths(outputs, request, tokens, np.array([99, 99, 99]), 100)
    assert set(drawn[:, 0]) == {2, 4, 9}
    assert (drawn[:, 0] == 4).sum() == 50
    assert set(drawn[:, 1]) == {4, 9}
    assert set(drawn[:, 2]) == {10}
    assert sampled_lengths(outputs, request, tokens, np.array([3, 3, 3]), 1).max() == 10


def seats_bind(rng, n=80):
    """A burst on a GPU with 24 seats and 30 ms a batch, whose outputs are alike."""
    law = AffineTime(c0=25.65, c1=0.161, c2=0.0026, c3=2.45e-4)
    gpu = Gpu(kv_capacity=100_000, running_requests=24, batch_tokens=2048, batch_time=law)
    prompt = rng.integers(200, 3000, n)
    arrival = np.sort(rng.integers(0, 2_000_000, n))
    return Instance(gpu=gpu, arrival=arrival, prompt=prompt, output=rng.integers(90, 130, n))


@pytest.mark.parametrize("lengths", ["exact", "none"])
def test_waves_pay_where_long_prompts_meet_few_seats(lengths):
    rng = np.random.default_rng(3)
    ratios = []
    for _ in range(5):
        instance = seats_bind(rng)
        waves, ranked = (
            total(instance, simulate_continuous(instance, f"{policy}:lengths={lengths}"))
            for policy in ("waves", "least-work")
        )
        ratios.append(waves / ranked)
    assert max(ratios) < 1
    assert np.mean(ratios) < 0.96


def test_one_request_after_another_leaves_nothing_to_choose():
    rng = np.random.default_rng(4)
    for _ in range(10):
        instance = seats_bind(rng, n=12)
        instance = instance.replace(arrival=np.arange(12) * 60_000_000)
        assert simulate_continuous(instance, "waves") == simulate_continuous(instance, "vllm")


def test_a_long_queue_is_served():
    rng = np.random.default_rng(5)
    n = MOST_WAITING + 60
    gpu = Gpu(kv_capacity=200, running_requests=8)
    instance = Instance(
        gpu=gpu, arrival=np.zeros(n, int), prompt=rng.integers(1, 9, n),
        output=rng.integers(1, 6, n),
    )  # fmt: skip
    compiled = simulate_continuous(instance, "waves:lengths=none")
    assert compiled == simulate_continuous(instance, "waves:lengths=none", compiled=False)


@pytest.mark.parametrize("samples", [0, 1001])
def test_samples_are_checked(samples):
    with pytest.raises(InputError, match="samples: expected an integer of at"):
        REGISTRY.make(f"waves:samples={samples}")
