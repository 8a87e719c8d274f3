"""Metrics against a worked example and a count by hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.metrics import measure
from batchprophet.models.mixed.schedule import Eviction, MixedSchedule
from tests.strategies import instances


def test_worked_example():
    instance = Instance(gpu=Gpu(kv_capacity=10), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    metrics = measure(instance, MixedSchedule([0, 3], [Eviction(1, 2, 3)]))
    # Latencies 4 and 3; first tokens after 1 and 2 rounds; request 1's round from 2 to 3 is lost.
    assert metrics.total_latency == 7
    assert metrics.mean_latency == 3.5
    assert metrics.p50_latency == 3.5
    assert metrics.mean_ttft == 1.5
    assert metrics.mean_waiting == 0.5
    assert metrics.makespan == 5
    # Request 0 holds 4+5+6+7, request 1 holds 2 (lost), then 2+3: 29 of 10 × 5 token-rounds.
    assert metrics.kv_utilisation == 29 / 50
    assert metrics.peak_kv == 9
    # Batches of rounds 1-5: 1, 1, 2, 2, 1.
    assert metrics.mean_batch == 7 / 5
    assert metrics.max_batch == 2
    assert (metrics.evictions, metrics.lost_rounds) == (1, 1)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_kv_use_is_the_sum_over_rounds(data):
    instance = data.draw(instances())
    start = [int(a) + data.draw(st.integers(0, 9)) for a in instance.arrival]
    metrics = measure(instance, MixedSchedule(start))
    held = np.zeros(80)
    for k, s, o in zip(start, instance.prompt, instance.output, strict=True):
        held[k + 1 : k + o + 1] += s + np.arange(1, o + 1)
    span = metrics.makespan - int(instance.arrival.min())
    assert metrics.peak_kv == held.max()
    assert np.isclose(metrics.kv_utilisation, held.sum() / (instance.gpu.kv_capacity * span))
