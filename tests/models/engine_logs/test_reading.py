"""Readers of engine logs: what they take, and the one line that they say of what they refuse."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from batchprophet.models.engine_logs.reading import read_engine_log
from batchprophet.models.errors import InputError
from tests.paths import SHARED

ROLES = "arrival=at,prompt=in,output=out,first=t1,last=t2"


def vllm_rows(count=3, **changes):
    rows = [
        {
            "request_id": f"r{k}", "input_toks": 10 + k, "output_toks": 5, "arrival_time": 1e9 + k,
            "queued_ts": 100.0 + k, "scheduled_ts": 100.1 + k, "first_token_ts": 100.5 + k,
            "last_token_ts": 100.9 + k,
        }
        for k in range(count)
    ]  # fmt: skip
    rows[-1].update(changes)
    return rows


def written(folder, rows, name="requests.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_vllm_log_with_what_the_engine_wrote_down(tmp_path):
    meta = {
        "kv_cache": {"num_kv_tokens": 4096, "block_size": 16},
        "engine_kwargs": {"max_num_seqs": 8, "data_parallel_size": 2},
    }
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    log = read_engine_log(written(tmp_path, vllm_rows()))
    assert log.id == ("r0", "r1", "r2")
    assert log.arrival.tolist() == [0, 10**6, 2 * 10**6]
    assert log.time_to_first_token.tolist() == [500_000] * 3
    assert (log.facts.kv_capacity, log.facts.max_num_seqs, log.facts.replicas) == (4096, 8, 2)


def test_requests_are_put_in_order_of_arrival_and_keep_their_ids(tmp_path):
    log = read_engine_log(written(tmp_path, vllm_rows()[::-1]))
    assert log.id == ("r0", "r1", "r2")
    assert log.line.tolist() == [3, 2, 1]


@pytest.mark.parametrize("failed", [{"output_toks": 0}, {"first_token_ts": None}])
def test_failed_requests_are_counted(tmp_path, failed):
    log = read_engine_log(written(tmp_path, vllm_rows(**failed)))
    assert (log.n, log.failed) == (2, 1)


def test_compressed_logs(tmp_path):
    plain = written(tmp_path, vllm_rows())
    packed = tmp_path / "log.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert np.array_equal(read_engine_log(packed).last_token, read_engine_log(plain).last_token)


def test_named_columns_in_any_unit(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("at,in,out,t1,t2\n1000,7,3,1040,1090\n1010,8,2,1050,1060\n")
    log = read_engine_log(path, columns=f"{ROLES},unit=ms")
    assert log.latency.tolist() == [90_000, 50_000]


def bench(**changes):
    record = {
        "date": "20260101-000000", "num_prompts": 3, "input_lens": [5, 6, 7],
        "output_lens": [3, 1, 0], "ttfts": [0.1, 0.2, 0.0], "itls": [[0.02, 0.03], [], []],
        "start_times": [50.0, 51.0, 52.0], "errors": ["", "", "timeout"],
    }  # fmt: skip
    return record | changes


def test_a_result_of_vllm_bench_serve(tmp_path):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(bench()))
    log = read_engine_log(path)
    assert (log.format, log.n, log.failed) == ("vllm-bench", 2, 1)
    assert log.latency.tolist() == [150_000, 200_000]


def test_a_run_of_distserve(tmp_path):
    request = {
        "prompt_len": 5, "output_len": 3, "issue_time": 10.0, "first_token_time": 10.1,
        "complete_time": 10.2,
    }  # fmt: skip
    path = tmp_path / "run.exp"
    path.write_text(f"{[request]!r}\n{{\n\tnum_requests: 1\n}}\n")
    log = read_engine_log(path)
    assert (log.format, log.latency.tolist()) == ("distserve", [200_000])


#: What is wrong, and the line that says so.
BAD = {
    "truncated": (lambda text: text[: len(text) // 2 + 9], r"line \d: not valid JSON"),
    "first token before arrival": (
        lambda text: text.replace("101.5", "99.5"),
        r"line 2: expected the first token no earlier than the arrival, found it 1.5 s earlier",
    ),
    "last token before first": (
        lambda text: text.replace("102.9", "102.2"),
        r"line 3: expected the last token no earlier than the first token",
    ),
    "another clock": (
        lambda text: text.replace("101.5", "1700000000.5"),
        r"line 2: expected arrival and first token of one clock and unit",
    ),
    "missing column": (lambda text: text.replace("last_token_ts", "end"), "last_token_ts"),
    "no number": (
        lambda text: text.replace('"input_toks": 11', '"input_toks": 1.5'),
        r"line 2: input_toks: expected an integer of at least 0, found '1.5'",
    ),
    "same id": (lambda text: text.replace('"r2"', '"r1"'), r"ids must be unique, found 'r1'"),
    "empty": (lambda text: "", "found an empty file"),
    "array": (lambda text: f"[{text}]", "expected one JSON object a line"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_logs_are_refused_in_one_line_that_says_where(tmp_path, name):
    change, message = BAD[name]
    path = written(tmp_path, vllm_rows())
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=message) as refused:
        read_engine_log(path)
    assert "\n" not in str(refused.value)
    assert "requests.jsonl" in str(refused.value)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_times_in_a_wrong_unit_are_refused(tmp_path, factor):
    times = ("queued_ts", "first_token_ts", "last_token_ts")
    rows = [row | {key: factor * row[key] for key in times} for row in vllm_rows()]
    with pytest.raises(InputError, match="the unit of the times is"):
        read_engine_log(written(tmp_path, rows))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ttfts": [0.1]}, "ttfts: expected a list with an entry for each request"),
        ({"itls": [0.1, 0.2, 0.3]}, "request 1: itls: expected a list of seconds"),
        ({"start_times": ["x", 1.0, 2.0]}, "request 1: start_times: expected a finite number"),
    ],
)
def test_bad_results_of_vllm_bench_serve(tmp_path, changes, message):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(bench(**changes)))
    with pytest.raises(InputError, match=message):
        read_engine_log(path)


def test_a_result_without_details_says_how_to_get_them(tmp_path):
    record = bench()
    del record["itls"]
    path = tmp_path / "result.json"
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="--save-detailed"):
        read_engine_log(path)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared logs")
def test_the_shared_logs():
    folder = SHARED / "engine-logs"
    log = read_engine_log(folder / "vllm-rtx4090-llama-3.1-8b/requests.jsonl")
    assert (log.n, log.facts.kv_capacity) == (300, 41_408)
    assert log.latency.mean() / 1e6 == pytest.approx(86.58, abs=0.01)
    run = read_engine_log(folder / "distserve/opt13b_a100_vllm-400-4.exp")
    assert run.n == 400
    assert run.latency.mean() / 1e6 == pytest.approx(29.23, abs=0.01)
