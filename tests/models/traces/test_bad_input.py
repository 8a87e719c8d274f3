"""What is wrong with a trace is said in one line: file, line, column, value."""

import gzip

import pytest
import zstandard

from batchprophet.models.errors import InputError
from batchprophet.models.traces import convert_trace

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
ROW = "2023-11-16 18:15:46,3,4\n"
KEYS = '{"timestamp": 5, "input_length": 3, "output_length": 4}\n'
PLAIN = "at,in,out\n"
MAPPED = {"columns": "arrival=at,prompt=in,output=out"}


def refusal(tmp_path, content, **choices):
    path = tmp_path / "trace.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        convert_trace(path, **({"round_ms": 50, "kv_capacity": 100} | choices))
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(path), "trace.csv")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "2023-11-16 18:15:46,3,abc",
            "GeneratedTokens: expected an integer of at least 1, found 'abc'",
        ),
        *[
            (
                f"2023-11-16 18:15:46,{count},4",
                f"ContextTokens: expected an integer of at least 1, found '{count}'",
            )
            for count in ("3.1", "3.", ".0", "3.0.0", "3e0", "-3.0", "3.0 ")
        ],
        (
            "2023-11-16 18:15:46,-3,4",
            "ContextTokens: expected an integer of at least 1, found '-3'",
        ),
        (
            "2023-11-16 18:15:46,0,4",
            "ContextTokens: expected an integer of at least 1, found '0' (zero=drop, as --zero "
            "drop, leaves such rows out)",
        ),
        ("2023-11-16 18:15:46,,4", "ContextTokens: expected an integer of at least 1, found ''"),
        (
            "2023-11-16 18:15:46,3, 4",
            "GeneratedTokens: expected an integer of at least 1, found ' 4'",
        ),
        (
            "2023-11-16 18:15:46,3,1_0",
            "GeneratedTokens: expected an integer of at least 1, found '1_0'",
        ),
        (
            "2023-11-16 18:15:46,3,４",
            "GeneratedTokens: expected an integer of at least 1, found '４'",
        ),
        (
            "2023-11-16 18:15:46,3,true",
            "GeneratedTokens: expected an integer of at least 1, found 'true'",
        ),
        (
            "2023-11-16 18:15:46,3,99999999999999999999",
            "GeneratedTokens: expected an integer of at most 10^18, found '99999999999999999999'",
        ),
        ("2023-11-16 18:15:46,3", "expected 3 columns as in the header, found 2"),
        ("2023-11-16 18:15:46,3,4,5", "expected 3 columns as in the header, found 4"),
        *[
            (
                f"{stamp},3,4",
                "TIMESTAMP: expected a date and time such as 2023-11-16 18:15:46.68, "
                f"found '{stamp}'",
            )
            for stamp in (
                "",
                "nan",
                "12.5",
                "2023-11-16",
                "2023-13-16 18:15:46",
                "2023-11-16 18:15:60",
                "2023-11-16 18:15:46.",
                "2023-11-16 18:15:46.5x",
                "2023-11-16 18:15:46 CET",
                "2023-11-16 18:15:46  UTC",
                "2023-11-16 18:15:46 +2400",
                "2023-11-16 18:15:46+01:60",
                "2023-11-16 18:15:46+1",
                "2023-11-16 18",
                "2023-11-16 18:15.5",
                "1824-11-16 18:15:46.",
                "9999-11-16 18:15:46",
            )
        ],
        (
            "2023-11-16 18:15:45.5,3,4",
            "expected arrivals that do not decrease, found one 0.5 s before the previous "
            "request's; sort=True, as --sort, sorts them",
        ),
        (
            "2023-11-16 18:15:46,60,41",
            "prompt + output must be at most kv_capacity = 100, found 60 + 41 = 101: it can never "
            "run (oversize=drop, as --oversize drop, leaves such requests out)",
        ),
        ('2023-11-16 18:15:46,3,"4', "not valid CSV (unexpected end of data)"),
    ],
)
def test_a_bad_row_is_refused_by_line_column_and_value(tmp_path, row, message):
    assert refusal(tmp_path, HEADER + ROW + row) == f"trace.csv: line 3: {message}"


@pytest.mark.parametrize("stamp", ["nan", "inf", "-inf", "1e10", "1e400", "1/3", "1_0", "0x10", ""])
def test_times_that_are_no_finite_number_are_refused(tmp_path, stamp):
    assert refusal(tmp_path, f"{PLAIN}{stamp},3,4", **MAPPED) == (
        f"trace.csv: line 2: at: expected a finite number of seconds below 4.6e+09, found '{stamp}'"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"timestamp": 5, "input_length": 3}',
            "expected one JSON object a line (Object missing required field 'output_length')",
        ),
        ("[5, 3, 4]", "expected one JSON object a line (Expected 'object', got 'array')"),
        (KEYS[:20], "not valid JSON (Input data was truncated)"),
        (
            KEYS.replace("5", "NaN"),
            "not valid JSON (invalid character (byte 14))",
        ),
        (
            KEYS.replace("5,", '5, "timestamp": 6,'),
            "key 'timestamp' appears more than once in one object",
        ),
        (KEYS.replace("4", "4.5"), "output_length: expected an integer of at least 1, found '4.5'"),
        (
            KEYS.replace("4", "true"),
            "output_length: expected an integer of at least 1, found 'true'",
        ),
        (
            KEYS.replace("4", "null"),
            "output_length: expected an integer of at least 1, found 'null'",
        ),
        (KEYS.replace("4", '"4"'), 'output_length: expected an integer of at least 1, found "4"'),
        (
            KEYS.replace("5", '"5"'),
            'timestamp: expected a finite number of milliseconds below 4.6e+12, found "5"',
        ),
    ],
)
def test_a_bad_object_is_refused_by_line_key_and_value(tmp_path, line, message):
    assert refusal(tmp_path, KEYS + line) == f"trace.csv: line 2: {message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a trace, found an empty file"),
        (b" \r\n\n", "expected a trace, found an empty file"),
        (b"\x1f\r\n", "expected a trace, found an empty file"),  # a blank of Unicode
        (HEADER, "expected at least one request, found only a header"),
        (
            "TIMESTAMP,ContextTokens\n",
            "expected a trace in a known format (azure, burstgpt, mooncake, qwen-bailian, vidur, "
            "lengths, splitwise-sim, vllm-log), found the columns 'TIMESTAMP', "
            "'ContextTokens' (azure needs 'GeneratedTokens' as well); map them with "
            "columns arrival=…,prompt=…,output=…",
        ),
        (HEADER.encode() + b"\xff,3,4", "line 2: expected UTF-8 text, found byte 0xff"),
        (HEADER.encode("utf-16"), "line 1: expected UTF-8 text, found byte 0xff"),
        (
            HEADER.replace("TIMESTAMP", "TIMESTAMP,TIMESTAMP"),
            "column 'TIMESTAMP' appears more than once in the header",
        ),
        (
            gzip.compress((HEADER + ROW).encode(), mtime=0)[:-9],
            "after line 0: cannot be decompressed (Compressed file ended before the end-of-stream "
            "marker was reached)",
        ),
        (
            zstandard.compress((HEADER + ROW).encode())[:-3],
            "after line 1: cannot be decompressed (the file ends in the middle of a zstd frame)",
        ),
        (
            "[" + KEYS.strip() + "]",
            "expected one JSON object a line, found a JSON array; put its objects on lines of "
            "their own, as jq -c '.[]' does",
        ),
        (
            "[\n" + KEYS.strip() + ",\n" + KEYS + "]",
            "expected one JSON object a line, found a JSON array; put its objects on lines of "
            "their own, as jq -c '.[]' does",
        ),
    ],
)
def test_a_bad_file_is_refused(tmp_path, content, message):
    assert refusal(tmp_path, content) == f"trace.csv: {message}"


def test_a_file_that_is_not_there_is_refused(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError, match=f"^{path}: cannot be read"):
            convert_trace(path, round_ms=50, kv_capacity=100)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (
            {"round_ms": None},
            "round_ms: expected the milliseconds of a round, found none (--round-ms: how long a "
            "step of the engine takes at a usual batch)",
        ),
        (
            {"kv_capacity": None},
            "trace.csv: kv_capacity: expected the tokens that the KV memory holds, found none "
            "(--kv-capacity: engines print it when they start)",
        ),
        ({"round_ms": 0}, "round_ms: expected a number of more than 0 and at most 1e+09, found 0"),
        (
            {"round_ms": float("nan")},
            "round_ms: expected a number of more than 0 and at most 1e+09, found nan",
        ),
        (
            {"round_ms": True},
            "round_ms: expected a number of more than 0 and at most 1e+09, found True",
        ),
        ({"kv_capacity": 1}, "kv_capacity: expected an integer of at least 2, found 1"),
        ({"kv_capacity": 100.0}, "kv_capacity: expected an integer of at least 2, found 100.0"),
        ({"start": -1}, "start: expected a number of at least 0 and at most 1e+09, found -1"),
        ({"count": 0}, "count: expected an integer of at least 1, found 0"),
        ({"every": 0}, "every: expected an integer of at least 1, found 0"),
        ({"thin": 0}, "thin: expected a number of more than 0 and at most 1, found 0"),
        ({"thin": 1.5}, "thin: expected a number of more than 0 and at most 1, found 1.5"),
        ({"seed": -1}, "seed: expected an integer of at least 0, found -1"),
        (
            {"load": float("inf")},
            "load: expected a number of more than 0 and at most 1e+09, found inf",
        ),
        ({"oversize": "keep"}, "oversize: expected refuse or drop, found 'keep'"),
        ({"zero": "keep"}, "zero: expected refuse or drop, found 'keep'"),
        (
            {"format": "azur"},
            "format: expected one of auto, azure, burstgpt, mooncake, qwen-bailian, vidur, "
            "lengths, splitwise-sim, vllm-log; found 'azur'",
        ),
        (
            {"format": "mooncake"},
            "trace.csv: format mooncake is one JSON object a line, found a CSV file",
        ),
        (
            {"format": "vidur"},
            "trace.csv: expected a column 'arrived_at' (format vidur), found 'TIMESTAMP', "
            "'ContextTokens', 'GeneratedTokens'",
        ),
        (
            {"format": "azure", **MAPPED},
            "format: columns describe the file already, found 'azure' as well",
        ),
        ({"columns": "arrival=at"}, "columns: expected a column for 'prompt', found none"),
        ({"columns": "arrival"}, "columns: expected role=column, found 'arrival' in 'arrival'"),
        (
            {"columns": "prompt=a,prompt=b"},
            "columns: role 'prompt' appears more than once in 'prompt=a,prompt=b'",
        ),
        (
            {"columns": "prompt=a,output=b,when=c"},
            "columns: expected roles among arrival, prompt, output, id, unit; found 'when'",
        ),
        (
            {"columns": "arrival=TIMESTAMP,prompt=b,output=b"},
            "columns: expected a column of its own for each role, found ['TIMESTAMP', 'b', 'b']",
        ),
        (
            {"columns": "arrival=a,prompt=b,output=c,unit=h"},
            "columns.unit: expected one of s, ms, us, ns, date; found 'h'",
        ),
        (
            {"arrivals": "burst"},
            "trace.csv: arrivals: a law is for files without arrivals; this one has the column "
            "'TIMESTAMP'",
        ),
        (
            {"start": 1},
            "trace.csv: expected at least one request to take, found none among 1 rows "
            "(1 before the window)",
        ),
    ],
)
def test_a_bad_choice_is_refused(tmp_path, choices, message):
    assert refusal(tmp_path, HEADER + ROW, **choices) == message


NEEDS_SETTINGS = "arrivals: expected poisson:rate=…,seed=…; found "
NEEDS_RANGE = (
    "arrivals: expected a rate from 10^-6 to 10^9 requests per second and a seed of at least 0, "
    "found "
)


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (
            None,
            "trace.csv: expected arrivals, found lengths only (format lengths); choose a law: "
            "arrivals burst (all at 0) or poisson:rate=2.5,seed=1",
        ),
        ("uniform", "arrivals: expected burst or poisson:rate=…,seed=…; found 'uniform'"),
        ("poisson", NEEDS_SETTINGS + "''"),
        ("poisson:rate=x", NEEDS_SETTINGS + "'rate=x'"),
        ("poisson:speed=2", NEEDS_SETTINGS + "'speed'"),
        ("poisson:rate=2,rate=3", NEEDS_SETTINGS + "'rate=2,rate=3'"),
        ("poisson:seed=1", NEEDS_RANGE + "'seed=1'"),
        ("poisson:rate=0", NEEDS_RANGE + "'rate=0'"),
        ("poisson:rate=2,seed=-1", NEEDS_RANGE + "'rate=2,seed=-1'"),
    ],
)
def test_a_file_of_lengths_needs_a_good_arrival_law(tmp_path, law, message):
    content = "num_prefill_tokens,num_decode_tokens\n3,4\n"
    assert refusal(tmp_path, content, arrivals=law) == message


def test_messages_stay_short_and_on_one_line(tmp_path):
    header = '"a\nb",' + ",".join(f"c{i}" for i in range(1000))
    assert refusal(tmp_path, header).endswith(
        "found the columns 'a\\nb', 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8', 'c9', "
        "'c10', …; map them with columns arrival=…,prompt=…,output=…"
    )
    row = '2023-11-16 18:15:46,3,"""4\n' + "x" * 100 + '"'
    assert refusal(tmp_path, HEADER + row) == (
        "trace.csv: line 3: GeneratedTokens: expected an integer of at least 1, found "
        "'\"4\\n" + "x" * 34 + "...'"
    )


def test_a_line_nested_too_deeply_is_refused(tmp_path):
    deep = KEYS.replace("}", ', "hash_ids": ' + "[" * 100_000 + "}")
    for content in (deep, KEYS + deep):
        assert "not valid JSON (maximum recursion depth exceeded" in refusal(tmp_path, content)


def test_a_key_may_stand_again_deeper_down(tmp_path):
    path = tmp_path / "trace.jsonl"
    path.write_text(KEYS.replace("}", ', "hash_ids": {"timestamp": 7}}'))
    assert convert_trace(path, round_ms=50, kv_capacity=100).instance.n == 1


def test_repeated_ids_are_refused_with_the_file(tmp_path):
    content = "at,in,out,name\n0,3,4,a\n1,3,4,a\n"
    assert refusal(tmp_path, content, columns="arrival=at,prompt=in,output=out,id=name") == (
        "trace.csv: requests[1].id: ids must be unique, found 'a' again (first in requests[0])"
    )


def test_a_line_without_end_is_refused(tmp_path):
    assert refusal(tmp_path, b"x" * (1 << 24)) == (
        "trace.csv: line 1: expected lines below 16 MiB, found a longer one"
    )
