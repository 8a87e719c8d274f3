"""What the README and the documentation pages say is so."""

import re
import shlex

import matplotlib as mpl
import pytest
import typer

import batchprophet as bp
from batchprophet.cli import app
from batchprophet.demo_instance import demo_instance
from batchprophet.models.traces import convert_trace
from batchprophet.online.mixed.policy import REGISTRY
from tests.paths import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *(ROOT / "docs").rglob("*.md"),
]
README = (ROOT / "README.md").read_text("utf-8")
LOG = ROOT.parent / "shared/data/engine-logs/vllm-rtx4090-llama-3.1-8b/requests.jsonl"
TRACE = ROOT.parent / "shared/data/traces/azure2023_conv.csv"


def total_latencies(title):
    """Return the first two columns of the README's table under this title, as {policy: latency}."""
    table = README.split(f"```text\n{title}\n")[1].split("```")[0]
    rows = re.findall(r"^  ([a-z][\w-]*)(?: \(.*?\))?  +([\d,]+|does not finish)", table, re.M)
    return {policy: latency.replace(",", "") for policy, latency in rows}


def outcome(instance, policy):
    try:
        return str(bp.simulate(instance, policy).metrics.total_latency)
    except bp.DoesNotFinish:
        return "does not finish"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_local_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_ones_that_the_command_line_takes(page):
    group = typer.main.get_command(app)
    text = page.read_text("utf-8")
    commands = re.findall(r"^    batchprophet (.+)$", text, re.M)
    commands += re.findall(r"`batchprophet ([^`]+)`", text)
    for command in commands:
        name, *words = shlex.split(command.partition("#")[0])
        if not name.startswith(("…", "-")):
            group.commands[name].make_context(name, words)  # raises if it does not parse


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    with mpl.rc_context():
        exec(code, {})
    assert "optimal" in capsys.readouterr().out
    assert (tmp_path / "mc-sf.png").stat().st_size > 1000


def test_the_demo_is_as_printed():
    printed = total_latencies("demo")
    assert printed.pop("hindsight") == str(bp.demo().solution.objective)
    assert set(printed) == set(REGISTRY.by_default)
    assert printed == {policy: outcome(demo_instance(), policy) for policy in printed}


def test_the_real_window_is_as_printed():
    if not TRACE.exists():
        pytest.skip("needs the real trace, which is not part of the repository")
    window = convert_trace(TRACE, start=600.0, count=60, round_ms=50.0, kv_capacity=16384).instance
    printed = total_latencies("AzureLLMInferenceTrace_conv-start=600-count=60")
    best = int(printed.pop("hindsight"))
    low, high = re.findall(r"between ([\d,]+) and ([\d,]+) rounds", README)[0]
    assert best == int(high.replace(",", ""))
    assert printed == {policy: outcome(window, policy) for policy in printed}
    # What is certified in no time at all must not contradict what is printed.
    solution = bp.solve(window, time_limit=0).solution
    assert solution.lower_bound <= best
    assert solution.objective >= int(low.replace(",", ""))


def printed(pattern):
    """Numbers of the README's audit, in a sentence that it has once."""
    text = " ".join(re.findall(r"```text\n(The engine's .*?)```", README, re.DOTALL)[0].split())
    (found,) = re.findall(pattern, text)
    return [float(number) for number in found]


ANSWER = (
    r"mean latency of ([\d.]+) s is between ([\d.]+) and ([\d.]+) times the best possible: a "
    r"schedule with ([\d.]+) s is known, and none has less than ([\d.]+) s"
)


def test_the_audit_as_printed_is_consistent():
    engine, low, high, best, bound = printed(ANSWER)
    assert low == pytest.approx(engine / best, abs=3e-4)
    assert high == pytest.approx(engine / bound, abs=3e-4)
    wide_low, wide_high = printed(r"the interval is ([\d.]+) to ([\d.]+)\.")
    assert wide_low <= low < high <= wide_high


@pytest.mark.slow
def test_the_audit_is_as_printed():
    if not LOG.exists():
        pytest.skip("needs the real log, which is not part of the repository")
    engine, _, _, best, bound = printed(ANSWER)
    audited = bp.audit(LOG, time_limit=0)
    record = audited.to_record()
    assert record["explained"]
    assert record["engine"]["mean_latency_ms"] == pytest.approx(1000 * engine, abs=5)
    # What a search in no time finds does not contradict what is printed.
    assert record["hindsight"]["mean_latency_ms"] >= 1000 * bound
    assert record["hindsight"]["lower_bound_ms"] <= 1000 * best
    # The law is fitted: another fit is near.
    means = {policy["policy"]: policy.get("mean_latency_ms") for policy in record["policies"]}
    policy, memory = printed(
        r"least-work, would have given a mean latency of ([\d.]+) s,.* "
        r"KV memory × 2 gains most: a mean latency of ([\d.]+) s"
    )
    assert means["least-work"] == pytest.approx(1000 * policy, rel=0.03)
    knobs = {(knob["knob"], knob["change"]): knob["mean_latency_ms"] for knob in record["knobs"]}
    assert knobs["KV memory", "× 2"] == pytest.approx(1000 * memory, rel=0.05)
