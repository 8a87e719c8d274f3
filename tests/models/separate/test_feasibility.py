"""The checker of separate batching, rule by rule, against durations and a count by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchprophet.models.batch_time import AffineTime, ConstantTime
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.regimes import check, schedule_value
from batchprophet.models.separate import feasibility
from batchprophet.models.separate.feasibility import check_separate
from batchprophet.models.separate.feasible_columns import surely_feasible
from batchprophet.models.separate.schedule import Batch, SeparateSchedule
from tests.tiny_separate import random_laws, random_schedule, tiny_separate

# τ_P = 3, τ_D = 2: r0 = (a 0, s 3, o 3), r1 = (a 2, s 1, o 2), r2 = (a 0, s 2, o 1).
GPU = Gpu(
    kv_capacity=9, prompt_batch_requests=2, prompt_batch_tokens=4, token_batch_requests=2,
    batch_time=ConstantTime(prompt=3, token=2),
)  # fmt: skip
THREE = Instance(gpu=GPU, arrival=[0, 2, 0], prompt=[3, 1, 2], output=[3, 2, 1])
P0, P2, P1 = Batch("prompt", 0, (0,)), Batch("prompt", 3, (2,)), Batch("prompt", 6, (1,))
T01, T0 = Batch("token", 9, (0, 1)), Batch("token", 11, (0,))
GOOD = [P0, P2, P1, T01, T0]


def violations(batches, instance=THREE, **options):
    found = check_separate(instance, SeparateSchedule(batches), **options)
    return [(each.rule, each.time, each.amount, each.request) for each in found]


def replaced(old, *new):
    return [batch for batch in GOOD if batch is not old] + list(new)


def test_a_feasible_schedule_and_its_values():
    # r2 completes at 6, r1 at 11, r0 at 13. KV at the ends: 4; 4+3; 4+2; 5+3; 6.
    schedule = SeparateSchedule(GOOD)
    assert check(THREE, schedule) == []
    assert schedule.ends(THREE).tolist() == [3, 6, 9, 11, 13]
    assert schedule.completion(THREE).tolist() == [13, 11, 6]
    assert schedule_value(THREE, schedule) == 13 + 9 + 6
    assert schedule_value(THREE, schedule, "makespan") == 13


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([*GOOD, Batch("token", 20, ())], ("empty-batch", 20, 1, None)),
        (replaced(T0, Batch("token", 10, (0,))), ("overlap", 10, 1, None)),
        (replaced(P2, Batch("prompt", -3, (2,))), ("arrival", -3, 3, 2)),
        (replaced(P1), ("prompt-first", 9, 1, 1)),
        (replaced(T0), ("unserved", 11, 1, 0)),
        (replaced(P2), ("unserved", 13, 1, 2)),
        ([*GOOD, Batch("prompt", 13, (2,))], ("prompt-again", 13, 1, 2)),
        ([*GOOD, Batch("token", 13, (1,))], ("tokens", 13, 1, 1)),
    ],
)  # fmt: skip
def test_each_rule_about_jobs(batches, expected):
    assert expected in violations(batches)


def test_a_request_twice_in_a_batch():
    # The second job of r0 in the batch is one token too many later on.
    found = violations(replaced(T01, Batch("token", 9, (0, 1, 0))))
    assert ("twice", 9, 1, 0) in found
    assert ("tokens", 11, 1, 0) in found
    assert ("token-batch-requests", 9, 1, None) in found


def test_a_token_job_before_its_prompt_batch_ends():
    # The token batch at 8 lies in the prompt batch of r1, 6 to 9.
    assert violations(replaced(T01, Batch("token", 8, (0, 1)))) == [
        ("overlap", 8, 1, None), ("prompt-first", 8, 1, 1),
    ]  # fmt: skip


def test_batch_limits():
    together = Batch("prompt", 2, (0, 1, 2))
    found = violations([together, Batch("token", 5, (0, 1)), Batch("token", 7, (0,))])
    # 3 requests of 2, 6 prompt tokens of 4; KV 4 + 2 + 3 = 9 fits.
    assert found == [("prompt-batch-requests", 2, 1, None), ("prompt-batch-tokens", 2, 2, None)]
    one = THREE.replace(gpu=Gpu(kv_capacity=9, token_batch_requests=1, batch_time=GPU.batch_time))
    assert violations(GOOD, one) == [("token-batch-requests", 9, 1, None)]


def test_kv_counts_what_completes_and_who_skips():
    # M = 7: at 11 the batch (r0, r1) ends with 5 + 3 = 8 tokens, although r1 completes there.
    tight = THREE.replace(gpu=Gpu(kv_capacity=7, batch_time=GPU.batch_time))
    (found,) = check_separate(tight, SeparateSchedule(GOOD))
    assert found.message == (
        "KV capacity 7 exceeded by 1 token at the end of the token batch at 9, at 11 "
        "(8 tokens held)"
    )
    # r0 holds its 4 tokens while it skips r1's batch: 4 + 3 = 7 fits, with M = 6 it would not.
    skipping = [P0, P2, P1, Batch("token", 9, (1,)), Batch("token", 11, (0,)),
                Batch("token", 13, (0,))]  # fmt: skip
    assert violations(skipping, tight) == []
    tighter = tight.replace(gpu=Gpu(kv_capacity=6, batch_time=GPU.batch_time))
    assert violations(skipping, tighter) == [
        ("kv-capacity", 6, 1, None), ("kv-capacity", 11, 1, None)
    ]  # fmt: skip


def test_rejected_requests_are_allowed_only_where_asked():
    without = replaced(P2)
    assert violations(without, allow_rejected=True) == []
    assert violations([P0, P2], allow_rejected=True) == [("unserved", 6, 2, 0)]
    assert violations([], allow_rejected=True) == []
    # Late and accepted: the reward is lost and the penalty paid; rejected: nothing.
    rewards = THREE.replace(reward=[5, 3, 2], penalty=[1, 4, 0.5], horizon=12)
    assert schedule_value(rewards, SeparateSchedule(GOOD), "reward") == 3 + 2 - 1
    assert schedule_value(rewards, SeparateSchedule(without), "reward") == 3 - 1
    assert schedule_value(rewards, SeparateSchedule([]), "reward") == 0


def test_affine_times_are_rounded_up_to_microseconds():
    # 10.2 + 3·0.4 = 11.4 → 12 µs; token batch on 4 tokens: 10.2 + 0.3 + 4·0.05 = 10.7 → 11 µs.
    law = AffineTime(c0=0.0102, c1=0.0004, c2=0.0003, c3=0.00005)
    instance = Instance(gpu=Gpu(kv_capacity=9, batch_time=law), arrival=[0], prompt=[3], output=[2])
    prompt = Batch("prompt", 0, (0,))
    assert violations([prompt, Batch("token", 12, (0,))], instance) == []
    assert violations([prompt, Batch("token", 11, (0,))], instance) == [
        ("overlap", 11, 1, None), ("prompt-first", 11, 1, 0)
    ]  # fmt: skip
    (late,) = check_separate(instance, SeparateSchedule([prompt]))
    assert late.message == "request r0 lacks 1 job of 2"


def test_schedules_of_other_instances_and_kinds():
    with pytest.raises(InputError) as error:
        check_separate(THREE, SeparateSchedule([Batch("prompt", 0, (0, 3))]))
    assert str(error.value) == (
        "schedule.batches[0].requests: expected requests from 0 to 2, found 3"
    )
    with pytest.raises(InputError) as error:
        check_separate(THREE, SeparateSchedule([Batch("decode", 0, (0,))]))
    assert str(error.value) == (
        "schedule.batches[0].kind: expected 'prompt' or 'token', found 'decode'"
    )
    assert check(THREE.replace(gpu=Gpu(kv_capacity=20)), MixedSchedule([0, 2, 0])) == []


@given(st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_times_agree_with_the_durations_of_the_formulations(seed):
    # The schedule places each batch at the end of the last one, by the integer durations: no
    # overlap in the checker's fractions; one unit earlier, and there is one.
    instance = tiny_separate(seed, law=random_laws(seed))
    schedule = random_schedule(instance, seed)
    assert [each for each in check_separate(instance, schedule) if each.rule == "overlap"] == []
    first, *rest = schedule.batches
    if rest:
        early = int(schedule.ends(instance)[0]) - 1
        earlier = [first, Batch(rest[0].kind, early, rest[0].requests), *rest[1:]]
        (found,) = [
            each for each in check_separate(instance, SeparateSchedule(earlier))
            if each.rule == "overlap"
        ]  # fmt: skip
        assert found.amount == 1


@given(st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_kv_is_that_of_a_count_by_hand(seed):
    instance = tiny_separate(seed)
    schedule = random_schedule(instance, seed)
    found = {
        each.time: each.amount
        for each in check_separate(instance, schedule) if each.rule == "kv-capacity"
    }  # fmt: skip
    ends = schedule.ends(instance).tolist()
    jobs = [i for batch in schedule.batches for i in batch.requests]
    done = 0
    for batch, end in zip(schedule.batches, ends, strict=True):
        before, done = jobs[:done], done + len(batch.requests)
        held = 0
        for i in set(jobs[:done]):
            s, o = int(instance.prompt[i]), int(instance.output[i])
            if before.count(i) < o:  # not complete before this batch
                held += s + jobs[:done].count(i)
        assert found.get(end, 0) == max(0, held - instance.gpu.kv_capacity)


def mutated(schedule, instance, rng):
    """One thing changed: a start, a member, a kind, or a batch left out or done twice."""
    batches = list(schedule.batches)
    b = int(rng.integers(len(batches)))
    kind, start, members = batches[b].kind, batches[b].start, batches[b].requests
    other = int(rng.integers(instance.n))
    batches[b : b + 1] = [
        [Batch(kind, start + int(rng.integers(-2, 3)), members)],
        [Batch(kind, start, (*members, other))],
        [Batch(kind, start, members[1:])],
        [Batch("token" if kind == "prompt" else "prompt", start, members)],
        [],
        [batches[b], batches[b]],
        [batches[b]],
    ][int(rng.integers(7))]
    return SeparateSchedule(batches)


def test_all_batches_at_once_are_judged_as_one_by_one(monkeypatch):
    monkeypatch.setattr(feasibility, "surely_feasible", lambda *_, **__: False)
    rng = np.random.default_rng(5)
    verdicts = [0, 0]
    for seed in range(400):
        instance = tiny_separate(seed, law=random_laws(seed))
        if seed % 2:  # whose limits are not violated so often
            instance = instance.replace(gpu=Gpu(kv_capacity=50, batch_time=instance.gpu.batch_time))
        schedule = random_schedule(instance, seed)
        for candidate in (schedule, mutated(schedule, instance, rng)):
            for rejected in (False, True):
                expected = not check_separate(instance, candidate, allow_rejected=rejected)
                assert surely_feasible(instance, candidate, allow_rejected=rejected) == expected
                verdicts[expected] += 1
    assert min(verdicts) > 300


def test_where_64_bits_are_too_few_the_batches_are_checked_one_by_one():
    far = SeparateSchedule([Batch("prompt", 2**70, (0,)), Batch("token", 2**70 + 1, (0,))])
    one = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[2])
    assert not surely_feasible(one, far)
    assert check_separate(one, far) == []
