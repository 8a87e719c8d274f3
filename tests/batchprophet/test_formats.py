"""Tables of comparisons as LaTeX, Markdown, CSV and data frames."""

from __future__ import annotations

import builtins
import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import batchprophet as bp
from batchprophet.cli import run
from batchprophet.commands.console import print_comparison
from batchprophet.report.formats import formatted
from batchprophet.results.compared import Compared
from tests.batchprophet.test_report import SMALL, comparison

ODD = replace(SMALL, name="=50 %_off | {x} ~^\\ *a*")


def compared(instance: bp.Instance = SMALL) -> Compared:
    return Compared(comparison=replace(comparison(), instance=instance))


def test_latex_has_a_row_a_schedule_and_no_sign_that_it_reads_as_a_command() -> None:
    text = formatted([compared(ODD)], "latex")
    lines = text.splitlines()
    assert lines[0] == "% =50 %_off | {x} ~^\\ *a*"
    assert lines[1] == r"\begin{tabular}{lrrrrrr}"
    rows = [line for line in lines if line.endswith(r"\\")]
    assert [row.split(" & ")[0] for row in rows] == [
        "policy", "hindsight (optimal)", "good", "late", "stuck",
    ]  # fmt: skip
    assert {row.count(" & ") for row in rows} == {6}
    odd = replace(comparison().results[0], policy="a_b:50%&#$ {c}~^\\")
    both = replace(comparison(), results=(odd,))
    assert (
        r"a\_b:50\%\&\#\$ \{c\}\textasciitilde{}\textasciicircum{}\textbackslash{} & 8"
        in formatted([Compared(comparison=both)], "latex")
    )


def test_markdown_has_the_same_cells_as_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    each = compared()
    text = formatted([each, each], "markdown")
    assert text.count("| hindsight (optimal) | 7 |") == 2
    print_comparison("x", [*each.columns()], each.rows())
    shown = capsys.readouterr().out
    for line in text.splitlines()[4:8]:
        assert all(cell.strip() in shown for cell in line.strip("| ").split(" | "))
    heading = formatted([compared(ODD)], "markdown").splitlines()[0]
    assert heading == r"**=50 %\_off \| {x} ~^\\ \*a\***"


def test_csv_is_one_table_of_all_comparisons_that_reads_back() -> None:
    text = formatted([compared(), compared(ODD)], "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["policy"] for row in rows] == ["hindsight", "good", "late", "stuck"] * 2
    assert rows[4]["instance"] == "'" + str(ODD.name)  # no formula
    assert [row["total_latency"] for row in rows[:4]] == ["7", "7", "8", ""]
    assert rows[3]["verdict"] == "does not finish: cycles"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--table", "html"], "table: expected latex, markdown or csv, found 'html'"),
        (["--table", "csv", "--json"], "table: expected no --json beside --table, found both"),
    ],
)
def test_bad_formats_are_refused_before_the_work(
    words: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bp.write_instance(SMALL, tmp_path / "i.json")
    assert run(["compare", str(tmp_path / "i.json"), *words]) == 2
    assert capsys.readouterr().err == f"batchprophet: {expected}\n"


def test_the_command_prints_nothing_but_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bp.write_instance(SMALL, tmp_path / "i.json")
    words = ["compare", str(tmp_path / "i.json"), "--policies", "mc-sf", "--table", "csv"]
    assert run(words) == 0
    out = capsys.readouterr().out
    assert [line.count(",") for line in out.splitlines()] == [out.splitlines()[0].count(",")] * 3


def test_frames_are_the_figures_of_schedules_and_requests() -> None:
    frame = compared().to_frame()
    assert frame["total_latency"].tolist()[:3] == [7, 7, 8]
    assert np.isnan(frame["total_latency"].iloc[3])
    for model in ("mixed", "separate", "continuous"):
        simulated = bp.simulate(SMALL, "smallest-volume", model=model)
        requests = simulated.to_frame()
        assert requests["latency"].sum() == simulated.metrics.total_latency
        assert (requests["arrival"] <= requests["start"]).all()
        assert (requests["start"] < requests["first_token"]).all()
        assert (requests["first_token"] <= requests["completion"]).all()
        mean = (requests["first_token"] - requests["arrival"]).mean()
        assert mean == simulated.metrics.mean_ttft


def test_a_frame_of_a_schedule_that_rejects_has_the_requests_served() -> None:
    instance = bp.Instance(
        gpu=bp.Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 3], output=[4, 4], horizon=4
    )
    solved = bp.solve(instance, model="separate", objective="reward", time_limit=10)
    assert solved.to_frame()["request"].tolist() in (["r0"], ["r1"])


def test_without_pandas_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(bp.InputError, match=r"to_frame: needs pandas; install batchprophet\[fr"):
        compared().to_frame()
