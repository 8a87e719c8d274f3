"""Iteration logs of engines, and the laws that are fitted to them."""

from __future__ import annotations

import numpy as np
import pytest

import batchprophet as bp
from batchprophet.models.engine_logs.iterations import Iterations, read_iterations
from batchprophet.models.errors import InputError
from batchprophet.models.traces.file import TraceFile
from batchprophet.online.calibration.steps import fit_steps
from tests.paths import SHARED

LAW = np.array([9.0, 0.05, 0.03, 1e-4])


def batches(count=80, seed=0):
    rng = np.random.default_rng(seed)
    p, d = rng.integers(0, 2000, count), rng.integers(1, 100, count)
    kv = d * rng.integers(100, 900, count)
    rows = np.stack([np.ones(count), p, d, kv], axis=1)
    return p, d, kv, rows @ LAW


def vllm_line(k, p, d, ms, usage=None, rank=0):
    tail = "" if usage is None else f", GPU KV cache usage: {usage}%"
    return (
        f"(EngineCore_DP{rank} pid=9) INFO 07-08 00:00:02 [core.py:359] Iteration({k}): 1 context "
        f"requests, {p} context tokens, {d} generation requests, {d} generation tokens, "
        f"iteration elapsed time: {ms:.2f} ms{tail}\n"
    )


def trt_line(k, p, d, before, rank=0):
    return (
        f"[TRT-LLM] [RANK {rank}] [I] iter = {k}, global_rank = {rank}, rank = {rank}, "
        f"currank_total_requests = 1/1, host_step_time = 9.9ms, prev_device_step_time = {before}, "
        f"timestamp = 2026-07-07 00:00:00, num_scheduled_requests: {d}, states = "
        f"{{'num_ctx_requests': 0, 'num_ctx_tokens': {p}, 'num_generation_tokens': {d}}}\n"
    )


def read(folder, text, name, **options):
    path = folder / "engine.log"
    path.write_text(text)
    with TraceFile(path) as file:
        return read_iterations(file, name, **options)


def test_vllm_iterations_with_the_use_of_kv(tmp_path):
    text = "INFO starting\n" + vllm_line(0, 100, 3, 12.5, usage=50.0) + "other\n"
    text += vllm_line(1, 0, 4, 9.25, usage=60.0)
    found = read(tmp_path, text, "vllm-iterations", kv_capacity=1000)
    assert found.prompt_tokens.tolist() == [100, 0]
    assert found.jobs.tolist() == [3, 4]
    assert found.kv.tolist() == [500, 600]
    assert found.milliseconds.tolist() == [12.5, 9.25]
    assert read(tmp_path, text, "vllm-iterations").kv is None  # a share of what?


def test_the_device_time_of_tensorrt_is_that_of_the_iteration_before(tmp_path):
    text = trt_line(7, 100, 1, "N/A") + trt_line(8, 0, 2, "12.5ms") + trt_line(9, 0, 3, "8.5ms")
    text += trt_line(11, 0, 4, "7.5ms")  # the line of iteration 10 is missing
    found = read(tmp_path, text, "trtllm-iterations")
    assert found.prompt_tokens.tolist() == [100, 0]
    assert found.jobs.tolist() == [1, 2]
    assert found.milliseconds.tolist() == [12.5, 8.5]


def test_a_step_of_sglang_is_running_requests_over_tokens_per_second(tmp_path):
    line = "[2026-01-01] Decode batch. #running-req: 20, #token: 900, token usage: 0.82, "
    line += "gen throughput (token/s): 1000.00, #queue-req: 0\n"
    found = read(tmp_path, line, "sglang-decode")
    assert (found.jobs[0], found.kv[0], found.milliseconds[0]) == (20, 900, 20)
    with pytest.raises(InputError, match="speculative"):
        read(tmp_path, line.replace("token usage", "accept len: 3.5, token usage"), "sglang-decode")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (vllm_line(0, 1, 1, 9.0) + vllm_line(0, 1, 1, 9.0, rank=1), "vllm-iterations"),
        (trt_line(0, 1, 1, "9ms") + trt_line(1, 1, 1, "9ms", rank=1), "trtllm-iterations"),
    ],
)
def test_several_ranks_are_refused(tmp_path, text, name):
    with pytest.raises(InputError, match="line 2: expected iterations of one rank"):
        read(tmp_path, text, name)


def test_calibrate_finds_the_law_of_a_log(tmp_path):
    p, d, kv, ms = batches()
    path = tmp_path / "engine.log"
    usage = kv / 1000  # percent of 100,000 tokens
    path.write_text("".join(vllm_line(k, p[k], d[k], ms[k], usage[k]) for k in range(p.size)))
    calibrated = bp.calibrate(path, kv_capacity=100_000)
    values = [each.value for each in calibrated.fit.coefficients]
    assert values == pytest.approx(LAW, rel=0.01)
    assert calibrated.fit.mean_error < 1e-3
    without = bp.calibrate(path)
    assert without.fit.unseen == ("c3",)


def test_intervals_hold_the_law_where_times_are_noisy():
    inside = []
    for seed in range(100):
        p, d, kv, ms = batches(seed=seed)
        noisy = ms * (1 + 0.03 * np.random.default_rng(seed + 1000).standard_normal(ms.size))
        measured = Iterations(
            name="a", format="-", prompt_tokens=p.astype(float), jobs=d.astype(float),
            kv=kv.astype(float), milliseconds=noisy,
        )  # fmt: skip
        fit = fit_steps(measured)
        inside.append(
            [c.low <= true <= c.high for c, true in zip(fit.coefficients, LAW, strict=True)]
        )
    assert np.mean(inside, axis=0).min() >= 0.9


def test_what_does_not_vary_is_said_to_be_unseen():
    p, _, _, _ = batches()
    jobs = np.full(p.size, 8.0)
    measured = Iterations(
        name="a", format="-", prompt_tokens=p.astype(float), jobs=jobs, kv=300 * jobs,
        milliseconds=9 + 0.05 * p,
    )  # fmt: skip
    assert fit_steps(measured).unseen == ("c2", "c3")


def test_too_few_batches_are_refused(tmp_path):
    path = tmp_path / "engine.log"
    path.write_text(vllm_line(0, 1, 1, 9.0))
    with pytest.raises(InputError, match="measured batches"):
        bp.calibrate(path)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared profiles")
def test_a_measured_profile():
    # PROVENANCE.md: 5.25 + .01434p + .02725d, mean error 4.7 %, worst 31 %.
    columns = "prompt=prefill_tokens,jobs=decode_requests,time=mean_ms,context=decode_context_len"
    path = SHARED / "profiles/eb_vllm_qwen3-4b_blackwell_steps.csv"
    fit = bp.calibrate(path, columns=columns).fit
    assert fit.unseen == ("c3",)  # the context is 32 throughout
    assert fit.law.c1 == pytest.approx(0.01434, rel=0.05)
    assert fit.mean_error < 0.06
