"""The exhaustive search itself, by hand, and against the checker."""

from __future__ import annotations

import pytest

from batchprophet.models.batch_time import ConstantTime
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import check, schedule_value
from tests.brute_force_separate import brute_force_separate
from tests.tiny_instances import OBJECTIVES
from tests.tiny_separate import random_laws, tiny_separate

LAW = ConstantTime(prompt=3, token=1)
TWO = {"arrival": [0, 1], "prompt": [1, 1], "output": [2, 3]}


@pytest.mark.parametrize(
    ("limits", "latency", "makespan"),
    [
        # Together: wait until 1, prompts to 4, tokens 5 and 6: (5 − 0) + (6 − 1). Apart: r0 to 3,
        # its token to 4, r1's prompt to 7, tokens to 9: 4 + 8; or both prompts first: 7 + 7.
        ({"kv_capacity": 7}, 10, 6),
        # M = 6: together they hold 3 + 3 and 4 alone: it still fits.
        ({"kv_capacity": 6}, 10, 6),
        # M = 5: r0 first; or both prompts (2 + 2), r0's token (3 + 2), then r1: 5 + 6.
        ({"kv_capacity": 5}, 5 + 6, 7),
        # No batch of two prompts: 4 + 8, and 3 + 3 + 2 in all.
        ({"kv_capacity": 9, "prompt_batch_requests": 1}, 12, 8),
        # No batch of two tokens: prompts to 4, r0 at 5, r1 at 7.
        ({"kv_capacity": 9, "token_batch_requests": 1}, 5 + 6, 7),
    ],
)
def test_two_requests_by_hand(limits, latency, makespan):
    instance = Instance(gpu=Gpu(batch_time=LAW, **limits), **TWO)
    assert brute_force_separate(instance)[0] == latency
    assert brute_force_separate(instance, "makespan")[0] == makespan


def test_rejection_by_hand():
    # By 6 both are done together. By 5 only r0 (done at 5 at best together, 4 alone).
    instance = Instance(gpu=Gpu(kv_capacity=9, batch_time=LAW), **TWO, reward=[1, 5], horizon=6)
    assert brute_force_separate(instance, "reward")[0] == 6
    value, schedule = brute_force_separate(instance.replace(horizon=5), "reward")
    assert value == 1
    assert schedule.accepted().tolist() == [0]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_it_finds_is_feasible_and_worth_what_it_says(objective):
    for seed in range(60):
        instance = tiny_separate(seed, law=random_laws(seed))
        value, schedule = brute_force_separate(instance, objective)
        assert check(instance, schedule, allow_rejected=objective == "reward") == []
        assert schedule_value(instance, schedule, objective) == value
