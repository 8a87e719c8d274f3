"""What studies tell policies of output lengths: each kind's law, and common random numbers."""

from __future__ import annotations

import numpy as np
import pytest

from batchprophet.models.errors import InputError
from batchprophet.models.families.registry import make_instance
from batchprophet.online.lengths import told_lengths
from batchprophet.online.mixed.policies.mc_sf import McSf
from batchprophet.online.mixed.simulator import simulate
from batchprophet.online.study.predictions import KINDS, parse_predictions


def ends(text: str, seed: int = 1, n: int = 200):  # type: ignore[no-untyped-def]  # arrays
    instance = make_instance("arrival-model-1", seed=seed, settings={"n": n})
    told = parse_predictions(text).predict(instance, seed)
    return instance.output, told.predicted_low, told.predicted_high


@pytest.mark.parametrize("kind", ["over", "noise", "interval"])
def test_without_error_the_truth_is_told(kind: str) -> None:
    output, low, high = ends(f"{kind}:0")
    assert np.array_equal(low, output)
    assert np.array_equal(high, output)


def test_over_is_never_too_short_and_within_its_factor() -> None:
    output, low, high = ends("over:0.5")
    assert np.array_equal(low, high)
    assert (output <= low).all()
    assert (low <= 1.5 * output).all()
    assert (low > output).any()


def test_intervals_hold_the_truth() -> None:
    output, low, high = ends("interval:1")
    assert (low <= output).all()
    assert (output <= high).all()
    assert (high <= 2 * output).all()
    assert (2 * low >= output).all()


def test_noise_is_on_both_sides_alike() -> None:
    output, low, _ = ends("noise:0.5", n=2000)
    long = output >= 10  # rounding of short ones hides the law
    error = np.log(low[long] / output[long])
    assert abs(np.median(error)) < 0.05
    assert 0.45 < error.std() < 0.55


def test_class_means_are_means_of_classes() -> None:
    output, low, high = ends("class-means:3")
    assert np.array_equal(low, high)
    assert len(np.unique(low)) == 3
    for mean in np.unique(low):
        assert abs(output[low == mean].mean() - mean) <= 0.5
    # Longer outputs are never in a lower class.
    assert (np.diff(low[np.argsort(output, kind="stable")]) >= 0).all()
    # One class is the overall mean; as many classes as requests tell the truth.
    assert set(ends("class-means:1")[1]) == {int(output.mean() + 0.5)}
    assert np.array_equal(ends("class-means:200")[1], output)


@pytest.mark.parametrize("kind", ["over", "noise", "interval"])
def test_errors_of_different_size_use_the_same_random_numbers(kind: str) -> None:
    output, small, _ = ends(f"{kind}:0.5")
    _, large, _ = ends(f"{kind}:2")
    # Who is told too much at one size is told no less than the truth at another, and more wrongly.
    assert ((small - output) * (large - output) >= 0).all()
    assert (abs(large - output) >= abs(small - output)).all()
    assert np.array_equal(small, ends(f"{kind}:0.5")[1])
    assert not np.array_equal(small, ends(f"{kind}:0.5", seed=2)[1])


@pytest.mark.parametrize("text", [*(f"{kind}:2" for kind in KINDS), "bins:2:q90"])
def test_policies_take_the_predictions(text: str) -> None:
    instance = make_instance("arrival-model-2", seed=3)
    predictions = parse_predictions(text)
    assert predictions.label == text
    told = predictions.predict(instance, 3)
    policy = McSf(lengths=predictions.told or "exact")
    high = told_lengths(told, policy, np.random.default_rng(0)).high
    assert told.predicted_high is not None
    assert np.array_equal(
        high, np.minimum(told.predicted_high, instance.gpu.kv_capacity - instance.prompt)
    )
    exact = simulate(instance, "mc-sf").start
    assert not np.array_equal(simulate(told, policy).start, exact)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nosie:0.5", "expected one of default, exact, hazard, none, over:SIZE"),
        ("hazard:2", "expected one of default"),
        ("bins:2:90", "bins: expected a quantile as q90, between q0 and q100, found '90'"),
        ("over:2:q90", "over: expected no quantile, which is of bins or class-bins"),
        ("noise", "expected one of default"),
        ("exact:1", "expected one of default"),
        ("noise:-1", "noise: expected a relative error from 0 to 10.6, found '-1'"),
        ("noise:nan", "found 'nan'"),
        ("class-means:0", "class-means: expected an integer from 1"),
        ("class-means:2.5", "found '2.5'"),
        (7, "found 7"),
    ],
)
def test_bad_predictions_are_refused(text: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_predictions(text)
