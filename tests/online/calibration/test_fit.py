"""The law of a log is found: exactly without noise, within its intervals with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from batchprophet.models.batch_time import AffineTime
from batchprophet.models.engine_logs.reading import read_engine_log
from batchprophet.online.calibration.capacity import fit_capacity
from batchprophet.online.calibration.errors import errors, held_out
from batchprophet.online.calibration.first_guess import first_guess
from batchprophet.online.calibration.fit import fit_law
from batchprophet.online.calibration.law import coefficients_of
from batchprophet.online.calibration.regression import bounded_fit, covariance, robust_fit
from batchprophet.online.calibration.replay import Engine, replay
from batchprophet.online.engine import EngineLimits
from tests.engine_simulator import EngineUnderTest, log_of, requests
from tests.paths import SHARED

LAW = (9.82, 0.0442, 0.0366, 9.4e-5)


def made(seed=0, n=120, **options):
    engine = EngineUnderTest(LAW, rng=np.random.default_rng(seed), **options)
    jobs = requests(n, 6.0, np.random.default_rng(seed + 1))
    engine.serve(jobs)
    limits = EngineLimits(
        kv_capacity=min(engine.kv, 10**6), max_num_seqs=engine.seats,
        max_num_batched_tokens=engine.budget, block_size=engine.block,
    )  # fmt: skip
    return log_of(jobs), Engine(regime="continuous", rule="vllm", limits=limits), engine


@pytest.mark.parametrize("whole_fits", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"seats": 8}, {"kv": 8_000}, {"budget": 256}, {"kv": 6_000, "budget": 256}]
)
def test_two_simulators_of_the_same_rule_agree(options, whole_fits):
    # One is for tests, in plain Python, the other is the package's compiled one.
    log, engine, served = made(whole_fits=whole_fits, **options)
    if not whole_fits:
        engine = replace(engine, rule="vllm:scheduler_reserve_full_isl=false")
    played = replay(log, engine, AffineTime(c0=LAW[0], c1=LAW[1], c2=LAW[2], c3=LAW[3]))
    assert played.times.start.size == served.batches
    assert np.array_equal(played.times.first_token, log.first_token)
    assert np.array_equal(played.times.completion, log.last_token)


def test_a_law_without_noise_is_found():
    log, engine, _ = made(seats=12)
    fit = fit_law(log, engine)
    assert coefficients_of(fit.law)[:2] == pytest.approx(LAW[:2], rel=0.01)
    assert all(c.low <= true <= c.high for c, true in zip(fit.coefficients, LAW, strict=True))
    assert abs(errors(log, replay(log, engine, fit.law)).mean_latency) < 1e-3


def test_the_first_guess_is_near():
    log, _, _ = made(seats=12)
    guess = first_guess(log)
    assert guess[0] == pytest.approx(LAW[0], rel=0.5)


def test_the_same_log_gives_the_same_law():
    log, engine, _ = made(n=60)
    assert fit_law(log, engine, plays=10).law == fit_law(log, engine, plays=10).law


def test_outliers_do_not_move_a_robust_fit():
    rng = np.random.default_rng(1)
    rows = np.stack([np.ones(200), rng.uniform(0, 10, 200)], axis=1)
    values = rows @ np.array([2.0, 3.0]) + 0.01 * rng.standard_normal(200)
    values[:10] += 1000
    found, _ = robust_fit(rows, values, np.ones(200))
    assert found == pytest.approx([2.0, 3.0], rel=0.01)


def test_the_covariance_is_that_of_repeated_samples():
    rng = np.random.default_rng(2)
    rows = np.stack([np.ones(100), rng.uniform(0, 10, 100)], axis=1)
    found, spreads = [], []
    for _ in range(400):
        values = rows @ np.array([20.0, 3.0]) + rng.standard_normal(100)
        each = bounded_fit(rows, values, np.ones(100))
        found.append(each)
        spreads.append(np.sqrt(np.diag(covariance(rows, values, np.ones(100), each))))
    assert np.mean(spreads, axis=0) == pytest.approx(np.std(found, axis=0), rel=0.15)


def test_capacity_is_fitted_where_it_binds_and_only_there():
    log, _, _ = made(kv=6_000, n=100)
    unlimited = Engine(
        regime="continuous", rule="vllm",
        limits=EngineLimits(kv_capacity=200_000, max_num_batched_tokens=2048, block_size=16),
    )  # fmt: skip
    fitted = fit_capacity(log, unlimited)
    assert fitted.binds
    assert fitted.value == pytest.approx(6_000, rel=0.1)
    ample, _, _ = made(n=60)
    assert not fit_capacity(ample, unlimited).binds


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared logs")
@pytest.mark.parametrize(
    "name",
    ["vllm-rtx4090-llama-3.1-8b", "vllm-rtxpro6000-llama-3.1-8b", "vllm-rtxpro6000-qwen3-32b"],
)
def test_real_logs_are_explained_by_what_is_held_out(name):
    log = read_engine_log(SHARED / "engine-logs" / name / "requests.jsonl")
    facts = log.facts
    limits = EngineLimits(
        kv_capacity=facts.kv_capacity or 200_000, max_num_seqs=facts.max_num_seqs,
        max_num_batched_tokens=facts.max_num_batched_tokens, block_size=16,
    )  # fmt: skip
    engine = Engine(regime="continuous", rule="vllm", limits=limits)
    played = replay(log, engine, fit_law(log, engine).law)
    assert abs(errors(log, played).mean_latency) <= 0.01
    assert held_out(log, engine, played).median_request <= 0.03


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared logs")
@pytest.mark.parametrize("run", ["300-3", "400-4"])
def test_both_loaded_runs_of_distserve_have_the_same_kv_memory(run):
    log = read_engine_log(SHARED / f"engine-logs/distserve/opt13b_a100_vllm-{run}.exp")
    ample = EngineLimits(kv_capacity=int((log.prompt + log.output).sum()))
    engine = Engine(regime="separate", rule="prefill-first", limits=ample)
    assert fit_capacity(log, engine).value == pytest.approx(53_600, rel=0.02)
