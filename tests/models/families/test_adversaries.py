"""What the adversaries break: ratios to a simple good schedule grow without bound.

The list scheduler here is a plain one of its own, round by round, with the KV check at every
future round; both schedules that are compared come from it, so both are feasible.
"""

from itertools import pairwise

import numpy as np
import pytest

from batchprophet.models.families import make_instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.online.mixed import simulate

SIZES = (64, 256, 1024)


def list_schedule(instance, preference, *, release=None):
    """Start what waits by least preference, then position; stop at the first that does not fit."""
    M = instance.gpu.kv_capacity
    arrival = instance.arrival.copy() if release is None else release
    ranked = np.argsort(preference, kind="stable").tolist()
    start = np.full(instance.n, -1)
    held = np.zeros(int(arrival.max() + instance.output.sum() + 2), dtype=np.int64)
    t = 0
    while ranked:
        for i in [i for i in ranked if arrival[i] <= t]:
            s, o = int(instance.prompt[i]), int(instance.output[i])
            rounds = slice(t + 1, t + o + 1)
            grown = held[rounds] + s + np.arange(1, o + 1)
            if grown.max() > M:
                break
            held[rounds] = grown
            start[i] = t
            ranked.remove(i)
        t += 1
    schedule = MixedSchedule(start)
    assert check_mixed(instance, schedule) == []
    return int((schedule.completion(instance) - instance.arrival).sum())


def positions(instance):
    return np.arange(instance.n)


def grows_like_the_root(ratios):
    """Whether each quadrupling of M multiplies the ratio by about two (between 1.6 and 2.4)."""
    return all(1.6 < b / a < 2.4 for a, b in pairwise(ratios))


@pytest.mark.parametrize("b", [0, 5])
def test_the_sqrt_adversary_breaks_a_policy_that_starts_the_long_request_at_b(b):
    ratios = []
    for M in SIZES:
        instance = make_instance("sqrt-adversary", settings={"kv_capacity": M, "b": b})
        attacked = instance.arrival.copy()
        attacked[0] = b
        policy = list_schedule(instance, positions(instance), release=attacked)
        late = instance.arrival.copy()
        late[0] = instance.arrival[-1]
        burst_first = list_schedule(instance, -positions(instance), release=late)
        ratios.append(policy / burst_first)
    assert grows_like_the_root(ratios)
    assert ratios[-1] > 2


def test_the_sqrt_adversary_breaks_a_patient_policy_too():
    # For b > M hindsight runs the long request at once; all of the burst's pain is the policy's.
    ratios = []
    for M in SIZES:
        instance = make_instance("sqrt-adversary", settings={"kv_capacity": M, "b": 2 * M})
        attacked = instance.arrival.copy()
        attacked[0] = 2 * M
        policy = list_schedule(instance, positions(instance), release=attacked)
        at_once = list_schedule(instance, positions(instance))
        ratios.append((policy - 3 * M) / at_once)
        assert at_once == (M - 1) + M // 2
    assert grows_like_the_root(ratios)


def test_the_burst_comes_while_the_long_request_holds_almost_all():
    # M = 100, b = 7: r = 7 + 100 − 5; the long one ends at 7 + 99, four rounds after r, and at r
    # holds 1 + 95 of 100 tokens: two free pairs of tokens in the next round at most.
    instance = make_instance("sqrt-adversary", settings={"kv_capacity": 100, "b": 7})
    assert instance.n == 51
    assert set(instance.arrival[1:].tolist()) == {102}
    assert (instance.prompt[0], instance.output[0]) == (1, 99)


def test_the_fcfs_breaker_breaks_first_come_first_served():
    ratios = []
    for M in SIZES:
        instance = make_instance("fcfs-breaker", settings={"kv_capacity": M, "blocks": 2})
        fcfs = list_schedule(instance, instance.arrival)
        small_first = list_schedule(instance, instance.prompt)
        ratios.append(fcfs / small_first)
    assert grows_like_the_root(ratios)
    assert ratios[-1] > 5


def test_the_shortest_output_breaker_breaks_shortest_output_first_and_not_shortest_total():
    ratios = []
    for M in SIZES:
        instance = make_instance(
            "shortest-output-breaker", settings={"kv_capacity": M, "blocks": 2}
        )
        shortest_output = list_schedule(instance, instance.output)
        narrow_first = list_schedule(instance, instance.prompt)
        shortest_total = list_schedule(instance, instance.peak)
        assert shortest_total == narrow_first
        # It is the outputs that mislead, not the order in the file.
        backwards = instance.take(-positions(instance) - 1)
        assert list_schedule(backwards, backwards.output) == shortest_output
        ratios.append(shortest_output / narrow_first)
    assert grows_like_the_root(ratios)
    assert ratios[-1] > 5


@pytest.mark.parametrize("name", ["fcfs-breaker", "shortest-output-breaker"])
def test_blocks_do_not_overlap_even_under_the_broken_policy(name):
    # So the ratio of many blocks is that of one.
    def cost(blocks):
        instance = make_instance(name, settings={"kv_capacity": 100, "blocks": blocks})
        broken = instance.arrival if name == "fcfs-breaker" else instance.output
        return list_schedule(instance, broken)

    assert cost(4) == 4 * cost(1)


@pytest.mark.parametrize("arrivals", ["together", "staggered"])
def test_identical_requests_fall_into_step_and_lose_half_of_the_throughput(arrivals):
    """2606.15555: a cycle with evictions, however it begins; a pipeline comes near to M/w."""
    instance = make_instance("limit-cycle", settings={"arrivals": arrivals})
    M, w = instance.gpu.kv_capacity, int(instance.volume[0])
    ideal = instance.n * w / M
    greedy = simulate(instance, "vllm")
    planned = simulate(instance, "mc-sf")
    pipeline = simulate(instance, "gba")
    assert greedy.completion(instance).max() > 1.85 * ideal
    assert planned.completion(instance).max() > 1.8 * ideal
    assert ideal <= pipeline.completion(instance).max() < 1.25 * ideal
    assert len(greedy.evicted) > 5 * instance.n
    assert pipeline.evicted == ()


def test_requests_in_step_start_together():
    # M = 16·61: sixteen at a time, every 60 rounds; by the future check nothing fits between.
    instance = make_instance("limit-cycle", settings={"n": 80, "kv_capacity": 976})
    assert sorted(simulate(instance, "mc-sf").start.tolist()) == [60 * (i // 16) for i in range(80)]


def test_staggered_requests_arrive_at_the_rate_of_the_memory():
    instance = make_instance("limit-cycle", settings={"arrivals": "staggered", "n": 200})
    M, w = instance.gpu.kv_capacity, int(instance.volume[0])
    # Served at once they would hold M in the mean, and a little more at some rounds.
    last = int(instance.arrival.max())
    held = np.zeros(last + 1)
    for k in instance.arrival:
        g = np.arange(1, 61)
        inside = k + g <= last
        np.add.at(held, (k + g)[inside], (1 + g)[inside])
    assert held[60:].mean() == pytest.approx(M, rel=0.01)
    assert held.max() > M
    assert (last / instance.n) == pytest.approx(w / M, rel=0.01)
