"""Tables and pictures of a study, of regret, and of the history of a solve."""

from __future__ import annotations

import csv
import io
import itertools
from fractions import Fraction

import pytest

import batchprophet as bp
from batchprophet.cli import run
from batchprophet.models.errors import InputError
from batchprophet.online.regret import RegretRow, RegretStudy
from batchprophet.online.study.export import export_rows
from batchprophet.online.study.table import Row, columns_of, results_csv
from batchprophet.pictures.study import profiles, ratio_boxes, ratios
from batchprophet.solvers.best_so_far import BestSoFar

pandas = pytest.importorskip("pandas", reason="needs the extra [frames]")


def row(policy, seed, value, best=100, **settings):
    return Row(
        source="a", seed=seed, limit="short", predictions="default", policy=policy,
        outcome="does not finish" if value is None else "done", value=value, best_known=best,
        bound=best, ratio=(None, None) if value is None else (Fraction(value, best),) * 2,
        figures={"mean_latency": 2.5}, reason="", settings=settings, key=f"{policy}-{seed}",
    )  # fmt: skip


ROWS = [
    row("hindsight", 1, 100, n=6), row("slow", 1, 150, n=6), row("endless", 1, None, n=6),
    row("hindsight", 2, 100, n=8, rate=0.5), row("slow", 2, 250, n=8, rate=0.5),
    row("endless", 2, 120, n=8, rate=0.5),
]  # fmt: skip


def test_csv_parquet_and_frame_have_one_shape(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra [parquet]")
    from batchprophet.results.frames import study_frame

    columns = columns_of(ROWS)
    assert columns[:4] == ("source", "setting_n", "setting_rate", "seed")
    table = next(csv.reader(io.StringIO(results_csv(ROWS))))
    found = study_frame(ROWS)
    stored = {each.key: {"key": each.key, "facts": "{}", "seconds": 1.0} for each in ROWS}
    export_rows(tmp_path / "all.parquet", ROWS, stored)
    read_back = parquet.read_table(tmp_path / "all.parquet")
    assert tuple(table) == tuple(found.columns) == columns
    assert tuple(read_back.column_names)[: len(columns)] == columns
    assert read_back["setting_n"].to_pylist() == found["setting_n"].tolist() == [6] * 3 + [8] * 3
    assert found["ratio_low"].dropna().tolist() == [1.0, 1.5, 1.0, 2.5, 1.2]


def test_ratios_are_what_is_drawn():
    found = ratios(ROWS)
    assert found == {"slow": [1.5, 2.5], "endless": [float("inf"), 1.2]}
    drawn = {line.get_label(): line for line in profiles(ROWS).axes[0].lines}
    assert set(drawn) == {"slow", "endless (1 of 2)"}
    assert drawn["slow"].get_xdata().tolist()[:3] == [1.0, 1.5, 2.5]
    assert drawn["slow"].get_ydata().tolist()[:3] == [0.0, 0.5, 1.0]
    assert max(drawn["endless (1 of 2)"].get_ydata()) == 0.5
    boxes = ratio_boxes(ROWS).axes[0]
    assert [label.get_text() for label in boxes.get_yticklabels()] == ["slow", "endless (1 of 2)"]
    with pytest.raises(InputError, match="expected a policy with a ratio"):
        profiles([row("hindsight", 1, 100), row("endless", 1, None)])
    # The reward is maximised: two thirds of the best is a factor of 1.5.
    assert ratios([row("slow", 1, 100, best=150)]) == {"slow": [1.5]}


def test_regret_is_a_row_per_policy_and_horizon():
    rows = tuple(
        RegretRow(
            policy="oracle", horizon=horizon, replications=2, benchmark="b", regret=1.5,
            half_width=None, identity_residual=0, smallest_compensation=0.0, benchmark_value=9.0,
            value=7.5,
        )
        for horizon in (10, 20)
    )  # fmt: skip
    study = RegretStudy(environment="e", rows=rows, growth={}, decompositions=(), interrupted=False)
    found = study.to_frame()
    assert found["horizon"].tolist() == [10, 20]
    assert found["regret"].tolist() == [1.5, 1.5]


SMALL = bp.Instance(gpu=bp.Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])


def test_the_history_closes_the_gap():
    solution = bp.solve(SMALL, work_limit=1000).solution
    moments = solution.history
    assert moments
    assert moments[-1].value == solution.objective == solution.bound
    for before, after in itertools.pairwise(moments):
        assert before.seconds <= after.seconds
        assert after.value is not None
        assert before.value is None or after.value <= before.value
        assert before.bound is None or after.bound >= before.bound
        assert (before.value, before.bound) != (after.value, after.bound)
    drawn = bp.solve(SMALL, work_limit=1000).plot_progress().axes[0]
    assert [line.get_label() for line in drawn.lines] == ["best schedule", "bound"]


def test_a_worse_bound_is_no_moment():
    search = BestSoFar(SMALL, "latency", 1.0)
    search.better_bound("first", 5)
    search.better_bound("second", 4)
    search.tell("solver", 4.5)
    search.tell("solver", 5.5)
    assert [each.bound for each in search.history] == [5, 5.5]


def test_the_command_writes_the_history(tmp_path, capsys):
    from batchprophet.models.files.instance_file import write_instance

    instance = tmp_path / "instance.json"
    write_instance(SMALL, instance)
    words = ["solve", str(instance), "--time-limit", "0", "--history"]
    assert run([*words, str(tmp_path / "h.csv")]) == 0
    head, *rows = csv.reader((tmp_path / "h.csv").read_text().splitlines())
    assert head == ["seconds", "value", "bound", "gap"]
    assert rows[-1][1] == "7"
    assert run([*words, str(tmp_path / "h.png")]) == 0
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    assert run([*words, str(tmp_path / "h.txt")]) == 2
    assert "--history: expected a file that ends in .csv or .png" in capsys.readouterr().err
    found = bp.solve(SMALL, work_limit=10).history_frame()
    assert list(found.columns) == ["seconds", "value", "bound", "gap"]
