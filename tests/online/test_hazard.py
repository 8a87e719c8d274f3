"""Kaplan and Meier's estimate: reductions, and that it is not fooled by what still runs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from batchprophet.online.hazard import kaplan_meier


def test_with_nothing_running_it_is_the_empirical_law():
    rng = np.random.default_rng(1)
    for _ in range(50):
        outputs = rng.integers(1, 9, int(rng.integers(1, 20)))
        law = kaplan_meier(outputs)
        lengths, count = np.unique(outputs, return_counts=True)
        assert law.lengths.tolist() == lengths.tolist()
        assert law.weights == pytest.approx(count / outputs.size)
        assert law.beyond == pytest.approx(0)


def test_the_product_of_hazards():
    rng = np.random.default_rng(2)
    for _ in range(50):
        outputs = rng.integers(1, 9, int(rng.integers(0, 8))).tolist()
        running = rng.integers(0, 9, int(rng.integers(0, 8))).tolist()
        law = kaplan_meier(outputs, running)
        survival, expected = Fraction(1), []
        for length in sorted(set(outputs)):
            at_risk = sum(o >= length for o in outputs) + sum(g >= length for g in running)
            expected.append(survival * Fraction(outputs.count(length), at_risk))
            survival -= expected[-1]
        assert law.weights == pytest.approx([float(each) for each in expected])
        assert law.beyond == pytest.approx(float(survival))


def test_long_requests_that_still_run_count():
    # Half of the lengths are 10, half 100; all began within the last 60 tokens.
    rng = np.random.default_rng(3)
    length, tokens = rng.choice([10, 100], 4000), rng.integers(0, 60, 4000)
    completed = length[length <= tokens]
    law = kaplan_meier(completed, tokens[length > tokens])
    assert completed.mean() == 10
    assert law.beyond == pytest.approx(0.5, abs=0.05)
