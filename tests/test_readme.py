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


def audit_text():
    """The audit's output in the README, on one line."""
    return " ".join(README.split("```text\nThe engine's")[1].split("```")[0].split())


def printed(pattern):
    """Numbers of the README's audit, each found once."""
    (found,) = re.findall(pattern, audit_text())
    return [float(number.replace(",", "")) for number in found]


def test_the_audit_is_consistent_as_printed():
    (engine,) = printed(r"mean latency of ([\d.]+) s is between()")[:1]
    low, high = printed(r"between ([\d.]+) and ([\d.]+) times")
    best, bound = printed(r"a schedule with ([\d.]+) s is known, and none has less than ([\d.]+) s")
    assert low == pytest.approx(engine / best, abs=2e-4)
    assert high == pytest.approx(engine / bound, abs=2e-4 * high)
