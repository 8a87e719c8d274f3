"""No name opens a formula in a spreadsheet; numbers stay numbers; names come back."""

import csv
import importlib
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchprophet.models.csv_text import escape, unescape
from batchprophet.online.study.export import export_rows
from batchprophet.online.study.table import COLUMNS, Row, results_csv

OPENINGS = ("=", "+", "-", "@", "\t", "\r")


@given(st.text())
@example("=1+1")
@example("'=1+1")
@example("''")
def test_every_name_comes_back_and_opens_nothing(name):
    cell = escape(name)
    assert not cell.startswith(OPENINGS)
    assert unescape(cell) == name
    if not name.startswith((*OPENINGS, "'", "\n")):
        assert cell == name


def row(name: str, **more: object) -> Row:
    return Row(
        source=name, seed=3, limit=name, predictions=name, policy=name, outcome="done", value=-7,
        best_known=-7, bound=None, ratio=(None, None), figures={"mean_latency": -2.5}, reason=name,
        **more,
    )  # fmt: skip


@pytest.mark.parametrize("opening", OPENINGS)
def test_names_in_results_are_marked_and_numbers_are_not(opening):
    name = f"{opening}cmd|' /C calc'!A0"
    [cells] = csv.DictReader(io.StringIO(results_csv([row(name)]), newline=""))
    assert list(cells) == list(COLUMNS)
    for column in ("source", "limit", "predictions", "policy", "reason"):
        assert cells[column] == f"'{name}"
    assert (cells["value"], cells["mean_latency"]) == ("-7", "-2.5")


def test_names_in_exports_are_marked_and_numbers_are_not(tmp_path):
    stored = {
        "key": "-key", "outcome": "done", "record": "{}", "version": "0.1.0", "seed": 1,
        "seconds": 0.5, "finished": "2026-01-01", "note": "@note", "facts": "{}",
    }  # fmt: skip
    cell = row("=HYPERLINK(1)", key="-key", settings={"n": 8, "unit": "=ms"})
    export_rows(tmp_path / "cells.csv", [cell], {"-key": stored})
    with (tmp_path / "cells.csv").open(newline="", encoding="utf-8") as file:
        [cells] = csv.DictReader(file)
    assert (cells["key"], cells["reason"], cells["note"]) == ("'-key", "'=HYPERLINK(1)", "'@note")
    assert (cells["setting_n"], cells["setting_unit"]) == ("8", "'=ms")
    assert (cells["value"], cells["bound"], cells["mean_latency"]) == ("-7", "", "-2.5")
    assert cells["makespan"] == ""


def test_the_record_of_a_comparison_gives_names_back(tmp_path, benchmarks):
    record = importlib.import_module("record")
    values = dict.fromkeys(record._COLUMNS, 1) | {"schedule": None}
    texts = ("instance", "method", "account", "status", "model", "version", "date", "fingerprint")
    named = record.Row(**(values | dict.fromkeys(texts, "=1+1") | {"windows": "'plain"}))
    record.write_rows([named], tmp_path / "rows.csv")
    assert b",=1" not in (tmp_path / "rows.csv").read_bytes()
    assert record.read_rows(tmp_path / "rows.csv") == [named]
