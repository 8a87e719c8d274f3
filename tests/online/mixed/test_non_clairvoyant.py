"""The best policy without lengths: above hindsight, below all others, attained in simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from batchprophet.models import Gpu, Instance
from batchprophet.models.errors import InputError
from batchprophet.models.mixed.feasibility import check_mixed
from batchprophet.online.conformance import check_policy
from batchprophet.online.mixed import simulate
from batchprophet.online.mixed.non_clairvoyant import NonClairvoyantOptimum
from tests.brute_force import brute_force

UNTOLD = ("a-min", "vllm", "flow-control", "gsa", "mlfq", "least-attained", "nested-wait")


def outcomes(n, prompt, law, M):
    """All instances of n requests, with their probabilities."""
    for lengths in product(range(1, len(law) + 1), repeat=n):
        p = float(np.prod([law[o - 1] for o in lengths]))
        if p > 0:
            yield (
                p,
                Instance(
                    gpu=Gpu(kv_capacity=M), arrival=[0] * n, prompt=[prompt] * n, output=lengths
                ),
            )


def expected(cases, policy):
    """Expected total latency of a policy."""
    return sum(p * int(simulate(i, policy).completion(i).sum()) for p, i in cases)


CASES = [
    (2, 1, [0.2] * 5, 6),
    (3, 1, [0.25] * 4, 5),
    (3, 2, [0.5, 0, 0, 0, 0.5], 8),
    (2, 3, [0.7, 0, 0, 0, 0, 0.3], 9),
    (3, 1, [0, 0.1, 0.6, 0.3], 7),
]


@pytest.mark.parametrize(("n", "prompt", "law", "M"), CASES)
def test_its_policy_attains_the_value_and_none_is_better(n, prompt, law, M):
    optimum = NonClairvoyantOptimum(n=n, prompt=prompt, law=law, kv_capacity=M)
    cases = list(outcomes(n, prompt, law, M))
    for _, instance in cases:
        assert check_mixed(instance, simulate(instance, optimum.policy())) == []
    assert expected(cases, optimum.policy()) == pytest.approx(optimum.value, rel=1e-12)
    values = [
        expected(cases, policy) for policy in (*UNTOLD, "gittins", "gittins:law=arrival-model-2")
    ]
    assert min(values) >= optimum.value - 1e-9
    assert max(values) > optimum.value + 1e-9
    hindsight = sum(p * brute_force(instance)[0] for p, instance in cases)
    assert hindsight <= optimum.value + 1e-9


@pytest.mark.parametrize("o", [1, 2, 4])
def test_with_one_length_there_is_nothing_not_to_know(o):
    law = [0.0] * (o - 1) + [1.0]
    for n, s, M in ((3, 1, 6), (4, 2, 9), (3, 3, 7)):
        instance = Instance(gpu=Gpu(kv_capacity=M), arrival=[0] * n, prompt=[s] * n, output=[o] * n)
        best, _ = brute_force(instance)
        assert NonClairvoyantOptimum(n=n, prompt=s, law=law, kv_capacity=M).value == best


def test_one_request_takes_its_mean_length():
    assert NonClairvoyantOptimum(
        n=1, prompt=2, law=[0.1, 0.2, 0.7], kv_capacity=5
    ).value == pytest.approx(2.6)


def test_ample_memory_needs_no_knowledge():
    value = NonClairvoyantOptimum(n=3, prompt=1, law=[0.25] * 4, kv_capacity=15).value
    assert value == pytest.approx(3 * 2.5)


def test_more_memory_is_no_worse():
    values = [
        NonClairvoyantOptimum(n=3, prompt=1, law=[0.25] * 4, kv_capacity=M).value
        for M in range(5, 16)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]


def test_its_policy_is_one():
    # Its states are of its own requests, so that only its description can be checked in general.
    policy = NonClairvoyantOptimum(n=2, prompt=1, law=[0.5, 0.5], kv_capacity=3).policy()
    rules = {finding.rule for finding in check_policy(policy, trials=1)}
    assert not rules & {"description", "pickle"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "n: expected an integer of at least 1, found 0"),
        ({"prompt": 0}, "prompt: expected an integer of at least 1, found 0"),
        ({"law": [0.5]}, "law: expected probabilities of the lengths 1, …, L with sum 1"),
        ({"law": [1.0, 0.0]}, "law: expected probabilities"),
        ({"law": [1.5, -0.5]}, "law: expected probabilities"),
        ({"kv_capacity": 2}, "kv_capacity: expected at least 3, the longest request with its"),
    ],
)
def test_arguments_out_of_range_are_refused(changes, message):
    arguments = {"n": 2, "prompt": 1, "law": [0.5, 0.5], "kv_capacity": 4, **changes}
    with pytest.raises(InputError, match=f"^{message}"):
        NonClairvoyantOptimum(**arguments)


def test_too_many_states_are_refused(monkeypatch):
    monkeypatch.setattr("batchprophet.online.mixed.non_clairvoyant.MOST_STATES", 100)
    with pytest.raises(InputError, match=r"^n: more than 100 states; take fewer requests"):
        NonClairvoyantOptimum(n=3, prompt=1, law=[0.2] * 5, kv_capacity=6)
