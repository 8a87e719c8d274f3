"""Comparisons by service objectives, and summaries over several instances."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import batchprophet as bp
from batchprophet.cli import run
from batchprophet.commands import console
from batchprophet.models.batch_time import AffineTime

#: One at a time fits: in order of arrival the long one is first.
GPU = bp.Gpu(kv_capacity=9)
LONG_FIRST = bp.Instance(
    gpu=GPU, arrival=[0, 0, 0], prompt=[3, 1, 1], output=[6, 2, 2], name="long first"
)
EQUAL = bp.Instance(gpu=GPU, arrival=[0, 0], prompt=[4, 4], output=[5, 5], name="equal")
WIDE_FIRST = bp.Instance(
    gpu=GPU, arrival=[0, 0, 0], prompt=[7, 1, 1], output=[2, 1, 1], name="wide first"
)
POLICIES = "mc-sf,mc-benchmark,alpha-greedy:alpha=0.1"


@contextmanager
def captured_terminal(width: int) -> Iterator[io.StringIO]:
    """A terminal of some width, whose text is kept."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", shown)
        patch.setenv("COLUMNS", str(width))
        patch.setenv("TERM", "xterm")
        yield shown


def compared(objective: str, **options: Any) -> bp.Compared:
    return bp.compare(LONG_FIRST, policies="mc-benchmark,mc-sf", objective=objective, **options)


def test_the_mean_time_to_first_token_is_optimal_where_the_latency_is() -> None:
    # The two short ones at once (rounds 1 and 2), then the long one: first tokens at 1, 1 and 3,
    # or the long one beside them from the start: round 2 holds 5 + 3 + 3 tokens, more than 9.
    found = compared("ttft", time_limit=20)
    assert found.comparison.proved
    assert found.comparison.best_known == Fraction(5, 3)
    assert [*found.columns()][1] == "mean ttft"
    assert found.rows()[0].cells()[:2] == ("hindsight (optimal)", "1.67")
    assert found.reading()[0] == (
        "The optimum is proved: no schedule has a mean time to first token below 1.66 rounds."
    )
    record = found.to_record()
    assert record["objective"] == "ttft"
    assert record["hindsight"]["status"] == record["best_known_status"] == "optimal"
    assert record["hindsight"]["solved_for"]["objective_name"] == "latency"
    for row, entry in zip(found.rows()[1:], record["policies"], strict=True):
        assert entry["value"] == pytest.approx(entry["metrics"]["mean_ttft"])
        assert row.ratio_to_best == row.ratio_to_bound


def test_the_best_percentile_known_may_be_of_a_policy() -> None:
    found = compared("p99", time_limit=0)
    comparison = found.comparison
    values = {row.policy: row.exact for row in found.rows()}
    assert comparison.best_known == min(value for value in values.values() if value is not None)
    assert comparison.bound is not None
    assert comparison.bound <= comparison.best_known
    assert "p99" not in found.columns()
    assert all(len(row.cells()) == len(found.columns()) for row in found.rows())
    assert found.rows()[0].verdict == "for latency"  # it is not made for this
    assert "The best schedule known is that of" in found.reading()[0]
    assert not any("No schedule has a 99th" in sentence for sentence in found.reading())


def test_more_goodput_is_better() -> None:
    found = compared("goodput", slo="ttft=2", time_limit=20)
    comparison = found.comparison
    assert (comparison.maximised, comparison.best_known) == (True, 2)
    assert comparison.bound is not None
    assert comparison.bound >= 2
    assert [*found.columns()][1] == "within limits"
    ratios = [row.ratio_to_best for row in found.rows()[1:]]
    assert ratios == sorted(ratios, reverse=True)
    record = found.to_record()
    assert record["hindsight"]["upper_bound"] == comparison.bound
    assert record["hindsight"]["goodput"]["requests"] == record["hindsight"]["value"] == 2
    frame = found.to_frame()
    assert frame["value"].tolist() == [row.exact for row in found.rows()]
    assert set(frame["objective"]) == {"goodput"}


def test_where_none_can_be_in_time_that_is_proved() -> None:
    found = compared("goodput", slo="tpot=0.5", time_limit=0)
    assert found.comparison.proved
    assert found.reading()[:2] == [
        "The optimum is proved: no schedule has a number of requests within the limits above 0. "
        "The best schedule known is that of hindsight; the hindsight schedule is made for the "
        "least total latency.",
        "All 2 policies that finish tie, each without a ratio, since the best number of requests "
        "within the limits known is 0.",
    ]


def test_ties_are_named_together_and_the_least_mean_comes_first() -> None:
    # Within 1 round: both short ones where they are first, in order of arrival the wide one alone.
    found = bp.compare(
        WIDE_FIRST, objective="goodput", slo="ttft=1", time_limit=0,
        policies="mc-benchmark,vllm,mc-sf,shortest-total",
    )  # fmt: skip
    values = {row.policy: row.exact for row in found.rows()[1:]}
    means = [row.metrics.mean_latency for row in found.rows()[1:]]
    assert [*values.values()] == [2, 2, 1, 1]
    assert means[0] <= means[1]
    assert means[2] <= means[3]
    best, worst = found.reading()[1:3]
    names = [*values]
    assert best.startswith(f"The best policies here are {names[0]} and {names[1]}, each ")
    assert worst.startswith(f"The worst policies that finish are {names[2]} and {names[3]}, each ")


def test_of_many_ties_three_are_named() -> None:
    comparison = bp.compare(
        WIDE_FIRST, objective="goodput", slo="ttft=1", time_limit=0, policies="mc-sf,mc-benchmark"
    ).comparison
    one, other = comparison.ranked()
    many = replace(comparison, results=(one, *[other] * 5))
    worst = bp.Compared(comparison=many).reading()[2]
    names = ", ".join([other.policy] * 3)
    assert worst.startswith(f"The worst policies that finish are {names} and 2 more, each ")


def test_none_within_the_limits_is_said_without_a_ratio() -> None:
    # A schedule in which every request waits has none within 1 round.
    comparison = compared("goodput", slo="ttft=1", time_limit=0).comparison
    idle = replace(comparison.ranked()[0], policy="idle", schedule=bp.MixedSchedule([5, 13, 13]))
    judged = bp.Compared(comparison=replace(comparison, results=(*comparison.results, idle)))
    assert judged.reading()[2] == (
        "The worst policy that finishes is idle, with a number of requests within the limits of 0."
    )


def test_tables_with_limits_fit_a_terminal_of_100_characters() -> None:
    # The longest built-in names, seconds as milliseconds, 7 digits of total latency.
    gpu = bp.Gpu(
        kv_capacity=4000, running_requests=2, batch_time=AffineTime(c0=900, c1=1, c2=9, c3=0.1)
    )
    n = 12
    slow = bp.Instance(gpu=gpu, arrival=[0] * n, prompt=[1000] * n, output=[90] * n, name="slow")
    for objective in ("latency", "goodput"):
        found = bp.compare(
            slow, model="continuous", objective=objective, slo="ttft=500000,tpot=4000", time_limit=0
        )
        assert max(row.metrics.mean_latency for row in found.rows()[1:] if row.metrics) > 10**8
        with captured_terminal(100) as shown:
            console.print_comparison("slow", [*found.columns()], found.rows())
        lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue()).splitlines()
        assert max(map(len, lines)) <= 100
        # A title, a heading of one line, a rule, and the rows: nothing folds.
        assert len([line for line in lines if line.strip()]) == 3 + len(found.rows())


def test_python_needs_limits_for_the_goodput_too() -> None:
    with pytest.raises(bp.InputError, match="slo: expected latency limits"):
        compared("goodput")
    with pytest.raises(bp.InputError, match="did you mean p99"):
        compared("p98")


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    for each, name in ((LONG_FIRST, "a.json"), (EQUAL, "b.json")):
        bp.write_instance(each, tmp_path / name)
    return [str(tmp_path / "a.json"), str(tmp_path / "b.json")]


@pytest.mark.parametrize("objective", ["p99", "ttft"])
def test_tables_and_the_report_carry_it(
    objective: str, paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", paths[0], "--policies", "mc-sf", "--objective", objective]
    assert run([*words, "--time-limit", "0", "--table", "csv", "--out", str(tmp_path / "r")]) == 0
    rows = [*csv.DictReader(io.StringIO(capsys.readouterr().out))]
    assert {row["objective"] for row in rows} == {objective}
    figure = {"p99": "p99_latency", "ttft": "mean_ttft"}[objective]
    assert all(float(row["value"]) == pytest.approx(float(row[figure])) for row in rows)
    written = (tmp_path / "r" / "report.html").read_text("utf-8")
    assert {"p99": "p99 latency", "ttft": "mean ttft"}[objective] in written


def test_a_summary_by_hand() -> None:
    made = [bp.compare(each, policies=POLICIES, time_limit=20) for each in (LONG_FIRST, EQUAL)]
    found = bp.summarise(made)
    rows = {row.policy: row for row in found.rows()}
    assert [*rows][:3] == ["hindsight", "mc-sf", "mc-benchmark"]
    ratios = [
        each.comparison.ratio_to_best(result)
        for each in made
        for result in each.comparison.results
        if result.policy == "mc-benchmark"
    ]
    assert None not in ratios
    known = [ratio for ratio in ratios if ratio is not None]
    figures = rows["mc-benchmark"].to_best
    assert figures is not None
    assert figures.mean_of_ratios == pytest.approx(sum(known) / 2)
    assert (figures.least, figures.greatest) == (min(known), max(known))
    assert figures.mean_of_ratios_t is not None
    assert rows["mc-sf"].wins == 2
    assert rows["mc-benchmark"].wins == 1  # of equal requests the order is of no matter
    assert all(row.finished <= row.instances == 2 for row in rows.values())
    assert len(found.to_frame()) == len(rows)
    assert found.summary().startswith("2 instances, mixed batching\n")
    with pytest.raises(bp.InputError, match="expected comparisons of one regime by one objective"):
        bp.summarise([made[0], compared("p99", time_limit=0)])
    with pytest.raises(bp.InputError, match="found none"):
        bp.summarise([])


def test_a_summary_has_the_goodput_where_there_are_limits(
    paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    # Within a round of the arrival: of "long first" two of three under mc-sf (above), of the equal
    # ones, which run one after the other, one of two.
    made = [
        bp.compare(each, policies="mc-sf", slo="ttft=1", time_limit=0)
        for each in (LONG_FIRST, EQUAL)
    ]
    found = bp.summarise(made)
    assert [*found.columns()][3] == "goodput"
    assert "within 1 rounds to the first token" in found.columns()["goodput"]
    rows = {row.policy: row for row in found.rows()}
    assert rows["mc-sf"].goodput == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert rows["mc-sf"].cells()[3] == "58.3%"
    assert all(len(row.cells()) == len(found.columns()) for row in rows.values())
    assert found.to_record()["policies"][1]["mean_goodput"] == rows["mc-sf"].goodput
    assert [*found.to_frame()["mean_goodput"]] == [row.goodput for row in found.rows()]
    words = ["compare", *paths, "--policies", "mc-sf", "--slo", "ttft=1", "--time-limit", "0"]
    assert run([*words, "--summary"]) == 0
    assert "58.3%" in capsys.readouterr().out
    with pytest.raises(bp.InputError, match="the same latency limits"):
        bp.summarise([made[0], bp.compare(EQUAL, policies="mc-sf", time_limit=0)])


def test_a_summary_says_what_does_not_finish() -> None:
    endless = bp.Instance(
        gpu=bp.Gpu(kv_capacity=10), arrival=[0] * 2, prompt=[1] * 2, output=[9] * 2
    )
    alone = bp.Instance(gpu=bp.Gpu(kv_capacity=10), arrival=[0], prompt=[1], output=[9])
    policies = "alpha-greedy:alpha=0.1"
    made = [bp.compare(each, policies=policies, time_limit=0) for each in (endless, alone)]
    row = bp.summarise(made).rows()[1]
    assert (row.finished, row.instances) == (1, 2)
    assert "does not finish on 1 of 2 instances" in bp.summarise(made).summary()
    never = bp.summarise(made[:1])
    assert never.rows()[1].cells() == (policies, "0 of 1", "0", *[""] * 7)
    assert never.reading()[-1] == f"{policies} finishes on no instance."


def test_a_summary_from_the_command_line(
    paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", *paths, "--policies", "mc-sf,mc-benchmark", "--time-limit", "5"]
    assert run([*words, "--summary", "--out", str(tmp_path / "r")]) == 0
    shown = capsys.readouterr().out
    assert "2 instances, mixed batching" in shown
    assert "long first" not in shown  # in place of the instances' tables
    assert "2 of 2" in shown
    assert 'id="summary-1"' in (tmp_path / "r" / "report.html").read_text("utf-8")
    assert run([*words, "--json"]) == 0
    (summary,) = json.loads(capsys.readouterr().out)["summaries"]
    written = json.loads((tmp_path / "r" / "comparison.json").read_text("utf-8"))
    assert written["summaries"][0]["policies"][1]["wins"] == summary["policies"][1]["wins"] == 2
    assert summary["instances"] == ["long first", "equal"]
    assert run([*words, "--summary", "--table", "markdown"]) == 0
    table = capsys.readouterr().out
    assert table.startswith("**2 instances, mixed batching**")
    assert table.count("\n| ") == 4
    assert run([*words, "--summary", "--table", "csv"]) == 0
    rows = [*csv.DictReader(io.StringIO(capsys.readouterr().out))]
    assert [row["policy"] for row in rows] == ["hindsight", "mc-sf", "mc-benchmark"]
    assert float(rows[1]["mean_ratio_to_best"]) == 1
