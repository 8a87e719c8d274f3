"""Learned output lengths: means of the completed, nothing of the future."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from batchprophet.models import Gpu, Instance
from batchprophet.models.batch_time import AffineTime
from batchprophet.models.continuous.feasibility import check_continuous
from batchprophet.online.continuous import simulate_continuous
from batchprophet.online.coupling.history import Past
from batchprophet.online.learned_lengths import LearnedLengths, LengthLaw
from batchprophet.online.view import View


def past(*outputs):
    """Some complete requests, and one that is not."""
    seen = [View(i, 0, 5, o, o) for i, o in enumerate(outputs)]
    return Past(0, 99, (*seen, View(len(seen), 0, 5)))


def test_the_expected_length_is_the_mean_of_the_longer_ones():
    rng = np.random.default_rng(3)
    for _ in range(200):
        outputs = rng.integers(1, 30, int(rng.integers(0, 12))).tolist()
        lengths = LearnedLengths(past(*outputs))
        for tokens in range(32):
            longer = [o for o in outputs if o > tokens]
            mean = math.ceil(sum(longer) / len(longer)) if longer else tokens + 1
            assert lengths.expected(tokens) == mean > tokens


@pytest.mark.parametrize("policy", ["shortest-total", "least-work", "smallest-volume", "sorted-f"])
def test_once_a_request_has_completed_equal_lengths_are_known(policy):
    """The first completes alone; then told and untold policies do the same."""
    rng = np.random.default_rng(4)
    for _ in range(40):
        n, o = int(rng.integers(2, 9)), int(rng.integers(1, 8))
        prompt = rng.integers(1, 8, n)
        arrival = np.concatenate([[0], np.sort(rng.integers(40, 60, n - 1))])
        instance = Instance(
            gpu=Gpu(kv_capacity=24, batch_tokens=9), arrival=arrival, prompt=prompt,
            output=np.full(n, o),
        )  # fmt: skip
        untold = simulate_continuous(instance, f"{policy}:lengths=none")
        assert untold == simulate_continuous(instance, policy)


def test_what_it_learns_saves_preemptions():
    rng = np.random.default_rng(5)
    fewer = 0
    for _ in range(20):
        n = 60
        instance = Instance(
            gpu=Gpu(kv_capacity=200), arrival=np.sort(rng.integers(0, 200, n)),
            prompt=rng.integers(1, 20, n), output=rng.integers(25, 35, n),
        )  # fmt: skip
        dropped = [
            simulate_continuous(instance, policy).columns.drop_of.size
            for policy in ("shortest-total:lengths=none", "shortest-prompt")
        ]
        fewer += dropped[0] < dropped[1]
    assert fewer >= 18


def test_the_law_of_lengths_is_the_share_of_each_length_where_all_have_ended():
    outputs = np.random.default_rng(5).integers(1, 9, 60)
    law = LengthLaw(outputs)
    assert law.beyond == pytest.approx(0)
    for g in range(10):
        assert law.survival(g) == pytest.approx(np.mean(outputs > g))
    assert law.mean_area(3.0) == pytest.approx(np.mean(3 * outputs + outputs * (outputs + 1) / 2))


def test_the_law_of_lengths_is_not_misled_by_what_goes_on():
    # All are seen for 20 rounds only: the mean of what has ended is too short, the law is not.
    outputs = np.random.default_rng(6).geometric(0.05, 4000)
    ended, going = outputs[outputs <= 20], np.full(int((outputs > 20).sum()), 20)
    law = LengthLaw(ended, going)
    for g in (5, 10, 19):
        assert law.survival(g) == pytest.approx(0.95**g, abs=0.03)
        assert np.mean(ended > g) < law.survival(g) - 0.1
    assert law.survival(30) == law.beyond == pytest.approx(0.95**20, abs=0.03)


def test_a_smoothed_law_has_the_quantiles_of_the_law():
    outputs = np.random.default_rng(7).integers(1, 41, 400)
    law, grid = LengthLaw(outputs), np.arange(0, 41)
    smooth = law.smoothed(grid, 16)
    assert (smooth[0], smooth[-1]) == (1.0, 0.0)
    assert np.all(np.diff(smooth) <= 0)
    exact = np.array([law.survival(g) for g in grid])
    assert np.max(np.abs(smooth - exact)) < 0.1
    # Without enough requests it is uniform.
    few = LengthLaw([3] * 15).smoothed(grid, 16)
    assert few == pytest.approx(1 - grid / 40)


def test_a_law_without_any_request_has_all_beyond():
    law = LengthLaw([])
    assert (law.survival(0), law.beyond, law.mean_area(2.0)) == (1.0, 1.0, 3.0)


@pytest.mark.parametrize(
    "policy", ["shortest-total", "least-work", "smallest-volume", "sorted-f", "mc-sf"]
)
@pytest.mark.parametrize("affine", [False, True])
def test_learning_as_compiled_code_is_learning_batch_by_batch(policy, affine):
    """Among them preemptions, idle times, chunks, blocks, seats, and arrivals within batches."""
    rng = np.random.default_rng(6)
    dropped = 0
    for _ in range(30):
        n = int(rng.integers(1, 25))
        law = {"batch_time": AffineTime(c0=0.003, c1=0.0005, c2=0.0002, c3=1e-5)} if affine else {}
        gpu = Gpu(
            kv_capacity=int(rng.integers(52, 80)), kv_block=int(rng.integers(1, 6)),
            batch_tokens=int(rng.integers(8, 40)), running_requests=int(rng.integers(2, 12)), **law,
        )  # fmt: skip
        instance = Instance(
            gpu=gpu, arrival=rng.integers(0, 120 if rng.random() < 0.7 else 1200, n),
            prompt=rng.integers(1, 15, n), output=rng.integers(1, 35, n),
        )  # fmt: skip
        spec = f"{policy}:lengths=none"
        if rng.random() < 0.3:
            spec += ",chunked_prefill_size=5"
        plain = simulate_continuous(instance, spec, compiled=False)
        compiled = simulate_continuous(instance, spec)
        assert compiled == plain
        assert check_continuous(instance, compiled) == []
        dropped += plain.columns.drop_of.size
    assert dropped > 20


def test_with_nothing_running_it_is_the_empirical_law():
    rng = np.random.default_rng(1)
    for _ in range(50):
        outputs = rng.integers(1, 9, int(rng.integers(1, 20)))
        law = LengthLaw(outputs)
        lengths, count = np.unique(outputs, return_counts=True)
        assert law.lengths.tolist() == lengths.tolist()
        assert law.weights == pytest.approx(count / outputs.size)
        assert law.beyond == pytest.approx(0)


def test_the_product_of_hazards():
    rng = np.random.default_rng(2)
    for _ in range(50):
        outputs = rng.integers(1, 9, int(rng.integers(0, 8))).tolist()
        running = rng.integers(0, 9, int(rng.integers(0, 8))).tolist()
        law = LengthLaw(outputs, running)
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
    law = LengthLaw(completed, tokens[length > tokens])
    assert completed.mean() == 10
    assert law.beyond == pytest.approx(0.5, abs=0.05)
