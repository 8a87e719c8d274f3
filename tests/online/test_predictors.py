"""Predictors of output lengths: only the past is known, and what traces say of prompts."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.families import make_instance
from batchprophet.models.instance import Gpu, Instance
from batchprophet.online.continuous.simulator import simulate_continuous
from batchprophet.online.lengths import told_lengths
from batchprophet.online.mixed.policies.mc_sf import McSf
from batchprophet.online.mixed.simulator import simulate
from batchprophet.online.predictors import BinnedMeans, BinnedQuantiles, predictor, told_by_past
from batchprophet.online.regimes import regime
from batchprophet.online.separate.simulator import simulate_separate
from tests.paths import SHARED

TRACES = SHARED / "traces"


def burst(rng, n=40, *, label=None):
    return Instance(
        gpu=Gpu(kv_capacity=60), arrival=np.sort(rng.integers(0, 60, n)),
        prompt=rng.integers(1, 20, n), output=rng.integers(1, 12, n), label=label,
    )  # fmt: skip


def test_only_requests_that_could_be_complete_are_known():
    # What comes later, and the outputs of those that run in any case, change nothing.
    rng = np.random.default_rng(1)
    for _ in range(50):
        instance = burst(rng)
        told = told_by_past(instance, 4, [""] * instance.n)
        i = int(rng.integers(1, instance.n))
        known = instance.arrival + instance.output <= instance.arrival[i]  # unit times
        other = np.where(known, instance.output, instance.output + 20)
        changed = instance.replace(output=np.minimum(other, 60 - instance.prompt))
        assert told_by_past(changed, 4, [""] * instance.n)[i] == told[i]


def test_one_bin_is_the_mean_of_the_past():
    rng = np.random.default_rng(2)
    instance = burst(rng)
    told = told_by_past(instance, 1, [""] * instance.n)
    for i in range(instance.n):
        known = instance.arrival + instance.output <= instance.arrival[i]
        past = instance.output[known]
        expected = past.mean() if past.size else 1
        assert told[i] == pytest.approx(expected)


def test_a_large_memory_does_not_spoil_what_is_planned_before_anything_is_known():
    # Requests to the longest length that fits would be served one at a time.
    instance = make_instance(
        "continuous-conversation", seed=1,
        settings={"n": 60, "rate": 50.0, "kv_capacity": 10**9, "max_num_seqs": 16},
    )  # fmt: skip
    latency = {
        policy: (
            simulate_continuous(instance, policy).completion(instance) - instance.arrival
        ).sum()
        for policy in ("vllm", "least-work:lengths=bins:10", "least-work:lengths=none")
    }
    assert latency["least-work:lengths=bins:10"] < 1.1 * latency["vllm"]
    assert latency["least-work:lengths=none"] < 1.1 * latency["vllm"]


def test_bins_are_quantiles_of_the_prompts_and_lean_to_the_mean():
    rng = np.random.default_rng(3)
    for size in (1, 5, 64, 100):
        prompt, output = rng.integers(1, 1000, size), rng.integers(1, 100, size)
        means = BinnedMeans(4)
        for s, o in zip(prompt.tolist(), output.tolist(), strict=True):
            means.add(s, o)
        drawn = prompt[: 1 << (size.bit_length() - 1)]
        edges = np.quantile(drawn, [0.25, 0.5, 0.75])
        for s in (1, 300, 999):
            alike = np.searchsorted(edges, prompt) == np.searchsorted(edges, s)
            expected = (output[alike].sum() + output.mean()) / (alike.sum() + 1)
            assert means.expected(s) == pytest.approx(expected)


def test_quantiles_are_order_statistics_of_the_bin_or_of_all():
    rng = np.random.default_rng(7)
    for size in (1, 5, 64, 100):
        prompt, output = rng.integers(1, 1000, size), rng.integers(1, 100, size)
        learner = BinnedQuantiles(4, percent=80)
        for s, o in zip(prompt.tolist(), output.tolist(), strict=True):
            learner.add(s, o)
        edges = np.quantile(prompt[: 1 << (size.bit_length() - 1)], [0.25, 0.5, 0.75])
        for s in (1, 300, 999):
            alike = output[np.searchsorted(edges, prompt) == np.searchsorted(edges, s)]
            enough = alike.size >= 4  # ⌈5 · 0.8⌉ = 4, of fewer than four none
            known = np.sort(alike if enough else output)
            rank = -(-(known.size + 1) * 80 // 100)
            expected = known[min(rank, known.size) - 1]
            assert learner.expected(s) == expected


def test_few_are_longer_than_their_upper_quantile():
    # Outputs are drawn apart from one another: at most one in ten exceeds what q90 predicts.
    rng = np.random.default_rng(10)
    n = 4000
    instance = Instance(
        gpu=Gpu(kv_capacity=10**6), arrival=np.arange(n) * 10, prompt=rng.integers(1, 500, n),
        output=np.ceil(np.exp(rng.normal(3, 1, n))).astype(int),
    )  # fmt: skip
    for percent in (50, 90, 99):
        told = told_lengths(instance, McSf(lengths=f"bins:5:q{percent}"), rng).high
        longer = (instance.output > told)[n // 2 :].mean()
        assert longer <= 1 - percent / 100 + 0.02
        assert longer >= 0.5 * (1 - percent / 100)  # and it is not all that fits


def test_separate_batching_refuses_what_is_too_short_of_quantiles_too():
    with pytest.raises(InputError, match="predicted too short"):
        simulate_separate(burst(np.random.default_rng(5)), "shortest-remaining:lengths=bins:5:q90")


def test_classes_are_told_apart():
    rng = np.random.default_rng(4)
    n = 60
    label = rng.choice(["chat", "code"], n)
    instance = burst(rng, n, label=label.tolist()).replace(output=np.where(label == "chat", 9, 2))
    last = instance.arrival > 30
    told = told_lengths(instance, McSf(lengths="class-bins:1"), rng).high
    # The mean of all counts as one more request of the class.
    assert np.abs(told - instance.output)[last].max() <= 1
    blind = told_lengths(instance, McSf(lengths="bins:1"), rng).high
    assert np.abs(blind - instance.output)[last].min() >= 2


@pytest.mark.parametrize(
    "spec",
    [
        "hazard",
        "bins:5",
        "bins:5:q90",
        "class-bins:2",
        "class-bins:2:q75.5",
        "noise:0.5",
        "over:0.5",
        "interval:1",
    ],
)
def test_policies_of_all_regimes_take_them(spec):
    rng = np.random.default_rng(5)
    instance = burst(rng)
    assert simulate(instance, f"mc-sf:lengths={spec}") != simulate(instance, "mc-sf")
    assert simulate_continuous(instance, f"least-work:lengths={spec}") != simulate_continuous(
        instance, "least-work"
    )
    if spec.startswith(
        ("over", "interval", "hazard")
    ):  # separate batching takes none that are too short
        told = simulate_separate(instance, f"shortest-remaining:lengths={spec}")
        assert (told.completion(instance) >= instance.arrival).all()


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("mc-sf:lengths=bins:0", "bins: expected an integer from 1 to 10\\^6, found '0'"),
        ("mc-sf:lengths=noise:-1", "noise: expected a relative error from 0 to 10\\^6, found '-1'"),
        ("mc-sf:lengths=bins:3:q100", "bins: expected a quantile as q90, between q0 and q100"),
        ("mc-sf:lengths=bins:3:90", "bins: expected a quantile as q90, between q0 and q100"),
        (
            "mc-sf:lengths=noise:1:q90",
            "noise: expected no quantile, which is of bins or class-bins",
        ),
        ("mc-sf:lengths=magic:3", "lengths: expected one of exact, predicted, interval"),
        ("mc-sf:lengths=bins", "lengths: expected one of exact, predicted, interval"),
        ("mc-sf:lengths=bins:3,error=1", "error: goes with lengths=predicted, found lengths=bins"),
    ],
)
def test_bad_specifications_are_refused(policy, message):
    instance = burst(np.random.default_rng(6))
    with pytest.raises(InputError, match=message):
        simulate(instance, policy)


class Watching:
    """A policy that writes down what it is told, and does as another one."""

    def __init__(self, spec, model):
        self._policy = regime(model).registry.make(spec)
        self.told = []

    def __getattr__(self, name):
        if name in ("run_compiled", "session", "_policy"):
            raise AttributeError(name)
        return getattr(self._policy, name)

    def decide(self, observation, rng):
        here = (*observation.running, *observation.waiting)
        self.told.append([(v.index, v.shortest, v.longest) for v in here])
        return self._policy.decide(observation, rng)


def test_by_tokens_so_far_the_longer_outputs_of_the_past_are_expected():
    # One at a time: outputs 2, 4 and 9 are known in turn; the last has more than 4 at the end.
    gpu = Gpu(kv_capacity=30, running_requests=1)
    instance = Instance(gpu=gpu, arrival=[0] * 4, prompt=[3] * 4, output=[2, 4, 9, 6])
    policy = Watching("vllm", "continuous")
    policy.lengths, policy.length_kinds = "hazard", ("predicted",)
    simulate_continuous(instance, policy)
    told = {i: [t[2] for row in policy.told for t in row if t[0] == i] for i in range(4)}
    assert told[0] == [1, 2]  # nothing is known: it ends with the next token
    # With 2 known and two tokens had, half of those that had two ended there: 3 for the others.
    assert told[1] == [1, 1, 2, 2, 3, 4]
    # 2 or 4 in the mean; with more than the longest known a token more each time.
    assert told[2][-9:] == [3, 3, 4, 4, 5, 6, 7, 8, 9]
    assert told[3][-6:] == [5, 5, 7, 7, 9, 9]  # the means of 2, 4, 9, of 4, 9 and of 9
    assert all(low == high for row in policy.told for _, low, high in row)


def test_by_tokens_so_far_mixed_batching_remembers_evicted_runs():
    rng = np.random.default_rng(8)
    for _ in range(30):
        policy = Watching("a-min:lengths=hazard", "mixed")
        instance = burst(rng)
        schedule = simulate(instance, policy)
        most = {}
        for run in schedule.evicted:
            most[run.request] = max(most.get(run.request, 0), run.end - run.start)
        last = {i: told for row in policy.told for i, *told in row}
        assert all(last[i][0] > tokens for i, tokens in most.items())


def test_by_tokens_so_far_separate_batching_plans_for_all_that_fits():
    instance = burst(np.random.default_rng(9))
    policy = Watching("prefill-first:lengths=hazard", "separate")
    simulate_separate(instance, policy)
    assert all(high == 60 - instance.prompt[i] for row in policy.told for i, _, high in row)


def test_a_plain_kind_is_no_predictor():
    assert predictor("exact") is None
    assert predictor("none:3") is None


# ------------------------------------------------------------ what traces say


def trace(name):
    """Prompts and outputs of a trace, in order."""
    path = TRACES / name
    if name.endswith(".jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return np.array([(row["input_length"], row["output_length"]) for row in rows]).T
    with path.open() as file:
        rows = list(csv.DictReader(file))
    names = {"ContextTokens", "GeneratedTokens", "num_prefill_tokens", "num_decode_tokens"}
    columns = [name for name in rows[0] if name in names]
    return np.array([[int(row[name]) for name in columns] for row in rows]).T


def explained(prompt, output):
    """Share of the variance of the outputs that 50 bins explain, each request from those before."""
    means, guess = BinnedMeans(50), np.zeros(prompt.size)
    for i, (s, o) in enumerate(zip(prompt.tolist(), output.tolist(), strict=True)):
        guess[i] = means.expected(s) or 0.0
        means.add(s, o)
    late = slice(prompt.size // 10, None)  # the first tenth is for learning
    error = ((output[late] - guess[late]) ** 2).mean()
    return 1 - error / output[late].var()


@pytest.mark.skipif(not TRACES.is_dir(), reason="the traces are in ../shared/data, not there")
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("azure2023_conv.csv", 0.6, 0.8),
        ("azure2023_code.csv", -0.05, 0.1),
        ("sarathi_sharegpt8k_lengths.csv", -0.05, 0.1),
        ("mooncake_conversation.jsonl", -0.05, 0.1),
    ],
)
def test_prompts_tell_outputs_of_azure_conversations_and_of_no_other_trace(name, low, high):
    prompt, output = trace(name)
    assert low < explained(prompt, output) < high
    # Shuffled in pairs, the joint law is kept, and so is what it explains; outputs alone are not.
    rng = np.random.default_rng(7)
    order = rng.permutation(prompt.size)
    assert low - 0.1 < explained(prompt[order], output[order]) < high + 0.1
    assert explained(prompt, output[order]) < 0.05


def test_the_family_that_keeps_the_joint_law_says_as_much_of_outputs():
    joint = make_instance("azure-conversation", seed=1, settings={"lengths": "joint", "n": 12_000})
    apart = make_instance("azure-conversation", seed=1, settings={"n": 12_000})
    assert 0.6 < explained(joint.prompt, joint.output) < 0.8
    assert explained(apart.prompt, apart.output) < 0.05
    # The outputs alone have the same law.
    levels = np.linspace(0.05, 0.95, 19)
    assert np.quantile(joint.output, levels) == pytest.approx(
        np.quantile(apart.output, levels), rel=0.15
    )
    code = make_instance("azure-code", seed=1, settings={"lengths": "joint", "n": 12_000})
    assert -0.05 < explained(code.prompt, code.output) < 0.1
