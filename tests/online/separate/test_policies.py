"""Separate batching online: safe states, the machine's rules, policies by hand, where time goes."""

import itertools
import math
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime, ConstantTime
from batchprophet.models.errors import DoesNotFinish, InputError, PolicyError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.models.mixed.schedule import MixedSchedule
from batchprophet.models.objectives import total_latency
from batchprophet.models.regimes import check, schedule_value
from batchprophet.models.separate.metrics import measure_separate
from batchprophet.models.separate.schedule import Batch, SeparateSchedule
from batchprophet.models.separate.timeline import timeline
from batchprophet.online import registry
from batchprophet.online.conformance import check_policy
from batchprophet.online.mixed.policy import make_policy as make_mixed_policy
from batchprophet.online.mixed.simulator import simulate
from batchprophet.online.separate import serving
from batchprophet.online.separate.conformance import random_instance
from batchprophet.online.separate.decision import BatchDecision
from batchprophet.online.separate.latency_breakdown import account
from batchprophet.online.separate.orca import Orca
from batchprophet.online.separate.policies.hysteresis import Hysteresis
from batchprophet.online.separate.policy import REGISTRY, make_policy, registered_policies
from batchprophet.online.separate.price import Price, dropped, mixed_side
from batchprophet.online.separate.safety import all_can_finish, plan_fits
from batchprophet.online.separate.simulator import simulate_separate
from batchprophet.online.separate.threshold import best_share
from batchprophet.solvers.solution import certified
from tests.brute_force import brute_force
from tests.brute_force_separate import brute_force_separate
from tests.strategies import random_instance as random_mixed_instance
from tests.tiny_separate import tiny_separate

DEFAULT = REGISTRY.by_default
VARIANTS = [
    "full-prompt-batch:requests=2",
    "threshold",
    "threshold:k=2",
    "threshold:k=2,seats=3",
    "hysteresis:high=3,low=1",
    "prefill-first:lengths=predicted,error=2",
    "hysteresis:high=2,lengths=predicted,error=1",
    "shortest-remaining:lengths=predicted,error=2",
    "smallest-volume:lengths=interval",
    "bayes:samples=2,effort=20",
    "bayes:samples=3,effort=10,lengths=interval,law=arrival-model-2",
    "bayes:samples=1,effort=0,lengths=predicted,error=2",
]


def burst(*requests, M=40, arrival=None, **gpu):
    """Requests (s, o), all at 0 unless `arrival` says otherwise; unit law unless `gpu` says so."""
    prompt, output = zip(*requests, strict=True)
    when = arrival or [0] * len(requests)
    return Instance(gpu=Gpu(kv_capacity=M, **gpu), arrival=when, prompt=prompt, output=output)


def run(instance, policy, **options):
    """Batches as (P or T, start, requests)."""
    schedule = simulate_separate(instance, policy, **options)
    assert check(instance, schedule) == []
    return [(batch.kind[0].upper(), batch.start, batch.requests) for batch in schedule.batches]


# ---------------------------------------------------------------- safe states


def finishes_somehow(running, M):
    """Whether any sequence of token batches completes all within M: every subset is tried."""

    @lru_cache(None)
    def go(state):
        if sum(held for held, _ in state) > M:
            return False
        if not state:
            return True
        for size in range(1, len(state) + 1):
            for served in itertools.combinations(range(len(state)), size):
                after = [(h + (j in served), r - (j in served)) for j, (h, r) in enumerate(state)]
                if sum(h for h, _ in after) <= M:  # before those that complete let go
                    left = tuple(sorted((h, r) for h, r in after if r))
                    if go(left):
                        return True
        return False

    return go(tuple(sorted((h, r) for h, r in running if r)))


def test_a_state_is_safe_iff_some_sequence_of_token_batches_completes_all():
    rng, verdicts = np.random.default_rng(1), []
    for _ in range(600):
        state = [tuple(pair) for pair in rng.integers(1, 6, (rng.integers(1, 5), 2)).tolist()]
        M = max(h + r for h, r in state) + int(rng.integers(0, 9))
        verdicts.append(all_can_finish(state, M))
        assert verdicts[-1] == finishes_somehow(state, M)
    assert 100 < sum(verdicts) < 500


def test_a_plan_fits_iff_every_batch_of_it_does():
    rng, verdicts = np.random.default_rng(2), []
    for _ in range(1500):
        state = [tuple(pair) for pair in rng.integers(1, 10, (rng.integers(1, 7), 2)).tolist()]
        M, width = int(rng.integers(5, 60)), [None, 1, 2, 3][rng.integers(4)]
        queue, fits = [list(pair) for pair in state], sum(h for h, _ in state) <= M
        while queue and fits:
            for pair in queue[:width]:
                pair[0], pair[1] = pair[0] + 1, pair[1] - 1
            fits = sum(h for h, _ in queue) <= M
            queue = [pair for pair in queue if pair[1]]
        verdicts.append(plan_fits(state, M, width))
        assert verdicts[-1] == fits
        assert all_can_finish(state, M) or not fits
    assert 300 < sum(verdicts) < 1200


# ---------------------------------------------------------------- the rules


@dataclass(frozen=True)
class Script:
    """Decisions in a row, one each time it is asked; then token batches of all."""

    decisions: tuple = ()

    model: ClassVar[str] = "separate"
    name: ClassVar[str] = "script"
    summary: ClassVar[str] = "a test"
    source: ClassVar[str] = "a test"
    length_kinds: ClassVar[tuple[str, ...]] = ("exact",)

    def decide(self, observation, rng):
        asked = sum(view.tokens for view in observation.running)
        if asked < len(self.decisions):
            return self.decisions[asked]
        return BatchDecision("token", tuple(view.index for view in observation.running))


def prompt(*requests):
    return BatchDecision("prompt", requests)


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ((None,), "decide must return a BatchDecision, found None"),
        ((BatchDecision("mixed", (0,)),), "kind must be 'prompt', 'token' or None, found 'mixed'"),
        ((BatchDecision("prompt", 0),), "requests must be a tuple of request indices, found 0"),
        ((BatchDecision("prompt", (True,)),), "requests must be a tuple of request indices"),
        ((BatchDecision(wake_at=0.5),), "wake_at must be a time or None, found 0.5"),
        ((BatchDecision(wake_at=0),), "wake_at must be later than now, found 0"),
        ((BatchDecision("prompt"),), "a batch needs at least one request, found none"),
        ((prompt(0, 0),), "batches request r0 twice"),
        ((prompt(9),), "batches request 9, which does not wait"),
        ((prompt(3),), "batches request r3, which does not wait"),  # it arrives at 9
        ((BatchDecision("token", (0,)),), "batches request r0, which does not run"),
        ((prompt(0), prompt(0)), "batches request r0, which does not wait"),
        ((prompt(0, 1, 2),), "the batch holds 3 requests, more than 2"),
        ((prompt(1, 2),), "the batch holds 9 prompt tokens, more than 8"),
    ],
)
def test_decisions_that_the_rules_do_not_allow(decisions, message):
    limits = {"prompt_batch_requests": 2, "prompt_batch_tokens": 8, "token_batch_requests": 2}
    instance = burst((1, 3), (4, 3), (5, 3), (1, 1), arrival=[0, 0, 0, 9], **limits)
    with pytest.raises(PolicyError) as error:
        simulate_separate(instance, Script(decisions))
    assert str(error.value).startswith("policy script at ")
    assert message in str(error.value)


def test_a_batch_must_keep_the_capacity_and_leave_a_way_to_finish():
    # Both prompts hold 4 + 4 = 8 at the end of the batch.
    with pytest.raises(
        PolicyError, match=r"^policy script at 0: the batch would end with 8 KV tok"
    ):
        simulate_separate(burst((3, 4), (3, 4), M=7), Script((prompt(0, 1),)))
    # In 9 they fit, but then each needs 3 more and one token is free: nobody ever finishes.
    with pytest.raises(PolicyError, match="the 2 running requests cannot all finish"):
        simulate_separate(burst((3, 4), (3, 4), M=9), Script((prompt(0, 1),)))
    # In 11 one after the other can: 8 + 3 = 11. Together they would stop at 5 + 5 with 2 to go.
    with pytest.raises(PolicyError, match=r"^policy script at 1: .*cannot all finish"):
        simulate_separate(burst((3, 4), (3, 4), M=11), Script((prompt(0, 1),)))


@dataclass(frozen=True)
class Dozing(Script):
    """Never does anything; wakes up each time unit, or not at all."""

    wake: bool = False

    def decide(self, observation, rng):
        return BatchDecision(wake_at=observation.time + 1 if self.wake else None)


@pytest.mark.parametrize("wake", [False, True])
def test_a_gpu_that_idles_for_good_does_not_finish(wake):
    with pytest.raises(DoesNotFinish, match=r"^script stalls at \d+: request r0 is unfinished, "):
        simulate_separate(burst((3, 4), (3, 4), arrival=[0, 5]), Dozing(wake=wake))


@dataclass(frozen=True)
class Patient(Script):
    """Waits for two requests, or until 4, before the first batch."""

    def decide(self, observation, rng):
        if observation.running:
            return super().decide(observation, rng)
        if len(observation.waiting) < 2 and observation.time < 4:
            return BatchDecision(wake_at=4)
        return prompt(*(view.index for view in observation.waiting))


def test_idling_ends_with_an_arrival_or_the_wake_up():
    assert run(burst((3, 1), (3, 1), arrival=[0, 2]), Patient()) == [("P", 2, (0, 1))]
    assert run(burst((3, 1), (3, 1), arrival=[0, 7]), Patient()) == [
        ("P", 4, (0,)),
        ("P", 7, (1,)),
    ]


def test_lengths_predicted_too_short_are_refused():
    instance = burst((3, 4), (3, 4)).replace(predicted_low=[4, 2], predicted_high=[4, 3])
    message = (
        r"^requests\[1\]\.predicted: separate batching has no evictions, so lengths must not be "
        r"predicted too short: expected at least the output length 4, found 3$"
    )
    with pytest.raises(InputError, match=message):
        simulate_separate(instance, "prefill-first:lengths=interval")


@pytest.mark.parametrize("seed", [-1, True, 1.5])
def test_seeds_that_are_none(seed):
    with pytest.raises(InputError, match=r"^seed: expected an integer of at least 0, found"):
        simulate_separate(burst((1, 1)), "prefill-first", seed=seed)


def test_what_goes_wrong_in_a_policy_says_where():
    @dataclass(frozen=True)
    class Broken(Script):
        """Divides by zero."""

        def decide(self, observation, rng):
            return 1 // 0

    message = r"^policy script at 0: decide raised ZeroDivisionError .* in test_policies\.py"
    with pytest.raises(PolicyError, match=message):
        simulate_separate(burst((1, 1)), Broken())


# ---------------------------------------------------------------- policies by hand

#: τ_P = 2, τ_D = 1. r0 (3, 4) at 0, r1 (2, 2) at 1, r2 (2, 1) at 3.
THREE = {"arrival": [0, 1, 3], "batch_time": ConstantTime(prompt=2, token=1)}


def three(**gpu):
    return burst((3, 4), (2, 2), (2, 1), **THREE, **gpu)


def test_prefill_first_takes_whoever_fits_and_keeps_b_d_seats():
    # At 2 r1 waits: prompt batch until 4, then r2's; then all token batches.
    expected = [("P", 0, (0,)), ("P", 2, (1,)), ("P", 4, (2,)), ("T", 6, (0, 1)), ("T", 7, (0,))]
    assert run(three(), "prefill-first") == [*expected, ("T", 8, (0,))]
    # With B_D = 1 r0 has the only seat until it is done at 5. r2, whose prompt batch is all of it,
    # needs no seat: but it waits behind r1, which does.
    assert run(three(token_batch_requests=1), "prefill-first") == [
        ("P", 0, (0,)),
        *(("T", t, (0,)) for t in (2, 3, 4)),
        ("P", 5, (1, 2)),
        ("T", 7, (1,)),
    ]


def test_decode_first_drains():
    assert run(three(), "decode-first") == [
        ("P", 0, (0,)),
        *(("T", t, (0,)) for t in (2, 3, 4)),
        ("P", 5, (1, 2)),
        ("T", 7, (1,)),
    ]


def test_full_prompt_batch_waits_until_it_is_full():
    # B_P = 2: at 2 only r1 waits; at 3 r2 has come as well.
    expected = [("P", 0, (0,)), ("T", 2, (0,)), ("P", 3, (1, 2)), ("T", 5, (0, 1)), ("T", 6, (0,))]
    assert run(three(prompt_batch_requests=2), "full-prompt-batch") == expected
    assert run(three(), "full-prompt-batch:requests=2") == expected
    # C_P = 3: r1's 2 tokens are a full batch as soon as r2's 2 do not fit behind them.
    assert run(three(prompt_batch_tokens=3), "full-prompt-batch")[2] == ("P", 3, (1,))
    # Without any limit no batch is full: it drains like decode-first.
    assert run(three(), "full-prompt-batch") == run(three(), "decode-first")


@pytest.mark.parametrize("weight", [0.0, 1e-6, 0.01, 0.2, 1.0, 5.0, 40.0])
def test_the_best_share_solves_its_equation_and_has_the_largest_rate(weight):
    share = best_share(weight)
    assert share / (1 - share) + math.log1p(-share) == pytest.approx(weight, abs=1e-9, rel=1e-9)

    def rate(theta):  # in requests per p0/α_d, for one seat
        return theta / (weight - math.log1p(-theta))

    if weight > 0:
        others = np.linspace(1e-6, 1 - 1e-6, 2001)
        assert rate(share) >= max(rate(theta) for theta in others) * (1 - 1e-9)


def saturated(mean_output, mean_prompt, seats, n=1500, seed=0):
    """Requests that are all there at 0, outputs geometric; batch times of an RTX PRO 6000."""
    rng = np.random.default_rng(seed)
    law = AffineTime(c0=4.69, c1=0.0399, c2=0.0289, c3=8e-5, c0_prompt=10.38)
    return Instance(
        gpu=Gpu(kv_capacity=10**6, token_batch_requests=seats, batch_time=law),
        arrival=np.zeros(n, np.int64),
        prompt=rng.integers(1, 2 * mean_prompt, n),
        output=1 + rng.geometric(1 / mean_output, n),
    )


@pytest.mark.parametrize(
    ("output", "prompt", "seats"), [(100, 200, 64), (150, 300, 128), (50, 50, 64)]
)
def test_threshold_serves_more_requests_at_saturation_and_its_k_is_the_best(output, prompt, seats):
    instance = saturated(output, prompt, seats)

    def makespan(policy):
        return int(simulate_separate(instance, policy).completion(instance).max())

    chosen = makespan("threshold")
    assert makespan("prefill-first") > 1.05 * chosen
    assert chosen <= 1.02 * min(makespan(f"threshold:k={k}") for k in (1, 2, 4, 8, 16, 24, 32, 48))


def test_threshold_reads_prompts_when_enough_seats_are_free():
    instance = burst((3, 2), (3, 3), (3, 2), (3, 2), M=90)
    expected = [
        ("P", 0, (0, 1)),
        ("T", 1, (0, 1)),
        ("T", 2, (1,)),
        ("P", 3, (2, 3)),
        ("T", 4, (2, 3)),
    ]
    assert run(instance, "threshold:k=2,seats=2") == expected
    # One free seat is enough: the third begins when the first has completed.
    assert run(instance, "threshold:k=1,seats=2")[2] == ("P", 2, (2,))
    # Who waits alone need not wait for a second one.
    assert run(burst((3, 9), (3, 2), M=90, arrival=[0, 2]), "threshold:k=2,seats=4")[2][0] == "P"


def test_seats_of_threshold_are_those_that_the_memory_holds():
    # Peaks of 6 tokens in a memory of 20: three at once.
    instance = burst(*[(3, 3)] * 5, M=20)
    assert [len(who) for kind, _, who in run(instance, "threshold:k=1") if kind == "P"] == [3, 2]
    assert run(instance, "threshold:k=1") == run(instance, "threshold:k=1,seats=3")


def test_a_batch_that_kv_keeps_short_is_not_full():
    # M = 10: at 3 r1 fits beside r0 (5 + 3, then 9 when it ends), r2 does not: token batches go on
    # until r2 fits as well, which is when r0 is done.
    instance = three(prompt_batch_requests=2).replace(gpu=Gpu(
        kv_capacity=10, prompt_batch_requests=2, batch_time=THREE["batch_time"]
    ))  # fmt: skip
    assert run(instance, "full-prompt-batch")[1:5] == [
        *(("T", t, (0,)) for t in (2, 3, 4)),
        ("P", 5, (1, 2)),
    ]


def test_hysteresis_changes_at_its_thresholds():
    # Prompt batches from two waiting on, until none waits: at 3, both, one by one (B_P = 1).
    expected = [("P", 0, (0,)), ("P", 2, (1,)), ("P", 4, (2,))]
    assert run(three(prompt_batch_requests=1), "hysteresis:high=2")[:3] == expected
    # With low = 1 one waiting at 2 is few enough to decode; at 3 two wait.
    assert run(three(prompt_batch_requests=1), "hysteresis:high=2,low=1")[:5] == [
        ("P", 0, (0,)),
        ("T", 2, (0,)),
        ("P", 3, (1,)),
        ("T", 5, (0, 1)),
        ("T", 6, (0,)),
    ]


def test_shortest_remaining_pauses_the_longer_one():
    # B_D = 1: at 2 r0 has 3 token batches to go, r1 2 + 1 = 3: no less, so r0 is served. At 3 r2
    # has 2, as r0; at 4 r0 has 1, so it goes first; at 5 r2 (2), then r1.
    assert run(three(token_batch_requests=1), "shortest-remaining") == [
        ("P", 0, (0,)),
        *(("T", t, (0,)) for t in (2, 3, 4)),
        ("P", 5, (2, 1)),
        ("T", 7, (1,)),
    ]
    # With 9 tokens for r0 r1 has less left at 2 (3 against 8), is admitted and served; r2 at 5.
    longer = burst((3, 9), (2, 2), (2, 1), **THREE, token_batch_requests=1)
    assert run(longer, "shortest-remaining")[:5] == [
        ("P", 0, (0,)),
        ("P", 2, (1,)),
        ("T", 4, (1,)),
        ("P", 5, (2,)),
        ("T", 7, (0,)),
    ]


def test_smallest_volume_goes_by_kv_use():
    # Volumes s·o + o(o+1)/2: 4·1 + 1 = 5, 1·2 + 3 = 5, 2·1 + 1 = 3; ties by arrival order.
    instance = burst((4, 1), (1, 2), (2, 1), prompt_batch_requests=1)
    assert [requests for _, _, requests in run(instance, "smallest-volume")] == [
        (2,),
        (0,),
        (1,),
        (1,),
    ]


def test_hysteresis_refuses_thresholds_that_do_not_go_together():
    with pytest.raises(InputError, match=r"^low: expected less than high = 3, found 3$"):
        Hysteresis(high=3, low=3)
    with pytest.raises(InputError, match=r"^policy hysteresis: high: expected an integer of at le"):
        make_policy("hysteresis:high=0")


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize("spec", [*DEFAULT, *VARIANTS])
def test_every_policy_conforms(spec):
    # The suite covers all limits and laws, and compares compiled code with decide.
    trials = 10 if spec.startswith("bayes") else 40  # a selector solves at every decision
    assert check_policy(spec, model="separate", trials=trials) == []


def test_where_others_pause_lengths_told_too_long_may_hold_a_batch_back(monkeypatch):
    # Nobody is left out by KV alone while plans come true; here one does not.
    held_back = []
    original = serving._can_finish_after

    def watched(running, served, M):
        found = original(running, served, M)
        held_back.append(not found)
        return found

    monkeypatch.setattr(serving, "_can_finish_after", watched)
    rng = np.random.default_rng(5)
    instances = [random_instance(rng) for _ in range(449)]
    for spec in ("shortest-remaining", "shortest-remaining:lengths=predicted,error=2"):
        before = len(held_back)
        by_hand = simulate_separate(instances[448], spec, seed=448, compiled=False)
        assert check(instances[448], by_hand) == []
        assert simulate_separate(instances[448], spec, seed=448) == by_hand
        assert any(held_back[before:]) == ("predicted" in spec)


@pytest.mark.parametrize("law", [None, AffineTime(c0=0.01, c1=0.002, c2=0.001, c3=0.0005)])
def test_every_policy_is_at_least_the_optimum(law):
    specs = [*DEFAULT, *(v for v in VARIANTS if "interval" not in v)]
    for seed in range(150):
        instance = tiny_separate([31, seed], law=law)
        optimum, _ = brute_force_separate(instance)
        for spec in specs:
            schedule = simulate_separate(instance, spec, seed=seed)
            assert check(instance, schedule) == []
            assert schedule_value(instance, schedule) >= optimum


def test_larger_instances_have_the_same_schedules_compiled():
    rng = np.random.default_rng(8)
    n = 120
    law = AffineTime(c0=4.0, c1=0.05, c2=0.04, c3=1e-4)
    instance = Instance(
        gpu=Gpu(
            kv_capacity=700, prompt_batch_requests=6, prompt_batch_tokens=200,
            token_batch_requests=9, batch_time=law,
        ),
        arrival=np.sort(rng.integers(0, 2_000_000, n)),
        prompt=rng.integers(1, 150, n),
        output=rng.geometric(0.05, n),
    )  # fmt: skip
    for spec in [*DEFAULT, "shortest-remaining:lengths=predicted,error=1"]:
        compiled = simulate_separate(instance, spec)
        assert check(instance, compiled) == []
        assert compiled == simulate_separate(instance, spec, compiled=False)


def test_told_lengths_beyond_64_bits_are_reckoned_with_all_the_same():
    # 10^12 slots a batch and lengths told as up to 10^9: products leave 64 bits.
    gpu = {"batch_time": ConstantTime(prompt=10**12, token=10**12), "M": 2**40}
    instance = burst((3, 2), (2, 1), **gpu).replace(
        predicted_low=[2, 1], predicted_high=[2**31, 10**9]
    )
    assert run(instance, "shortest-remaining:lengths=interval")[0] == ("P", 0, (1, 0))


@dataclass(frozen=True)
class OneByOne(Script):
    """Serve one request at a time, in order of arrival."""

    def decide(self, observation, rng):
        if observation.running:
            return BatchDecision("token", (observation.running[0].index,))
        return prompt(observation.waiting[0].index)


@dataclass(frozen=True)
class Peeking(OneByOne):
    """Idles for shorter requests of which it could not know: it looks into its caller."""

    def decide(self, observation, rng):
        frame = sys._getframe()
        while "state" not in frame.f_locals:
            frame = frame.f_back
        instance = frame.f_locals["state"]._instance
        future = instance.output[instance.arrival > observation.time]
        if observation.waiting and np.any(future < observation.waiting[0].longest):
            return BatchDecision()
        return super().decide(observation, rng)


@dataclass(frozen=True)
class WrongCompiledCode(OneByOne):
    """Its compiled code runs all prompts in one batch at 0, and nothing else."""

    def run_compiled(self, instance, told):
        return SeparateSchedule([Batch("prompt", 0, tuple(range(instance.n)))])


@dataclass(frozen=True)
class Greedy(OneByOne):
    """Admits whoever waits, whatever the limits say."""

    def decide(self, observation, rng):
        if observation.waiting:
            return prompt(*(view.index for view in observation.waiting))
        return super().decide(observation, rng)


def test_the_conformance_suite_catches_what_breaks_a_rule():
    def rules(policy):
        return {finding.rule for finding in check_policy(policy)}

    assert rules(OneByOne) == set()
    assert rules(Peeking) == {"look-ahead"}
    assert {"compiled", "feasible"} <= rules(WrongCompiledCode)
    assert rules(Greedy) == {"decisions"}
    with pytest.raises(
        InputError, match=r"^model: expected 'mixed', 'separate' or 'continuous', found 'x'$"
    ):
        check_policy("prefill-first", model="x")


# ---------------------------------------------------------------- registration


def test_policies_of_the_other_regime_are_refused():
    message = r"^policy McSf: expected a policy of separate batching, found one of mixed batching"
    with pytest.raises(InputError, match=message):
        make_policy(make_mixed_policy("mc-sf"))
    message = r"^policy Script: expected a policy of mixed batching, found one of separate batching"
    with pytest.raises(InputError, match=message):
        make_mixed_policy(Script())
    message = r"^policy of separate batching: expected one of prefill-first, .* found 'mc-sf'"
    with pytest.raises(InputError, match=message):
        make_policy("mc-sf")


def test_third_parties_register_under_their_own_group(monkeypatch):
    asked = []

    class Entry:
        name, value = "script", f"{Script.__module__}:Script"

    def entry_points(*, group):
        asked.append(group)
        return [Entry()] if group == "batchprophet.separate_policies" else []

    monkeypatch.setattr(registry, "entry_points", entry_points)
    registry._entries.cache_clear()
    assert list(registered_policies())[-1] == "script"
    assert make_policy("script") == Script()
    registry._entries.cache_clear()
    assert "batchprophet.separate_policies" in asked


# ---------------------------------------------------------------- figures and the account


def test_figures_by_hand():
    # Prompt batch of both 0-2, token batch of r0 2-3, idle until 5, token batch of r0 5-6.
    instance = burst((3, 3), (2, 1), batch_time=ConstantTime(prompt=2, token=1), M=10)
    schedule = SeparateSchedule(
        [Batch("prompt", 0, (0, 1)), Batch("token", 2, (0,)), Batch("token", 5, (0,))]
    )
    metrics = measure_separate(instance, schedule)
    assert (metrics.total_latency, metrics.makespan, metrics.max_latency) == (8, 6, 6)
    assert (metrics.prompt_time, metrics.token_time, metrics.idle_time) == (2, 2, 2)
    assert (metrics.prompt_batches, metrics.token_batches, metrics.mode_changes) == (1, 2, 1)
    assert (metrics.mean_prompt_batch, metrics.mean_token_batch) == (2.0, 1.0)
    assert (metrics.mean_ttft, metrics.mean_waiting, metrics.peak_kv) == (2.0, 0.0, 7)
    # 7 tokens for 2, then 5 (r1 has gone), 5 while idle, 6: 14 + 5 + 10 + 6 of 10 · 6.
    assert metrics.kv_utilisation == 35 / 60
    split = account(instance, schedule)
    assert (split.prompt, split.token, split.paused_idle, split.stalled_idle) == (4, 2, 2, 2)


def account_by_the_unit(instance, schedule):
    """The account, time unit by time unit."""
    names = list(asdict(account(instance, schedule)))
    spent, g = dict.fromkeys(names, 0), [0] * instance.n
    arrival, s, o = (c.tolist() for c in (instance.arrival, instance.prompt, instance.output))
    before = min(arrival)
    for batch, end in zip(schedule.batches, schedule.ends(instance).tolist(), strict=True):
        for t in range(before, batch.start):
            present = [i for i in range(instance.n) if arrival[i] <= t and g[i] < o[i]]
            spent["stalled_idle"] += bool(present)
            for i in present:
                spent["paused_idle" if g[i] else "waiting_idle"] += 1
        waiting = [i for i in range(instance.n) if g[i] == 0 and arrival[i] <= batch.start]
        state = [(s[i] + g[i], o[i] - g[i]) for i in range(instance.n) if 0 < g[i] < o[i]]
        M = instance.gpu.kv_capacity
        admissible = any(all_can_finish([*state, (s[i] + 1, o[i] - 1)], M) for i in waiting)
        blocked = batch.kind == "token" and bool(waiting) and not admissible
        spent["blocked_kv"] += blocked * (end - batch.start)
        for t in range(batch.start, end):
            for i in (i for i in range(instance.n) if arrival[i] <= t and g[i] < o[i]):
                doing = "paused" if g[i] else "waiting"
                kind = "kv" if blocked and not g[i] else f"{batch.kind}s"
                spent[batch.kind if i in batch.requests else f"{doing}_{kind}"] += 1
        for i in batch.requests:
            g[i] += 1
        before = end
    return spent


def test_the_account_is_that_of_every_time_unit_and_adds_up():
    rng = np.random.default_rng(4)
    seen = dict.fromkeys(
        asdict(account(burst((1, 1)), SeparateSchedule([Batch("prompt", 0, (0,))]))), 0
    )
    for trial in range(60):
        instance = random_instance(rng)
        for spec in ("prefill-first", "hysteresis:high=2", "shortest-remaining"):
            schedule = simulate_separate(instance, spec)
            if trial % 2:  # let the GPU idle now and then
                waits = np.cumsum(rng.integers(0, 3, len(schedule.batches)) // 2)
                schedule = SeparateSchedule(
                    Batch(batch.kind, batch.start + wait, batch.requests)
                    for batch, wait in zip(schedule.batches, waits.tolist(), strict=True)
                )
                assert check(instance, schedule) == []
            split = asdict(account(instance, schedule))
            assert split == account_by_the_unit(instance, schedule)
            of_requests = [v for k, v in split.items() if k not in ("stalled_idle", "blocked_kv")]
            assert sum(of_requests) == schedule_value(instance, schedule)
            time = timeline(instance, schedule)
            assert time.end.tolist() == schedule.ends(instance).tolist()
            assert time.completion.tolist() == schedule.completion(instance).tolist()
            seen = {name: seen[name] + split[name] for name in seen}
    assert all(seen.values())  # nothing is compared that never occurs


# ---------------------------------------------------------------- references and the price


def test_orca_without_limits_in_unit_rounds_is_first_come_first_served_mixed():
    rng = np.random.default_rng(6)
    for _ in range(60):
        instance = random_mixed_instance(rng, 8, capacity=(8, 20))
        completion = Orca().run(instance).completion
        starts = MixedSchedule(completion - instance.output)
        assert check_mixed(instance, starts) == []
        assert starts == simulate(instance, "mc-benchmark")


def test_orca_keeps_the_limits_and_its_batch_times():
    # τ_P = 3, τ_D = 1, B_P = 1, B_D = 2: r0 0-3; r1 with a token of r0 3-6; r2 has no seat until
    # r1 (o = 1) is gone; r2 with r0's last token 6-9.
    instance = burst((3, 3), (2, 1), (2, 1), batch_time=ConstantTime(prompt=3, token=1),
                     prompt_batch_requests=1, token_batch_requests=2)  # fmt: skip
    found = Orca().run(instance)
    assert [(b.start, b.end, b.prompts, b.tokens) for b in found.batches] == [
        (0, 3, (0,), ()),
        (3, 6, (1,), (0,)),
        (6, 9, (2,), (0,)),
    ]
    assert found.completion.tolist() == [9, 6, 9]


def test_the_price_holds_the_ratio_of_the_optima():
    # Mixed in the shortest rounds ≤ mixing GPU ≤ separate, and Orca is one way of mixing.
    below = equal = 0
    for seed in range(120):
        law = None if seed % 3 else AffineTime(c0=0.004, c1=0.002, c2=0.001, c3=0.0)
        instance = tiny_separate([32, seed], law=law)
        side = mixed_side(instance)
        assert side.instance.gpu.batch_limits == ()
        mixed, _ = brute_force(side.instance)
        separate, _ = brute_force_separate(instance)
        orca = total_latency(instance, Orca().run(instance).completion)
        assert side.latency(mixed) <= min(separate, orca)
        below += side.latency(mixed) < separate
        equal += side.equal
    assert below > 30
    assert equal > 10


def test_latencies_in_rounds_become_those_of_the_instance():
    # ρ = 2, arrivals 0, 5 → rounds 0, 2: completions at round 4 are at 8 slots.
    law = ConstantTime(prompt=3, token=2)
    instance = burst((3, 4), (1, 2), arrival=[0, 5], batch_time=law)
    side = mixed_side(instance)
    rounds = total_latency(side.instance, np.array([4, 4]))
    assert side.latency(rounds) == total_latency(instance, np.array([8, 8]))


def price_of(instance, separate, separate_bound, mixed, mixed_bound):
    """A price made by hand, of schedules and bounds."""
    side = mixed_side(instance)
    return Price(
        separate=certified(
            instance, separate, bounds=(("hand", separate_bound),), method="", seconds=0.0
        ),
        side=side,
        mixed=certified(
            side.instance, mixed, bounds=(("hand", mixed_bound),), method="", seconds=0.0
        ),
        orca=total_latency(instance, Orca().run(instance).completion),
        time_unit=instance.gpu.batch_time.time_unit,
        dropped=dropped(instance),
    )


def test_the_price_is_exact_where_all_batches_take_equally_long():
    # r0 (3, 4) at 0, r1 (1, 2) at 1: mixed 4 + 2; separate: r1's prompt batch holds up r0, or r1
    # waits, so one round more.
    instance = burst((3, 4), (1, 2), arrival=[0, 1])
    separate = simulate_separate(instance, "prefill-first")
    price = price_of(instance, separate, 7, MixedSchedule([0, 1]), 6)
    assert (price.low, price.high, price.exact) == (7 / 6, 7 / 6, True)
    unproved = price_of(instance, separate, 6, MixedSchedule([0, 1]), 5)
    assert (unproved.low, unproved.high) == (1.0, 7 / 5)
    assert unproved.to_record()["mixing_bound"] == 5.0
    # With τ_P = 2 a round lasts 1, and only Orca's own latency is sure to be attainable:
    # P r0 0-2, r1 with a token of r0 2-4, both 4-5, r0 5-6: 6 + 4.
    law = ConstantTime(prompt=2, token=1)
    slower = burst((3, 4), (1, 2), arrival=[0, 1], batch_time=law, token_batch_requests=3)
    price = price_of(
        slower, simulate_separate(slower, "prefill-first"), 11, MixedSchedule([0, 1]), 6
    )
    assert (price.mixing_value, price.mixing_bound, price.low) == (10, 6, 1.1)
    assert price.dropped == ("token_batch_requests", "batch_time (constant law)")
