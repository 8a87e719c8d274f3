"""Latencies by class, and who pays for a small mean."""

from __future__ import annotations

import numpy as np
import pytest

import batchprophet as bp
from batchprophet.results.classes import by_class


def test_classes_are_means_over_their_requests():
    rng = np.random.default_rng(5)
    for seed in range(20):
        instance = bp.make("arrival-model-2", seed=seed, settings={"n": 12})
        instance = instance.replace(label=[str(each) for each in rng.choice(["a", "b", "c"], 12)])
        schedule = bp.simulate(instance, "mc-sf").schedule
        latency = schedule.completion(instance) - instance.arrival
        found = by_class(instance, schedule)
        assert sum(each.requests for each in found) == 12
        total = sum(each.requests * each.mean_latency for each in found)
        assert total == pytest.approx(latency.sum())
        means = [each.mean_latency for each in found]
        assert means == sorted(means, reverse=True)
        for each in found:
            of = [
                int(c)
                for c, name in zip(latency, instance.label, strict=True)
                if name == each.label
            ]
            assert each.p99_latency == pytest.approx(np.percentile(of, 99))


def test_a_comparison_says_which_class_waits_and_who_pays():
    # Long requests wait for short ones, unless served in order of arrival.
    instance = bp.Instance(
        gpu=bp.Gpu(kv_capacity=12),
        arrival=[0, *range(20)], prompt=[2] * 21, output=[10, *[3] * 20],
        label=["long", *["short"] * 20],
    )  # fmt: skip
    compared = bp.compare(instance, policies="mc-sf,mc-benchmark", time_limit=2)
    (said,) = [each for each in compared.reading() if each.startswith("By class")]
    assert "under" in said
    record = compared.to_record()
    for entry in (record["hindsight"], *record["policies"]):
        assert {each["label"] for each in entry["classes"]} == {"long", "short"}
        assert sum(each["requests"] for each in entry["classes"]) == 21


def test_the_least_mean_is_told_with_what_it_costs():
    instance = bp.make(
        "continuous-conversation", seed=4,
        settings={"gpu": "a100", "n": 80, "rate": 20.0, "kv_capacity": 20_000},
    )  # fmt: skip
    compared = bp.compare(instance, policies="vllm,least-work", model="continuous", time_limit=0.5)
    rows = {row.policy: row.metrics for row in compared.rows()}
    least = min(metrics.p99_latency for metrics in rows.values())
    told = [each for each in compared.reading() if "some requests pay" in each]
    assert bool(told) == (rows["least-work"].p99_latency >= 1.1 * least)
    assert rows["least-work"].mean_latency < rows["vllm"].mean_latency


def test_without_classes_nothing_is_said():
    instance = bp.make("arrival-model-1", seed=1, settings={"n": 6})
    compared = bp.compare(instance, policies="mc-sf", time_limit=1)
    assert compared.classes() == {}
    assert not [each for each in compared.reading() if each.startswith("By class")]
    assert "classes" not in compared.to_record()["hindsight"]
