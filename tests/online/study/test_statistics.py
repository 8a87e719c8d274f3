"""Statistics against hand-made cases, their theorems, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from batchprophet.models.errors import InputError
from batchprophet.online.statistics.intervals import (
    bootstrap_interval,
    quantile_interval,
    t_interval,
)
from batchprophet.online.statistics.pairs import compare_pairs
from batchprophet.online.statistics.profiles import performance_profiles
from batchprophet.online.statistics.ratios import ratio_figures


def test_t_interval_is_that_of_scipy() -> None:
    x = np.random.default_rng(1).normal(3, 2, size=17)
    expected = stats.ttest_1samp(x, 0).confidence_interval(0.95)
    assert t_interval(x) == pytest.approx((expected.low, expected.high))
    assert t_interval([4.0]) is None


def test_bootstrap_agrees_with_student_on_normal_means() -> None:
    x = np.random.default_rng(2).normal(3, 2, size=200)
    assert bootstrap_interval(x, lambda y: y.mean(axis=1)) == pytest.approx(t_interval(x), abs=0.05)


def test_bootstrap_is_the_same_for_the_same_seed_and_in_blocks() -> None:
    x = np.random.default_rng(3).random(5000)  # 5000 × 2000 resamples: several blocks
    first = bootstrap_interval(x, lambda y: y.mean(axis=1), seed=7)
    assert first == bootstrap_interval(x, lambda y: y.mean(axis=1), seed=7)
    assert first != bootstrap_interval(x, lambda y: y.mean(axis=1), seed=8)


@pytest.mark.parametrize("n", [50, 2001])  # 2001 × 2000 draws are too many to be kept
def test_bootstrap_draws_are_those_of_numpy_however_they_are_cut(n: int) -> None:
    x = np.random.default_rng(3).random((n, 2))
    drawn = np.random.default_rng(7).integers(0, n, size=(2000, n))
    sums = [x[row, 0].sum() for row in drawn]
    expected = np.quantile(sums, [0.025, 0.975])
    found = bootstrap_interval(x, lambda y: y[..., 0].sum(axis=1), seed=7)
    assert found == pytest.approx(tuple(expected))
    # Of another size between them, and one column, that is cut otherwise.
    assert bootstrap_interval(x[: n // 2], lambda y: y[..., 0].sum(axis=1), seed=7) != found
    assert bootstrap_interval(x[:, 0], lambda y: y.sum(axis=1), seed=7) == pytest.approx(found)


@pytest.mark.parametrize("probability", [0.5, 0.9])
def test_quantile_interval_covers_the_quantile(probability: float) -> None:
    # Exponential law; the coverage is at least 95 %, and 2,000 samples measure it within 1.5 %.
    rng = np.random.default_rng(4)
    quantile = -np.log(1 - probability)
    found = [quantile_interval(rng.exponential(size=60), probability) for _ in range(2000)]
    covered = sum(low <= quantile <= high for low, high in filter(None, found))
    assert covered >= 0.935 * 2000


@pytest.mark.parametrize(("n", "exists"), [(5, False), (6, True)])
def test_the_shortest_sample_for_an_interval_of_the_median(n: int, exists: bool) -> None:
    # Minimum and maximum miss the median with probability 2·2^−n: 6.3 % for 5, 3.1 % for 6.
    assert (quantile_interval(range(n), 0.5) is not None) == exists


def test_mean_of_ratios_and_ratio_of_means_are_two_figures() -> None:
    # One small instance at twice the optimum, one large at the optimum.
    figures = ratio_figures([2, 100], [1, 100])
    assert figures.mean_of_ratios == 1.5
    assert figures.ratio_of_means == pytest.approx(102 / 101)
    assert (figures.least, figures.median, figures.greatest) == (1, 1.5, 2)


def test_ratio_of_means_is_resampled_in_pairs() -> None:
    # Value and reference are proportional: every resample has the same ratio.
    reference = np.random.default_rng(5).random(30) + 1
    figures = ratio_figures(1.25 * reference, reference)
    assert figures.ratio_of_means_bootstrap == pytest.approx((1.25, 1.25))


@pytest.mark.parametrize(
    ("values", "references", "message"),
    [
        ([1, 2], [1], "expected one for each of 2 values"),
        ([], [], "at least one"),
        ([1], [0], "expected positive numbers, found 0"),
        ([float("nan")], [1], "finite"),
    ],
)
def test_bad_ratios_are_refused(values: list[float], references: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ratio_figures(values, references)


def test_pairing_cancels_what_instances_have_in_common() -> None:
    rng = np.random.default_rng(6)
    hard = rng.normal(100, 20, size=50)
    pair = compare_pairs(hard + rng.normal(0, 1, 50), hard + 1 + rng.normal(0, 1, 50))
    assert pair.variance_ratio is not None
    assert pair.variance_ratio < 0.01
    assert pair.difference_t is not None
    assert pair.difference_t.high < 0
    assert pair.wins + pair.ties + pair.losses == 50


def test_sign_test_of_ties_only() -> None:
    pair = compare_pairs([1, 2], [1, 2])
    assert (pair.wins, pair.ties, pair.losses, pair.sign_p) == (0, 2, 0, 1.0)
    assert compare_pairs([0] * 6, [1] * 6).sign_p == pytest.approx(2 / 2**6)


@pytest.mark.parametrize(("wins", "losses"), [(0, 3), (5, 5), (7, 4), (4, 7), (130, 70)])
def test_sign_test_is_that_of_scipy(wins: int, losses: int) -> None:
    pair = compare_pairs([1] * wins + [2] * losses, [2] * wins + [1] * losses)
    assert pair.sign_p == pytest.approx(stats.binomtest(wins, wins + losses).pvalue)


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_quantile_interval_has_the_tails_that_scipy_says(probability: float) -> None:
    # Values are their ranks. No rank nearer the middle has a tail of 2.5 % or less.
    interval = quantile_interval(range(1, 201), probability)
    assert interval is not None
    r, s = interval
    law = stats.binom(200, probability)
    assert law.cdf(r - 1) <= 0.025 < law.cdf(r)
    assert law.sf(s - 1) <= 0.025 < law.sf(s - 2)


def test_profile_of_a_policy_that_does_not_always_finish() -> None:
    profiles = performance_profiles({"a": [2, 2, None], "b": [1, 2, None], "c": [4, None, None]})
    a, b, c = profiles["a"], profiles["b"], profiles["c"]
    assert [p.wins for p in (a, b, c)] == [1, 2, 0]
    # c is within a factor 4 of the best on the first instance, and never finishes elsewhere.
    assert [c.at(factor) for factor in (1, 3.9, 4, 100)] == pytest.approx([0, 0, 1 / 3, 1 / 3])
    assert a.at(2) == b.at(1) == pytest.approx(2 / 3)
