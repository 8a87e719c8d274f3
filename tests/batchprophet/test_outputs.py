"""Every command keeps its inputs, and a termination keeps what was found, as an interrupt does."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

import batchprophet as bp
from batchprophet.cli import run
from batchprophet.commands import console
from batchprophet.solvers.warm_up import compile_first

INSTANCE = {
    "format": "batchprophet-instance",
    "version": 1,
    "gpu": {"kv_capacity": 9},
    "requests": [
        {"arrival": 0, "prompt": 3, "output": 4},
        {"arrival": 2, "prompt": 1, "output": 2},
    ],
}
TRACE = "arrived_at,num_prefill_tokens,num_decode_tokens\n0,3,4\n"
STUDY = """
name = "small"
seeds = [1]
policies = ["mc-sf"]
instances = [{file = "instance.json"}]
"""
ENVIRONMENT = 'environment = "online-packing"\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("instance.json").write_text(json.dumps(INSTANCE))
    Path("link.json").symlink_to("instance.json")
    Path("trace.csv").write_text(TRACE)
    Path("study.csv").write_text(STUDY)
    Path("environment.toml").write_text(ENVIRONMENT)
    Path("out").mkdir()
    for name in ("instance.json", "regret.json"):
        (Path("out") / name).symlink_to("../instance.json")
    (Path("out") / "regret.png").symlink_to("../environment.toml")
    os.mkfifo("pipe.lp")
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("solve instance.json --out instance.json", "--out: expected another file than INSTANCE"),
        ("solve instance.json --certificate link.json", "--certificate: expected another file"),
        ("solve instance.json --out out/../instance.json", "--out: expected another file than"),
        ("solve instance.json --export pipe.lp", "pipe.lp: expected a file to write, found a nam"),
        ("solve instance.json --out a.json --certificate ./a.json", "--out: expected another file"),
        ("solve /dev/zero", "/dev/zero: cannot be read (expected a file, found a device)"),
        ("simulate instance.json --policy mc-sf --out link.json", "--out: expected another file"),
        ("simulate instance.json --policy mc-sf --out /dev/null", "/dev/null: expected a file to"),
        ("compare link.json --out out", "--out: expected another file than INSTANCE"),
        ("check instance.json /dev/zero", "/dev/zero: cannot be read (expected a file, found a"),
        ("check instance.json link.json --bound /dev/zero", "link.json: format: expected"),
        ("make arrival-model-1 --out pipe.lp", "pipe.lp: expected a file to write, found a named"),
        ("convert trace.csv --out trace.csv", "--out: expected another file than TRACE"),
        ("convert /dev/zero --out a.json --round-ms 1 --kv-capacity 9", "/dev/zero: cannot be rea"),
        ("regret environment.toml --out out", "--out: expected another file than ENVIRONMENT"),
        ("study study.csv --out new --export study.csv", "--export: expected another file than S"),
        ("study study.csv --out new --export new/results.csv", "--export: expected another file "),
        ("study study.csv --out new --export a.csv --export a.csv", "--export: expected another "),
        ("adversary --recheck /dev/zero", "/dev/zero: cannot be read (expected a file, found a"),
        ("demo --out out/../pipe.lp", "out/../pipe.lp: expected a folder to write to"),
    ],
)
def test_no_command_harms_what_it_reads(folder, capsys, words, message):
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert run(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"batchprophet: {message}")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    after = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert after == before


def test_a_study_does_not_write_over_its_sources(folder, capsys):
    Path("data.csv").write_text(TRACE)
    Path("s.toml").write_text(
        STUDY.replace('{file = "instance.json"}', '{trace = "data.csv", settings = '
                      "{round_ms = 1, kv_capacity = 9}}")
    )  # fmt: skip
    assert run(["study", "s.toml", "--out", "new", "--export", "data.csv"]) == 2
    assert "--export: expected another file than a source of the study" in capsys.readouterr().err
    assert Path("data.csv").read_text() == TRACE


def test_in_python_the_model_is_not_written_over_the_instance(folder):
    Path("instance.lp").symlink_to("instance.json")
    with pytest.raises(bp.InputError, match=r"^export: expected another file than instance"):
        bp.solve("instance.json", export="instance.lp")


def test_a_submission_is_not_written_over(folder, capsys):
    Path("own").mkdir()
    (Path("own") / "arrival-model-1-n8-s1.json.zst").symlink_to("../instance.json")
    words = "library submit arrival-model-1-n8-s1 --schedule instance.json --library own"
    assert run(words.split()) == 2
    assert json.loads(Path("instance.json").read_text()) == INSTANCE


@pytest.fixture
def long_instance(tmp_path):
    compile_first("mixed")
    requests = [
        {"arrival": i // 2, "prompt": 1 + i % 5, "output": 1 + (7 * i) % 31} for i in range(60)
    ]
    path = tmp_path / "long.json"
    path.write_text(json.dumps(INSTANCE | {"gpu": {"kv_capacity": 40}, "requests": requests}))
    return path


@pytest.fixture
def ended_early(monkeypatch):
    """Send this process a signal as soon as a solve tells that it has a schedule."""

    def end(number: int) -> None:
        @contextlib.contextmanager
        def progress(label):
            sent = False

            def tell(state):
                nonlocal sent
                if state.incumbent is not None and state.phase != "list schedules" and not sent:
                    sent = True
                    os.kill(os.getpid(), number)

            yield tell

        monkeypatch.setattr(console, "live_progress", progress)

    return end


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without telling it")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_solve_that_is_ended_keeps_its_schedule(long_instance, tmp_path, ended_early, number):
    before = signal.getsignal(signal.SIGTERM)
    ended_early(number)
    out, certificate = tmp_path / "solution.json", tmp_path / "certificate.json"
    words = ["solve", long_instance, "--time-limit", 60, "--out", out, "--certificate", certificate]
    assert run([str(word) for word in words]) == 0
    solution = json.loads(out.read_text())
    assert "interrupted" in solution["method"]
    assert solution["seconds"] < 30
    checked = bp.check(long_instance, out, certificate=certificate)
    assert checked.holds
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without telling it")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_comparison_that_is_ended_keeps_what_is_done(
    long_instance, tmp_path, ended_early, number, capsys
):
    ended_early(number)
    words = [
        "compare",
        long_instance,
        long_instance,
        "--policies",
        "mc-sf",
        "--out",
        tmp_path / "o",
    ]
    assert run([str(word) for word in words]) == 130
    assert (tmp_path / "o" / "report.html").exists()
    captured = capsys.readouterr()
    assert "stopped after 1 of 2 instances" in captured.err
    assert captured.err.endswith("batchprophet: interrupted\n")
    assert "mc-sf" in captured.out


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without telling it")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["regret", "adversary"])
def test_a_long_search_that_is_ended_keeps_what_is_found(
    tmp_path, monkeypatch, number, command, capsys
):
    @contextlib.contextmanager
    def progress(label):
        told = 0

        def tell(text):
            nonlocal told
            told += 1
            if told == 20:
                os.kill(os.getpid(), number)

        yield tell

    monkeypatch.setattr(console, "live_text", progress)
    out = tmp_path / "out"
    options = {
        "regret": ["online-packing", "--horizons", "50", "--policies", "bayes"],
        "adversary": ["--policy", "mc-sf", "--n", "4", "--kv-capacity", "6"],
    }
    limit = {"regret": [], "adversary": ["--work-limit", "100000"]}
    assert run([command, *options[command], *limit[command], "--out", str(out)]) == 130
    assert capsys.readouterr().err.endswith("batchprophet: interrupted\n")
    found = json.loads((out / {"regret": "regret", "adversary": "witness"}[command])
                       .with_suffix(".json").read_text())  # fmt: skip
    if command == "regret":
        assert 0 < found["rows"][0]["replications"] < 100
    else:
        assert run(["adversary", "--recheck", str(out)]) == 0
