"""Messages that say what was probably meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import batchprophet as bp
from batchprophet.cli import run

SMALL = bp.Instance(gpu=bp.Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])


@pytest.fixture
def small(tmp_path: Path) -> str:
    bp.write_instance(SMALL, tmp_path / "small.json")
    return str(tmp_path / "small.json")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["compare", "SMALL", "--policies", "prefill-first"],
            "policy prefill-first: expected a policy of mixed batching, found one of separate or "
            "continuous batching (--model)",
        ),
        (
            ["simulate", "SMALL", "--policy", "hysteresis:high=2"],
            "policy hysteresis: expected a policy of mixed batching, found one of separate "
            "batching (--model)",
        ),
        (
            ["compare", "SMALL", "--policies", "mc-sf", "vllm"],
            "INSTANCE: expected a file, found the policy vllm; several policies are separated by "
            "commas: --policies a,b",
        ),
        (
            ["compare", "SMALL", "--policies", "mc-sf", "mine:Policy:ageing=2"],
            "INSTANCE: expected a file, found the policy mine:Policy:ageing=2; several policies "
            "are separated by commas: --policies a,b",
        ),
        (
            ["policies", "--check", "nowhere.py:Policy"],
            "; a module is named without .py: nowhere:Policy",
        ),
        (
            ["solve", "SMALL", "--extend", "nowhere.py:cap"],
            "; a module is named without .py: nowhere:cap",
        ),
        (
            ["solve", "SMALL", "--objective", "p99"],
            "found 'p99' (compare judges by p99, ttft, goodput too)",
        ),
        (["simulate", "SMALL", "--policy", "mc-sf:skp=true"], "; did you mean skip?"),
        (["make", "arrival-model-3", "--out", "OUT"], "; did you mean arrival-model-2?"),
        (["make", "arrival-model-1", "--set", "kv_capcity=3", "--out", "OUT"], "kv_capacity?"),
        (
            ["compare", "SMALL", "--policies", "mc-sf vllm"],
            "policies: expected commas between policies, found 'mc-sf vllm'; did you mean "
            "mc-sf,vllm?",
        ),
        (["compare", "SMALL", "--objective", "p9"], "found 'p9'; did you mean p99?"),
        (["compare", "SMALL", "--regime", "seperate"], "; did you mean separate?"),
        (["compare", "SMALL", "--table", "mardown"], "; did you mean markdown?"),
        (["compare", "SMALL", "--slo", "tttf=3"], "found 'tttf=3'; did you mean ttft?"),
        (
            ["compare", "SMALL", "--objective", "goodput"],
            "slo: expected latency limits (--slo ttft=T,tpot=T) with --objective goodput, found "
            "none",
        ),
    ],
)
def test_a_message_says_what_was_meant(
    words: list[str],
    expected: str,
    small: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = {"SMALL": small, "OUT": str(tmp_path / "out.json")}
    assert run([named.get(word, word) for word in words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("batchprophet: ")
    assert error.endswith(f"{expected}\n")
    assert error.count("\n") == 1
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("key", "wrong", "where"),
    [("kv_capacity", "kv_capcity", "gpu: "), ("prompt", "promt", "[0]: ")],
)
def test_a_misspelt_key_is_named_with_the_right_one(
    small: str, key: str, wrong: str, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(small).read_text("utf-8")
    Path(small).write_text(text.replace(f'"{key}"', f'"{wrong}"', 1), "utf-8")
    assert run(["solve", small]) == 2
    error = capsys.readouterr().err
    assert error.endswith(f"{where}object contains unknown field {wrong}; did you mean {key}?\n")


def test_a_file_with_the_name_of_a_policy_is_an_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bp.write_instance(SMALL, tmp_path / "vllm")
    assert run(["compare", "vllm", "--policies", "mc-sf", "--time-limit", "5"]) == 0


def test_policies_are_checked_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # It looks at the clock of the process: another run decides otherwise.
    (tmp_path / "fickle.py").write_text(
        """
import itertools
from dataclasses import dataclass
from typing import ClassVar

from batchprophet import Decision

COUNT = itertools.count()


@dataclass(frozen=True)
class Fickle:
    \"\"\"Serve one request at a time, another one in each run.\"\"\"

    name: ClassVar[str] = "fickle"
    summary: ClassVar[str] = "one at a time"
    source: ClassVar[str] = "a test"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def decide(self, observation, rng):
        if observation.running or not observation.waiting:
            return Decision()
        waiting = observation.waiting
        return Decision(start=(waiting[next(COUNT) % len(waiting)].index,))
""",
        "utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert run(["policies", "--check", "hysteresis:high=2", "--trials", "2"]) == 0
    assert capsys.readouterr().out == "hysteresis:high=2 conforms: 2 random instances\n"
    assert run(["policies", "--check", "fickle:Fickle", "--trials", "8"]) == 1
    assert "fickle:Fickle does not conform:\n" in capsys.readouterr().out
    assert run(["policies", "--check", "fickle:Fickle", "--trials", "8", "--json"]) == 1
    rules = {each["rule"] for each in json.loads(capsys.readouterr().out)["findings"]}
    assert "seed" in rules
    assert run(["policies", "--check", "nothing"]) == 2


def test_what_is_no_instance_is_refused_by_what_it_is() -> None:
    for given, found in ((("mc-sf", 1.0), "tuple"), (None, "NoneType"), (3, "int")):
        with pytest.raises(
            bp.InputError, match=f"instance: expected an Instance .*, found {found}$"
        ):
            bp.simulate(given, "mc-sf")  # type: ignore[arg-type]
