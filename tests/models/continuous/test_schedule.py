"""Schedules of continuous batching: columns, files, what they do over time, figures."""

from __future__ import annotations

import numpy as np

from batchprophet.models.batch_time import AffineTime
from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.models.continuous.metrics import goodput, measure_continuous
from batchprophet.models.continuous.record import to_record
from batchprophet.models.continuous.schedule import Batch, ContinuousSchedule
from batchprophet.models.files import read_schedule, write_json
from batchprophet.models.instance import Gpu, Instance
from tests.brute_force_continuous import brute_force_continuous
from tests.tiny_continuous import random_continuous, tiny_continuous

LAW = AffineTime(c0=0.01, c1=0.001, c2=0.002, c3=0.0005)
GPU = Gpu(kv_capacity=12, batch_time=LAW)
TWO = Instance(gpu=GPU, arrival=[0, 5], prompt=[4, 2], output=[3, 1])
# 10 + 3 = 13; 10 + 1 = 11, r0's first token at 24; 10 + 2·1 + 2 + 5·½ = 16.5 → 17, r1 done at 41;
# r0 dropped and read again, 6 tokens: 10 + 6 = 16, its third token at 57.
BATCHES = [
    Batch(0, ((0, 3),)),
    Batch(13, ((0, 1),)),
    Batch(24, ((1, 2),), (0,)),
    Batch(41, ((0, 6),), (), (0,)),
]


def test_what_happens_over_time():
    schedule = ContinuousSchedule(BATCHES)
    assert check_continuous(TWO, schedule) == []
    time = schedule.timeline(TWO)
    assert time.end.tolist() == [13, 24, 41, 57]
    assert time.prompt_tokens.tolist() == [3, 1, 2, 6]
    assert time.read.tolist() == [0, 0, 5, 0]
    assert time.held.tolist() == [3, 4, 5 + 2, 6]
    assert time.kept.tolist() == [3, 4, 5, 0]
    assert time.running.tolist() == [1, 1, 2, 1]
    assert time.scheduled.tolist() == [0, 24]
    assert time.first_token.tolist() == [24, 41]
    assert time.completion.tolist() == [57, 41]
    assert time.preemptions.tolist() == [1, 0]


def test_figures():
    metrics = measure_continuous(TWO, ContinuousSchedule(BATCHES))
    assert metrics.total_latency == 57 + 36
    assert metrics.mean_ttft == (24 + 36) / 2
    assert (metrics.tpot_requests, metrics.mean_tpot) == (1, (57 - 24) / 2)
    assert (metrics.preemptions, metrics.recomputed_tokens) == (1, 6)
    assert (metrics.prompt_batches, metrics.token_batches, metrics.mixed_batches) == (3, 0, 1)
    assert metrics.peak_kv == 7
    assert metrics.kv_utilisation == (3 * 13 + 4 * 11 + 7 * 17 + 6 * 16) / (12 * 57)
    schedule = ContinuousSchedule(BATCHES)
    assert goodput(TWO, schedule, ttft=30) == 0.5
    assert goodput(TWO, schedule, ttft=36, tpot=16) == 0.5
    assert goodput(TWO, schedule, ttft=36, tpot=16.5) == 1


def test_columns_and_files_keep_every_batch(tmp_path):
    for seed in range(60):
        instance = tiny_continuous(seed)
        for schedule in (random_continuous(instance, seed), brute_force_continuous(instance)[1]):
            again = ContinuousSchedule.of_columns(schedule.columns)
            assert again.batches == schedule.batches
            assert again == schedule
        path = tmp_path / "schedule.json"
        write_json({"model": "continuous", "schedule": to_record(schedule)}, path)
        assert read_schedule(path, instance) == schedule


def test_only_keeps_what_the_kept_requests_do():
    schedule = ContinuousSchedule([Batch(0, ((2, 3),)), Batch(1, decode=(2,))])
    three = Instance(gpu=Gpu(kv_capacity=9), arrival=[0] * 3, prompt=[3] * 3, output=[2] * 3)
    assert schedule.accepted().tolist() == [2]
    kept = schedule.only(np.array([2]))
    assert check_continuous(three.take([2]), kept) == []
    assert kept.completion(three.take([2])).tolist() == [2]
