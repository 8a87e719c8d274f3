"""The laws of the families: ranges, means, independence, prefixes, with fixed seeds."""

import numpy as np
import pytest

from batchprophet.models.families import FAMILIES, make_instance
from batchprophet.models.families.arrivals import MarkovModulated, poisson
from batchprophet.models.families.azure_figures import CODE, CONVERSATION
from batchprophet.models.families.lengths import LogNormal, Quantiles, draw_fitting

PAPER_SEEDS = range(400)
COUNTED = ["arrival-model-1", "azure-conversation", "azure-code", "lognormal-burst"]


def make(name, seed=0, **settings):
    return make_instance(name, seed=seed, settings=settings)


def same_requests(one, other):
    return all(
        np.array_equal(getattr(one, column), getattr(other, column))
        for column in ("arrival", "prompt", "output")
    )


def uniform_error(sample, low, high):
    """How many standard errors the mean of a sample is from that of U{low..high}."""
    deviation = np.sqrt(((high - low + 1) ** 2 - 1) / 12 / len(sample))
    return abs(np.mean(sample) - (low + high) / 2) / deviation


def test_arrival_model_1_follows_the_papers_law():
    drawn = [make("arrival-model-1", seed) for seed in PAPER_SEEDS]
    n, M = [i.n for i in drawn], [i.gpu.kv_capacity for i in drawn]
    prompt = np.concatenate([i.prompt for i in drawn])
    assert all(i.arrival.max() == 0 for i in drawn)
    # 400 draws from 21 values: each value is missed with probability 21·(20/21)^400 < 1e-7.
    assert set(n) == set(range(40, 61))
    assert set(M) == set(range(30, 51))
    assert set(prompt) == {1, 2, 3, 4, 5}
    for sample, low, high in ((n, 40, 60), (M, 30, 50), (prompt, 1, 5)):
        assert uniform_error(sample, low, high) < 4
    # o given M and s is U{1..M − s}: (o − 1/2)/(M − s) has mean 1/2 and variance below 1/12.
    position = np.concatenate([(i.output - 0.5) / (i.gpu.kv_capacity - i.prompt) for i in drawn])
    assert 0 < position.min() < 0.02
    assert 0.98 < position.max() < 1
    assert abs(position.mean() - 0.5) < 4 * np.sqrt(1 / 12 / position.size)


def test_arrival_model_2_follows_the_papers_law():
    drawn = [make("arrival-model-2", seed) for seed in PAPER_SEEDS]
    assert all((np.diff(i.arrival) >= 0).all() for i in drawn)
    assert max(int(i.arrival.max()) for i in drawn) == 59
    # E[n] = E[T]·E[λ] = 50; Var[n] = E[Tλ] + Var[Tλ] ≈ 50 + 50²/12 + 36.7·(1 + 1/12) = 298.
    n = np.array([i.n for i in drawn])
    assert abs(n.mean() - 50) < 4 * np.sqrt(298 / n.size)
    assert 200 < n.var() < 400
    # Lengths are those of arrival model 1, same seed, same M.
    assert set(np.concatenate([i.prompt for i in drawn])) == {1, 2, 3, 4, 5}
    assert all((i.peak <= i.gpu.kv_capacity).all() for i in drawn)


def test_arrival_model_2_with_rounds_and_rate_set_is_poisson_in_each_round():
    instance = make("arrival-model-2", rounds=20_000, rate=1.2)
    counts = np.bincount(instance.arrival, minlength=20_000)
    # Poisson(1.2): mean 1.2 ± 0.0077, variance as large, P[0] = e^−1.2 = 0.3012 ± 0.0032.
    assert abs(counts.mean() - 1.2) < 0.031
    assert abs(counts.var() - 1.2) < 0.06
    assert abs((counts == 0).mean() - np.exp(-1.2)) < 0.013


def test_a_draw_without_requests_is_drawn_again():
    # One round at rate 0.01 is empty in 99 of 100 draws.
    assert all(make("arrival-model-2", seed, rounds=1, rate=0.01).n >= 1 for seed in range(50))


def test_with_the_capacity_set_the_other_draws_stay_the_same():
    free, fixed = make("arrival-model-1", 3), make("arrival-model-1", 3, kv_capacity=1000)
    assert np.array_equal(free.prompt, fixed.prompt)
    assert fixed.output.max() > 500


@pytest.mark.parametrize("name", [*COUNTED, "arrival-model-2"])
@pytest.mark.parametrize("seed", range(5))
def test_with_n_set_the_requests_are_a_prefix(name, seed):
    whole = make(name, seed)
    for n in (1, 7, whole.n // 2, whole.n):
        part = make(name, seed, n=n)
        assert part.gpu == whole.gpu
        assert same_requests(part, whole.take(range(n)))


@pytest.mark.parametrize("settings", [{"arrivals": "poisson"}, {"arrivals": "mmpp"}])
@pytest.mark.parametrize("lengths", ["quantiles", "lognormal"])
def test_prefixes_hold_where_many_requests_are_drawn_again(settings, lengths):
    # Half of the conversation's requests are larger than 1,200 tokens.
    choices = {**settings, "lengths": lengths, "kv_capacity": 1200}
    whole = make("azure-conversation", 5, n=20_000, **choices)
    part = make("azure-conversation", 5, n=9_999, **choices)
    assert same_requests(part, whole.take(range(9_999)))


@pytest.mark.parametrize("name", COUNTED)
def test_a_longer_instance_continues_a_shorter_one(name):
    longer = make(name, 2, n=3000)
    assert same_requests(make(name, 2), longer.take(range(make(name, 2).n)))


@pytest.mark.parametrize(
    ("name", "figures"), [("azure-conversation", CONVERSATION), ("azure-code", CODE)]
)
@pytest.mark.parametrize("arrivals", ["poisson", "mmpp"])
def test_azure_families_have_the_figures_they_are_made_of(name, figures, arrivals):
    instance = make(name, 1, n=200_000, arrivals=arrivals)
    rate = instance.n / (instance.arrival[-1] * 0.05)
    assert rate == pytest.approx(figures.rate, rel=0.04 if arrivals == "mmpp" else 0.01)
    for tokens, part in ((instance.prompt, figures.prompt), (instance.output, figures.output)):
        # 200,000 draws: the median's rank has a standard error of 0.11 %.
        low, high = np.percentile(tokens, [49.4, 50.6])
        assert low <= part.quantiles[50] <= high
        assert np.percentile(tokens, 99) == pytest.approx(part.quantiles[99], rel=0.05)
    # Independent columns: correlation 0 ± 0.0022.
    assert abs(np.corrcoef(instance.prompt, instance.output)[0, 1]) < 0.01


def test_means_are_those_of_the_traces():
    # Known of the traces: conversation 1155 and 211, code 2048 and 28 tokens.
    for name, prompt, output in (("azure-conversation", 1155, 211), ("azure-code", 2048, 28)):
        instance = make(name, 4, n=300_000)
        assert instance.prompt.mean() == pytest.approx(prompt, rel=0.01)
        assert instance.output.mean() == pytest.approx(output, rel=0.015)


def test_lognormal_lengths_have_their_figures():
    instance = make("lognormal-burst", 1, n=200_000, kv_capacity=10**9)
    assert np.median(instance.prompt) == pytest.approx(760, rel=0.01)
    assert np.log(instance.prompt).std() == pytest.approx(0.985, rel=0.01)
    assert np.log(instance.output).mean() == pytest.approx(np.log(151), rel=0.01)
    assert instance.arrival.max() == 0


def test_requests_larger_than_the_gpu_are_drawn_again_not_cut():
    # Given s + o ≤ 30 with s, o ~ U{1..20} (quantiles of a straight line, rounding aside), small
    # pairs keep their relative frequencies: P[s ≤ 10 | both ≤ 15] = 2/3 with or without the limit.
    line = Quantiles((0, 100), (0.5, 20.5))
    s, o = draw_fitting(np.random.default_rng(1), 100_000, line, line, 30)
    assert (s + o).max() == 30
    inside = s[(s <= 15) & (o <= 15)]
    assert abs((inside <= 10).mean() - 2 / 3) < 0.01


def test_lengths_are_at_least_one_token():
    tiny = LogNormal(mu=-5.0, sigma=1.0)
    assert set(tiny(np.random.default_rng(0), 1000).tolist()) == {1}


def test_poisson_arrivals_have_independent_exponential_gaps():
    gaps = np.diff(poisson(np.random.default_rng(3), 200_000, rate=4.0))
    # Exponential: coefficient of variation 1, no correlation; standard errors 0.0022.
    assert gaps.mean() == pytest.approx(0.25, rel=0.01)
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.01)
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 0.01


def test_a_modulated_process_of_equal_rates_is_poisson():
    # The reduction: switching between equal rates changes nothing.
    same = MarkovModulated(fast=4.0, slow=4.0, leave_fast=0.3, leave_slow=2.0)
    gaps = np.diff(same.draw(np.random.default_rng(3), 200_000, 4.0))
    assert gaps.mean() == pytest.approx(0.25, rel=0.01)
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.01)


def test_a_modulated_process_has_the_dispersion_of_theory():
    # Index of dispersion of counts over long times (Fischer and Meier-Hellstern 1993, two states):
    # 1 + 2·(λ1 − λ2)²·σ1·σ2 / ((σ1 + σ2)²·(λ1·σ2 + λ2·σ1)), σ1 the rate of leaving state 1.
    process = MarkovModulated(fast=9.0, slow=1.0, leave_fast=0.6, leave_slow=0.2)
    theory = 1 + 2 * 64 * 0.12 / (0.64 * (9 * 0.2 + 1 * 0.6))
    assert process.rate == pytest.approx(3.0)
    times = process.draw(np.random.default_rng(1), 900_000, 3.0)
    # 3,000 windows of 100 s: theory holds up to 1/(0.8·100); s.e. of a variance √(2/3000).
    counts = np.bincount((times / 100).astype(int))[:-1]
    assert counts.var() / counts.mean() == pytest.approx(theory, rel=0.13)


def test_a_modulated_process_begins_in_its_stationary_law():
    # Fast one quarter of the time; then the first arrival comes within 0.1 s, else hardly ever.
    # 2,000 draws: standard error 0.0097.
    process = MarkovModulated(fast=1000.0, slow=1e-4, leave_fast=3e-4, leave_slow=1e-4)
    early = [
        process.draw(np.random.default_rng(seed), 1, process.rate)[0] < 0.1 for seed in range(2000)
    ]
    assert abs(np.mean(early) - 0.25) < 0.04


def test_stretching_time_gives_the_rate_and_keeps_the_shape():
    process = CODE.modulated
    slow = process.draw(np.random.default_rng(1), 1000, process.rate)
    fast = process.draw(np.random.default_rng(1), 1000, 10 * process.rate)
    assert np.allclose(slow, 10 * fast)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_million_requests_take_seconds(name):
    settings = {
        "sqrt-adversary": {"kv_capacity": 2_000_000},
        "fcfs-breaker": {"kv_capacity": 2_000, "blocks": 1000},
        "shortest-output-breaker": {"kv_capacity": 3_000, "blocks": 950},
        "arrival-model-2": {"rounds": 1_000_000, "rate": 1.0},
    }.get(name, {"n": 1_000_000})
    assert make(name, 1, **settings).n > 990_000
