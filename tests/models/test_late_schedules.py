"""Schedules so late that the sum of their latencies does not fit into 64 bits.

Mixed batching refuses starts as late as these.
"""

import pytest

from batchprophet.models.continuous.schedule import Batch, ContinuousSchedule
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import check, regime_of, schedule_value
from batchprophet.models.separate.schedule import Batch as SeparateBatch
from batchprophet.models.separate.schedule import SeparateSchedule

LATE, N = 2**61, 6


@pytest.mark.parametrize(
    "schedule",
    [
        SeparateSchedule([SeparateBatch("prompt", LATE + k, (k,)) for k in range(N)]),
        ContinuousSchedule([Batch(LATE + k, prefill=((k, 3),)) for k in range(N)]),
    ],
    ids=lambda schedule: schedule.model,
)
def test_the_total_latency_is_exact(schedule):
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0] * N, prompt=[3] * N, output=[1] * N)
    assert not check(instance, schedule)
    expected = sum(LATE + k + 1 for k in range(N))
    assert schedule_value(instance, schedule) == expected
    assert regime_of(schedule).measure(instance, schedule).total_latency == expected
