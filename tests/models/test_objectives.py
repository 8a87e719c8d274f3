"""Objective values are exact, whatever the coefficients."""

from fractions import Fraction

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.instance import NO_DEADLINE, Gpu, Instance
from batchprophet.models.objectives import evaluate, value_step
from batchprophet.solvers.mixed.bounds.kv_area import area_reward


def make(**columns):
    gpu = Gpu(kv_capacity=9)
    return Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2], **columns)


def test_values():
    completion = np.array([4, 6])
    assert evaluate(make(), completion) == 4 + 4
    assert evaluate(make(weight=[2, 3]), completion, "weighted") == 2 * 4 + 3 * 6
    assert evaluate(make(), completion, "makespan") == 6
    assert evaluate(make(horizon=5, reward=[2, 3]), completion, "reward") == 2
    # Done at 6 ≤ 6 earns; the deadline 3 < 4 of the first request does not.
    instance = make(horizon=6, reward=[2, 3], deadline=[3, NO_DEADLINE])
    assert evaluate(instance, completion, "reward") == 3


def test_decimals_are_not_rounded():
    # 0.1·4 + 0.2·6 = 1.6 exactly; in floating point it is 1.6000000000000003.
    instance = make(weight=[0.1, 0.2])
    assert evaluate(instance, np.array([4, 6]), "weighted") == Fraction(8, 5)
    assert value_step(instance, "weighted") == Fraction(1, 10)
    assert value_step(make(reward=[0.5, 0.75]), "reward") == Fraction(1, 4)
    assert value_step(instance, "latency") == 1


def test_large_coefficients_mean_the_decimal_that_they_print_as():
    # The float 1e23 is 99999999999999991611392; bounds count it as 10^23, and so must values.
    instance = make(weight=[1e23, 1], reward=[1e23, 1], horizon=9)
    assert evaluate(instance, np.array([4, 6]), "weighted") == 4 * 10**23 + 6
    assert evaluate(instance, np.array([4, 6]), "reward") == 10**23 + 1
    assert value_step(instance, "weighted") == 1


def test_a_bound_on_large_rewards_does_not_contradict_the_schedule():
    # Both are done in time, so that the bound is their sum, in decimals: 2.8·10^270.
    instance = make(reward=[1.1e270, 1.7e270], horizon=9)
    value = evaluate(instance, np.array([4, 6]), "reward")
    assert area_reward(instance) == value == 28 * 10**269


def test_refusals():
    with pytest.raises(InputError, match="horizon: the reward objective needs one, found none"):
        evaluate(make(), np.array([4, 6]), "reward")
    with pytest.raises(InputError, match="expected one of latency, weighted, tardiness, m"):
        evaluate(make(), np.array([4, 6]), "speed")
