"""The checker of continuous batching, rule by rule, and against a naive reference."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime, ConstantTime, UnitTime
from batchprophet.models.continuous.feasibility import RULES, check_continuous
from batchprophet.models.continuous.problem import require_continuous
from batchprophet.models.continuous.schedule import Batch, ContinuousSchedule
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from tests.tiny_continuous import random_continuous, tiny_continuous

# r0 = (a 0, s 3, o 3), r1 = (a 2, s 1, o 2), under the unit law.
GPU = Gpu(kv_capacity=9, running_requests=2, batch_tokens=4)
TWO = Instance(gpu=GPU, arrival=[0, 2], prompt=[3, 1], output=[3, 2])
GOOD = [
    Batch(0, prefill=((0, 2),)),
    Batch(1, prefill=((0, 1),)),
    Batch(2, prefill=((1, 1),), decode=(0,)),
    Batch(3, decode=(0, 1)),
]


def rules(batches, instance=TWO, **options):
    found = check_continuous(instance, ContinuousSchedule(batches), **options)
    return [(each.rule, each.time, each.amount, each.request) for each in found]


def changed(k, *new):
    return [*GOOD[:k], *new, *GOOD[k + 1 :]]


def with_gpu(**limits):
    return TWO.replace(gpu=Gpu(**{"kv_capacity": 9, **limits}))


def test_a_feasible_schedule():
    assert rules(GOOD) == []


@pytest.mark.parametrize(
    ("batches", "instance", "expected"),
    [
        ([*GOOD, Batch(4)], TWO, ("empty-batch", 4, 1, None)),
        (changed(1, Batch(0, prefill=((0, 1),))), TWO, ("overlap", 0, 1, None)),
        (changed(2, Batch(2, ((1, 1),), (0,), (1,))), TWO, ("preempt", 2, 1, 1)),
        (changed(3, Batch(3, decode=(0, 1, 1))), TWO, ("twice", 3, 1, 1)),
        (changed(0, Batch(0, ((0, 2), (1, 1)))), TWO, ("arrival", 0, 2, 1)),
        (changed(1, Batch(1, ((0, 2),))), TWO, ("chunk", 1, 1, 0)),
        (GOOD, with_gpu(chunked_prefill=False), ("whole-prompt", 0, 1, 0)),
        ([*GOOD, Batch(4, decode=(0,))], TWO, ("tokens", 4, 1, 0)),
        (changed(1, Batch(1, decode=(0,))), TWO, ("prompt-first", 1, 1, 0)),
        (GOOD, with_gpu(batch_tokens=1), ("batch-tokens", 0, 1, None)),
        (GOOD, with_gpu(running_requests=1), ("running-requests", 3, 1, None)),
        (GOOD, with_gpu(kv_capacity=6), ("kv-capacity", 4, 1, None)),
        (GOOD[:3], TWO, ("unserved", 3, 1, 0)),
    ],
)  # fmt: skip
def test_each_rule_once(batches, instance, expected):
    # Caches at the ends of GOOD: 2; 3; 4 + 1; 5 + 2, before both are freed.
    assert expected in rules(batches, instance)


def test_every_rule_has_its_case():
    (mark,) = [each for each in test_each_rule_once.pytestmark if each.name == "parametrize"]
    assert {expected[0] for _, _, expected in mark.args[1]} == set(RULES)


def test_blocks_are_whole():
    # 5 + 2 tokens are 3 + 1 blocks of 2; 8 tokens have 4 blocks, 7 have 3.
    assert rules(GOOD, with_gpu(kv_capacity=8, kv_block=2)) == []
    assert ("kv-capacity", 4, 2, None) in rules(GOOD, with_gpu(kv_capacity=7, kv_block=2))


def test_a_dropped_cache_is_read_again_with_the_tokens_emitted():
    again = Batch(3, prefill=((0, 5),), decode=(1,), preempt=(0,))
    wide = with_gpu(kv_capacity=9)
    assert rules(changed(3, again), wide) == []
    assert ("chunk", 3, 1, 0) in rules(changed(3, Batch(3, ((0, 6),), (1,), (0,))), wide)


def test_batches_of_prompts_have_the_intercept_of_their_own():
    # 5 + 2·2 = 9 µs for two prompt tokens alone; 10 + 1·2 + 1·3 = 15 with a token job in it.
    law = AffineTime(c0=0.01, c1=0.002, c2=0.003, c3=0, c0_prompt=0.005)
    instance = with_gpu(batch_time=law)
    batches = [Batch(0, ((0, 2),)), Batch(9, ((0, 1),)), Batch(16, ((1, 1),), (0,))]
    assert rules([*batches, Batch(31, decode=(0, 1))], instance) == []
    assert rules([*batches, Batch(30, decode=(0, 1))], instance) == [("overlap", 30, 1, None)]


def reference(instance, schedule, *, allow_rejected):
    """The rules once more, request by request in plain Python; (rule, time, request) of each."""
    gpu, law, found = instance.gpu, instance.gpu.batch_time, []
    state = dict.fromkeys(range(instance.n), (0, 0, False))  # tokens, cache, prompt complete
    touched, free_from = set(), -(10**18)
    for batch in schedule.batches:
        t = batch.start
        if not batch.prefill and not batch.decode:
            found.append(("empty-batch", t, None))
        if t < free_from:
            found.append(("overlap", t, None))
        for i in batch.preempt:
            if state[i][1] == 0:
                found.append(("preempt", t, i))
            state[i] = (state[i][0], 0, False)
        p = kv = 0
        jobs, met, complete = [], set(), []
        items = [(i, None) for i in batch.decode] + list(batch.prefill)
        for i, tokens in items:
            g, cache, ready = state[i]
            s, o = int(instance.prompt[i]), int(instance.output[i])
            if i in met:
                found.append(("twice", t, i))
                continue
            met.add(i)
            touched.add(i)
            if tokens is not None and t < instance.arrival[i]:
                found.append(("arrival", t, i))
            if g == o:
                found.append(("tokens", t, i))
            elif tokens is None and not ready:
                found.append(("prompt-first", t, i))
            elif tokens is None:
                jobs.append(i)
                kv += s + g
                state[i] = (g + 1, cache + 1, True)
            else:
                left = 0 if ready else s + g - cache
                if not 1 <= tokens <= left:
                    found.append(("chunk", t, i))
                    continue
                if tokens < left and not gpu.chunked_prefill:
                    found.append(("whole-prompt", t, i))
                p += tokens
                last = tokens == left
                state[i] = (g + last, cache + tokens, last)
            if state[i][0] == o and g < o:
                complete.append(i)
        if isinstance(law, UnitTime):
            took = 1
        else:
            c0 = law.c0 if jobs or law.c0_prompt is None else law.c0_prompt
            parts = (c0, 1), (law.c1, p), (law.c2, len(jobs)), (law.c3, kv)
            took = math.ceil(1000 * sum(Fraction(repr(c)) * x for c, x in parts))
        end = t + took
        free_from = max(free_from, end)
        if gpu.batch_tokens is not None and p + len(jobs) > gpu.batch_tokens:
            found.append(("batch-tokens", t, None))
        held = [cache for _, cache, _ in state.values() if cache]
        if gpu.running_requests is not None and len(held) > gpu.running_requests:
            found.append(("running-requests", end, None))
        if sum(math.ceil(c / gpu.kv_block) for c in held) > gpu.kv_capacity // gpu.kv_block:
            found.append(("kv-capacity", end, None))
        for i in complete:
            state[i] = (state[i][0], 0, False)
    found += [
        ("unserved", max(free_from, 0), i)
        for i in range(instance.n)
        if state[i][0] < instance.output[i] and not (allow_rejected and i not in touched)
    ]
    return sorted(found, key=repr)


def mutated(schedule, instance, rng):
    """One thing changed: a start, a member, a chunk, a drop, or a batch left out or done twice."""
    batches = list(schedule.batches)
    b = int(rng.integers(len(batches)))
    old, i = batches[b], int(rng.integers(instance.n))
    start, chunks, jobs, drops = old.start, old.prefill, old.decode, old.preempt
    batches[b : b + 1] = [
        [Batch(start + int(rng.integers(-2, 3)), chunks, jobs, drops)],
        [Batch(start, chunks, (*jobs, i), drops)],
        [Batch(start, chunks, jobs[1:], drops)],
        [Batch(start, (*chunks, (i, int(rng.integers(1, 4)))), jobs, drops)],
        [Batch(start, tuple((k, p + int(rng.integers(-1, 2))) for k, p in chunks), jobs, drops)],
        [Batch(start, chunks, jobs, (*drops, i))],
        [],
        [old, old],
    ][int(rng.integers(8))]
    return ContinuousSchedule(batches)


def test_the_checker_is_the_reference_on_thousands_of_schedules():
    rng = np.random.default_rng(7)
    seen = Counter()
    for seed in range(1500):
        instance = tiny_continuous(seed)
        schedule = random_continuous(instance, seed)
        for candidate in (schedule, mutated(schedule, instance, rng)):
            for rejected in (False, True):
                found = check_continuous(instance, candidate, allow_rejected=rejected)
                mine = sorted(((v.rule, v.time, v.request) for v in found), key=repr)
                assert mine == reference(instance, candidate, allow_rejected=rejected), seed
                seen.update({rule for rule, _, _ in mine} or {"feasible"})
    assert min(seen[rule] for rule in (*RULES, "feasible")) >= 20, seen


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"batch_time": ConstantTime(prompt=1, token=1)}, "takes the affine or the unit law"),
        ({"token_batch_requests": 2}, "knows no limits of separate batching"),
        ({"kv_capacity": 9, "kv_block": 8}, None),
        ({"kv_capacity": 7, "kv_block": 4}, "must fit in the 1 blocks of 4 tokens"),
        ({"batch_tokens": 2, "chunked_prefill": False}, "not read in chunks, found 3"),
    ],
)
def test_what_the_regime_refuses(limits, message):
    instance = with_gpu(**limits)
    if message is None:
        require_continuous(instance)
        return
    with pytest.raises(InputError, match=message):
        require_continuous(instance)


@pytest.mark.parametrize("output", [[2**24 + 1], [2**24] * 17])
def test_more_tokens_than_a_schedule_lists_are_refused(output):
    n = len(output)
    instance = Instance(gpu=Gpu(kv_capacity=2**25), arrival=[0] * n, prompt=[3] * n, output=output)
    with pytest.raises(InputError, match=r"^requests: continuous batching lists every token job"):
        require_continuous(instance)


def test_requests_of_other_instances_are_refused():
    with pytest.raises(InputError, match="decode: expected requests from 0 to 1, found 2"):
        check_continuous(TWO, ContinuousSchedule([Batch(0, decode=(2,))]))
