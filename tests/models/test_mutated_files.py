"""Whatever is done to a file, its reader accepts it or refuses it: no other error, and in time."""

from __future__ import annotations

import gzip
import json

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchprophet.cli import run
from batchprophet.commands.console import one_line
from batchprophet.models.errors import InputError
from batchprophet.models.files.instance_file import read_instance
from batchprophet.models.files.solution_file import read_schedule
from batchprophet.models.instance import Gpu, Instance
from batchprophet.models.traces import convert_trace
from batchprophet.online.environments import make_environment
from batchprophet.online.study.reading import read_study
from batchprophet.solvers.certificates.file import read_certificate
from batchprophet.solvers.library.catalogue import DATA
from batchprophet.solvers.library.record import read_record
from tests.paths import DATA as TRACES

SMALL = Instance(gpu=Gpu(kv_capacity=47), arrival=[0, 1], prompt=[3, 3], output=[12, 12])
INSTANCE = {
    "format": "batchprophet-instance", "version": 1, "name": "x", "horizon": 60,
    "gpu": {"kv_capacity": 47, "batch_time": {"law": "affine", "c0": 9.8, "c1": 0, "c2": 0,
                                              "c3": 0}},
    "requests": [
        {"id": "r0", "arrival": 0, "prompt": 3, "output": 12, "reward": 1.0, "class": "chat",
         "weight": 2, "penalty": 0.5, "deadline": 40, "predicted": [10, 14]},
        {"arrival": 1, "prompt": 3, "output": 12, "predicted": 9},
    ],
    "provenance": {"a": [1, {"b": None}]},
}  # fmt: skip
MIXED = {"model": "mixed", "objective": 3.5, "schedule": {
    "start": [0, 3], "evicted": [{"request": 0, "start": 1, "end": 2}]}}  # fmt: skip
SEPARATE = {"model": "separate", "schedule": {"batches": [
    {"kind": "prompt", "start": 0, "requests": [0, 1]}]}}  # fmt: skip
CERTIFICATE = {
    "format": "batchprophet-certificate", "version": 1, "instance": "two", "digest": "e" * 64,
    "model": "mixed", "objective_name": "latency", "bound": 7,
    "proof": {"kind": "configuration-prices", "scale": 3, "types": [[7, 0], [3, 0]],
              "rounds": [{"first": 4, "last": 4, "prices": [[0, 3, 1]]}]},
}  # fmt: skip
STUDY = """name = "small"
seeds = [1, 2]
policies = ["mc-sf"]
instances = [{family = "arrival-model-1", settings = {n = [6, 8]}}]
limits = [{work = 1000}, {name = "s", seconds = 3.5}]
"""


def trace(path):
    choices = {"zero": "drop", "oversize": "drop", "sort": True}
    return convert_trace(path, round_ms=50, kv_capacity=65536, **choices)


READERS = {
    "instance": (json.dumps(INSTANCE), read_instance),
    "mixed schedule": (json.dumps(MIXED), lambda path: read_schedule(path, SMALL)),
    "separate schedule": (json.dumps(SEPARATE), lambda path: read_schedule(path, SMALL)),
    "certificate": (json.dumps(CERTIFICATE), read_certificate),
    "study": (STUDY, read_study),
    "environment": (
        'environment = "online-packing"\n[settings]\nscale = 2\n',
        lambda path: make_environment(str(path)),
    ),
    "record": ((DATA / "worst-case-vllm-n6-m12.json.zst").read_bytes(), read_record),
    "azure": ((TRACES / "azure_2024.csv").read_bytes(), trace),
    "burstgpt": ((TRACES / "burstgpt_3.csv").read_bytes(), trace),
    "mooncake": ((TRACES / "mooncake.jsonl").read_bytes(), trace),
    "vllm-log": ((TRACES / "vllm_log.jsonl").read_bytes(), trace),
    "gzip": (gzip.compress((TRACES / "azure_2023.csv").read_bytes(), mtime=0), trace),
    "zstd": (zstandard.compress((TRACES / "vidur.csv").read_bytes()), trace),
}

#: What stands where it should not: numbers out of range, other types, marks, depths.
STRANGE = st.sampled_from(
    [
        b"1e308", b"-1", b"0", b"NaN", b"Infinity", b"1e-400", b"9" * 5000, b"1.0", b"true",
        b"null", b"[]", b"{}", b'""', b"9223372036854775808", b"4611686018427387904",
        b'"\\ud800"', b'"\\u0000"', b"[" * 100_000, b"\r", b"\r\n", b"\x00", b"\x1f\n", b"\xff",
        b"\xef\xbb\xbf", b"\xff\xfe", "\u2028".encode(), "４".encode(), b'"', b",", b"}", b"]",
    ]
)  # fmt: skip


@st.composite
def mutated(draw, content: bytes):
    """Content with a few pieces replaced, removed, repeated or cut off, or in other bytes."""
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(0, len(content)))
        last = min(len(content), first + draw(st.integers(0, 12)))
        piece = draw(
            STRANGE | st.binary(max_size=4) | st.just(content[first:last] * 2) | st.just(b"")
        )
        content = content[:first] + piece + content[last:]
        if draw(st.integers(0, 9)) == 0:
            content = content[:first]
    if draw(st.integers(0, 9)) == 0:
        encoding = draw(st.sampled_from(["utf-16", "utf-32-le", "utf-8-sig"]))
        content = content.decode("utf-8", "replace").encode(encoding)
    return content


@pytest.mark.parametrize("reader", READERS)
@given(data=st.data())
@settings(
    max_examples=120, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_file_is_read_or_refused(reader, data, tmp_path):
    whole, read = READERS[reader]
    content = data.draw(mutated(whole.encode() if isinstance(whole, str) else whole))
    path = tmp_path / "file.toml"
    path.write_bytes(content)
    try:
        read(path)
    except InputError as error:
        line = one_line(str(error))
        assert line.isprintable()
        assert len(line) <= 1000
        assert line.startswith((str(path), path.name))


def test_what_a_message_quotes_steers_no_terminal(tmp_path, capsys):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(INSTANCE | {"\x1b[31m\nred": 1}))
    assert run(["check", str(path), str(path)]) == 2
    line = capsys.readouterr().err
    assert line == f"batchprophet: {path}: object contains unknown field \\x1b[31m red\n"
    path.write_text(json.dumps(INSTANCE | {"x" * 10**6: 1}))
    assert run(["check", str(path), str(path)]) == 2
    assert len(capsys.readouterr().err) < 1100
