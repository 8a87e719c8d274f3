"""Policies: hand-worked examples, reductions, options, registration."""

import itertools
import math
import re
import sys
import time
import types
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from batchprophet.models.errors import DoesNotFinish, InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.schedule import Eviction, MixedSchedule
from batchprophet.online import registry
from batchprophet.online.lengths import told_lengths
from batchprophet.online.mixed.observation import Observation, RequestView
from batchprophet.online.mixed.policies.alpha_beta import some_of
from batchprophet.online.mixed.policies.alpha_greedy import AlphaGreedy, protected_limit
from batchprophet.online.mixed.policies.least_lost import LeastLost
from batchprophet.online.mixed.policies.mc_sf import McSf
from batchprophet.online.mixed.policies.sorted_f import SortedF, _best_set
from batchprophet.online.mixed.policies.vllm import Vllm
from batchprophet.online.mixed.policy import (
    BUILT_IN,
    Decision,
    Policy,
    built_in_policies,
    make_policy,
    policy_spec,
    registered_policies,
)
from batchprophet.online.mixed.simulator import simulate
from tests.strategies import random_instance


def burst(M, *requests, arrival=None):
    """Requests (s, o), all at 0 unless `arrival` says otherwise."""
    prompt, output = zip(*requests, strict=True)
    when = arrival or [0] * len(requests)
    return Instance(gpu=Gpu(kv_capacity=M), arrival=when, prompt=prompt, output=output)


def starts(instance, spec, seed=0):
    return simulate(instance, spec, seed=seed).start.tolist()


def test_a_min_with_exact_lengths_is_mc_sf():
    rng = np.random.default_rng(31)
    for _ in range(200):
        instance = random_instance(rng, int(rng.integers(2, 9)))
        assert simulate(instance, "a-min:lengths=exact") == simulate(instance, "mc-sf")


def test_a_min_finishes_though_it_evicts():
    rng = np.random.default_rng(32)
    evicted = again = 0
    for _ in range(200):
        instance = random_instance(rng, int(rng.integers(2, 9)))
        schedule = simulate(instance, "a-min")
        assert check_mixed(instance, schedule) == []
        for i in range(instance.n):
            runs = sorted((run.start, run.end) for run in schedule.evicted if run.request == i)
            evicted, again = evicted + len(runs), again + (len(runs) > 1)
            assert all(end - start < instance.output[i] for start, end in runs)
    assert evicted > 100
    assert again > 5


def test_a_min_evicts_the_fewest_tokens_first():
    # M = 9. The third starts at 1; at 2 all would hold 4 + 4 + 3 > 9 in round 3: it has had the
    # fewest tokens. At 3 the others would hold 5 + 5: the later one goes, though both had three.
    instance = burst(9, (1, 5), (1, 5), (1, 4), arrival=[0, 0, 1])
    schedule = simulate(instance, "a-min")
    assert [(run.request, run.end) for run in schedule.evicted] == [(1, 3), (2, 2)]


def test_class_budget_passes_over_a_class_whose_budget_is_spent():
    # Areas 5 and 2 + 3 + 4 = 9: 10 ≥ 5 alone twice, but with both classes b = 1.
    instance = burst(14, (1, 2), (1, 2), (1, 3), (1, 2))
    assert starts(instance, "class-budget") == [0, 1, 0, 2]


def test_class_budget_starts_what_the_future_check_allows_where_budgets_are_too_large():
    instance = burst(6, (1, 4), (1, 4))
    schedule = simulate(instance, "class-budget:budget=2")
    assert schedule.start.tolist() == [0, 4]
    assert schedule.evicted == ()


def test_flow_control_without_bound_is_vllm():
    rng = np.random.default_rng(33)
    for _ in range(100):
        instance = random_instance(rng, int(rng.integers(2, 9)))
        assert simulate(instance, "flow-control:budget=1000") == simulate(instance, "vllm")


def test_flow_control_keeps_unused_rate_up_to_one_request():
    # From 1 on two tenths a round: the second may join at 5. Nothing waits until 40, so that the
    # rate is 1 then, and the fourth joins five rounds after the third.
    instance = burst(90, *[(1, 20)] * 4, arrival=[0, 0, 40, 40])
    assert starts(instance, "flow-control:budget=0.2") == [0, 5, 40, 45]


def test_flow_control_learns_its_rate_from_what_has_completed():
    # One a round until the first is done at 2, of area 2 + 3 = 5: from then on 20/5 = 4 a round.
    instance = burst(20, *[(1, 2)] * 9)
    assert starts(instance, "flow-control") == [0, 1, 2, 2, 2, 2, 3, 3, 3]


@pytest.mark.parametrize("budget", ["0", "-1", "nan"])
def test_flow_control_needs_a_rate(budget):
    with pytest.raises(InputError, match=r"budget: expected a"):
        simulate(burst(9, (1, 1)), f"flow-control:budget={budget}")


def test_gsa_gives_slices_that_double():
    rng = np.random.default_rng(34)
    restarts = 0
    for _ in range(100):
        instance = random_instance(rng, int(rng.integers(2, 9)))
        schedule = simulate(instance, "gsa:base=2")
        assert check_mixed(instance, schedule) == []
        M = instance.gpu.kv_capacity
        for i in range(instance.n):
            runs = sorted((run.start, run.end) for run in schedule.evicted if run.request == i)
            lengths = [end - start for start, end in runs]
            # A run may go on for several slices, so that the next one is longer than all before.
            assert all(math.log2(length / 2).is_integer() for length in lengths)
            assert lengths == sorted(set(lengths))
            assert all(length < min(instance.output[i], M) for length in lengths)
            restarts += len(runs)
    assert restarts > 100


def test_wait_serves_what_is_left_where_nothing_runs():
    instance = burst(40, (1, 5), (1, 5), (1, 5), (2, 3), arrival=[0, 1, 3, 3])
    assert starts(instance, "wait:threshold=2") == [0, 3, 3, 8]


def test_nested_wait_starts_no_more_while_a_segment_is_full():
    # n = 1/4: of segments 0, 1-2, 3-6, 7-14 each holds one, the last two. At 2 the first two are in
    # the second, from 4 on in the third, and at 7 the third is there beside the second.
    instance = burst(99, *[(1, 20)] * 4)
    assert starts(instance, "nested-wait:threshold=0.25") == [0, 1, 3, 8]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nested-wait:threshold=0", "threshold: expected a number above 0, found 0.0"),
        ("nested-wait:buffer=1", "buffer: expected a number in"),
        ("wait:threshold=0", "threshold: expected an integer of at least 1, found 0"),
        ("gsa:base=0", "base: expected an integer of at least 1, found 0"),
        ("class-budget:budget=0", "budget: expected an integer of at least 1, found 0"),
    ],
)
def test_options_of_policies_with_thresholds_are_checked(spec, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make_policy(spec)


def test_least_attained_overtakes_by_a_token_at_a_time():
    # Only one fits. The first has one token at 1, where the second takes its place; with two it is
    # ahead of the first at 3, which begins anew, is level with it at 5 and complete at 6.
    instance = burst(7, (3, 3), (3, 3))
    schedule = simulate(instance, "least-attained")
    assert [(run.request, run.start, run.end) for run in schedule.evicted] == [(0, 0, 1), (1, 1, 3)]
    assert schedule.start.tolist() == [3, 6]


@pytest.mark.parametrize("quantum", [1, 2, 5])
def test_mlfq_evicts_only_for_levels_that_are_not_higher(quantum):
    rng = np.random.default_rng(35)
    evictions = 0
    for _ in range(60):
        instance = random_instance(rng, int(rng.integers(2, 9)))
        schedule = simulate(instance, f"mlfq:quantum={quantum}")
        assert check_mixed(instance, schedule) == []
        runs = [(run.request, run.start, run.end) for run in schedule.evicted]
        ends = schedule.completion(instance).tolist()
        runs += [(i, k, ends[i]) for i, k in enumerate(schedule.start.tolist())]

        def level(i, t, runs=runs):
            """Level of request i at t by the longest of its runs so far."""
            had = max((min(end, t) - k for j, k, end in runs if j == i and k < t), default=0)
            return (had // quantum).bit_length()

        for run in schedule.evicted:
            evictions += 1
            t = run.end
            held = [j for j, k, end in runs if k <= t < end]
            assert min(level(j, t) for j in held) <= level(run.request, t)
    assert evictions > 50


def test_gittins_goes_by_area_per_completion():
    # Outputs up to 4 and 7, to the end: (6 + 13 + 21 + 30)/4 = 17.5 token-rounds to a completion
    # against 140/7 = 20. Both start in round 1, the second is evicted before round 2.
    instance = burst(9, (5, 2), (2, 6))
    for law in ("past", "arrival-model-2"):
        schedule = simulate(instance, f"gittins:law={law}")
        assert (schedule.start.tolist(), schedule.evicted) == ([0, 2], (Eviction(1, 0, 1),))


def test_gittins_takes_a_law_that_it_knows():
    with pytest.raises(InputError, match=r"law: expected one of past, arrival-model-2; found 'x'"):
        make_policy("gittins:law=x")


def test_least_lost_evicts_the_least_area_per_token():
    # At 2 they would hold 4 + 4 + 7 > 13 tokens in round 3. They have had areas 5, 5 and 11: of the
    # small ones, 5/4 per token against 11/7, the later one goes.
    schedule = simulate(burst(13, (1, 8), (1, 8), (4, 8)), "least-lost")
    assert min(schedule.evicted, key=lambda run: run.end) == Eviction(1, 0, 2)


def test_least_lost_keeps_what_need_not_go():
    # 3 + 4·9 tokens are 5 too many. The first loses 2/3 per token, the others 26/9: with one of
    # these evicted, too, the first may stay.
    running = [RequestView(index=i, arrival=0, prompt=4, start=0) for i in range(1, 5)]
    running.append(RequestView(index=0, arrival=3, prompt=1, start=3))
    observation = Observation(time=4, kv_capacity=34, waiting=(), running=tuple(running))
    assert LeastLost().decide(observation, np.random.default_rng(0)).evict == (4,)


def test_least_lost_scans_by_the_least_known_peak():
    # (4, 1) has peak 5, the others have 2 and 3 at least: in order of peaks all but the first fit.
    instance = burst(5, (4, 1), (1, 1), (2, 1))
    assert starts(instance, "least-lost") == [1, 0, 0]


def test_mc_sf_starts_the_shortest_output_first_and_stops_at_what_does_not_fit():
    # M = 9. By output: (1, 2), (5, 3), (1, 4). At round 2 the first two hold 3 + 7 = 10 > 9, so
    # (5, 3) does not fit at 0, and the scan stops before (1, 4). At 1: 3 + 6 = 9 in round 2, and
    # it completes at 4 with 8 tokens: it fits; with (1, 4) also, round 4 holds 8 + 4 > 9.
    # At 2: still 8 + 3 > 9. At 3: 8 + 2 > 9. At 4: alone.
    instance = burst(9, (1, 2), (5, 3), (1, 4))
    assert starts(instance, "mc-sf") == [0, 1, 4]
    # Skipping: after (5, 3) fails, (1, 4) is tried and fits at 0 (3 + 3 in round 2, 5 in round 4).
    # Then (5, 3) must leave room: at 1 round 2 holds 3 + 3 + 6 > 9; at 2 round 4 holds 5 + 7 > 9;
    # at 3 round 4 holds 5 + 6 > 9; at 4 it is alone.
    assert starts(instance, "mc-sf:skip=true") == [0, 4, 0]


def test_a_request_may_come_to_fit_by_waiting_alone():
    # The running one holds 7 in its last round 6 (s = 1, o = 6). (1, 5) at 1 (its arrival) would
    # hold 6 in that round: 13 > 11. At 2: 5: 12 > 11. At 3: 4: fits, and ends alone at 8 with 6.
    assert starts(burst(11, (1, 6), (1, 5), arrival=[0, 1]), "mc-sf") == [0, 3]


def test_mc_benchmark_keeps_the_order_of_arrival():
    # The wide first request keeps both narrow ones waiting: 8 + 2 > 9 in round 1.
    instance = burst(9, (7, 2), (1, 1), (1, 1))
    assert starts(instance, "mc-benchmark") == [0, 2, 2]
    assert starts(instance, "mc-sf") == [1, 0, 0]


def test_the_scanning_rules_differ_in_rank_alone():
    # A (5, 5), B (9, 2), C (6, 3): no two fit in round 1, so they run one after the other.
    # By output: B 2, C 3, A 5. By s + o: C 9, A 10, B 11. By volume s·o + o·(o + 1)/2:
    # B 18 + 3, C 18 + 6, A 25 + 15. By arrival: A, B, C.
    instance = burst(11, (5, 5), (9, 2), (6, 3))
    assert starts(instance, "mc-sf") == [5, 0, 2]
    assert starts(instance, "shortest-total") == [3, 8, 0]
    assert starts(instance, "smallest-volume") == [5, 0, 2]
    assert starts(instance, "mc-benchmark") == [0, 5, 7]


def test_smallest_volume_differs_from_shortest_output():
    # By output the wide (8, 1) of volume 9 comes first, by volume (1, 2) of volume 5.
    assert starts(burst(9, (8, 1), (1, 2)), "mc-sf") == [0, 1]
    assert starts(burst(9, (8, 1), (1, 2)), "smallest-volume") == [2, 0]


def test_sorted_f_prefers_many_narrow_requests_to_a_wide_one():
    # F({wide}) = 1; F(three narrow ones) = 6/9 < 1: they come first (MC-SF would start the wide).
    instance = burst(9, (8, 1), (1, 2), (1, 2), (1, 2))
    assert starts(instance, "sorted-f") == [2, 0, 0, 0]
    assert starts(instance, "mc-sf") == [0, 1, 1, 1]


def test_sorted_f_enumerates_correctly():
    # Against every subset, with feasibility counted round by round.
    rng = np.random.default_rng(3)
    for _ in range(60):
        instance = random_instance(rng, int(rng.integers(1, 7)), capacity=(6, 25))
        M, s, o = instance.gpu.kv_capacity, instance.prompt, instance.output
        views = [RequestView(i, 0, int(s[i]), int(o[i]), int(o[i])) for i in range(instance.n)]
        values = [
            sum(o[i] for i in chosen) / len(chosen) ** 2
            for size in range(1, instance.n + 1)
            for chosen in itertools.combinations(range(instance.n), size)
            if all(sum(s[i] + t for i in chosen if o[i] >= t) <= M for t in range(1, M))
        ]
        best = _best_set(views, Observation(0, M, tuple(views), ()))
        assert sum(view.planned for view in best) / len(best) ** 2 == min(values)


def test_alpha_greedy_admits_up_to_its_limit():
    # M = 10, α = 0.2: 8 tokens. Each holds s + 1 = 3 at first: two fit (6), a third would make 9.
    # Both grow to 4 and are done at 2, when the third starts.
    assert starts(burst(10, (2, 2), (2, 2), (2, 2)), "alpha-greedy:alpha=0.2") == [0, 0, 2]


def test_alpha_greedy_clears_everything_on_overflow():
    # M = 10, α = 0.1: limit 9. A (1, 3) and B (1, 8) start at 0. C (1, 8) arrives at 1: round 2
    # would hold 3 + 3 + 2 = 8 ≤ 9, it starts. Round 3 would hold 4 + 4 + 3 = 11 > 10: at 2 all are
    # evicted. At 3 all start again, 2 tokens each; round 6 would hold 3·4 = 12: at 5 all are
    # evicted, A one round before its end. The same three wait as at 2.
    instance = burst(10, (1, 3), (1, 8), (1, 8), arrival=[0, 0, 1])
    with pytest.raises(
        DoesNotFinish,
        match=r"^alpha-greedy cycles: at round 5 the same 3 requests are evicted once more, with "
        r"no completion in between$",
    ):
        simulate(instance, "alpha-greedy:alpha=0.1")


def test_alpha_greedy_depends_on_what_is_done_before_the_overflow():
    # M = 12, α = 0.1: limit 10. A and B (1, 5) start at 0. C (1, 5) arrives at 2: 4 + 4 + 2 = 10,
    # it starts. Round 4 would hold 5 + 5 + 3 = 13 > 12: at 3 all are evicted. At 4 all start; round
    # 8 would hold 3·5 = 15 > 12: at 7 all are evicted again.
    with pytest.raises(DoesNotFinish, match="cycles: at round 7 the same 3"):
        simulate(burst(12, (1, 5), (1, 5), (1, 5), arrival=[0, 0, 2]), "alpha-greedy:alpha=0.1")
    # With outputs of 3 A and B are done at 3, where round 3 held 4 + 4 + 2 = 10 ≤ 12: no overflow.
    short = burst(12, (1, 3), (1, 3), (1, 3), arrival=[0, 0, 2])
    assert simulate(short, "alpha-greedy:alpha=0.1") == MixedSchedule([0, 0, 2])


def test_alpha_greedy_cycles_on_two_long_requests():
    # Both start (4 ≤ 9), each holds 1 + t; round 5 would hold 12 > 10: cleared at 4. They start
    # again at 5 and are cleared at 9, and so on for ever.
    with pytest.raises(
        DoesNotFinish, match=r"^alpha-greedy cycles: at round 9 the same 2 requests"
    ):
        simulate(burst(10, (1, 9), (1, 9)), "alpha-greedy:alpha=0.1")


def test_alpha_protection_stalls_on_a_prompt_that_it_never_admits():
    # s + 1 = 9 > (1 − 0.5)·10: r0 waits for ever, and r1 behind it.
    with pytest.raises(DoesNotFinish, match=r"^alpha-beta stalls at round 0: request r0 waits"):
        simulate(burst(10, (8, 1), (1, 1)), "alpha-beta:alpha=0.5")


def test_alpha_beta_gets_through_where_alpha_greedy_cycles():
    # Sooner or later exactly one of the two is evicted.
    instance = burst(10, (1, 9), (1, 9))
    schedule = simulate(instance, "alpha-beta:alpha=0.1,beta=0.5")
    assert check_mixed(instance, schedule) == []
    assert schedule.evicted


def test_alpha_beta_gives_up_where_luck_is_too_rare():
    # One of two survives a clearing with probability about 2·10⁻⁹: never within the budget of
    # 10,000 + 100·2 evictions.
    with pytest.raises(
        DoesNotFinish,
        match=r"^alpha-beta makes no headway: by round \d+ more than 10200 evictions without a "
        r"completion$",
    ):
        simulate(burst(10, (1, 9), (1, 9)), "alpha-beta:alpha=0.1,beta=0.999999999")


def test_alpha_beta_with_certain_clearing_is_alpha_greedy():
    rng = np.random.default_rng(5)
    for seed in range(100):
        instance = random_instance(rng, 6, capacity=(8, 30), last_arrival=20)

        def run(spec, instance=instance, seed=seed):
            try:
                return simulate(instance, spec, seed=seed)
            except DoesNotFinish as reason:
                return str(reason).replace("alpha-beta", "alpha-greedy")

        assert run("alpha-beta:alpha=0.3,beta=1") == run("alpha-greedy:alpha=0.3")


def test_a_draw_under_the_condition_that_somebody_is_evicted():
    assert some_of(3, 0.5) == pytest.approx(1 - 0.5**3)
    assert some_of(3, 1e-18) == pytest.approx(3e-18)
    # Even at tiny β each overflow evicts somebody, in one pass: no endless draws.
    instance = burst(10, (1, 9), (1, 9))
    schedule = simulate(instance, "alpha-beta:alpha=0.1,beta=1e-12")
    assert [run.end for run in schedule.evicted] != []


def test_the_protected_limit_is_exact():
    # (1 − 0.9)·10 is 0.9999… in floating point.
    assert protected_limit(10, 0.9) == 1
    assert protected_limit(10, 0.1) == 9
    assert protected_limit(65536, 0.2) == 52428
    assert protected_limit(10, np.float64(0.1)) == 9


def test_vllm_preempts_the_most_recently_started():
    # M = 10: A, B (1, 6) start at 0, hold 5 each in round 4; round 5 would hold 12. B is preempted
    # at 4; at 5 A holds 7 in the next round and B would add 2: it restarts at 5, ends at 11.
    schedule = simulate(burst(10, (1, 6), (1, 6)), "vllm")
    assert schedule == MixedSchedule([0, 5], [Eviction(1, 0, 4)])


def test_vllm_serves_the_preempted_before_later_arrivals():
    # As above with C (1, 1) arriving at 2: round 3 would hold 4 + 4 + 2 = 10: it starts at once.
    # D (1, 1) arrives at 4, the boundary of the preemption: nothing is admitted. At 5 the queue is
    # B, D: B (7 + 2 = 9), then D would make 11: it waits; at 6 A is done: D starts.
    instance = burst(10, (1, 6), (1, 6), (1, 1), (1, 1), arrival=[0, 0, 2, 4])
    schedule = simulate(instance, "vllm")
    assert schedule == MixedSchedule([0, 5, 2, 6], [Eviction(1, 0, 4)])


@pytest.mark.parametrize("spec", ["vllm", "alpha-beta", "mc-sf", "mc-sf:skip=true", "sorted-f"])
@pytest.mark.parametrize("lengths", ["equal", "falling", "rising"])
def test_work_follows_events(spec, lengths):
    """An event takes about as long among four times as many requests, and not four times as long.

    Thousands run at once where they are equal, and thousands wait where they are not.
    """

    def seconds_per_event(n):
        output = np.full(n, 30) if lengths == "equal" else 1 + np.arange(n) * 60 // n
        output = output[::-1] if lengths == "falling" else output
        M = 10 * n if lengths == "equal" else 1500
        zeros = np.zeros(n, np.int64)
        instance = Instance(gpu=Gpu(kv_capacity=M), arrival=zeros, prompt=zeros + 1, output=output)
        begin = time.process_time()
        schedule = simulate(instance, spec)
        return (time.process_time() - begin) / (n + len(schedule.evicted))

    seconds_per_event(50)
    few, many = (min(seconds_per_event(n) for _ in range(3)) for n in (2_500, 10_000))
    assert many < 2.5 * few + 1e-5


def test_vllm_limits_requests_and_tokens_of_a_batch():
    instance = burst(100, (5, 3), (5, 3), (5, 3))
    assert starts(instance, "vllm") == [0, 0, 0]
    # Two at once: the third starts when they are done.
    assert starts(instance, "vllm:max_requests=2") == [0, 0, 3]
    # 9 tokens: one prompt of 5 a round; beside one running 1 + 5, beside two 2 + 5.
    assert starts(instance, "vllm:token_budget=9") == [0, 1, 2]
    with pytest.raises(DoesNotFinish, match="vllm stalls at round 0: request r0 waits"):
        simulate(instance, "vllm:token_budget=4")


@pytest.mark.parametrize("name", ["mc-sf", "mc-benchmark", "smallest-volume", "shortest-total"])
@pytest.mark.parametrize("skip", ["false", "true"])
def test_predictions_without_error_are_exact_lengths(name, skip):
    rng = np.random.default_rng(4)
    for seed in range(40):
        instance = random_instance(rng, 7, capacity=(6, 25))
        exact = simulate(instance, f"{name}:skip={skip}", seed=seed)
        drawn = simulate(instance, f"{name}:skip={skip},lengths=predicted,error=0", seed=seed)
        given = instance.replace(predicted_low=instance.output, predicted_high=instance.output)
        assert exact == drawn == simulate(given, f"{name}:skip={skip},lengths=predicted")
        assert exact == simulate(given, f"{name}:skip={skip},lengths=interval")


def test_drawn_predictions_stay_within_error_and_gpu():
    rng = np.random.default_rng(6)
    for _ in range(50):
        instance = random_instance(rng, 30, capacity=(10, 60))
        for error in (0.0, 0.5, 3.0, 1e6):
            policy = McSf(lengths="predicted", error=error)
            told = told_lengths(instance, policy, np.random.default_rng(1))
            assert np.all(told.low == told.high)
            assert np.all(told.high >= instance.output)
            assert np.all(told.high <= (1 + error) * instance.output)
            assert np.all(told.high + instance.prompt <= instance.gpu.kv_capacity)


def test_an_interval_is_planned_by_its_upper_end():
    # Told [1, 4] of o = 2. With plans of 4 the two do not fit together: in round 4 they would hold
    # 6 + 6, if the second starts at 1 still 6 + 5 > 10. At 2 the first has ended.
    instance = burst(10, (2, 2), (2, 2)).replace(predicted_low=[1, 1], predicted_high=[4, 4])
    assert starts(instance, "mc-sf") == [0, 0]
    assert starts(instance, "mc-sf:lengths=interval") == [0, 2]


def test_every_policy_has_the_best_of_one_request():
    # Alone on an empty GPU every rule starts it at its arrival.
    instance = burst(10, (3, 4), arrival=[6])
    for name in BUILT_IN:
        assert starts(instance, name) == [6]


BAD_SPECS = [
    (
        "mc-fs",
        "policy: expected one of mc-sf, mc-benchmark, smallest-volume, shortest-total, sorted-f, "
        "alpha-greedy, alpha-beta, vllm, a-min, class-budget, flow-control, gba, gsa, wait, "
        "nested-wait, least-attained, mlfq, gittins, least-lost, bayes or module:Class, found "
        "'mc-fs'; did you mean "
        "mc-sf?",
    ),
    (
        "mc-sf:skp=true",
        "policy mc-sf: unknown option 'skp'; it has skip, lengths, error; did you mean skip?",
    ),
    ("mc-sf:skip", "policy mc-sf: expected options as key=value, found 'skip'"),
    ("mc-sf:skip=yes", "policy mc-sf: skip: expected true or false, found 'yes'"),
    ("mc-sf:skip=true,skip=false", "policy mc-sf: option 'skip' appears more than once"),
    ("mc-sf:error=0.5", "policy mc-sf: error: goes with lengths=predicted, found lengths=exact"),
    (
        "mc-sf:lengths=predicted,error=-1",
        "policy mc-sf: error: expected a number from 0 to 10^6, found -1.0",
    ),
    (
        "mc-sf:lengths=predicted,error=nan",
        "policy mc-sf: error: expected a finite number, found 'nan'",
    ),
    (
        "mc-sf:lengths=none",
        "policy mc-sf: lengths: expected one of exact, predicted, interval; found 'none'",
    ),
    ("alpha-greedy:alpha=1", "policy alpha-greedy: alpha: expected a number in (0, 1), found 1.0"),
    ("alpha-greedy:alpha=x", "policy alpha-greedy: alpha: expected a number, found 'x'"),
    ("alpha-beta:beta=0", "policy alpha-beta: beta: expected a number in (0, 1], found 0.0"),
    (
        "vllm:token_budget=0",
        "policy vllm: token_budget: expected an integer of at least 1, found 0",
    ),
    ("vllm:max_requests=2.5", "policy vllm: max_requests: expected an integer, found '2.5'"),
    (
        "no_such_module:Policy",
        "policy no_such_module:Policy: cannot import 'no_such_module' "
        "(No module named 'no_such_module')",
    ),
    ("json:Policy", "policy json:Policy: module 'json' has no 'Policy'"),
    ("json:dumps", "policy json:dumps: expected a class, found"),
    (
        "json:JSONDecoder",
        "policy json:JSONDecoder: no policy, it lacks name, summary, source, length_kinds, decide",
    ),
]


@pytest.mark.parametrize(("spec", "message"), BAD_SPECS)
def test_bad_specifications_are_refused_in_one_line(spec, message):
    with pytest.raises(InputError) as refused:
        make_policy(spec)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
    if not spec.startswith("json:d"):
        assert str(refused.value) == message


def test_missing_predictions_name_the_first_request_without_one():
    instance = burst(10, (1, 2), (1, 2))
    message = r"^requests\[0\].predicted: lengths=predicted needs it for every request, found none "
    with pytest.raises(InputError, match=message):
        simulate(instance, "mc-sf:lengths=predicted")
    partly = instance.replace(predicted_low=[2, 0], predicted_high=[2, 0])
    with pytest.raises(InputError, match=r"^requests\[1\].predicted: lengths=interval needs it"):
        simulate(partly, "mc-sf:lengths=interval")
    wide = instance.replace(predicted_low=[2, 1], predicted_high=[2, 5])
    with pytest.raises(InputError, match=r"^requests\[1\].predicted: .* interval \[1, 5\]"):
        simulate(wide, "mc-sf:lengths=predicted")


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_specifications_round_trip(name):
    policy = make_policy(name)
    assert policy.name == name
    assert policy_spec(policy) == name
    assert make_policy(policy) is policy
    assert isinstance(policy, Policy)


def test_options_are_in_the_specification_where_not_at_their_default():
    spec = "mc-sf:skip=true,lengths=predicted,error=0.5"
    assert policy_spec(make_policy(spec)) == spec
    assert policy_spec(AlphaGreedy(alpha=0.2)) == "alpha-greedy"
    assert policy_spec(Vllm(max_requests=1)) == "vllm:max_requests=1"  # 1 is not true
    assert make_policy("sorted-f") == SortedF()


class Eager:
    """Starts the first waiting request when nothing runs (a third party's policy)."""

    name = "eager"
    summary = "one at a time"
    source = "a test"
    length_kinds = ("none",)

    def decide(self, observation, rng):
        if observation.running:
            return Decision()
        return Decision(start=tuple(view.index for view in observation.waiting[:1]))


def test_a_policy_of_a_third_party_by_module_and_class(monkeypatch):
    module = types.ModuleType("third_party")
    module.Eager = Eager
    monkeypatch.setitem(sys.modules, "third_party", module)
    # One at a time, in order of arrival.
    assert starts(burst(10, (1, 2), (1, 2)), "third_party:Eager") == [0, 2]
    with pytest.raises(
        InputError, match=r"^policy third_party:Eager: unknown option 'x'; it has n"
    ):
        make_policy("third_party:Eager:x=1")


def test_a_module_that_cannot_be_imported_is_refused_with_the_reason(monkeypatch, tmp_path):
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    (tmp_path / "misspelt_module.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    for module, reason in (
        ("broken_module", r"ZeroDivisionError: division by zero"),
        ("misspelt_module", r"SyntaxError: invalid syntax \(misspelt_module.py, line 1\)"),
    ):
        with pytest.raises(InputError, match=rf"^policy {module}:P: cannot import .* \({reason}"):
            make_policy(f"{module}:P")


@pytest.mark.parametrize("kinds", ["none", (), ("nothing",), ["none"]])
def test_kinds_of_lengths_that_are_none_are_refused(kinds):
    class Odd(Eager):
        length_kinds = kinds

    with pytest.raises(InputError, match=r"^policy eager: length_kinds: expected a tuple of some"):
        make_policy(Odd())


@pytest.fixture
def installed(monkeypatch):
    """Entry points as if installed: a list to fill; `looked` counts how often it was read."""
    module = types.ModuleType("third_party")
    module.Eager = Eager
    monkeypatch.setitem(sys.modules, "third_party", module)

    class Installed(list):
        looked = 0

        def add(self, name):
            self.append(EntryPoint(name, "third_party:Eager", "batchprophet.policies"))

    found = Installed()

    def entry_points(*, group):
        assert group == "batchprophet.policies"
        found.looked += 1
        return list(found)

    monkeypatch.setattr(registry, "entry_points", entry_points)
    registry._entries.cache_clear()
    yield found
    registry._entries.cache_clear()


def test_a_policy_of_a_third_party_by_entry_point(installed):
    installed.add("eager")
    assert registered_policies()["eager"] is Eager
    assert "eager" not in built_in_policies()
    assert starts(burst(10, (1, 2), (1, 2)), "eager") == [0, 2]


def test_installed_packages_are_looked_through_once(installed):
    for _ in range(3):
        make_policy("mc-sf:skip=true")
        make_policy("vllm")
    assert installed.looked == 1


def test_a_policy_installed_meanwhile_is_found(installed):
    with pytest.raises(InputError, match=r"found 'eager'"):
        make_policy("eager")
    installed.add("eager")
    assert isinstance(make_policy("eager"), Eager)


def test_a_policy_installed_meanwhile_is_found_with_options(installed):
    make_policy("mc-sf")
    installed.add("eager")
    with pytest.raises(InputError, match=r"^policy eager: unknown option 'n'; it has none$"):
        make_policy("eager:n=2")


def test_a_registered_name_that_is_taken_is_refused(installed):
    installed.add("mc-sf")
    message = r"^policy mc-sf: two policies have this name \(third_party:Eager\)$"
    with pytest.raises(InputError, match=message):
        registered_policies()
