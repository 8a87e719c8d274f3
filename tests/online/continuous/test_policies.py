"""Continuous batching online: step-exact oracles, compiled rules against plain ones, errors."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from batchprophet.api import simulate
from batchprophet.models.batch_time import AffineTime
from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.models.errors import DoesNotFinish, InputError, PolicyError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.online import registry
from batchprophet.online.conformance import check_policy
from batchprophet.online.continuous.conformance import random_instance
from batchprophet.online.continuous.decision import ContinuousDecision
from batchprophet.online.continuous.policy import REGISTRY
from batchprophet.online.continuous.simulator import simulate_continuous

VARIANTS = [
    "vllm:max_num_seqs=2,long_prefill_token_threshold=2",
    "vllm:scheduler_reserve_full_isl=false",
    "shortest-prompt:max_num_seqs=2,scheduler_reserve_full_isl=false",
    "sarathi:chunk_size=3,watermark_blocks=1",
    "orca:lengths=none,max_model_len=9",
    "orca:max_batch_size=2",
    "prefill-first:watermark=0.2",
    "decode-first:lengths=none",
    "mc-sf:lengths=predicted,error=1.0",
    "smallest-volume:chunked_prefill_size=2",
    "shortest-total:max_num_seqs=3",
    "least-work:lengths=interval",
    "shortest-total:lengths=none",
    "sorted-f:lengths=none,max_num_seqs=3",
    "waves",
    "waves:lengths=none",
    "waves:lengths=none,samples=3,max_num_seqs=3",
    "waves:lengths=predicted,error=1.0",
    "least-work:lengths=bins:3",
]


def outcome(instance, policy, **options):
    """The schedule, or why there is none."""
    try:
        return simulate_continuous(instance, policy, **options)
    except DoesNotFinish as reason:
        return str(reason)


def both(instance, policy):
    """The schedule of the compiled rule, which is that of the plain one."""
    schedule = simulate_continuous(instance, policy)
    assert schedule == simulate_continuous(instance, policy, compiled=False)
    assert check_continuous(instance, schedule) == []
    return schedule


# ------------------------------------------------------------ step-exact oracles


def test_vllm_admits_in_blocks_of_16():
    # 10 blocks: the second prompt's 6 fit only when the first, of 7 blocks at last, is complete;
    # the third, of one block, may not pass it.
    instance = Instance(
        gpu=Gpu(kv_capacity=160, kv_block=16), arrival=[0] * 3, prompt=[96, 96, 16],
        output=[10, 10, 3],
    )  # fmt: skip
    time = both(instance, "vllm").timeline(instance)
    assert time.first_token.tolist() == [1, 11, 11]
    assert time.completion.tolist() == [10, 20, 13]


def test_vllm_reads_prompts_in_what_is_left_of_the_budget():
    gpu = Gpu(kv_capacity=16_000, kv_block=16, running_requests=2, batch_tokens=1024)
    instance = Instance(gpu=gpu, arrival=[0] * 4, prompt=[1024] * 4, output=[5] * 4)
    time = both(instance, "vllm").timeline(instance)
    assert time.first_token.tolist() == [1, 3, 7, 9]
    assert time.completion.tolist() == [5, 7, 11, 13]


def test_vllm_admits_what_fits_whole_or_only_its_first_chunk():
    # The first request holds 3 to 6 of 10 tokens. The second one's 8 fit when it is complete, at 4.
    # Its first chunks fit before, but at the third batch's end both would hold 5 + 7 tokens.
    instance = Instance(
        gpu=Gpu(kv_capacity=10, batch_tokens=4), arrival=[0, 0], prompt=[3, 8], output=[4, 1]
    )
    batches = both(instance, "vllm").batches
    assert [batch.prefill for batch in batches[:5]] == [((0, 3),), (), (), (), ((1, 4),)]
    batches = both(instance, "vllm:scheduler_reserve_full_isl=false").batches
    assert [batch.prefill for batch in batches[:3]] == [((0, 3), (1, 1)), ((1, 3),), ()]
    assert [batch.preempt for batch in batches[:3]] == [(), (), (1,)]


def test_where_the_whole_fits_its_parts_do():
    # With room for all, or prompts that are read at once, the option changes nothing.
    rng = np.random.default_rng(6)
    for _ in range(100):
        instance = random_instance(rng)
        whole = instance.replace(gpu=Gpu(kv_capacity=instance.gpu.kv_capacity, kv_block=1))
        for each in (whole, instance.replace(gpu=Gpu(kv_capacity=1000, batch_tokens=5))):
            parts = simulate_continuous(each, "vllm:scheduler_reserve_full_isl=false")
            assert simulate_continuous(each, "vllm") == parts


def test_shortest_prompt_is_vllm_where_prompts_come_in_that_order():
    rng = np.random.default_rng(8)
    differs = 0
    for _ in range(200):
        instance = random_instance(rng)
        differs += simulate_continuous(instance, "shortest-prompt") != simulate_continuous(
            instance, "vllm"
        )
        alike = instance.replace(prompt=np.full(instance.n, instance.prompt.min()))
        assert simulate_continuous(alike, "shortest-prompt") == simulate_continuous(alike, "vllm")
    assert differs > 20


#: Batches of arXiv 2504.07347, fig. 8, after the one that reads A, B and C.
FIGURE_8 = [
    ("prefill-first", 4, ["ABC", "Dp Ep", "ABCD", "BCE", "B"]),
    ("orca", 5, ["ABC", "ABC Dp Ep", "BCDE", "B"]),
    ("decode-first", 4, ["ABC", "ABC", "BC", "B", "Dp Ep", "DE"]),
    ("sarathi", 4, ["ABC", "ABC Dp", "BCD Ep", "BE"]),
]


@pytest.mark.parametrize(("policy", "budget", "batches"), FIGURE_8)
def test_the_rules_of_figure_8(policy, budget, batches):
    # A, B, C have 2, 4, 3 tokens left after their prompts; D and E come during batch 1.
    instance = Instance(
        gpu=Gpu(kv_capacity=100, batch_tokens=budget), arrival=[0, 0, 0, 2, 2], prompt=[1] * 5,
        output=[3, 5, 4, 2, 2],
    )  # fmt: skip
    found = [
        " ".join(
            [
                *filter(None, ["".join("ABCDE"[i] for i in batch.decode)]),
                *("ABCDE"[i] + "p" for i, _ in batch.prefill),
            ]
        )
        for batch in both(instance, policy).batches
    ]
    assert found == ["Ap Bp Cp", *batches]


def test_vllm_preempts_from_the_tail_and_reads_again():
    # Three of 2 tokens each at first. At the third batch's end they would hold 12 > 10: C goes.
    # At the fifth A and B would hold 12: B goes too, and stands before C in the queue.
    instance = Instance(gpu=Gpu(kv_capacity=10), arrival=[0] * 3, prompt=[2] * 3, output=[8, 8, 8])
    batches = both(instance, "vllm").batches
    assert [batch.preempt for batch in batches[:5]] == [(), (), (2,), (), (1,)]
    assert batches[8].prefill[0] == (1, 6)


# ------------------------------------------------------------ theorems


@pytest.mark.parametrize("policy", [*REGISTRY.by_default, *VARIANTS])
def test_compiled_rules_are_the_plain_ones_and_feasible(policy):
    rng, served = np.random.default_rng(7), 0
    for seed in range(200):
        instance = random_instance(rng)
        compiled = outcome(instance, policy, seed=seed)
        assert compiled == outcome(instance, policy, seed=seed, compiled=False)
        if not isinstance(compiled, str):
            assert check_continuous(instance, compiled) == []
            served += 1
    assert served > 100


@pytest.mark.parametrize("policy", [*REGISTRY.by_default, *VARIANTS])
def test_every_policy_conforms(policy):
    assert check_policy(policy, model="continuous", trials=25) == []


@pytest.mark.parametrize("policy", ["mc-sf", "smallest-volume", "shortest-total", "least-work"])
def test_told_lengths_and_whole_prompts_never_preempt(policy):
    # Without a token budget prompts are read at once, and the plan is exact.
    rng = np.random.default_rng(3)
    for _ in range(200):
        instance = random_instance(rng)
        free = instance.replace(gpu=Gpu(kv_capacity=instance.gpu.kv_capacity, kv_block=1))
        assert simulate_continuous(free, policy).columns.drop_of.size == 0


@pytest.mark.parametrize("policy", ["orca", "decode-first"])
def test_reserved_peaks_never_preempt(policy):
    rng = np.random.default_rng(4)
    for _ in range(200):
        instance = random_instance(rng)
        assert simulate_continuous(instance, policy).columns.drop_of.size == 0


def test_without_limits_vllm_and_sarathi_are_one():
    # Blocks of one token, prompts that fit the budget: they differ in what they set aside only.
    rng = np.random.default_rng(5)
    for _ in range(100):
        instance = random_instance(rng)
        roomy = instance.replace(gpu=Gpu(kv_capacity=1000, batch_tokens=int(rng.integers(1, 30))))
        assert simulate_continuous(roomy, "vllm") == simulate_continuous(roomy, "sarathi")


# ------------------------------------------------------------ refusals


@dataclass(frozen=True)
class Says:
    """Say the same thing always."""

    what: ContinuousDecision
    model: ClassVar[str] = "continuous"
    name: ClassVar[str] = "says"
    summary: ClassVar[str] = "says one thing"
    source: ClassVar[str] = "a test"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def decide(self, observation, rng):
        return self.what


WRONG = [
    (ContinuousDecision(prefill=((0, 4),)), "reads 4 tokens of request r0, which has 3 left"),
    (ContinuousDecision(prefill=((0, 0),)), "reads 0 tokens of request r0"),
    (ContinuousDecision(prefill=((5, 1),)), "reads request 5, which is not there"),
    (ContinuousDecision(prefill=((0, 1), (0, 1))), "holds a request twice"),
    (ContinuousDecision(decode=(0,)), "a token job of request r0, whose prompt is not read"),
    (ContinuousDecision(prefill=((0, 1),), preempt=(1,)), "preempts request r1, which does not"),
    (ContinuousDecision(preempt=(1,)), "preempts without a batch"),
    (ContinuousDecision(prefill=((0, 3), (1, 2))), "the batch has 5 tokens, more than 4"),
    (ContinuousDecision(prefill=((0, 1), (1, 1), (2, 1))), "3 requests hold a cache, more than 2"),
    (ContinuousDecision(prefill=((0, 1, 2),)), r"prefill must be a tuple of \(request, tokens\)"),
    (ContinuousDecision(decode=(0.5,)), "decode must be a tuple of request indices"),
    (ContinuousDecision(wake_at=0), "wake_at must be later than now"),
    ("nothing", "decide must return a ContinuousDecision"),
]


@pytest.mark.parametrize(("decision", "message"), WRONG)
def test_decisions_that_break_a_rule_are_refused(decision, message):
    gpu = Gpu(kv_capacity=9, running_requests=2, batch_tokens=4)
    instance = Instance(gpu=gpu, arrival=[0] * 3, prompt=[3] * 3, output=[2] * 3)
    with pytest.raises(PolicyError, match=message):
        simulate_continuous(instance, Says(decision))


def test_kv_and_chunks_are_refused():
    gpu = Gpu(kv_capacity=8, kv_block=4)
    instance = Instance(gpu=gpu, arrival=[0] * 3, prompt=[3] * 3, output=[2] * 3)
    wrong = Says(ContinuousDecision(prefill=((0, 3), (1, 3), (2, 3))))
    with pytest.raises(PolicyError, match="would end with 12 KV tokens in whole blocks"):
        simulate_continuous(instance, wrong)
    whole = instance.replace(gpu=Gpu(kv_capacity=8, chunked_prefill=False))
    with pytest.raises(PolicyError, match="reads 1 of the 3 tokens of request r0"):
        simulate_continuous(whole, Says(ContinuousDecision(prefill=((0, 1),))))


def test_what_idles_for_ever_does_not_finish():
    instance = Instance(gpu=Gpu(kv_capacity=8), arrival=[0], prompt=[3], output=[2])
    with pytest.raises(DoesNotFinish, match="says stalls at 0: request r0 is unfinished"):
        simulate_continuous(instance, Says(ContinuousDecision()))


def test_a_preempted_request_longer_than_a_batch_stalls():
    # They end the third batch with 5 and 4 tokens, the next would hold 11 > 9: the second is
    # dropped with 2 output tokens, and 3 + 2 > 4.
    gpu = Gpu(kv_capacity=9, batch_tokens=4, chunked_prefill=False)
    instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[3, 3], output=[6, 4])
    assert outcome(instance, "vllm").startswith("vllm stalls at")
    assert outcome(instance, "vllm") == outcome(instance, "vllm", compiled=False)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("vllm:max_num_seqs=0", "max_num_seqs: expected an integer of at least 1, found 0"),
        ("vllm:scheduler_reserve_full_isl=1", "scheduler_reserve_full_isl: expected true or false"),
        ("prefill-first:watermark=1", r"watermark: expected a number in \[0, 1\)"),
        ("mc-sf:lengths=some", "lengths: expected one of exact, predicted, interval, none"),
        ("orca:max_model_len=0", "max_model_len: expected an integer of at least 1"),
    ],
)
def test_options_are_checked(spec, message):
    with pytest.raises(InputError, match=message):
        REGISTRY.make(spec)


def test_instances_of_other_regimes_are_refused():
    gpu = Gpu(kv_capacity=9, token_batch_requests=2)
    with pytest.raises(InputError, match="knows no limits of separate batching"):
        simulate_continuous(Instance(gpu=gpu, arrival=[0], prompt=[1], output=[1]), "vllm")


def test_a_narrower_rule_may_gain():
    # Smallest first under a law: what the ranked policies are for.
    law = AffineTime(c0=1.0, c1=0.1, c2=0.1, c3=0.0)
    gpu = Gpu(kv_capacity=26, batch_time=law)  # 24 + 6 > 26
    instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[5, 5], output=[20, 2])
    fcfs, shortest = (
        int(simulate_continuous(instance, policy).completion(instance).sum())
        for policy in ("orca", "mc-sf")
    )
    assert shortest < fcfs


# ------------------------------------------------------------ policies of third parties


@dataclass(frozen=True)
class OneByOne:
    """Serve the request that waits first, alone."""

    model: ClassVar[str] = "continuous"
    name: ClassVar[str] = "one-by-one"
    summary: ClassVar[str] = "one request at a time"
    source: ClassVar[str] = "a test"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def decide(self, observation, rng):
        if observation.running:
            view = observation.running[0]
            if view.ready:
                return ContinuousDecision(decode=(view.index,))
        else:
            view = observation.waiting[0]
        tokens = min(view.unread, observation.limits.tokens)
        return ContinuousDecision(prefill=((view.index, tokens),))


def test_a_policy_of_a_third_party_conforms():
    assert check_policy(OneByOne, model="continuous", trials=25) == []
    assert check_policy(f"{__name__}:OneByOne", model="continuous", trials=2) == []


@dataclass(frozen=True)
class Compiled(OneByOne):
    """Say that the compiled code is another's."""

    def run_compiled(self, instance, told):
        return simulate_continuous(instance, "vllm")


def test_the_suite_finds_compiled_code_that_decides_otherwise():
    assert "compiled" in {finding.rule for finding in check_policy(Compiled, model="continuous")}


def test_third_parties_register_under_their_own_group(monkeypatch):
    asked = []

    class Entry:
        name, value = "one-by-one", f"{__name__}:OneByOne"

    def entry_points(*, group):
        asked.append(group)
        return [Entry()] if group == "batchprophet.continuous_policies" else []

    monkeypatch.setattr(registry, "entry_points", entry_points)
    registry._entries.cache_clear()
    assert list(REGISTRY.registered())[-1] == "one-by-one"
    assert REGISTRY.make("one-by-one") == OneByOne()
    registry._entries.cache_clear()
    assert "batchprophet.continuous_policies" in asked


def test_the_regime_is_simulated_by_its_name():
    instance = random_instance(np.random.default_rng(1))
    simulated = simulate(instance, "vllm", model="continuous")
    assert simulated.schedule == simulate_continuous(instance, "vllm")
