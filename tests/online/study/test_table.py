"""The table and its summary: joins, intervals, and the command that prints them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from batchprophet.cli import run
from batchprophet.models.families.registry import make_instance
from batchprophet.online.evaluation import compare
from batchprophet.online.mixed.simulator import simulate
from batchprophet.online.study.cell import Limit
from batchprophet.online.study.cell_runner import run_cell
from batchprophet.online.study.export import RUN_COLUMNS
from batchprophet.online.study.predictions import parse_predictions
from batchprophet.online.study.reading import read_study
from batchprophet.online.study.result import CellResult
from batchprophet.online.study.study import Study
from batchprophet.online.study.summary import summarise
from batchprophet.online.study.table import COLUMNS, HINDSIGHT, result_rows, results_csv

#: Columns of the settings below.
SETTINGS = ("setting_n",)

STUDY = """
name = "small"
seeds = [1, 2]
policies = ["mc-sf", "mc-benchmark", "alpha-greedy"]
{more}
[[instances]]
family = "arrival-model-1"
settings = {{ n = 6 }}
[[limits]]
work = 20000
"""


def read(folder: Path, more: str = "") -> Study:
    path = folder / "study.toml"
    path.write_text(STUDY.format(more=more))
    return read_study(path)


def results(study: Study) -> dict[str, CellResult]:
    return {cell.key: run_cell(cell) for cell in study.cells()}


def made_up(study: Study, values: dict[str, int | None], bound: int) -> dict[str, CellResult]:
    """Results of every cell: values by policy, None for one that does not finish."""
    found = {}
    for cell in study.cells():
        hindsight = isinstance(cell.job, Limit)
        value = values[HINDSIGHT if hindsight else cell.job.policy]  # type: ignore[union-attr]
        record = {"reason": "cycles"} if value is None else {"value": value}
        if hindsight:
            record["bound"] = bound
        outcome = "does not finish" if value is None else "done"
        found[cell.key] = CellResult(key=cell.key, outcome=outcome, record=record, seconds=1.0)
    return found


def test_the_table_agrees_with_compare(tmp_path: Path) -> None:
    study = read(tmp_path)
    rows = result_rows(study, results(study))
    assert [row.policy for row in rows] == 2 * [HINDSIGHT, *study.policies]
    for seed, here in ((1, rows[:4]), (2, rows[4:])):
        instance = make_instance("arrival-model-1", seed=seed, settings={"n": 6})
        comparison = compare(instance, study.policies, seed=seed, time_limit=20)
        assert comparison.solution.status == "optimal"
        assert here[0].value == here[0].bound == comparison.best_known
        for row, result in zip(here[1:], comparison.results, strict=True):
            assert row.value == comparison.value(result)
            ratio = comparison.ratio_to_best(result)
            assert [end and float(end) for end in row.ratio] == [ratio, ratio]


def test_a_policy_may_be_better_than_hindsight_within_its_limit(tmp_path: Path) -> None:
    study = read(tmp_path)
    values = {HINDSIGHT: 110, "mc-sf": 100, "mc-benchmark": 120, "alpha-greedy": None}
    rows = result_rows(study, made_up(study, values, bound=80))[:4]
    assert {row.best_known for row in rows} == {100}
    assert {row.bound for row in rows} == {80}
    assert [row.ratio for row in rows] == [
        (Fraction(11, 10), Fraction(11, 8)),
        (Fraction(1), Fraction(5, 4)),
        (Fraction(6, 5), Fraction(3, 2)),
        (None, None),
    ]
    assert rows[3].reason == "cycles"
    assert not rows[0].proved
    benchmark = summarise(study, rows * 2).groups[2]
    low, high = benchmark.low, benchmark.high
    assert low is not None
    assert high is not None
    assert (low.mean_of_ratios, high.mean_of_ratios) == (1.2, 1.5)


def test_intervals_of_reward_are_the_other_way_round(tmp_path: Path) -> None:
    study = read(tmp_path, 'objective = "reward"')
    values = {HINDSIGHT: 90, "mc-sf": 60, "mc-benchmark": 30, "alpha-greedy": None}
    rows = result_rows(study, made_up(study, values, bound=120))
    assert {row.best_known for row in rows} == {90}
    assert rows[1].ratio == (Fraction(1, 2), Fraction(2, 3))
    summary = summarise(study, rows)
    assert (summary.groups[1].regret_low, summary.groups[1].regret_high) == (30, 60)
    # Less reward is a loss, whatever the unit.
    pair = next(pair for group, pair in summary.pairs.items() if group.policy == "mc-benchmark")
    assert (pair.wins, pair.losses, pair.mean_difference) == (0, 2, 30)
    assert summary.profiles == {}


def test_the_summary_counts_what_is_proved(tmp_path: Path) -> None:
    study = read(tmp_path)
    values = {HINDSIGHT: 100, "mc-sf": 100, "mc-benchmark": 125, "alpha-greedy": None}
    summary = summarise(study, result_rows(study, made_up(study, values, bound=100)))
    hindsight, mc_sf, benchmark, greedy = summary.groups
    assert (hindsight.proved, mc_sf.optimal, mc_sf.best, benchmark.optimal) == (2, 2, 2, 0)
    assert (greedy.finished, greedy.failed, greedy.low, greedy.regret_low) == (0, 0, None, None)
    profiles = {group.policy: profile for group, profile in summary.profiles.items()}
    assert [profiles[name].at(1.2) for name in study.policies] == [1, 0, 0]
    assert [profiles[name].at(1.25) for name in study.policies] == [1, 1, 0]
    json.dumps(summary.to_record(), allow_nan=False)


def test_predictions_of_no_error_change_nothing(tmp_path: Path) -> None:
    # Parameter 0 is the simpler method: exact lengths.
    study = read(tmp_path, 'predictions = ["exact", "noise:0", "interval:0", "over:0", "none"]')
    rows = [row for row in result_rows(study, results(study)) if row.policy == "mc-sf"]
    assert [row.predictions for row in rows[:4]] == ["exact", "noise:0", "interval:0", "over:0"]
    assert len({(row.seed, row.value) for row in rows}) == 2


def test_a_study_tells_lengths_anew_as_a_run_by_itself_does(tmp_path: Path) -> None:
    policies = ("mc-sf", "bayes:samples=1,effort=50")
    hazard = (parse_predictions("hazard"),)
    study = replace(read(tmp_path), policies=policies, predictions=hazard)
    rows = [row for row in result_rows(study, results(study)) if row.policy != HINDSIGHT]
    assert [row.policy for row in rows] == [*policies] * 2
    assert {row.outcome for row in rows} == {"done"}
    for problem, row in zip(study.problems(), rows[::2], strict=True):
        instance = problem.source.make(problem.seed)
        alone = simulate(instance, "mc-sf:lengths=hazard", seed=problem.seed)
        assert row.value == int((alone.completion(instance) - instance.arrival).sum())


def test_the_bytes_of_the_table_are_those_of_its_rows(tmp_path: Path) -> None:
    study = read(tmp_path)
    text = results_csv(result_rows(study, results(study)))
    assert text == results_csv(result_rows(study, results(study)))
    parsed = list(csv.reader(text.splitlines()))
    assert tuple(parsed[0]) == (COLUMNS[0], *SETTINGS, *COLUMNS[1:])
    assert not {"seconds", "machine", "finished"} & set(COLUMNS)


def test_a_cell_that_cannot_be_judged_fails_with_its_reason(tmp_path: Path) -> None:
    # Reward needs a horizon, which these instances do not have.
    study = read(tmp_path, 'objective = "reward"')
    rows = result_rows(study, results(study))
    judged = [row for row in rows if row.policy != "alpha-greedy"]  # which may not even finish
    assert {row.outcome for row in judged} == {"failed"}
    assert all("horizon: the reward objective needs one" in row.reason for row in judged)
    assert {row.ratio for row in rows} == {(None, None)}
    assert [group.failed for group in summarise(study, rows).groups[:3]] == [2, 2, 2]


@pytest.mark.slow
def test_the_command_writes_table_summary_and_exports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra [parquet]")
    read(tmp_path)
    out, words = tmp_path / "out", ["study", str(tmp_path / "study.toml"), "--out"]
    exports = [tmp_path / "cells.csv", tmp_path / "cells.parquet"]
    named = [word for path in exports for word in ("--export", str(path))]
    assert run([*words, str(out), *named]) == 0
    captured = capsys.readouterr()
    assert "optimum proved on 2 of 2" in captured.out
    assert [line.partition(" ")[0] for line in captured.err.splitlines()] == ["wrote"] * 4
    assert {path.name for path in out.iterdir()} == {"results.csv", "summary.json", "study.sqlite"}
    with exports[0].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    read_back = parquet.read_table(exports[1]).to_pylist()
    assert len(rows) == len(read_back) == 8
    columns = (COLUMNS[0], *SETTINGS, *COLUMNS[1:], *RUN_COLUMNS)
    assert tuple(read_back[0]) == tuple(rows[0]) == columns
    for mine, other in zip(rows, read_back, strict=True):
        assert mine["key"] == other["key"]
        assert mine["value"] == (other["value"] or "")
        assert other["seconds"] > 0
        assert json.loads(other["machine"])["packages"]["batchprophet"] == other["version"]
    table = (out / "results.csv").read_bytes()
    assert run([*words, str(out), "--json"]) == 0  # nothing is left to run
    assert json.loads(capsys.readouterr().out) == json.loads((out / "summary.json").read_text())
    assert (out / "results.csv").read_bytes() == table
