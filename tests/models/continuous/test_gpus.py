"""Measured batch-time laws: named, documented, and held against data unknown to their fits."""

from __future__ import annotations

import csv
import json
from collections import defaultdict

import numpy as np
import pytest

from batchprophet.cli import run
from batchprophet.models.continuous.gpus import MEASURED
from batchprophet.models.durations import durations
from batchprophet.models.families import make_instance
from tests.paths import ROOT, SHARED

PROFILES = SHARED / "profiles"
DISTSERVE = SHARED / "engine-logs" / "distserve" / "profiler-a100-80g.vllm.json"


def needs(path):
    return pytest.mark.skipif(not path.exists(), reason=f"needs {path}, which is not published")


def test_the_gpus_that_engineers_ask_for_are_there_by_name():
    assert {"h100", "h200", "a100", "a800", "rtx-4090", "rtx-pro-6000"} <= set(MEASURED)


@pytest.mark.parametrize("name", MEASURED)
def test_every_law_is_a_setting_and_a_batch_time_and_stands_in_the_table(name, tmp_path, capsys):
    measured = MEASURED[name]
    instance = make_instance("continuous-conversation", settings={"gpu": name, "n": 3})
    assert instance.gpu.batch_time == measured.law
    trace = tmp_path / "trace.csv"
    trace.write_text("at,in,out\n0,5,3\n1,4,2\n")
    words = ["convert", str(trace), "--out", str(tmp_path / "i.json"), "--kv-capacity", "100"]
    words += ["--columns", "arrival=at,prompt=in,output=out", "--batch-time", name]
    assert run(words) == 0
    law = json.loads((tmp_path / "i.json").read_text())["gpu"]["batch_time"]
    assert {key: law[key] for key in ("c0", "c1", "c2", "c3")} == {
        key: getattr(measured.law, key) for key in ("c0", "c1", "c2", "c3")
    }
    page = (ROOT / "docs" / "how-to" / "my-gpu.md").read_text()
    (row,) = (line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == f"{measured.gpu}, {measured.model}"
    c0 = f"{measured.law.c0:g}"
    if measured.law.c0_prompt is not None:
        c0 += f", prompts only {measured.law.c0_prompt:g}"
    law = measured.law
    assert cells[2:6] == [c0, f"{law.c1:g}", f"{law.c2:g}", f"{law.c3:g}"]
    assert cells[6]
    assert measured.source


def test_an_unknown_gpu_is_refused_with_the_names(tmp_path, capsys):
    words = ["convert", str(tmp_path / "x.csv"), "--out", str(tmp_path / "i.json")]
    assert run([*words, "--kv-capacity", "9", "--batch-time", "h1000"]) == 2
    assert "or a measured GPU (a100, h100," in capsys.readouterr().err


def layer_times(gpu):
    """Times of whole batches in ms, layers added up: (prompt tokens, jobs, KV read, ms) each."""
    tables = {}
    for part, size in (("dense", "tokens"), ("per_sequence", "sequences")):
        table = tables[part] = defaultdict(lambda: ([], []))
        for row in rows(f"{gpu}_llama3.1-8b_tp1_{part}.csv"):
            for column, value in zip(table[row["layer"]], (row[size], row["time_us"]), strict=True):
                column.append(float(value))
    once = ("embedding", "final_layernorm")  # the other layers are in each of the 32 blocks
    batches = []
    for row in rows(f"{gpu}_llama3.1-8b_tp1_attention.csv"):
        p, jobs, each = (float(row[key]) for key in ("prefill_chunk", "n_decode", "kv_decode"))
        dense = sum(
            (1 if layer in once else 32) * np.interp(p + jobs, *table)
            for layer, table in tables["dense"].items()
        )
        sequences = jobs + (p > 0)
        ends = sum(np.interp(sequences, *table) for table in tables["per_sequence"].values())
        batches.append((p, jobs, jobs * each, (dense + ends + 32 * float(row["time_us"])) / 1000))
    return np.array(batches).T


def rows(name):
    with (PROFILES / "llmservingsim" / name).open() as file:
        return list(csv.DictReader(file))


@needs(PROFILES)
@pytest.mark.parametrize(
    ("gpu", "name", "most"), [("rtx4090", "rtx-4090", 0.14), ("rtxpro6000", "rtx-pro-6000", 0.18)]
)
def test_laws_fitted_to_logs_agree_with_timings_of_single_layers(gpu, name, most):
    p, jobs, kv, measured = layer_times(gpu)
    both = (p > 0) & (jobs > 0) & (kv <= 60_000)  # as much KV as the card has room for
    assert both.sum() > 4000
    law = durations(MEASURED[name].law)
    work = law.token + law.per_prompt_token * p + law.per_token_job * jobs + law.per_kv_token * kv
    error = np.abs(work / 1e9 / measured - 1)[both]
    assert np.median(error) < most
    far = np.abs(1.3 * work / 1e9 / measured - 1)[both]  # a law that is 30 % slower would be seen
    assert np.median(far) > 0.3


@needs(PROFILES)
def test_the_blackwell_law_holds_on_steps_that_it_was_not_fitted_to():
    with (PROFILES / "eb_vllm_qwen3-4b_blackwell_steps.csv").open() as file:
        steps = list(csv.DictReader(file))
    d, p, ms = (
        np.array([float(row[key]) for row in steps])
        for key in ("decode_requests", "prefill_tokens", "mean_ms")
    )
    law = MEASURED["blackwell-qwen3-4b"].law
    assert np.mean(np.abs((law.c0 + law.c1 * p + law.c2 * d) / ms - 1)) < 0.048
    terms = np.column_stack([np.ones_like(p), p, d]) / ms[:, None]
    rng, errors, intercepts = np.random.default_rng(0), [], []
    for _ in range(100):
        half = rng.permutation(ms.size) < ms.size // 2
        fitted = np.linalg.lstsq(terms[half], np.ones(half.sum()), rcond=None)[0]
        errors.append(np.mean(np.abs(terms[~half] @ fitted - 1)))
        intercepts.append(fitted[0])
    assert np.mean(errors) < 0.055
    assert np.median(intercepts) == pytest.approx(law.c0, rel=0.02)


@needs(DISTSERVE)
def test_the_law_of_opt_13b_is_its_publisher_s():
    profile = json.loads(DISTSERVE.read_text())["facebook/opt-13b"]["1"]
    law = MEASURED["a100-opt-13b"].law
    c0_prompt, c1, quadratic = profile["prefill"]
    c0, c3, c2 = profile["decoding_smallbs"]
    found = (law.c0_prompt, law.c1, law.c0, law.c2, law.c3)
    assert found == pytest.approx((c0_prompt, c1, c0, c2, c3), rel=1e-3)
    whole = c0_prompt + c1 * 2048
    assert 0.05 < quadratic * 2048**2 / (whole + quadratic * 2048**2) < 0.1
