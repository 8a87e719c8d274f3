"""The command line as people meet it: output, exit codes, one line for every failure."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import batchprophet as bp
from batchprophet.arguments.policies import split_policies
from batchprophet.cli import run
from batchprophet.models.errors import InputError
from batchprophet.solvers.warm_up import compile_first

COMMANDS = ("demo", "solve", "simulate", "compare", "check", "make", "convert", "policies")
COMMAND = [sys.executable, "-m", "batchprophet"]


def document(**changes: object) -> dict[str, object]:
    """The smallest instance with a choice: M = 9, (0, 3, 4) and (2, 1, 2); optimum 7."""
    requests = [
        {"arrival": 0, "prompt": 3, "output": 4},
        {"arrival": 2, "prompt": 1, "output": 2},
    ]
    record: dict[str, object] = {
        "format": "batchprophet-instance",
        "version": 1,
        "name": "small",
        "gpu": {"kv_capacity": 9},
        "requests": requests,
    }
    return record | changes


@pytest.fixture(scope="module", autouse=True)
def compiled_code() -> None:
    """Compile what solves run before their clocks start: at first use it may take them whole."""
    compile_first("mixed")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.json"
    path.write_text(json.dumps(document()))
    return path


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]  # a function
    """Run a command that must fail; return its one line."""

    def line(*words: object, code: int = 2) -> str:
        assert run([str(word) for word in words]) == code
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("batchprophet: ")
        assert captured.err.count("\n") == 1
        assert captured.err.endswith("\n")
        assert "Traceback" not in captured.err
        return captured.err.removeprefix("batchprophet: ").rstrip("\n")

    return line


# ---------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["--frobnicate"], "No such option: --frobnicate"),
        (["solve"], "Missing argument 'INSTANCE'"),
        (["solve", "x.json", "--bound"], "No such option: --bound"),
        (["solve", "x.json", "--seed"], "Option '--seed' requires an argument"),
        (["solve", "x.json", "--seed", "two"], "Invalid value for '--seed'"),
        (["solve", "x.json", "--seed", "-1"], "Invalid value for '--seed'"),
        (["solve", "x.json", "--threads", "0"], "Invalid value for '--threads'"),
        (["solve", "x.json", "y.json"], "Got unexpected extra argument"),
        (
            ["solve", "x.json", "--model", "both"],
            "model: expected 'mixed', 'separate' or 'continuous', found",
        ),
        (
            ["compare", "x.json", "--model", "all"],
            "expected 'mixed', 'separate', 'continuous' or 'both', found",
        ),
        (["simulate", "x.json", "--policy", "mc-sf", "--model", "x"], "model: expected 'mixed'"),
        (["solve", "x.json", "--time-limit", "nan"], "time_limit: expected at least 0 seconds"),
        (["solve", "x.json", "--time-limit", "-1"], "time_limit: expected at least 0 seconds"),
        (["simulate", "x.json"], "Missing option '--policy'"),
        (["compare"], "Missing argument 'INSTANCE'"),
        (["check", "x.json"], "Missing argument 'SCHEDULE'"),
        (["make"], "make: expected a FAMILY (see make --list), found none"),
        (["make", "arrival-model-1"], "make: expected --out FILE, found none"),
        (["make", "x", "--set", "n", "--out", "x.json"], "--set: expected key=value, found 'n'"),
        (["convert", "x.csv"], "Missing option"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(fails, words: list[str], expected: str) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    assert expected in fails(*words)


def test_make_refuses_a_setting_that_stands_twice(fails, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    line = fails("make", "x", "--set", "n=1", "--set", "n=2", "--out", tmp_path / "x.json")
    assert line == "--set: 'n' appears more than once"


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"{bp.__version__}\n"
    for words in (["--help"], []):
        assert run(words) == 0
        shown = capsys.readouterr().out
        for command in [
            "demo",
            "solve",
            "simulate",
            "compare",
            "check",
            "make",
            "convert",
            "policies",
        ]:
            assert command in shown


def test_help_is_quick() -> None:
    # 0.2 s; in processor time, as others use the machine too.
    before = os.times()
    subprocess.run([*COMMAND, "--help"], capture_output=True, check=True)
    after = os.times()
    used = after.children_user - before.children_user
    assert used + after.children_system - before.children_system < 0.5


# ---------------------------------------------------------------- bad input


def _requests(**changes: object) -> dict[str, object]:
    return document(requests=[{"arrival": 0, "prompt": 3, "output": 4} | changes])


BAD_DOCUMENTS = {
    "wrong format": (document(format="other"), "format: expected 'batchprophet-instance'"),
    "wrong version": (document(version=2), "version: expected 1, found 2"),
    "version true": (document(version=True), "version: expected 1, found True"),
    "solution for instance": (
        {"format": "batchprophet-solution", "version": 1},
        "format: expected 'batchprophet-instance', found 'batchprophet-solution'",
    ),
    "no requests": (document(requests=[]), "requests: expected at least one request, found none"),
    "requests no array": (document(requests={}), "requests: expected array, found {}"),
    "unknown key": (document(speed=3), "unknown field"),
    "unknown request key": (_requests(tokens=3), "unknown field"),
    "unknown gpu key": (document(gpu={"kv_capacity": 9, "x": 1}), "unknown field"),
    "unknown law": (
        document(gpu={"kv_capacity": 9, "batch_time": {"law": "cubic"}}),
        "gpu.batch_time",
    ),
    "missing gpu": ({k: v for k, v in document().items() if k != "gpu"}, "gpu"),
    "missing output": (document(requests=[{"arrival": 0, "prompt": 1}]), "output"),
    "prompt true": (_requests(prompt=True), "requests[0].prompt: expected int, found true"),
    "prompt float": (_requests(prompt=1.5), "requests[0].prompt: expected int, found 1.5"),
    "prompt whole float": (_requests(prompt=2.0), "requests[0].prompt: expected int, found 2.0"),
    "prompt string": (_requests(prompt="3"), "requests[0].prompt: expected int"),
    "prompt null": (_requests(prompt=None), "requests[0].prompt: expected int"),
    "prompt zero": (_requests(prompt=0), "requests[0].prompt: expected an integer of at least 1"),
    "output negative": (_requests(output=-1), "requests[0].output: expected an integer"),
    "arrival negative": (_requests(arrival=-1), "requests[0].arrival: expected an integer"),
    "arrival beyond 64 bits": (_requests(arrival=2**70), "requests[0].arrival"),
    "arrival beyond exact arithmetic": (_requests(arrival=2**62), "2^62"),
    "prompt beyond 64 bits": (_requests(prompt=2**64 + 1), "requests[0].prompt"),
    "capacity beyond 64 bits": (document(gpu={"kv_capacity": 2**80}), "gpu.kv_capacity"),
    "capacity true": (document(gpu={"kv_capacity": True}), "gpu.kv_capacity: expected int"),
    "capacity float": (document(gpu={"kv_capacity": 9.0}), "gpu.kv_capacity: expected int"),
    "capacity too small": (document(gpu={"kv_capacity": 1}), "gpu.kv_capacity: expected"),
    "larger than the gpu": (
        _requests(output=7),
        "requests[0]: prompt + output must be at most gpu.kv_capacity = 9, found 3 + 7 = 10",
    ),
    "reward negative": (_requests(reward=-1), "requests[0].reward: expected a finite number"),
    "reward true": (_requests(reward=True), "requests[0].reward: expected float, found true"),
    "reward huge": (_requests(reward=10**400), "requests[0].reward"),
    "weight string": (_requests(weight="1"), "requests[0].weight: expected float"),
    "predicted reversed": (_requests(predicted=[3, 2]), "requests[0].predicted: expected 1"),
    "predicted true": (_requests(predicted=True), "requests[0].predicted: expected"),
    "id number": (_requests(id=7), "requests[0].id: expected str"),
    "duplicate ids": (
        document(requests=[{"id": "a", "arrival": 0, "prompt": 1, "output": 1} for _ in range(2)]),
        "requests[1].id: ids must be unique, found 'a' again (first in requests[0])",
    ),
    "horizon zero": (document(horizon=0), "horizon: expected an integer from 1"),
    "name null": (document(name=None), "name: expected str, found null"),
}

TEXT = json.dumps(document())
BAD_BYTES = {
    "empty": (b"", "found an empty file"),
    "blank": (b" \n\n", "found an empty file"),
    "truncated": (TEXT[: len(TEXT) // 2].encode(), "not valid JSON"),
    "one byte short": (TEXT[:-1].encode(), "not valid JSON"),
    "trailing text": (TEXT.encode() + b"x", "not valid JSON"),
    "array": (b"[]", "expected a JSON object, found an array"),
    "null": (b"null", "expected a JSON object, found null"),
    "number": (b"3", "expected a JSON object, found a number or truth value"),
    "not json": (b"arrival,prompt,output\n0,3,4\n", "line 1, column 1: not valid JSON"),
    "nan": (TEXT.replace('"arrival": 2', '"arrival": NaN').encode(), "must be finite, found NaN"),
    "infinity": (
        TEXT.replace('"arrival": 2', '"reward": Infinity, "arrival": 2').encode(),
        "must be finite, found Infinity",
    ),
    "overflowing float": (
        TEXT.replace('"arrival": 2', '"reward": 1e999, "arrival": 2').encode(),
        "reward",
    ),
    "not utf-8": (TEXT.replace("small", "sm\xe4ll").encode("latin-1"), "found byte 0xe4"),
    "byte order mark": (b"\xef\xbb\xbf" + TEXT.encode(), "without a byte order mark"),
    "utf-16": (TEXT.encode("utf-16"), "expected UTF-8 text"),
    "key twice": (
        TEXT.replace('"version"', '"name": "x", "version"').encode(),
        "appears more than once",
    ),
    "deep": (b'{"provenance": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not valid JSON"),
    "ten thousand digits": (
        TEXT.replace('"arrival": 2', f'"arrival": {"9" * 10_000}').encode(),
        "small.json: ",
    ),
    "lone surrogate": (TEXT.replace('"small"', r'"\ud800"').encode(), "not valid JSON"),
}
BAD_FILES = {name: (json.dumps(d).encode(), text) for name, (d, text) in BAD_DOCUMENTS.items()}
BAD_FILES |= BAD_BYTES


@pytest.mark.parametrize("name", list(BAD_FILES))
@pytest.mark.parametrize("command", ["solve", "simulate"])
def test_bad_instance_is_one_line_and_leaves_the_output(  # type: ignore[no-untyped-def]  # the fixture is a function
    fails, tmp_path: Path, command: str, name: str
) -> None:
    content, expected = BAD_FILES[name]
    path, out = tmp_path / "small.json", tmp_path / "out.json"
    path.write_bytes(content)
    out.write_text("keep me")
    words = ["--policy", "mc-sf"] if command == "simulate" else []
    line = fails(command, path, "--out", out, *words)
    assert line.startswith(f"{path}: ")
    assert expected in line
    assert len(line) < 400
    assert out.read_text() == "keep me"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.json", "small.json"]


BAD_SCHEDULES = {
    "empty": (b"", "found an empty file"),
    "no schedule": (b'{"model": "mixed"}', "schedule"),
    "no model": (b'{"schedule": {"start": [0, 4]}}', "model"),
    "other model": (b'{"model": "chunked", "schedule": {"start": [0, 4]}}', "model"),
    "schedule of another model": (
        b'{"model": "separate", "schedule": {"start": [0, 4]}}',
        "schedule: object contains unknown field start",
    ),
    "batch of nobody": (
        b'{"model": "separate", "schedule": {"batches": [{"kind": "prompt", "start": 0,'
        b' "requests": [2]}]}}',
        "schedule.batches[0].requests[0]: expected a request from 0 to 1 of 'small', found 2",
    ),
    "kind of batch": (
        b'{"model": "separate", "schedule": {"batches": [{"kind": "mixed", "start": 0,'
        b' "requests": [0]}]}}',
        "schedule.batches[0].kind",
    ),
    "too few": (b'{"model": "mixed", "schedule": {"start": [0]}}', "expected 2 starts"),
    "float": (b'{"model": "mixed", "schedule": {"start": [0, 4.0]}}', "expected int, found 4.0"),
    "true": (b'{"model": "mixed", "schedule": {"start": [0, true]}}', "expected int, found true"),
    "huge": (b'{"model": "mixed", "schedule": {"start": [0, 4611686018427387904]}}', "2^62"),
    "large": (b'{"model": "mixed", "schedule": {"start": [0, 4611686018427387903]}}', "64-bit"),
    "beyond 64 bits": (b'{"model": "mixed", "schedule": {"start": [0, %d]}}' % 2**80, "start[1]"),
    "unknown key": (b'{"model": "mixed", "x": 1, "schedule": {"start": [0, 4]}}', "unknown field"),
    "evicted nobody": (
        b'{"model": "mixed", "schedule": {"start": [0, 4],'
        b' "evicted": [{"request": 2, "start": 0, "end": 1}]}}',
        "schedule.evicted[0].request: expected a request from 0 to 1, found 2",
    ),
    "evicted beyond 64 bits": (
        b'{"model": "mixed", "schedule": {"start": [0, 4],'
        b' "evicted": [{"request": 0, "start": 0, "end": %d}]}}' % 2**80,
        "64-bit",
    ),
    "not utf-8": (b'{"model": "\xff"}', "found byte 0xff"),
}


@pytest.mark.parametrize("name", list(BAD_SCHEDULES))
def test_bad_schedule_is_one_line(fails, small: Path, tmp_path: Path, name: str) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    content, expected = BAD_SCHEDULES[name]
    path = tmp_path / "schedule.json"
    path.write_bytes(content)
    line = fails("check", small, path)
    assert line.startswith(f"{path}: ")
    assert expected in line


def test_paths_that_cannot_be_read_or_written(fails, small: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    missing, folder = tmp_path / "no" / "x.json", tmp_path / "folder"
    folder.mkdir()
    assert fails("solve", missing) == f"{missing}: cannot be read (No such file or directory)"
    assert fails("solve", folder) == f"{folder}: cannot be read (expected a file, found a folder)"
    # Outputs are checked before any work: even the missing instance is not reached.
    assert fails("solve", missing, "--out", folder) == (
        f"{folder}: expected a file to write, found a folder"
    )
    assert fails("simulate", missing, "--policy", "mc-sf", "--out", missing) == (
        f"{missing}: cannot be written (No such file or directory)"
    )
    assert fails("compare", missing, "--out", small) == (
        f"{small}: expected a folder to write to, found the file {small}"
    )
    assert fails("demo", "--out", small / "x") == (
        f"{small / 'x'}: expected a folder to write to, found the file {small}"
    )
    assert "cannot be written" in fails("compare", small, "--out", "/proc/no/such")


@pytest.mark.parametrize(
    "gpu",
    [
        {"kv_capacity": 9, "token_batch_requests": 2},
        {"kv_capacity": 9, "batch_time": {"law": "constant", "prompt": 3, "token": 1}},
    ],
)
@pytest.mark.parametrize("command", ["solve", "simulate", "compare", "check"])
def test_what_mixed_batching_does_not_have_is_refused(  # type: ignore[no-untyped-def]  # the fixture is a function
    fails, tmp_path: Path, command: str, gpu: dict[str, object]
) -> None:
    path, schedule = tmp_path / "limits.json", tmp_path / "schedule.json"
    path.write_text(json.dumps(document(gpu=gpu)))
    schedule.write_text('{"model": "mixed", "schedule": {"start": [0, 4]}}')
    more = {"simulate": ["--policy", "mc-sf"], "check": [schedule]}.get(command, [])
    line = fails(command, path, *more)
    assert line.startswith(f"{path}: gpu")
    assert "drop" in line


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("mc-sg", "did you mean mc-sf?"),
        ("mc-sf:speed=3", "policy mc-sf: "),
        ("mc-sf:skip=maybe", "policy mc-sf: "),
        ("no_such_module:Policy", "cannot import 'no_such_module'"),
        ("json:JSONDecoder", "no policy"),
        ("", "policy"),
    ],
)
def test_bad_policies_are_refused(fails, small: Path, spec: str, expected: str) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    assert expected in fails("simulate", small, "--policy", spec)
    assert "polic" in fails("compare", small, "--policies", f"mc-sf,{spec}")


# ---------------------------------------------------------------- lists of policies


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a,b:key=v,key2=w,c"], ["a", "b:key=v,key2=w", "c"]),
        (["a, b"], ["a", "b"]),
        (["a:x=1", "b:y=2,z=3"], ["a:x=1", "b:y=2,z=3"]),
        (["my.module:Mine:x=1,y=a:b,c"], ["my.module:Mine:x=1,y=a:b", "c"]),
        (["my.module:Mine,mc-sf"], ["my.module:Mine", "mc-sf"]),
    ],
)
def test_commas_between_policies_and_between_options(texts: list[str], expected: list[str]) -> None:
    assert split_policies(texts) == expected


@pytest.mark.parametrize("texts", [["a,,b"], [""], ["key=v,a"], ["a", "key=v"]])
def test_lists_that_are_none(texts: list[str]) -> None:
    with pytest.raises(InputError, match=r"^policies: expected"):
        split_policies(texts)


# ---------------------------------------------------------------- commands


def test_check_says_feasible_with_values(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # r1 after r0: completions 4 and 6, latencies 4 + 4, weighted 10, makespan 6.
    path = tmp_path / "schedule.json"
    path.write_text('{"model": "mixed", "schedule": {"start": [0, 4]}}')
    assert run(["check", str(small), str(path)]) == 0
    assert capsys.readouterr().out == "feasible\n  latency   8\n  weighted  10\n  makespan  6\n"
    assert run(["check", str(small), str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "instance": "small",
        "feasible": True,
        "objectives": {"latency": 8, "weighted": 10, "makespan": 6},
        "violations": [],
    }


def test_check_of_a_schedule_with_many_violations_lists_the_first() -> None:
    from batchprophet.models.mixed import MixedSchedule

    gpu = bp.Gpu(kv_capacity=9)
    instance = bp.Instance(gpu=gpu, arrival=[5] * 30, prompt=[1] * 30, output=[1] * 30)
    verdict = bp.check(instance, MixedSchedule([0] * 30))
    assert len(verdict.violations) > 30
    *_, last = shown = verdict.summary().splitlines()
    assert len(shown) == 22
    assert last.split(maxsplit=1)[1] == f"and {len(verdict.violations) - 20} more (--json has all)"


def test_check_lists_every_violation_and_exits_1(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # r1 starts before its arrival, and 6 + 2 and 7 + 3 tokens stand in rounds 3 and 4 … at 0 + 1:
    # r0 holds 3 + t, r1 holds 1 + (t − 1): 5 + 2 in round 2, 6 + 3 in round 3: within 9.
    path = tmp_path / "schedule.json"
    path.write_text('{"model": "mixed", "schedule": {"start": [0, 1]}}')
    assert run(["check", str(small), str(path)]) == 1
    assert capsys.readouterr().out == (
        "infeasible: 1 violation\n  arrival  request r1 starts at 1, before its arrival at 2\n"
    )
    path.write_text('{"model": "mixed", "schedule": {"start": [-1, 2]}}')
    assert run(["check", str(small), str(path), "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert (record["feasible"], record["objectives"]) == (False, {})
    assert [(v["rule"], v["time"], v["amount"]) for v in record["violations"]] == [
        ("arrival", -1, 1)
    ]


def test_simulate_prints_and_writes(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # MC-SF starts r0 at 0; r1 fits from boundary 3 (rounds 4: 7 + 2 = 9): latencies 4 + 3.
    out = tmp_path / "schedule.json"
    assert run(["simulate", str(small), "--policy", "mc-sf", "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["metrics"]["total_latency"] == printed["objective"] == 7
    written = json.loads(out.read_text())
    assert written["schedule"] == printed["schedule"] == {"start": [0, 3]}
    assert run(["check", str(small), str(out)]) == 0
    capsys.readouterr()
    assert run(["simulate", str(small), "--policy", "mc-sf"]) == 0
    shown = capsys.readouterr().out
    assert "total latency        7 rounds" in shown
    for line in ("latency", "time to first token", "makespan"):  # times have their unit
        assert re.search(rf"^  {line} .*\d rounds$", shown, re.MULTILINE), line


def test_policy_that_cycles_is_the_answer_no(fails, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    # Two requests (1, 9), M = 10, α = 0.1 evict each other for ever (docs/model/mixed.md §5).
    request = {"arrival": 0, "prompt": 1, "output": 9}
    path, out = tmp_path / "cycle.json", tmp_path / "schedule.json"
    path.write_text(json.dumps(document(gpu={"kv_capacity": 10}, requests=[request] * 2)))
    line = fails("simulate", path, "--policy", "alpha-greedy:alpha=0.1", "--out", out, code=1)
    assert "alpha-greedy" in line
    assert not out.exists()


def test_third_party_policy_from_the_current_folder(small: Path, tmp_path: Path) -> None:
    (tmp_path / "third_party.py").write_text(
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from batchprophet import Decision\n"
        "@dataclass(frozen=True)\n"
        "class OneByOne:\n"
        "    '''One at a time, in order (our own).'''\n"
        "    name: ClassVar[str] = 'one-by-one'\n"
        "    summary: ClassVar[str] = 'one at a time'\n"
        "    source: ClassVar[str] = 'our own'\n"
        "    length_kinds: ClassVar[tuple[str, ...]] = ('none',)\n"
        "    def decide(self, observation, rng):\n"
        "        if observation.running or not observation.waiting:\n"
        "            return Decision()\n"
        "        return Decision(start=(observation.waiting[0].index,))\n"
    )
    words = ["simulate", str(small), "--policy", "third_party:OneByOne", "--json"]
    done = subprocess.run(
        ["batchprophet", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert json.loads(done.stdout)["schedule"]["start"] == [0, 4]
    assert done.stderr == ""


def test_policies_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policies", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["policies"]
    assert [policy["name"] for policy in listed][:2] == ["mc-sf", "mc-benchmark"]
    assert all(policy["source"] and policy["summary"] for policy in listed)
    assert run(["policies"]) == 0
    assert "smallest-volume" in capsys.readouterr().out


def test_families_are_listed_and_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["make", "--list", "--json"]) == 0
    families = json.loads(capsys.readouterr().out)["families"]
    names = [family["name"] for family in families]
    assert {"arrival-model-1", "arrival-model-2", "sqrt-adversary"} <= set(names)
    assert run(["make", "--list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in names)
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    for out in (first, second):
        assert run(["make", "arrival-model-1", "--seed", "5", "--out", str(out)]) == 0
        assert f"wrote {out}: " in capsys.readouterr().out
    assert first.read_bytes() == second.read_bytes()


def test_make_refuses(fails, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    out = tmp_path / "x.json"
    assert "arrival-model-1" in fails("make", "arrival-model-9", "--out", out)
    assert "nonsense" in fails("make", "arrival-model-1", "--set", "nonsense=1", "--out", out)
    assert not out.exists()


def test_trace_is_converted_with_its_account(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace, out = tmp_path / "trace.csv", tmp_path / "x.json"
    trace.write_text("at,in,out\n0.49,3,12\n0.51,4,1\n0.62,5,2\n")
    words = ["convert", str(trace), "--columns", "arrival=at,prompt=in,output=out"]
    words += ["--round-ms", "50", "--kv-capacity", "47", "--out", str(out)]
    assert run(words) == 0
    shown = capsys.readouterr().out
    assert "3 rows read" in shown
    assert f"wrote {out}: 3 requests, KV capacity 47" in shown
    assert bp.load(out).arrival.tolist() == [0, 0, 2]


def test_every_option_of_convert_reaches_the_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import inspect

    from batchprophet import api
    from batchprophet.commands import basic

    seen: dict[str, object] = {}

    def watched(trace: Path, **given: object) -> object:
        seen.update(given)
        raise bp.InputError("enough")

    monkeypatch.setattr(api, "convert", watched)
    (tmp_path / "t.csv").write_text("at,in,out\n0,3,2\n")
    assert run(["convert", str(tmp_path / "t.csv"), "--out", str(tmp_path / "x.json")]) == 2
    options = {name.rstrip("_") for name in inspect.signature(basic.convert).parameters}
    assert set(seen) == options - {"trace", "out", "as_json"} | {"progress"}


def test_pairs_and_latency_limit_are_options_of_the_command_line(tmp_path: Path) -> None:
    trace, out = tmp_path / "trace.csv", tmp_path / "x.json"
    rows = [f"{k},{k + 1},{k + 2}" for k in range(20)]
    trace.write_text("\n".join(["at,in,out", *rows]))
    words = ["convert", str(trace), "--columns", "arrival=at,prompt=in,output=out"]
    words += ["--round-ms", "1000", "--kv-capacity", "99", "--out", str(out)]
    assert run([*words, "--pairs", "shuffle", "--latency-limit", "7"]) == 0
    found = bp.load(out)
    assert found.prompt.tolist() != list(range(1, 21))
    assert sorted(found.prompt.tolist()) == list(range(1, 21))
    assert found.deadline is not None
    assert found.deadline.tolist() == [a + 7 for a in range(20)]
    made = ["make", "arrival-model-1", "--set", "n=3", "--latency-limit", "0", "--out", str(out)]
    assert run(made) == 0
    found = bp.load(out)
    assert found.deadline is not None
    assert found.deadline.tolist() == found.arrival.tolist()


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("at,in\n0,3\n", [], "out"),
        ("at,in,out\n1,3,4\n0,3,4\n", [], "line 3"),
        ("at,in,out\n0,3,x\n", [], "line 2"),
        ("at,in,out\n0,3,4\n", ["--every", "0"], "every"),
        ("at,in,out\n0,3,4\n", ["--load", "nan"], "load"),
        ("at,in,out\n0,3,4\n", ["--oversize", "shrug"], "oversize"),
        ("at,in,out\n0,300,4\n", [], "line 2"),
        ("", [], "empty"),
    ],
)
def test_bad_traces_leave_the_output(  # type: ignore[no-untyped-def]  # the fixture is a function
    fails, tmp_path: Path, content: str, options: list[str], expected: str
) -> None:
    trace, out = tmp_path / "trace.csv", tmp_path / "x.json"
    trace.write_text(content)
    out.write_text("keep me")
    words = ["--columns", "arrival=at,prompt=in,output=out", "--round-ms", "50"]
    line = fails("convert", trace, *words, "--kv-capacity", "47", "--out", out, *options)
    assert expected in line
    assert out.read_text() == "keep me"


def test_solve_prints_writes_and_its_solution_checks(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Σ output = 6; both at once break the capacity in round 4, so r1 waits at least one: 7.
    out = tmp_path / "solution.json"
    assert run(["solve", str(small), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    for line in (
        "objective  7 (latency)",
        "bound      7",
        "gap        0.00 %",
        "status     optimal",
    ):
        assert line in shown
    written = json.loads(out.read_text())
    assert (written["objective"], written["lower_bound"], written["status"]) == (7, 7, "optimal")
    assert run(["check", str(small), str(out)]) == 0
    capsys.readouterr()
    assert run(["solve", str(small), "--json", "--formulation", "dense"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["objective"] == 7
    assert captured.err == ""


@pytest.mark.parametrize("ending", ["lp", "mps"])
def test_solve_exports_the_milp(small: Path, tmp_path: Path, ending: str) -> None:
    model = tmp_path / f"model.{ending}"
    assert run(["solve", str(small), "--export", str(model)]) == 0
    assert "x(" in model.read_text()


def test_solve_refuses(fails, small: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    assert "objective: expected one of" in fails("solve", small, "--objective", "speed")
    assert "formulation: expected one of" in fails("solve", small, "--formulation", "thin")
    assert "horizon" in fails("solve", small, "--objective", "reward")
    assert ".lp or .mps" in fails("solve", small, "--export", tmp_path / "model.txt")


def test_compare_prints_a_table_and_writes_a_report(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "folder" / "out"
    words = ["compare", str(small), "--policies", "mc-sf:skip=true,mc-benchmark"]
    assert run([*words, "--policies", "vllm", "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert "hindsight (optimal)" in captured.out
    assert "The optimum is proved: no schedule has a total latency below 7 rounds." in captured.out
    assert captured.err == f"wrote {out / 'report.html'}\n"
    names = ["comparison.json", "instance.json", "report.html", "solution.json"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert run(["check", str(out / "instance.json"), str(out / "solution.json")]) == 0
    capsys.readouterr()
    assert run([*words, "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert record["hindsight"]["status"] == "optimal"
    assert (record["best_known"], record["best_known_by"]) == (7, "hindsight")
    assert {policy["policy"] for policy in record["policies"]} == {
        "mc-sf:skip=true",
        "mc-benchmark",
    }
    assert all(policy["ratio_to_bound"] >= 1 for policy in record["policies"])


def test_compare_refuses_a_policy_twice(fails, small: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    words = ["compare", small, "--policies", "mc-sf,vllm", "--policies", "mc-sf"]
    assert fails(*words) == "policies: 'mc-sf' appears more than once"


def test_compare_of_several_reads_all_before_it_solves_any(fails, small: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    assert "nowhere.json: cannot be read" in fails("compare", small, "nowhere.json")


def test_demo_proves_its_optimum_and_writes_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    assert run(["demo", "--out", str(out), "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert (record["hindsight"]["status"], record["hindsight"]["objective"]) == ("optimal", 128)
    assert len(record["policies"]) == 8
    assert all(p["verdict"] or p["ratio_to_best"] > 1 for p in record["policies"])
    names = ["comparison.json", "instance.json", "report.html", "solution.json"]
    assert sorted(path.name for path in out.iterdir()) == names


# ---------------------------------------------------------------- as a process


def test_failures_of_the_process_itself(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, "solve", "nowhere.json"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "batchprophet: nowhere.json: cannot be read (No such file or directory)\n"
    )


def test_standard_output_of_the_solver_is_json_only(small: Path) -> None:
    # In a process of its own: HiGHS may print a banner at its first use.
    words = ["solve", small, "--objective", "weighted", "--formulation", "dense", "--json"]
    done = subprocess.run([*COMMAND, *words], capture_output=True, check=True)
    record = json.loads(done.stdout)
    assert (record["status"], record["objective"]) == ("optimal", 9)
    assert "MILP" in record["method"]


def test_output_that_cannot_write_every_letter() -> None:
    # A terminal of another encoding gets the letters that it lacks spelled out, no traceback.
    done = subprocess.run(
        [*COMMAND, "policies"],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert b"\\u03b1-protection" in done.stdout


def test_reader_that_goes_away_is_no_traceback() -> None:
    pipe = subprocess.Popen(
        [*COMMAND, "policies"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert pipe.stdout is not None
    assert pipe.stderr is not None
    pipe.stdout.close()
    assert pipe.stderr.read() == ""
    pipe.stderr.close()
    assert pipe.wait() in (0, 1)


def test_interrupt_is_one_line_or_a_result(tmp_path: Path) -> None:
    # Ctrl-C in a long solve: what is known is returned, or one line and 130; never a traceback.
    requests = [
        {"arrival": i // 2, "prompt": 1 + i % 5, "output": 1 + (7 * i) % 31} for i in range(60)
    ]
    path = tmp_path / "long.json"
    path.write_text(json.dumps(document(gpu={"kv_capacity": 40}, requests=requests)))
    process = subprocess.Popen(
        [*COMMAND, "solve", str(path), "--time-limit", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "Traceback" not in err
    if process.returncode == 130:
        assert err == "batchprophet: interrupted\n"
    else:
        assert process.returncode == 0
        assert "objective" in out


def test_compare_refuses_what_an_objective_lacks_before_it_solves(fails, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    made = bp.make("arrival-model-1", settings={"n": 3})
    bp.write_instance(bp.with_latency_limit(made, 3), first)
    bp.write_instance(made, second)
    line = fails("compare", first, second, "--objective", "tardiness", "--summary")
    assert line.startswith(f"{second}: deadline: the tardiness needs deadlines")
    assert fails("compare", second, "--objective", "reward").startswith(f"{second}: horizon: ")
