"""The best policy by the law of arrivals: above hindsight, below all others, attained."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from batchprophet.models.batch_time import ConstantTime
from batchprophet.models.errors import InputError
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.separate.feasibility import check_separate
from batchprophet.online.separate.non_clairvoyant import ArrivalOptimum
from batchprophet.online.separate.policy import REGISTRY
from batchprophet.online.separate.simulator import simulate_separate
from tests.brute_force_separate import brute_force_separate

CASES = [
    (1, 3, [0.5, 0.5], (2, 2, 2, 1)),
    (2, 3, [0.25, 0.75], (2, 2, 2, 1)),
    (3, 2, [0.6, 0, 0.4], (2, 2, 2, 1)),
    (3, 3, [0.5, 0.5], (2, 1, 3, 1)),
    (3, 2, [0, 1.0], (1, 2, 1, 2)),
]


def gpu_of(limits):
    B_P, B_D, prompt, token = limits
    return Gpu(
        kv_capacity=99,
        prompt_batch_requests=B_P,
        token_batch_requests=B_D,
        batch_time=ConstantTime(prompt=prompt, token=token),
    )


def outcomes(n, last, law, gpu):
    """All instances with their probabilities."""
    for arrival in product(range(last + 1), repeat=n):
        for output in product(range(1, len(law) + 1), repeat=n):
            p = float(np.prod([law[o - 1] for o in output])) / (last + 1) ** n
            if p > 0:
                order = np.argsort(arrival, kind="stable")
                yield (
                    p,
                    Instance(
                        gpu=gpu,
                        arrival=np.array(arrival)[order],
                        prompt=[1] * n,
                        output=np.array(output)[order],
                    ),
                )


def latency(instance, policy):
    schedule = simulate_separate(instance, policy)
    assert check_separate(instance, schedule) == []
    return int((schedule.completion(instance) - instance.arrival).sum())


@pytest.mark.parametrize(("n", "last", "law", "limits"), CASES)
def test_its_policy_attains_the_value_and_none_is_better(n, last, law, limits):
    gpu = gpu_of(limits)
    optimum = ArrivalOptimum(n=n, last=last, law=law, gpu=gpu)
    cases = list(outcomes(n, last, law, gpu))
    assert sum(p for p, _ in cases) == pytest.approx(1)
    attained = sum(p * latency(instance, optimum.policy()) for p, instance in cases)
    assert attained == pytest.approx(optimum.value, rel=1e-12)
    for name in REGISTRY.by_default:
        assert sum(p * latency(i, name) for p, i in cases) >= optimum.value - 1e-9


@pytest.mark.parametrize(("n", "last", "law", "limits"), CASES[:4])
def test_hindsight_is_at_most_that(n, last, law, limits):
    gpu = gpu_of(limits)
    optimum = ArrivalOptimum(n=n, last=last, law=law, gpu=gpu)
    hindsight = sum(
        p * brute_force_separate(instance)[0] for p, instance in outcomes(n, last, law, gpu)
    )
    assert hindsight <= optimum.value + 1e-9
    if n == 3:
        assert hindsight < optimum.value - 1e-6


class AnyBatch(ArrivalOptimum):
    """The same with batches of any size, and idling at any time."""

    def _choices(self, state):
        _, r, waiting, running = state
        for kind, present, most in (("prompt", waiting, self._B_P), ("token", running, self._B_D)):
            for size in range(1, min(len(present), most) + 1):
                yield from ((kind, some) for some in sorted(set(combinations(present, size))))
        if r:
            yield None, ()


@pytest.mark.parametrize(("n", "last", "law", "limits"), CASES)
def test_batches_that_are_not_full_gain_nothing(n, last, law, limits):
    given = {"n": n, "last": last, "law": law, "gpu": gpu_of(limits)}
    assert AnyBatch(**given).value == pytest.approx(ArrivalOptimum(**given).value, rel=1e-12)


def test_to_know_the_future_is_worth_more_the_more_is_to_come():
    gpu = gpu_of((2, 2, 2, 1))
    values = [ArrivalOptimum(n=3, last=last, law=[1.0], gpu=gpu).value for last in (0, 2, 40)]
    # All at once: 2, 2 and 4 slots; far apart: 2 each, nearly.
    assert values[0] == 8
    assert 6 < values[2] < 6.4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n: expected an integer of at least 1, found 0"),
        ({"last": -1}, "last: expected an integer of at least 0, found -1"),
        ({"law": [0.5, 0.4]}, "law: expected probabilities of the outputs 1, …, L with sum 1"),
        ({"gpu": Gpu(kv_capacity=9)}, "gpu: expected a batch-time law of constant times"),
    ],
)
def test_arguments_out_of_range_are_refused(change, message):
    given = {"n": 2, "last": 3, "law": [1.0], "gpu": gpu_of((2, 2, 2, 1))}
    with pytest.raises(InputError, match=message):
        ArrivalOptimum(**{**given, **change})
