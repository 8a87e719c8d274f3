"""Search: feasible, never worse, reproducible, and optimal where brute force can tell."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.schedule import Eviction, MixedSchedule
from batchprophet.models.objectives import total_latency
from batchprophet.solvers.limits import Budget, Incumbent
from batchprophet.solvers.mixed.list_scheduling.list_schedule import list_schedule
from batchprophet.solvers.mixed.search.annealing import anneal, begin, decode, waiting_part
from batchprophet.solvers.mixed.search.greedy import greedy_starts
from batchprophet.solvers.mixed.search.large_neighbourhood import Neighbourhood
from batchprophet.solvers.mixed.search.place import place_all
from batchprophet.solvers.mixed.search.priced_orders import priced_starts
from batchprophet.solvers.mixed.search.profile import NOWHERE, add_run, earliest_start, remove_run
from batchprophet.solvers.mixed.search.recipe import improve_schedule
from batchprophet.solvers.random_stream import below, random_stream, uniform
from tests.brute_force import brute_force
from tests.strategies import random_instance


def latency(instance, schedule):
    return total_latency(instance, schedule.completion(instance))


def one_by_one(instance):
    """A poor feasible schedule: each request alone, in the instance's order."""
    end = int(instance.arrival.max())
    return MixedSchedule(end + np.cumsum(instance.output) - instance.output)


def whole(instance, rounds):
    ones = np.ones(instance.n, np.int64)
    nothing = np.zeros(rounds + 1, np.int64)
    return waiting_part(
        release=instance.arrival.copy(),
        prompt=instance.prompt.copy(),
        output=instance.output.copy(),
        weight=ones,
        fixed=nothing,
        M=instance.gpu.kv_capacity,
    )


def test_earliest_start_is_the_first_that_a_scan_over_all_rounds_finds():
    rng = np.random.default_rng(0)
    for _ in range(3000):
        M, H = int(rng.integers(3, 40)), 60
        held = rng.integers(0, M, H + 1)
        s = int(rng.integers(1, M))
        o, k = int(rng.integers(1, M - s + 1)), int(rng.integers(0, 30))
        fitting = [
            first
            for first in range(k, H - o + 1)
            if all(held[first + j] + s + j <= M for j in range(1, o + 1))
        ]
        expected = fitting[0] if fitting else NOWHERE
        assert earliest_start(held, M, s, o, k) == expected


def test_a_run_that_is_added_and_removed_leaves_no_trace():
    held = np.zeros(8, np.int64)
    add_run(held, 3, 4, 1)  # rounds 2 … 5 hold s + 1 … s + 4
    assert held.tolist() == [0, 0, 4, 5, 6, 7, 0, 0]
    remove_run(held, 3, 4, 1)
    assert not held.any()


def test_the_random_stream_covers_its_range_and_repeats():
    first, second = random_stream(3), random_stream(3)
    drawn = [below(first, 5) for _ in range(1000)]
    assert drawn == [below(second, 5) for _ in range(1000)]
    assert sorted(set(drawn)) == [0, 1, 2, 3, 4]
    assert abs(np.mean([uniform(first) for _ in range(10_000)]) - 0.5) < 0.02


def test_what_annealing_keeps_is_what_a_full_decode_gives():
    # The incremental decode must agree with one from scratch, wherever the walk is stopped.
    rng = np.random.default_rng(1)
    for seed in range(40):
        instance = random_instance(rng, int(rng.integers(1, 20)), capacity=(6, 30))
        part = whole(instance, 1000)
        walk = begin(part, rng.permutation(instance.n))
        stream = random_stream(seed)
        for now in range(0, 300, 50):
            anneal(part, walk, stream, (now, now + 50, 300), (10.0, 0.5), 0.2)
            again = begin(part, walk.order, walk.delay)
            assert again.start.tolist() == walk.start.tolist()
            waited = int((walk.start - part.release).sum())
            assert again.cost[0] == walk.cost[0] == waited
            assert walk.cost[1] == int((walk.best - part.release).sum())
            assert check_mixed(instance, MixedSchedule(walk.best)) == []


def test_a_walk_does_not_depend_on_where_it_pauses():
    instance = make_instance("arrival-model-1", seed=100)
    part = whole(instance, 2000)
    starts = []
    for pauses in ([0, 4000], [0, 1, 777, 3000, 4000]):
        walk, stream = begin(part, np.argsort(instance.output)), random_stream(5)
        for now, end in pairwise(pauses):
            anneal(part, walk, stream, (now, end, 4000), (20.0, 0.5), 0.05)
        starts.append(walk.best.tolist())
    assert starts[0] == starts[1]


def test_fixed_runs_are_left_in_peace():
    # One request (2, 3), M = 10; the fixed runs hold 6 in rounds 1 … 4, so it would hold 9, 10, 11:
    # its third token must be in round 5, so it starts at 2.
    part = waiting_part(
        *(np.array([x]) for x in (0, 2, 3, 1)), np.array([0, 6, 6, 6, 6, 0, 0, 0]), 10
    )
    assert begin(part, np.array([0])).start.tolist() == [2]


def test_a_code_that_passes_the_last_round_is_none():
    part = waiting_part(*(np.array([x]) for x in (0, 2, 3, 1)), np.zeros(3, np.int64), 10)
    assert begin(part, np.array([0])) is None


def test_a_decode_stops_at_its_limit():
    part = waiting_part(
        *(np.array(x) for x in ([0, 0], [2, 2], [2, 2], [1, 1])), np.zeros(9, np.int64), 4
    )
    walk = begin(part, np.array([0, 1]))  # one after the other: starts 0 and 2
    assert decode(part, walk, 0, 2, 2.0, 99.0) == 2
    assert decode(part, walk, 0, 2, 1.0, 99.0) > 2


def test_delays_find_what_no_order_gives():
    # No order of serial list scheduling is below 45; the optimum is 44.
    instance = Instance(
        gpu=Gpu(kv_capacity=12),
        arrival=[0] * 6,
        prompt=[1, 1, 1, 1, 2, 1],
        output=[3, 1, 10, 4, 8, 4],
    )
    part = whole(instance, 200)
    best = {}
    for delays in (0.0, 0.1):
        walk = begin(part, np.arange(6))
        anneal(part, walk, random_stream(0), (0, 20_000, 20_000), (5.0, 0.5), delays)
        best[delays] = latency(instance, MixedSchedule(walk.best))
    assert best == {0.0: 45, 0.1: 44}
    found = improve_schedule(instance, one_by_one(instance), time_limit=0, work_limit=300_000)
    assert latency(instance, found) == 44


def test_tiny_instances_are_solved_to_optimality():
    rng = np.random.default_rng(2)
    for seed in range(60):
        instance = random_instance(rng, int(rng.integers(1, 6)), capacity=(4, 10), last_arrival=5)
        found = improve_schedule(
            instance, one_by_one(instance), time_limit=0, work_limit=60_000, seed=seed
        )
        assert check_mixed(instance, found) == []
        assert latency(instance, found) == brute_force(instance)[0]


@pytest.mark.parametrize("n", [40, 400])  # annealed as a whole, and by windows
def test_better_schedules_are_told_checked_and_repeatable(n):
    instance = make_instance("lognormal-burst", seed=7, settings={"n": n})
    given = list_schedule(instance, instance.arrival)
    told = []
    runs = [
        improve_schedule(
            instance,
            given,
            time_limit=0,
            work_limit=400_000,
            seed=3,
            found=lambda schedule, value: told.append((schedule, value)),
        )
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    half = told[: len(told) // 2]
    values = [value for _, value in half]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == len(values)
    for schedule, value in half:
        assert check_mixed(instance, schedule) == []
        assert latency(instance, schedule) == value
    assert half[-1][0] == runs[0]
    greedy = min(latency(instance, list_schedule(instance, rank)) for rank in
                 (instance.output, instance.volume, instance.peak))  # fmt: skip
    assert values[-1] < greedy


def test_the_schedule_given_is_never_made_worse():
    # At no work at all it comes back as it is.
    rng = np.random.default_rng(4)
    for _ in range(30):
        instance = random_instance(rng, 8)
        given = list_schedule(instance, rng.random(8), skip=True)
        none = improve_schedule(instance, given, time_limit=0, work_limit=0)
        assert none == given
        some = improve_schedule(instance, given, time_limit=0, work_limit=5_000)
        assert latency(instance, some) <= latency(instance, given)


def test_arrivals_far_from_zero_change_nothing():
    instance = make_instance("arrival-model-2", seed=101)
    later = instance.replace(arrival=instance.arrival + 10**12)
    near, far = (
        improve_schedule(
            x, list_schedule(x, x.arrival), time_limit=0, work_limit=200_000, seed=1
        ).start
        for x in (instance, later)
    )
    assert np.array_equal(near + 10**12, far)


@pytest.mark.parametrize("n", [50, 1000])
def test_it_ends_when_told_to(n):
    instance = make_instance("lognormal-burst", seed=1, settings={"n": n})
    given = list_schedule(instance, instance.output)
    improve_schedule(instance, given, time_limit=0, work_limit=200_000)  # compile
    began = time.perf_counter()
    improve_schedule(instance, given, time_limit=60, stop=lambda: time.perf_counter() > began + 0.5)
    assert 0.5 <= time.perf_counter() - began < 1.5  # the machine may be busy; 0.05 s when idle
    began = time.perf_counter()
    improve_schedule(instance, given, time_limit=0.3)
    assert 0.3 <= time.perf_counter() - began < 1.3


def test_what_cannot_be_used_is_refused():
    instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    good = MixedSchedule([0, 4])
    refused = [
        (MixedSchedule([0, 2]), {}, "schedule: must be feasible, found: KV capacity 9 exceeded by "
                                    "1 token in round 4 (10 tokens held)"),
        (good, {"time_limit": -1.0}, "time_limit: expected at least 0 seconds, found -1.0"),
        (good, {"work_limit": -1}, "work_limit: expected at least 0 placements, found -1"),
        (good, {"seed": -1}, "seed: expected an integer of at least 0, found -1"),
    ]  # fmt: skip
    for schedule, arguments, message in refused:
        with pytest.raises(InputError) as error:
            improve_schedule(instance, schedule, **{"time_limit": 1.0, **arguments})
        assert str(error.value) == message


def test_a_neighbourhood_keeps_its_profile_and_never_gets_worse():
    # After any number of windows, `held` must be what its starts hold, counted run by run.
    instance = make_instance("lognormal-burst", seed=3, settings={"n": 200, "kv_capacity": 20_000})
    given = list_schedule(instance, instance.output)
    incumbent = Incumbent(instance, given, None)
    neighbourhood = Neighbourhood(instance, given.start)
    before = given.start.sum()
    neighbourhood.compact(Budget(0, 10_000, None), incumbent)
    for work in (100_000, 300_000):
        neighbourhood.improve(Budget(0, work, None), incumbent, random_stream(work))
        schedule = MixedSchedule(neighbourhood.start)
        assert check_mixed(instance, schedule) == []
        assert schedule.start.sum() < before
        assert incumbent.value == latency(instance, schedule)
        before = schedule.start.sum()
        held = np.zeros_like(neighbourhood.held)
        for s, o, k in zip(instance.prompt, instance.output, schedule.start, strict=True):
            held[k + 1 : k + o + 1] += s + np.arange(1, o + 1)
        assert np.array_equal(held, neighbourhood.held)


def bursts(seed, *, apart):
    """Three bursts of requests, `apart` rounds one after the other, the second late."""
    rng = np.random.default_rng(seed)
    n = 12
    prompt = rng.integers(1, 20, 3 * n)
    return Instance(
        gpu=Gpu(kv_capacity=40),
        arrival=np.repeat([7, 7 + apart, 7 + 2 * apart], n),
        prompt=prompt,
        output=rng.integers(1, 20, 3 * n),
    )


def test_busy_stretches_end_where_the_gpu_is_empty_and_a_request_starts_on_arrival():
    for seed in range(50):
        instance = bursts(seed, apart=60)
        given = list_schedule(instance, instance.output)
        neighbourhood = Neighbourhood(instance, given.start)
        stretches = neighbourhood.stretches()
        assert sorted(np.concatenate(stretches).tolist()) == list(range(instance.n))
        completion = given.completion(instance)
        for before, after in pairwise(stretches):
            assert completion[before].max() <= given.start[after].min()
            first = after[0]
            assert given.start[first] == instance.arrival[first]
        for inside in stretches:  # nowhere else could one be cut
            for k in given.start[inside[1:]]:
                earlier = inside[given.start[inside] < k]
                busy = earlier.size and completion[earlier].max() > k
                on_arrival = instance.arrival[inside][given.start[inside] == k] == k
                assert busy or not on_arrival.all() or given.start[inside[0]] == k


def test_starts_of_a_stretch_are_adopted_if_all_gain_by_them():
    # Alone a stretch may run on into the next one, whose requests are in the way.
    gained = 0
    for seed in range(200):
        rng = np.random.default_rng([1, seed])
        instance = bursts(seed, apart=40)
        given = list_schedule(instance, instance.arrival)
        incumbent = Incumbent(instance, given, None)
        neighbourhood = Neighbourhood(instance, given.start)
        for members in neighbourhood.stretches():
            before = int(neighbourhood.start.sum())
            alone = instance.take(members.tolist())
            start = list_schedule(alone, rng.permutation(alone.n)).start
            neighbourhood.adopt(
                members, start - neighbourhood.origin, Budget(0, 10_000, None), incumbent
            )
            schedule = MixedSchedule(neighbourhood.start + neighbourhood.origin)
            assert check_mixed(instance, schedule) == []
            assert int(neighbourhood.start.sum()) <= before
            gained += int(neighbourhood.start.sum()) < before
            held = np.zeros_like(neighbourhood.held)
            for s, o, k in zip(instance.prompt, instance.output, neighbourhood.start, strict=True):
                held[k + 1 : k + o + 1] += s + np.arange(1, o + 1)
            assert np.array_equal(held, neighbourhood.held)
        assert incumbent.value == latency(instance, MixedSchedule(schedule.start))
    assert gained > 50


def test_several_bursts_are_searched_one_by_one():
    # Stretches of 2 to 148 requests: too many for one search, not for one each.
    instance = make_instance("azure-code", seed=1, settings={"n": 400, "kv_capacity": 16384})
    given = list_schedule(instance, instance.volume)
    assert len(Neighbourhood(instance, given.start).stretches()) > 3
    found = improve_schedule(instance, given, time_limit=0, work_limit=300_000, seed=1)
    assert check_mixed(instance, found) == []
    assert found == improve_schedule(instance, given, time_limit=0, work_limit=300_000, seed=1)
    greedy = min(latency(instance, MixedSchedule(start)) for start in greedy_starts(instance))
    assert latency(instance, found) < greedy


def test_aborted_runs_are_left_out():
    # (2, 2) alone, aborted at 1 and started again at 3: the search starts it at 0.
    instance = Instance(gpu=Gpu(kv_capacity=4), arrival=[0], prompt=[2], output=[2])
    given = MixedSchedule([3], [Eviction(0, 0, 1)])
    found = improve_schedule(instance, given, time_limit=0, work_limit=100)
    assert found == MixedSchedule([0])


def test_placing_in_order_gives_everyone_the_earliest_start_beside_those_before():
    rng = np.random.default_rng(5)
    for _ in range(100):
        instance = random_instance(rng, 7, capacity=(6, 30))
        order = rng.permutation(7)
        start = place_all(instance, order)
        for count, i in enumerate(order):
            before = order[:count]
            beside = instance.take(before.tolist()) if count else None
            for k in range(int(instance.arrival[i]), int(start[i]) + 1):
                both = instance.take([*before.tolist(), int(i)])
                violations = check_mixed(both, MixedSchedule([*start[before], k]))
                assert (violations == []) == (k == start[i])
            assert beside is None or check_mixed(beside, MixedSchedule(start[before])) == []


def test_schedules_by_prices_better_every_list_schedule_on_a_burst():
    instance = make_instance("lognormal-burst", seed=2, settings={"n": 400})
    incumbent = Incumbent(instance, list_schedule(instance, instance.volume), None)
    greedy = min(int(start.sum()) for start in greedy_starts(instance))
    best = priced_starts(instance, Budget(0, 10**9, None), incumbent)
    for start in best:
        assert check_mixed(instance, MixedSchedule(start)) == []
    assert incumbent.schedule.start.sum() == min(start.sum() for start in best) < greedy


def test_schedules_by_prices_repeat_themselves_and_end_with_their_budget():
    instance = make_instance("lognormal-burst", seed=2, settings={"n": 100})
    given = list_schedule(instance, instance.volume)
    runs = [
        priced_starts(instance, Budget(0, 10**8, None), Incumbent(instance, given, None))
        for _ in range(2)
    ]
    assert [x.tolist() for x in runs[0]] == [x.tolist() for x in runs[1]]
    assert priced_starts(instance, Budget(0, 0, None), Incumbent(instance, given, None)) == []
    began = time.perf_counter()
    stopped = Budget(60.0, None, lambda: time.perf_counter() > began + 0.2)
    larger = make_instance("lognormal-burst", seed=2, settings={"n": 4000})
    priced_starts(larger, stopped, Incumbent(larger, list_schedule(larger, larger.volume), None))
    assert time.perf_counter() - began < 2.0
