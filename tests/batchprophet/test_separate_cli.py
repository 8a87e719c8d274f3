"""Separate batching from the command line: output, files, exit codes, one line for bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import batchprophet as bp
from batchprophet.cli import run
from batchprophet.online.conformance import check_policy
from batchprophet.online.separate.policy import BUILT_IN, REGISTRY
from tests.paths import ROOT

DEFAULT = REGISTRY.by_default

#: τ_P = 2, τ_D = 1, B_P = 2, C_P = 4, B_D = 2. r0 (3, 4) at 0, r1 (2, 2) at 1, r2 (2, 1) at 3.
GPU = {
    "kv_capacity": 40,
    "prompt_batch_requests": 2,
    "prompt_batch_tokens": 4,
    "token_batch_requests": 2,
    "batch_time": {"law": "constant", "prompt": 2, "token": 1},
}
REQUESTS = [
    {"arrival": 0, "prompt": 3, "output": 4},
    {"arrival": 1, "prompt": 2, "output": 2},
    {"arrival": 3, "prompt": 2, "output": 1},
]


def write(path: Path, gpu: object = None, requests: object = None, **more: object) -> Path:
    """Write the instance, with changes of the GPU or other requests."""
    gpu = GPU if gpu is None else GPU | gpu  # type: ignore[operator]  # a dict
    record = {"format": "batchprophet-instance", "version": 1, "name": "three", "gpu": gpu}
    record["requests"] = REQUESTS if requests is None else requests
    path.write_text(json.dumps(record | more))
    return path


@pytest.fixture
def three(tmp_path: Path) -> Path:
    return write(tmp_path / "three.json")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The same without limits, in unit rounds: what mixed batching takes as well."""
    path = tmp_path / "unit.json"
    record = {"format": "batchprophet-instance", "version": 1, "name": "unit"}
    path.write_text(json.dumps(record | {"gpu": {"kv_capacity": 40}, "requests": REQUESTS}))
    return path


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]  # a function
    """Run a command; return what it prints, or with exit code 2 its one line."""

    def text(*words: object, code: int = 0) -> str:
        assert run([str(word) for word in words]) == code
        captured = capsys.readouterr()
        if code != 2:
            return captured.out
        assert captured.out == ""
        assert captured.err.startswith("batchprophet: ")
        assert captured.err.count("\n") == 1
        assert "Traceback" not in captured.err
        return captured.err.removeprefix("batchprophet: ").rstrip("\n")

    return text


# ---------------------------------------------------------------- simulate and check


def test_simulate_prints_figures_and_where_the_time_goes(says, three: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    # P r0 0-2, P r1 2-4, P r2 4-6, T both 6-7, T r0 7-8 and 8-9: latencies 9, 6, 3.
    lines = says("simulate", three, "--model", "separate", "--policy", "prefill-first").splitlines()
    shown = {line[2:23].strip(): line[23:] for line in lines[1:-1]}
    assert lines[0] == "prefill-first on three"
    assert shown["total latency"] == "18 slots"
    assert shown["prompt batches"] == "3, mean 1.00 requests"
    assert shown["token batches"] == "3, mean 1.33 requests"
    assert shown["GPU"] == "66.7% prompts, 33.3% tokens, 0.0% idle; 1 changes"
    # Served 3 · 2 and 3 + 1 of 18; r0 and r1 stand still for 4 and 2; r1 and r2 wait 1 and 1.
    assert shown["served"] == "33.3% of the latency in prompt batches, 22.2% in token batches"
    assert shown["paused"].startswith("33.3% behind prompt batches, 0.0% left out of token batches")
    assert shown["waiting"].startswith("11.1% behind prompt batches, 0.0% behind token batches")
    assert shown["stalls"] == "0 blocked by KV, 0 idle while a request waits"


def test_simulate_writes_a_schedule_that_check_accepts(says, three: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    out = tmp_path / "schedule.json"
    for policy in DEFAULT:
        words = ("simulate", three, "--model", "separate", "--policy", policy, "--out", out)
        record = json.loads(says(*words, "--json"))
        written = json.loads(out.read_text())
        assert (written["model"], written["method"]) == ("separate", policy)
        assert written["schedule"] == record["schedule"]
        assert set(written["schedule"]["batches"][0]) == {"kind", "start", "requests"}
        found = record["metrics"]["account"]
        parts = [time for name, time in found.items() if name not in ("stalled_idle", "blocked_kv")]
        assert sum(parts) == written["objective"]
        assert says("check", three, out).splitlines()[:2] == [
            "feasible",
            f"  latency   {written['objective']}",
        ]


def test_check_lists_what_a_separate_schedule_violates(says, three: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    path = tmp_path / "schedule.json"
    batches = [
        {"kind": "prompt", "start": 0, "requests": [0, 1]},
        {"kind": "token", "start": 1, "requests": [0, 1]},
        {"kind": "prompt", "start": 3, "requests": [2]},
    ]
    path.write_text(json.dumps({"model": "separate", "schedule": {"batches": batches}}))
    text = says("check", three, path, code=1)
    for rule in ("overlap", "prompt-batch-tokens", "arrival", "prompt-first", "unserved"):
        assert rule in text


def test_a_horizon_lets_a_separate_schedule_reject(says, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    path = tmp_path / "schedule.json"
    batch = {"kind": "prompt", "start": 3, "requests": [2]}
    path.write_text(json.dumps({"model": "separate", "schedule": {"batches": [batch]}}))
    rewarded = [request | {"reward": 2.5} for request in REQUESTS]
    admission = write(tmp_path / "admission.json", requests=rewarded, horizon=9)
    assert says("check", admission, path) == "feasible\n  reward  2.5\n"
    assert "unserved" in says("check", write(tmp_path / "all.json"), path, code=1)


# ---------------------------------------------------------------- policies


def test_policies_of_both_regimes_are_listed(says) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    records = json.loads(says("policies", "--json"))["policies"]
    by_model = {
        model: [record["name"] for record in records if record["model"] == model]
        for model in ("mixed", "separate", "reference")
    }
    assert "mc-sf" in by_model["mixed"]
    assert by_model["separate"] == list(BUILT_IN)
    assert by_model["reference"] == ["orca"]
    text = says("policies")
    assert text.index("mixed batching") < text.index("separate batching") < text.index("orca")


def test_policies_that_cannot_be_simulated_are_refused(says, three: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    simulate = ("simulate", three, "--model", "separate", "--policy")
    assert says(*simulate, "orca", code=2) == (
        "policy orca: expected a policy of separate batching, found a reference, whose batches "
        "mix; compare shows what it reaches"
    )
    assert says(*simulate, "mc-sf", code=2) == (
        "policy mc-sf: expected a policy of separate batching, found one of mixed or continuous "
        "batching (--model)"
    )
    assert says(*simulate, "mine", code=2).startswith("policy of separate batching: expected one")
    assert "did you mean hysteresis?" in says(*simulate, "hysterisis", code=2)
    assert says(*simulate, "hysteresis:low=9", code=2) == (
        "policy hysteresis: low: expected less than high = 8, found 9"
    )
    lengths = "prefill-first:lengths=predicted"
    assert "needs it for every request, found none" in says(*simulate, lengths, code=2)


# ---------------------------------------------------------------- bad input

BAD = {
    "τ_P = 0": (
        {"batch_time": {"law": "constant", "prompt": 0, "token": 1}},
        "gpu.batch_time.prompt: expected an integer from 1 to 10^12, found 0",
    ),
    "τ_D = 0": (
        {"batch_time": {"law": "constant", "prompt": 2, "token": 0}},
        "gpu.batch_time.token: expected an integer from 1 to 10^12, found 0",
    ),
    "τ_D half": (
        {"batch_time": {"law": "constant", "prompt": 2, "token": 0.5}},
        "gpu.batch_time.token: expected int, found 0.5",
    ),
    "c0 = 0": (
        {"batch_time": {"law": "affine", "c0": 0, "c1": 1, "c2": 1, "c3": 0}},
        "gpu.batch_time.c0: expected more than half a picosecond, 5e-10 ms (a batch takes time, "
        "and whole picoseconds count), found 0",
    ),
    "c1 < 0": (
        {"batch_time": {"law": "affine", "c0": 1, "c1": -1, "c2": 1, "c3": 0}},
        "gpu.batch_time.c1: expected a number of milliseconds from 0 to 10^9, found -1.0",
    ),
    "B_P = 0": (
        {"prompt_batch_requests": 0},
        "gpu.prompt_batch_requests: expected an integer from 1 to 2^62, found 0",
    ),
    "C_P = 0": (
        {"prompt_batch_tokens": 0},
        "gpu.prompt_batch_tokens: expected an integer from 1 to 2^62, found 0",
    ),
    "B_D = 0": (
        {"token_batch_requests": 0},
        "gpu.token_batch_requests: expected an integer from 1 to 2^62, found 0",
    ),
    "prompt longer than C_P": (
        {"prompt_batch_tokens": 2},
        "requests[0].prompt: must be at most gpu.prompt_batch_tokens = 2, found 3: it fits in no "
        "prompt batch",
    ),
    "KV too small for one request": (
        {"kv_capacity": 6},
        "requests[0]: prompt + output must be at most gpu.kv_capacity = 6, found 3 + 4 = 7: it can "
        "never run",
    ),
    "times beyond 64 bits": (
        {"batch_time": {"law": "affine", "c0": 1e9, "c1": 1e9, "c2": 1e9, "c3": 1e9}},
        "gpu.batch_time",
    ),
}
COMMANDS = {
    "solve": [],
    "simulate": ["--policy", "prefill-first"],
    "compare": [],
    "compare both": [],
}


@pytest.mark.parametrize("name", list(BAD))
@pytest.mark.parametrize("command", list(COMMANDS))
def test_bad_limits_and_laws_are_one_line(says, tmp_path: Path, command: str, name: str) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    gpu, expected = BAD[name]
    path = write(tmp_path / "bad.json", gpu)
    model = "both" if command.endswith("both") else "separate"
    line = says(command.split()[0], path, "--model", model, *COMMANDS[command], code=2)
    assert line.startswith(f"{path}: {expected}")


def test_mixed_batching_asked_of_an_instance_with_limits(says, three: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    for command, words in COMMANDS.items():
        if command != "compare both":
            line = says(
                command, three, *[w.replace("prefill-first", "mc-sf") for w in words], code=2
            )
            assert line.startswith(
                f"{three}: gpu.batch_time: mixed batching takes unit batch times"
            )
            assert "drop batch_time" in line


def test_models_and_policies_that_are_none(says, three: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    assert says("solve", three, "--model", "both", code=2) == (
        "model: expected 'mixed', 'separate' or 'continuous', found 'both'"
    )
    assert says("compare", three, "--model", "x", code=2) == (
        "model: expected 'mixed', 'separate', 'continuous' or 'both', found 'x'"
    )
    compare = ("compare", three, "--model", "both", "--policies")
    assert "found 'nobody'" in says(*compare, "prefill-first,nobody", code=2)
    assert says(*compare, "hysteresis:low=9", code=2) == (
        "policy hysteresis: low: expected less than high = 8, found 9"
    )


def test_a_certificate_of_the_other_regime_is_refused(says, unit: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    schedule, proof = tmp_path / "schedule.json", tmp_path / "proof.json"
    says("solve", unit, "--time-limit", 5, "--certificate", proof)
    says("simulate", unit, "--model", "separate", "--policy", "decode-first", "--out", schedule)
    assert says("check", unit, schedule, "--bound", proof, code=2) == (
        "bound: the certificate is of mixed batching, found a schedule of separate batching"
    )


def test_a_bound_of_separate_batching_is_certified_and_checked(says, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    instance, best, proof = (tmp_path / f"{name}.json" for name in ("31", "best", "proof"))
    says("make", "separate-random", "--set", "n=31", "--seed", 5, "--out", instance)
    says("solve", instance, "--model", "separate", "--work-limit", 4000, "--out", best,
         "--certificate", proof)  # fmt: skip
    assert json.loads(proof.read_text())["proof"]["kind"] == "walk-search"
    assert "verified" in says("check", instance, best, "--bound", proof)


# ---------------------------------------------------------------- in Python


def test_in_python_a_simulation_has_pictures(three: Path) -> None:
    simulated = bp.simulate(three, "hysteresis:high=2", model="separate")
    assert isinstance(simulated.schedule, bp.SeparateSchedule)
    for picture in (simulated.plot_gantt(), simulated.plot_kv(), simulated.plot_modes()):
        assert picture.axes[0].get_xlabel() == "time (slots)"
    mixed = bp.simulate(bp.Instance(gpu=bp.Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[2]),
                        "mc-sf")  # fmt: skip
    with pytest.raises(bp.InputError, match=r"^plot_modes: expected a schedule of separate"):
        mixed.plot_modes()


def test_policies_of_a_regime() -> None:
    assert list(bp.policies("separate")) == list(BUILT_IN)
    with pytest.raises(
        bp.InputError, match=r"^model: expected 'mixed', 'separate' or 'continuous', found 'x'$"
    ):
        bp.policies("x")


# ---------------------------------------------------------------- a trace for a GPU with limits

LENGTHS = "arrived_at,num_prefill_tokens,num_decode_tokens\n0.000,3,4\n0.010,2,2\n0.0255,2,1\n"


@pytest.fixture
def convert(says, tmp_path: Path):  # type: ignore[no-untyped-def]  # a function
    """Convert a small trace; return the instance, or the line that refuses it."""
    trace, out = tmp_path / "trace.csv", tmp_path / "instance.json"
    trace.write_text(LENGTHS)

    def made(*words: object, code: int = 0):  # type: ignore[no-untyped-def]  # either
        text = says("convert", trace, "--kv-capacity", 40, "--out", out, *words, code=code)
        return text if code else bp.load(out)

    return made


def test_convert_gives_the_gpu_limits_and_times(convert) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    limits = ["--prompt-batch-requests", 2, "--prompt-batch-tokens", 4, "--token-batch-requests", 3]
    law = "constant:prompt=4,token=1"
    instance = convert("--round-ms", 8, "--batch-time", law, *limits)
    assert instance.gpu == bp.Gpu(
        kv_capacity=40,
        prompt_batch_requests=2,
        prompt_batch_tokens=4,
        token_batch_requests=3,
        batch_time=bp.ConstantTime(prompt=4, token=1),
    )
    assert instance.arrival.tolist() == [0, 1, 3]
    law = "affine:c0=9.82,c1=0.0442,c2=0.0366,c3=9.4e-5"
    affine = convert("--round-ms", 0.001, "--batch-time", law)
    assert affine.gpu.batch_time == bp.AffineTime(c0=9.82, c1=0.0442, c2=0.0366, c3=9.4e-5)
    assert affine.arrival.tolist() == [0, 10_000, 25_500]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["--batch-time", "cubic"],
            "batch_time: expected one of unit, constant, affine, or a measured GPU",
        ),
        (["--batch-time", "unit:prompt=1"], "batch_time: unit takes no values, found 'prompt=1'"),
        (
            ["--batch-time", "constant:prompt=4"],
            "batch_time: constant takes constant:prompt=…,token=…, found 'prompt=4'",
        ),
        (
            ["--batch-time", "constant:prompt=4,prompt=4"],
            "batch_time: constant takes constant:prompt=…,token=…, found 'prompt=4'",
        ),
        (
            ["--batch-time", "constant:prompt=4,token=x"],
            "batch_time: token: expected an integer, found 'x'",
        ),
        (
            ["--batch-time", "constant:prompt=0,token=1"],
            "gpu.batch_time.prompt: expected an integer from 1 to 10^12, found 0",
        ),
        (
            ["--batch-time", "affine:c0=1,c1=0,c2=0,c3=0", "--round-ms", "50"],
            "round_ms: the affine law counts microseconds: expected 0.001, found 50",
        ),
        (
            ["--prompt-batch-tokens", "2", "--round-ms", "50"],
            "requests[0].prompt: must be at most gpu.prompt_batch_tokens = 2, found 3",
        ),
        (["--token-batch-requests", "0"], "Invalid value for '--token-batch-requests'"),
    ],
)
def test_gpus_that_convert_refuses(convert, words: list[str], expected: str) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    assert convert(*words, code=2).startswith(expected)


# ---------------------------------------------------------------- documents


def test_the_policy_of_the_documentation_conforms(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]  # a fixture
    page = (ROOT / "docs/policies.md").read_text("utf-8")
    blocks = re.findall(r"```python\n# (my_separate_\w+)\.py\n(.*?)```", page, re.DOTALL)
    ((module, code),) = blocks
    (tmp_path / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    assert check_policy(f"{module}:OneAfterTheOther", model="separate") == []


@pytest.mark.parametrize(
    ("batch_time", "form"), [({"law": "unit"}, "stages"), (None, "batch-sequence")]
)
def test_solve_exports_the_milp(tmp_path: Path, batch_time: object, form: str) -> None:
    affine = {"law": "affine", "c0": 0.01, "c1": 0.002, "c2": 0.001, "c3": 0.0}
    path, out = write(tmp_path / "x.json", {"batch_time": batch_time or affine}), tmp_path / "x.lp"
    run(["solve", str(path), "--model", "separate", "--time-limit", "0", "--export", str(out)])
    assert f"separate batching, {form} form, latency" in out.read_text()


@pytest.mark.parametrize("form", ["time-expanded", "stages", "classes", "batch-sequence"])
def test_a_formulation_has_one_name_where_it_is_solved_and_written(  # type: ignore[no-untyped-def]  # the fixture is a function
    says, three: Path, tmp_path: Path, form: str
) -> None:
    out = tmp_path / "x.mps"
    words = ("solve", three, "--model", "separate", "--objective", "weighted")
    words += ("--formulation", form, "--export", out)
    assert f"MILP ({form} form)" in says(*words)
    assert f"separate_batching_{form}_form" in out.read_text()  # one word: others read it


def test_the_help_names_the_formulations_of_both_regimes(says) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    shown = "".join(says("solve", "--help").replace("│", " ").split())
    for form in ("dense", "running-sum", "time-expanded", "stages", "classes", "batch-sequence"):
        assert form in shown


def test_an_unknown_formulation_is_refused_with_the_names_of_its_regime(  # type: ignore[no-untyped-def]  # the fixture is a function
    says, three: Path, tmp_path: Path
) -> None:
    words = ("solve", three, "--model", "separate", "--formulation", "S1")
    names = "auto, time-expanded, stages, classes, batch-sequence; found 'S1'"
    assert f"formulation: expected one of {names}" in says(*words, code=2)
    export = says(*words, "--export", tmp_path / "x.lp", code=2)
    assert f"formulation: expected one of {names}" in export
    assert not (tmp_path / "x.lp").exists()


# ---------------------------------------------------------------- solve and compare


def test_solve_proves_and_writes_a_separate_optimum(says, three: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    # C_P = 4 keeps r1 and r2 (2 + 2) together and r0 apart. r0's prompt 0-2. Then r1 at once (at
    # 2, and r2 later) or tokens of r0 until both can share a batch at 3: T 2-3, P 3-5, T T 5-7:
    # 7 + 5 + 2 = 14. Serving r0 first: T T T 2-5, P 5-7, T 7-8: 5 + 7 + 4 = 16. At 14 nobody gains:
    # r2 ends 2 after its arrival at best, then r0's last two tokens come after 5.
    out = tmp_path / "solution.json"
    shown = says("solve", three, "--model", "separate", "--time-limit", 40, "--out", out)
    assert "objective  14 (latency)" in shown
    assert "status     optimal" in shown
    record = json.loads(out.read_text())
    assert (record["model"], record["objective"], record["lower_bound"]) == ("separate", 14, 14)
    assert says("check", three, out).splitlines()[1] == "  latency   14"


def test_compare_puts_policies_and_a_reference_beside_the_optimum(  # type: ignore[no-untyped-def]  # the fixture is a function
    says, three: Path, tmp_path: Path
) -> None:
    words = ("compare", three, "--model", "separate", "--time-limit", 40)
    text = says(*words, "--out", tmp_path / "report")
    assert "hindsight (optimal)" in text
    assert "orca (mixes: a reference)" in text
    assert "no schedule has a total latency below 14 slots" in text
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    for heading in ("Where the latency comes from", "prompt batch", "token batch", "in slots"):
        assert heading in page
    record = json.loads((tmp_path / "report" / "comparison.json").read_text())
    (compared,) = record["comparisons"]
    assert (compared["model"], compared["time_unit"]) == ("separate", "slot")
    rows = {row["policy"]: row for row in compared["policies"]}
    assert rows["orca"]["verdict"] == "mixes: a reference"
    assert all(
        rows[policy]["metrics"]["total_latency"] >= 14 and "account" in rows[policy]
        for policy in DEFAULT
    )
    only = json.loads(says(*words, "--policies", "decode-first,orca", "--json"))
    names = [row["policy"] for row in only["comparisons"][0]["policies"]]
    assert names == ["decode-first", "orca"]


def test_the_price_of_separate_batching(says, unit: Path, three: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # the fixture is a function
    # Unit rounds: mixed, each starts at its arrival: 4 + 2 + 1 = 7. Separate: r0's prompt 0-1, r1's
    # 1-2, a token of both 2-3, r2's prompt 3-4, token of r0 4-5 and 5-6: 6 + 2 + 1 = 9; two
    # batches without r0 must run before it ends, as r1 and r2 need prompt batches at once to be
    # in time, and each round that one of them waits instead costs as much.
    words = ("compare", unit, "--model", "both", "--time-limit", 40)
    text = says(*words, "--policies", "prefill-first,mc-sf", "--out", tmp_path / "report")
    assert "The price of separate batching is 1.2857: its optimal total latency divided by" in text
    assert "Every batch takes 1 round on both sides." in text
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "The price of separate batching is 1.2857" in page
    assert page.count("<section") == 2
    record = json.loads(says(*words, "--policies", "smallest-volume", "--json"))
    separate, mixed = record["comparisons"]
    assert (separate["model"], mixed["model"]) == ("separate", "mixed")
    assert separate["price"]["low"] == separate["price"]["high"] == 9 / 7
    assert [row["policy"] for row in mixed["policies"]] == ["smallest-volume"]
    # With limits and a constant law they are dropped, and said so.
    text = says("compare", three, "--model", "both", "--time-limit", 20, "--policies", "mc-sf")
    assert "in rounds of 1 slot, the shortest batch here" in text
    assert (
        "Mixed batching ignores prompt_batch_requests, prompt_batch_tokens, token_batch_requests, "
        "batch_time (constant law)." in text
    )
