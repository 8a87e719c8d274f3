"""Codes of separate schedules: the compiled decoder against one that goes batch by batch."""

import dataclasses

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime, ConstantTime
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.regimes import check
from batchprophet.models.separate.problem import separate_problem
from batchprophet.models.separate.schedule import SeparateSchedule
from batchprophet.solvers.separate.search.encoding import Encoding
from batchprophet.solvers.separate.search.schedule_builder import (
    REACH,
    REJECTED,
    _columns,
    log_size,
    schedule_of,
    total_latency,
    working_space,
)

LAWS = (
    {},
    {"batch_time": ConstantTime(prompt=3, token=2)},
    {"batch_time": AffineTime(c0=2.0, c1=0.3, c2=0.2, c3=0.05)},
)
LIMITS = ({}, {"prompt_batch_requests": 3, "prompt_batch_tokens": 9, "token_batch_requests": 2})


def batch_by_batch(instance, code):
    """Follow the description of a code literally, one token batch at a time, for the unit law."""
    gpu = instance.gpu
    M, B_P = gpu.kv_capacity, gpu.prompt_batch_requests or instance.n
    C_P, B_D = gpu.prompt_batch_tokens or 10**9, gpu.token_batch_requests or instance.n
    running, batches, now, since, opened = {}, [], 0, 0, 0  # request: [tokens to go, KV held]
    left = code.order.tolist()

    def in_order():
        return sorted(running, key=lambda i: (running[i][0], -running[i][1], i))

    def safe():
        total = sum(held for _, held in running.values())
        if total > M:
            return False
        for i in in_order():
            if total + running[i][0] > M:
                return False
            total -= running[i][1]
        return True

    def admitted(i):
        running[i] = [int(instance.output[i]) - 1, int(instance.prompt[i]) + 1]
        if not safe():
            del running[i]
        return i in running

    def served(i):
        to_go, held = running[i]
        running[i] = [to_go - 1, held + 1]
        if not safe():
            running[i] = [to_go, held]
            return False
        return True

    while left or running:
        members = []
        reach = left[:REACH]
        here = [i for i in reach if instance.arrival[i] <= now]
        if (
            here
            and (not running or since >= code.wait[opened])
            and len(here) >= min(code.least[opened], len(reach))
        ):
            for i in reach:
                full = sum(instance.prompt[j] for j in [*members, i]) > C_P
                most = min(B_P, code.most[opened])
                fits = i in here and len(members) < most and not full
                if fits and admitted(i):
                    members.append(i)
                elif code.firm[i]:
                    break
        if members:
            left = [i for i in left if i not in members]
            batches.append(("prompt", tuple(members)))
            since, opened = 0, opened + 1
        elif not running:
            now += 1
            continue
        else:
            ranked = in_order()
            if len(ranked) > B_D and len(set(code.urgency[ranked])) > 1:
                for i in sorted(ranked, key=lambda i: -code.urgency[i]):
                    if len(members) < B_D and served(i):
                        members.append(i)
            if not members:
                for i in ranked[:B_D]:
                    if not served(i):
                        break
                    members.append(i)
            batches.append(("token", tuple(members)))
            since += 1
        now += 1
        running = {i: left for i, left in running.items() if left[0] > 0}
    return batches


def random_case(rng, n=None, **gpu):
    n, M = n or int(rng.integers(1, 10)), int(rng.integers(12, 40))
    instance = Instance(
        gpu=Gpu(kv_capacity=M, **gpu),
        arrival=np.sort(rng.integers(0, 15, n)),
        prompt=rng.integers(1, 6, n),
        output=rng.integers(1, M - 6, n),
    )
    urgency = rng.integers(0, 3, n) * rng.integers(0, 2)
    wait, least, most = rng.integers(0, 9, n), rng.integers(1, 4, n), rng.integers(1, 6, n)
    firm = rng.integers(0, 2, n) * rng.integers(0, 2)
    code = Encoding(rng.permutation(n), wait, least, most, urgency, firm)
    return instance, code


def decoded(instance, code):
    log = np.zeros(log_size(instance.output), np.int64)
    space = working_space(instance.n)
    latency = total_latency(separate_problem(instance), space, code, float(REJECTED), log)
    columns = _columns(log)
    batches = SeparateSchedule.of_columns(np.arange(columns.size.size), columns).batches
    return latency, [(batch.kind, batch.requests) for batch in batches]


def agrees(instance, code):
    """Decode both ways; the batches."""
    expected = batch_by_batch(instance, code)
    _, found = decoded(instance, code)
    assert [(kind, set(members)) for kind, members in found] == [
        (kind, set(members)) for kind, members in expected
    ]
    return expected


@pytest.mark.parametrize("limits", LIMITS)
def test_the_same_batches_as_batch_by_batch(limits):
    rng = np.random.default_rng(0)
    blocked = 0
    for _ in range(300):
        instance, code = random_case(rng, **limits)
        expected = agrees(instance, code)
        blocked += sum(kind == "token" for kind, _ in expected) > instance.output.max()
    assert blocked > 100  # KV or limits made requests wait for each other


def test_only_the_first_are_within_reach():
    rng = np.random.default_rng(3)
    for _ in range(5):
        agrees(*random_case(rng, n=REACH + 30, prompt_batch_requests=4))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("limits", LIMITS)
def test_the_latency_is_that_of_a_feasible_schedule(law, limits):
    rng = np.random.default_rng(1)
    for _ in range(60):
        instance, code = random_case(rng, **law, **limits)
        latency, _ = decoded(instance, code)
        schedule = schedule_of(instance, code)
        assert not check(instance, schedule)
        # Shifted to the left it may only be better.
        assert int((schedule.completion(instance) - instance.arrival).sum()) <= latency


@pytest.mark.parametrize("law", LAWS)
def test_the_latency_is_exact_where_nothing_can_be_moved(law):
    rng = np.random.default_rng(2)
    mixed = 0
    for _ in range(60):
        instance, code = random_case(rng, **law, **LIMITS[1])
        instance = dataclasses.replace(instance, arrival=np.zeros(instance.n, np.int64))
        latency, _ = decoded(instance, code)
        schedule = schedule_of(instance, code)
        assert int(schedule.completion(instance).sum()) == latency
        mixed += len(set(code.urgency.tolist())) > 1
    assert mixed > 10
