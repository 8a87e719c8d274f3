"""The checker against a count by hand, round by round, and rule by rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed, kv_profile
from batchprophet.models.mixed.schedule import Eviction, MixedSchedule
from tests.strategies import instances, schedules

FIRST, LAST = -10, 60  # rounds in which the drawn schedules can hold anything


def round_by_hand(instance, schedule, t):
    """KV tokens in round t, by the definition: s + (t − k) for every run with k < t ≤ end."""
    finals = [(i, k, k + int(instance.output[i])) for i, k in enumerate(schedule.start.tolist())]
    aborted = [(run.request, run.start, run.end) for run in schedule.evicted]
    return sum(int(instance.prompt[i]) + t - k for i, k, end in finals + aborted if k < t <= end)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_capacity_violations_match_a_count_by_hand(data):
    instance = data.draw(instances())
    schedule = data.draw(schedules(instance))
    M = instance.gpu.kv_capacity
    over = [round_by_hand(instance, schedule, t) - M for t in range(FIRST, LAST)]
    # A span begins where the count exceeds M and did not a round before; its amount is its worst.
    expected = []
    for t, excess in enumerate(over, start=FIRST):
        if excess > 0:
            if over[t - FIRST - 1] <= 0:
                expected.append((t, excess))
            expected[-1] = (expected[-1][0], max(excess, expected[-1][1]))
    found = [v for v in check_mixed(instance, schedule) if v.rule == "kv-capacity"]
    assert [(v.time, v.amount) for v in found] == expected


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_kv_profile_is_the_occupancy(data):
    instance = data.draw(instances())
    schedule = data.draw(schedules(instance))
    boundary, alive, offset = kv_profile(instance, schedule)
    for j in range(alive.size):
        for t in range(int(boundary[j]) + 1, int(boundary[j + 1]) + 1):
            assert alive[j] * t + offset[j] == round_by_hand(instance, schedule, t)


def two_requests(capacity=9):
    return Instance(
        gpu=Gpu(kv_capacity=capacity), arrival=[0, 2], prompt=[3, 1], output=[4, 2], id=["a", "b"]
    )


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # Request a holds 4, 5, 6, 7 in rounds 1-4, b holds 2, 3 in rounds 3-4: 10 > 9 in round 4.
        (
            MixedSchedule([0, 2]),
            [
                (
                    "kv-capacity", 4, 1,
                    "KV capacity 9 exceeded by 1 token in round 4 (10 tokens held)",
                )
            ],
        ),
        (MixedSchedule([0, 4]), []),
        (
            MixedSchedule([0, 1]),
            [("arrival", 1, 1, "request b starts at 1, before its arrival at 2")],
        ),
        (
            MixedSchedule([4, 2], [Eviction(0, 0, 5)]),
            [
                (
                    "eviction", 5, 2,
                    "evicted run of a lasts 5 rounds, but the request completes after 4",
                ),
                (
                    "restart", 4, 1,
                    "request a starts again at 4, before its evicted run ends at 5",
                ),
                (
                    "kv-capacity", 4, 3,
                    "KV capacity 9 exceeded by up to 3 tokens in rounds 4-5 (up to 12 tokens held)",
                ),
            ],
        ),
        (
            MixedSchedule([0, 4], [Eviction(1, 3, 3)]),
            [("eviction", 3, 1, "evicted run of b must last at least one round, found 0")],
        ),
    ],
)  # fmt: skip
def test_messages(schedule, expected):
    found = check_mixed(two_requests(), schedule)
    assert [(v.rule, v.time, v.amount, v.message) for v in found] == expected


def test_a_schedule_of_another_instance_is_refused():
    with pytest.raises(InputError, match="expected 2 starts, one per request of 'instance', found"):
        check_mixed(two_requests(), MixedSchedule([0]))
    with pytest.raises(InputError, match=r"evicted\[0\].request: expected a request from 0 to 1"):
        check_mixed(two_requests(), MixedSchedule([0, 4], [Eviction(2, 0, 1)]))
    with pytest.raises(InputError, match="too large to be checked in 64-bit arithmetic"):
        check_mixed(two_requests(), MixedSchedule([0, 2**62]))
