"""Logs of benchmark clients and of SGLang's server: what is read, and how bad ones are refused."""

from __future__ import annotations

import gzip
import json

import pytest

from batchprophet.cli import run
from batchprophet.models.engine_logs.reading import read_engine_log
from batchprophet.models.errors import InputError


def sglang_rows(count=3, **changes):
    """Requests of a newer server: each has its first token .5 s and its last .9 s after arrival."""
    rows = [
        {
            "request_parameters": '{"stream": true}', "id": f"s{k}", "prompt_tokens": 10 + k,
            "completion_tokens": 5, "cached_tokens": 0, "finish_reason": {"type": "stop"},
            "request_received_ts": 1_760_000_000.0 + k, "e2e_latency": 0.9,
            "request_finished_ts": 1_760_000_000.9 + k, "decode_throughput": 4 / 0.4,
        }
        for k in range(count)
    ]  # fmt: skip
    rows[-1].update(changes)
    return rows


def older(row):
    """The same request as older versions of the server write it."""
    renamed = dict(row, prefill_finished_ts=row["request_received_ts"] + 0.5)
    renamed["decode_finished_ts"] = renamed.pop("request_finished_ts")
    del renamed["decode_throughput"]
    return renamed


def trtllm_rows(count=3, **changes):
    rows = [
        {
            "id": k, "num_input_tokens": 10 + k, "error_tokens": 0, "decode_iteration": 4,
            "start_timestamp": 10**12 + k * 10**9, "output": "text", "output_tokens": 5,
            "first_token_timestamp": 10**12 + k * 10**9 + 5 * 10**8,
            "end_timestamp": 10**12 + k * 10**9 + 9 * 10**8,
        }
        for k in range(count)
    ]  # fmt: skip
    rows[-1].update(changes)
    return rows


def bench(count=3, **changes):
    record = {
        "date": "20260101-000000", "backend": "vllm", "num_prompts": count,
        "input_lens": [10 + k for k in range(count)], "output_lens": [5] * count,
        "ttfts": [0.5] * count, "itls": [[0.1] * 4] * count, "errors": [""] * count,
        "start_times": [50.0 + k for k in range(count)],
    }  # fmt: skip
    return record | changes


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


#: What each format's good file holds, as text.
GOOD = {
    "sglang-requests": lines(sglang_rows()),
    "trtllm-bench": json.dumps(trtllm_rows(), indent=1),
    "vllm-bench": json.dumps(bench()),
}


def read(folder, text, **options):
    path = folder / "engine.log"
    path.write_text(text)
    return read_engine_log(path, **options)


@pytest.mark.parametrize("name", GOOD)
def test_each_format_is_recognised_and_tells_the_same_requests(tmp_path, name):
    for options in ({}, {"format": name}):
        log = read(tmp_path, GOOD[name], **options)
        assert (log.format, log.n, log.failed) == (name, 3, 0)
        assert log.arrival.tolist() == [0, 10**6, 2 * 10**6]
        assert log.time_to_first_token.tolist() == pytest.approx([500_000] * 3, abs=1)
        assert log.latency.tolist() == pytest.approx([900_000] * 3, abs=1)
        assert (log.prompt.tolist(), log.output.tolist()) == ([10, 11, 12], [5, 5, 5])


@pytest.mark.parametrize("name", GOOD)
def test_compressed(tmp_path, name):
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(GOOD[name].encode()))
    assert read_engine_log(path).format == name


def test_older_versions_of_sglang_tell_the_same(tmp_path):
    log = read(tmp_path, lines(map(older, sglang_rows())))
    assert log.id == ("s0", "s1", "s2")
    assert log.time_to_first_token.tolist() == pytest.approx([500_000] * 3, abs=1)
    assert log.latency.tolist() == pytest.approx([900_000] * 3, abs=1)


def test_sglang_where_only_the_scheduler_tells_the_first_token(tmp_path):
    rows = sglang_rows(1, prefill_finished_time=1_760_000_000.25)
    del rows[0]["decode_throughput"], rows[0]["request_finished_ts"]
    log = read(tmp_path, lines(rows))
    assert log.time_to_first_token[0] == pytest.approx(250_000, abs=1)
    assert log.latency[0] == pytest.approx(900_000, abs=1)


def test_a_single_token_is_first_and_last(tmp_path):
    rows = sglang_rows(1, completion_tokens=1)
    del rows[0]["decode_throughput"]
    log = read(tmp_path, lines(rows))
    assert log.first_token[0] == log.last_token[0]
    log = read(tmp_path, json.dumps(trtllm_rows(1, output_tokens=1, first_token_timestamp=-1)))
    assert log.first_token[0] == log.last_token[0]


def test_tokens_from_a_prefix_cache_are_counted(tmp_path):
    assert read(tmp_path, lines(sglang_rows(cached_tokens=8))).cached == 8


@pytest.mark.parametrize(
    "text",
    [
        lines(sglang_rows(finish_reason={"type": "abort", "message": "client"})),
        lines(sglang_rows(completion_tokens=0)),
        json.dumps(trtllm_rows(error_tokens=1)),
        json.dumps(trtllm_rows(output_tokens=0)),
        json.dumps(bench(errors=["", "", "timeout"])),
        json.dumps(bench(output_lens=[5, 5, 0])),
    ],
)
def test_failed_requests_are_counted(tmp_path, text):
    log = read(tmp_path, text)
    assert (log.n, log.failed) == (2, 1)


def without(rows, *keys):
    return [{key: value for key, value in row.items() if key not in keys} for row in rows]


LATE = 1_760_000_001.0  # the second request arrives

#: What is wrong, a file with that, and the line that says so.
BAD = {
    "sglang truncated": (GOOD["sglang-requests"][:-40], r"line 3: not valid JSON"),
    "sglang key twice": (
        GOOD["sglang-requests"].replace('"id": "s1"', '"id": "s1", "id": "s1"'),
        r"line 2: not valid JSON \(key 'id' appears more than once",
    ),
    "sglang missing tokens": (
        lines(without(sglang_rows(), "prompt_tokens")),
        r"line 1: expected 'prompt_tokens', found \['request_parameters'",
    ),
    "sglang no first token": (
        lines(without(sglang_rows(), "decode_throughput")),
        r"line 1: expected 'prefill_finished_ts', 'decode_throughput' or 'prefill_finished_time'",
    ),
    "sglang no last token": (
        lines(without(sglang_rows(), "request_finished_ts", "e2e_latency")),
        r"line 1: expected 'request_finished_ts' or 'e2e_latency', found neither",
    ),
    "sglang first token before arrival": (
        lines(sglang_rows(decode_throughput=1.0)),
        r"line 3: expected the first token no earlier than the arrival, found it 3.1 s earlier",
    ),
    "sglang no rate": (
        lines(sglang_rows(decode_throughput=0)),
        r"line 3: decode_throughput: expected a number from 1e-06 to 1e\+09, found 0",
    ),
    "sglang a rate that takes for ever": (
        lines(sglang_rows(decode_throughput=1e-300)),
        r"line 3: decode_throughput: expected a number from 1e-06 to 1e\+09, found 1e-300",
    ),
    "sglang a rate beyond all numbers": (
        lines(sglang_rows(decode_throughput=10**400)),
        r"line 3: decode_throughput: expected a number from 1e-06 to 1e\+09, found 1000",
    ),
    "sglang another clock": (
        lines(sglang_rows(request_finished_ts=123.9)),
        r"line 3: expected arrival and first token of one clock and unit",
    ),
    "sglang same id": (
        lines(sglang_rows(id="s1")),
        r"line 3: ids must be unique, found 's1' again",
    ),
    "trtllm truncated": (GOOD["trtllm-bench"][:-40], "not valid JSON"),
    "trtllm no object": (
        GOOD["trtllm-bench"].rstrip("]") + ", 7]",
        "request 4: expected a JSON object, found 7",
    ),
    "trtllm missing end": (
        json.dumps(without(trtllm_rows(), "end_timestamp")),
        "request 1: expected 'end_timestamp', found",
    ),
    "trtllm without streaming": (
        json.dumps(trtllm_rows(first_token_timestamp=-1)),
        "request 3: first_token_timestamp: expected a time in nanoseconds, found -1: run "
        "trtllm-bench with --streaming",
    ),
    "trtllm first token before arrival": (
        json.dumps(trtllm_rows(first_token_timestamp=10**12)),
        r"line 3: expected the first token no earlier than the arrival, found it 2 s earlier",
    ),
    "trtllm another clock": (
        json.dumps(trtllm_rows(start_timestamp=1_760_000_000 * 10**9)),
        r"expected arrival and first token of one clock and unit",
    ),
    "trtllm tokens": (
        json.dumps(trtllm_rows(num_input_tokens="9")),
        "request 3: num_input_tokens: expected an integer ≥ 1, found '9'",
    ),
    "bench truncated": (GOOD["vllm-bench"][:-40], "not valid JSON"),
    "bench without start times": (
        json.dumps({k: v for k, v in bench().items() if k != "start_times"}),
        "expected a list 'start_times', found none: run vllm bench serve with --save-result "
        "--save-detailed of a version that writes when each request was sent",
    ),
    "bench negative": (
        json.dumps(bench(ttfts=[0.5, -0.5, 0.5])),
        r"line 2: expected the first token no earlier than the arrival, found it 0.5 s earlier",
    ),
    "bench nan": (
        json.dumps(bench(ttfts=[0.5, float("nan"), 0.5])),
        "request 2: ttfts: expected a finite number of seconds",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_line_that_says_what_and_where(tmp_path, capsys, name):
    text, message = BAD[name]
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)
    assert run(["audit", str(tmp_path / "engine.log"), "--time-limit", "0"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "engine.log" in error


def scaled(text, factor):
    """Every time multiplied, as if written in another unit."""
    found = [json.loads(line) for line in text.splitlines()] if text[0] == "{" else json.loads(text)
    for row in found:
        for key in row:
            if key.endswith(("_ts", "_timestamp", "_latency", "start_times", "ttfts")):
                times = row[key]
                many = isinstance(times, list)
                row[key] = [factor * t for t in times] if many else type(times)(factor * times)
            if key == "decode_throughput":
                row[key] /= factor
            if key == "itls":
                row[key] = [[factor * gap for gap in gaps] for gaps in row[key]]
    return lines(found) if text[0] == "{" else json.dumps(found)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
@pytest.mark.parametrize("name", GOOD)
def test_times_in_a_wrong_unit_are_refused(tmp_path, name, factor):
    wrong = "the unit of the times is|expected a finite number of seconds below"
    with pytest.raises(InputError, match=wrong):
        read(tmp_path, scaled(GOOD[name], factor))


def test_a_file_cut_off_anywhere_is_refused(tmp_path):
    for name in ("trtllm-bench", "vllm-bench"):
        for end in range(0, len(GOOD[name]), 29):
            with pytest.raises(InputError):
                read(tmp_path, GOOD[name][:end])


def test_a_file_of_lines_cut_off_anywhere_holds_its_whole_lines_or_is_refused(tmp_path):
    text = GOOD["sglang-requests"]
    ends = [k for k, letter in enumerate(text) if letter == "\n"]
    for end in range(0, len(text), 7):
        if end in ends or end - 1 in ends:
            assert read(tmp_path, text[:end]).n == text[: end + 1].count("\n")
        else:
            with pytest.raises(InputError):
                read(tmp_path, text[:end])


def test_a_request_without_an_id_is_called_by_its_line(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(lines(sglang_rows(id=None)))
    assert read_engine_log(path, format="sglang-requests").id == ("s0", "s1", "line 3")
