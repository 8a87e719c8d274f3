"""Every format on a small file of its own, and the conformity of all readers."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import zstandard

from batchprophet.models.errors import InputError
from batchprophet.models.traces import TRACE_FORMATS, convert_trace
from tests.paths import DATA

# file → format, arrivals in nanoseconds since the first, prompts, outputs, rows left out. Worked
# out by hand from the files; a round of 1e-6 ms is a nanosecond.
EXPECTED = {
    "azure_2023.csv": ("azure", [0, 500, 1_300_000_000], [374, 396, 91], [44, 109, 16], {}),
    # 02:00:01.5+02:00 is 00:00:01.5 UTC.
    "azure_2024.csv": ("azure", [0, 990_070_000, 1_490_070_000], [2162, 2399, 76], [5, 6, 15], {}),
    "burstgpt_1.csv": (
        "burstgpt",
        [0, 113 * 10**9],
        [472, 417],
        [18, 276],
        {"failed (0 response tokens)": 1},
    ),
    # Columns in other places, not zero-based, a failed row with zero prompt tokens too.
    "burstgpt_3.csv": (
        "burstgpt",
        [0, 1_500_000_000],
        [47, 41],
        [18, 27],
        {"failed (0 response tokens)": 1},
    ),
    "mooncake.jsonl": ("mooncake", [0, 0, 3_001_000_000], [675, 732, 12], [50, 49, 7], {}),
    "qwen_bailian.jsonl": ("qwen-bailian", [0, 86_000_000], [521, 66], [132, 13], {}),
    "vidur.csv": ("vidur", [0, 52_000_000, 100_000_000], [480, 318, 11], [10, 8, 27], {}),
    "splitwise_sim.csv": ("splitwise-sim", [0, 4_250_000_000], [374, 396], [44, 109], {}),
    # By queued_ts: 32 ns apart, not by arrival_time.
    "vllm_log.jsonl": ("vllm-log", [0, 32], [23, 10], [5, 7], {}),
    "lengths.csv": ("lengths", [0, 0], [74, 290], [918, 905], {}),
}


def convert(path, **choices):
    law = {"arrivals": "burst"} if "lengths" in Path(path).name else {}
    return convert_trace(path, **({"round_ms": 1e-6, "kv_capacity": 65536} | law | choices))


@pytest.mark.parametrize("file", EXPECTED)
def test_every_format_is_detected_and_read_to_the_nanosecond(file):
    known, arrivals, prompts, outputs, dropped = EXPECTED[file]
    converted = convert(DATA / file)
    assert converted.report.format == known
    assert converted.instance.arrival.tolist() == arrivals
    assert converted.instance.prompt.tolist() == prompts
    assert converted.instance.output.tolist() == outputs
    assert converted.report.dropped == dropped
    assert converted.report.rows_read == len(arrivals) + sum(dropped.values())


def test_every_registered_format_has_a_file():
    assert {known for known, *_ in EXPECTED.values()} == set(TRACE_FORMATS)


@pytest.mark.parametrize("file", EXPECTED)
def test_naming_the_format_reads_the_same_as_detecting_it(file):
    named, detected = convert(DATA / file, format=EXPECTED[file][0]), convert(DATA / file)
    assert named == detected


@pytest.mark.parametrize("file", EXPECTED)
def test_no_two_formats_match_one_file(file):
    # Detection must not depend on the order of the registry.
    header = (DATA / file).read_text().splitlines()[0]
    container = "jsonl" if header.startswith("{") else "csv"
    columns = header.split(",") if container == "csv" else header.split('"')
    matching = [known.name for known in TRACE_FORMATS.values() if known.matches(container, columns)]
    assert matching == [EXPECTED[file][0]]


@pytest.mark.parametrize("file", EXPECTED)
def test_compression_line_ends_and_final_newline_change_nothing(file, tmp_path):
    plain = (DATA / file).read_bytes().replace(b"\r\n", b"\n").rstrip(b"\n")
    expected = convert(DATA / file).instance
    variants = {
        "no-newline": plain,
        "crlf": plain.replace(b"\n", b"\r\n") + b"\r\n",
        "byte-order-mark": b"\xef\xbb\xbf" + plain,
        "blank-lines": plain.replace(b"\n", b"\n\n") + b"\n\n\n",
        # The name says nothing of the compression: the content does.
        "gzip.csv": gzip.compress(plain),
        "two-members.gz": gzip.compress(plain[:30]) + gzip.compress(plain[30:]),
        "zstd.txt": zstandard.compress(plain),
        "two-frames.zst": zstandard.compress(plain[:30]) + zstandard.compress(plain[30:]),
    }
    for name, content in variants.items():
        path = tmp_path / f"lengths-{name}" if "lengths" in file else tmp_path / name
        path.write_bytes(content)
        read = convert(path).instance
        for column in ("arrival", "prompt", "output"):
            assert np.array_equal(getattr(read, column), getattr(expected, column)), name


@pytest.mark.parametrize("file", EXPECTED)
def test_a_row_cut_off_is_refused_with_its_line(file, tmp_path):
    # A file that ends in the middle of a row: one cell, or half an object.
    lines = (DATA / file).read_bytes().splitlines()
    cut = lines[-1][:20] if lines[-1].startswith(b"{") else lines[-1].split(b",")[0]
    path = tmp_path / file
    path.write_bytes(b"\n".join([*lines[:-1], cut]))
    with pytest.raises(InputError, match=f"^{path}: line {len(lines)}: "):
        convert(path)
