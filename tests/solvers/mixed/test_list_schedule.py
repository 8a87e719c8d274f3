"""List scheduling: identical to the plain round-by-round loop, on thousands of instances."""

from __future__ import annotations

import time

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule


def round_by_round(instance, rank, *, skip, planned):
    """The definition: at every boundary scan in order of rank, checking every future round."""
    M, n = instance.gpu.kv_capacity, instance.n
    a, s, o = (column.tolist() for column in (instance.arrival, instance.prompt, instance.output))
    start = [None] * n
    running, t = set(), 0
    while None in start:
        running = {i for i in running if start[i] + o[i] > t}
        waiting = [i for i in range(n) if start[i] is None and a[i] <= t]
        for i in sorted(waiting, key=lambda i: (rank[i], a[i], i)):
            alive = [(start[j], j) for j in running] + [(t, i)]
            last = max(k + planned[j] for k, j in alive)
            fits = all(
                sum(s[j] + r - k for k, j in alive if r <= k + planned[j]) <= M
                for r in range(t + 1, last + 1)
            )
            if fits:
                start[i] = t
                running.add(i)
            elif not skip:
                break
        t += 1
    return start


def random_instance(rng, most_requests=12):
    M = int(rng.integers(4, 40))
    n = int(rng.integers(1, most_requests))
    s = rng.integers(1, max(2, M // int(rng.integers(1, 6))), n)
    o = np.array([rng.integers(1, M - size + 1) for size in s])
    arrival = rng.integers(0, int(rng.integers(1, 60)), n)
    return Instance(gpu=Gpu(kv_capacity=M), arrival=arrival, prompt=s, output=o)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("exact", [False, True])
def test_starts_are_those_of_the_plain_loop(skip, exact):
    rng = np.random.default_rng([skip, exact])
    for _ in range(700):
        instance = random_instance(rng)
        planned = instance.output
        if not exact:
            planned = rng.integers(instance.output, instance.gpu.kv_capacity - instance.prompt + 1)
        rank = rng.integers(0, 6, instance.n)  # with ties
        schedule = list_schedule(instance, rank, skip=skip, planned=planned)
        expected = round_by_round(instance, rank, skip=skip, planned=planned.tolist())
        assert schedule.start.tolist() == expected
        assert check_mixed(instance, schedule) == []


def test_waiting_alone_makes_a_request_fit():
    # M = 9; r0 (s 3, o 4) runs from 0 to 4 and holds 7 in round 4. r1 (s 1, o 2) started at 2
    # would hold 3 there: 10 > 9. Started at 3 it holds 2: 9 fits, though nothing happened at 3.
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    for skip in (False, True):
        assert list_schedule(instance, [0, 1], skip=skip).start.tolist() == [0, 3]


def test_skipping_goes_on_after_one_that_does_not_fit():
    # M = 10: r1 (4, 5) runs first; r0 (5, 5) needs all of M once r1 has left, at 5, and blocks
    # r2 (1, 1) until then unless it is skipped.
    instance = Instance(
        gpu=Gpu(kv_capacity=10), arrival=[0, 0, 0], prompt=[5, 4, 1], output=[5, 5, 1]
    )
    rank = [1, 0, 2]
    assert list_schedule(instance, rank).start.tolist() == [5, 0, 5]
    assert list_schedule(instance, rank, skip=True).start.tolist() == [5, 0, 0]


def test_ties_go_by_arrival_then_by_position():
    # One at a time (M = s + o = 4): equal ranks, so in order of arrival, equal ones as they stand.
    instance = Instance(gpu=Gpu(kv_capacity=4), arrival=[1, 0, 1], prompt=[2] * 3, output=[2] * 3)
    assert list_schedule(instance, [0.5] * 3).start.tolist() == [2, 0, 4]


def test_an_early_leaver_frees_its_place_at_its_true_completion():
    # Planned for 6 rounds, r0 leaves after 2; only then does r1 (planned alike) fit.
    instance = Instance(gpu=Gpu(kv_capacity=8), arrival=[0, 0], prompt=[2, 2], output=[2, 2])
    schedule = list_schedule(instance, [0, 1], planned=[6, 6])
    assert schedule.start.tolist() == [0, 2]


def test_times_near_10_to_the_12_do_not_overflow():
    # The same instance a trillion rounds later gives the same schedule, shifted.
    rng = np.random.default_rng(5)
    instance = random_instance(rng, most_requests=200)
    later = instance.replace(arrival=instance.arrival + 10**12)
    for skip in (False, True):
        near, far = (list_schedule(i, i.output, skip=skip).start for i in (instance, later))
        assert np.array_equal(near + 10**12, far)


def test_a_wrong_rank_or_plan_is_refused():
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    refused = [
        ({"rank": [1]}, "rank: expected 2 numbers, one per request, none of them NaN; "
                        "found int64 of shape (1,)"),
        ({"rank": [1.0, np.nan]}, "rank: expected 2 numbers, one per request, none of them NaN; "
                                  "found float64 of shape (2,)"),
        ({"rank": [1, 2], "planned": [3, 2]},
         "planned[0]: expected from output = 4 to kv_capacity − prompt = 6 tokens, found 3"),
        ({"rank": [1, 2], "planned": [4, 9]},
         "planned[1]: expected from output = 2 to kv_capacity − prompt = 8 tokens, found 9"),
        ({"rank": [1, 2], "planned": [4.0, 2.0]},
         "planned: expected 2 integers, one per request; found float64 of shape (2,)"),
    ]  # fmt: skip
    for arguments, message in refused:
        with pytest.raises(InputError) as error:
            list_schedule(instance, **arguments)
        assert str(error.value) == message


def overloaded(n, load, seed=0):
    """Poisson arrivals, lognormal lengths, M = 65,536: `load` times what the GPU can serve."""
    rng = np.random.default_rng(seed)
    s = np.minimum(np.exp(rng.normal(6.5, 1.0, n)).astype(int) + 1, 8000)
    o = np.minimum(np.exp(rng.normal(5.0, 0.8, n)).astype(int) + 1, 1000)
    M = 65_536
    work = float((s * o + o * (o + 1) / 2).sum()) / M
    arrival = np.sort(rng.uniform(0, work / load, n)).astype(int)
    return Instance(gpu=Gpu(kv_capacity=M), arrival=arrival, prompt=s, output=o)


@pytest.mark.slow
@pytest.mark.parametrize("skip", [False, True])
def test_a_million_requests_take_seconds(skip):
    # About 85 running; ten times the time measured, since machines differ.
    instance = overloaded(1_000_000, load=0.9)
    list_schedule(instance.take(range(10)), range(10), skip=skip)  # compile
    began = time.perf_counter()
    list_schedule(instance, instance.arrival, skip=skip)
    assert time.perf_counter() - began < 30


@pytest.mark.parametrize("skip", [False, True])
def test_an_overload_with_a_long_queue_stays_fast(skip):
    # Twice the load: the queue grows to some 10,000 of the 20,000 requests.
    instance = overloaded(20_000, load=2.0)
    list_schedule(instance.take(range(10)), range(10), skip=skip)  # compile
    began = time.perf_counter()
    list_schedule(instance, instance.volume, skip=skip)
    assert time.perf_counter() - began < 5
