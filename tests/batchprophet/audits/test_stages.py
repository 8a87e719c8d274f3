"""What an audit tells while it runs, and where an interrupt stopped it."""

from __future__ import annotations

import json

import pytest

import batchprophet as bp
from batchprophet.cli import run
from batchprophet.online.audit import audit as audits
from batchprophet.online.audit import knobs, stages
from tests.batchprophet.audits.conftest import BATCH_TIME, served, written


def test_stages_are_lines_on_stderr_in_their_order(tmp_path, capsys):
    path = written(tmp_path, served(30))
    assert run(["audit", str(path), "--time-limit", "0", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["explained"]
    said = [line.removeprefix("audit: ") for line in err.splitlines()]
    # The KV memory is known.
    assert said == [stage for stage in stages.STAGES if stage != stages.CAPACITY]


def test_what_is_not_done_is_not_told():
    told = []
    bp.audit(
        served(20), max_num_seqs=4, kv_capacity=20_000, batch_time=BATCH_TIME, time_limit=0,
        progress=lambda progress: told.append(progress.phase),
    )  # fmt: skip
    assert {stages.FIT, stages.HELD_OUT, stages.LAWS, stages.CAPACITY}.isdisjoint(told)
    assert told[0] == stages.SIGNS


@pytest.mark.parametrize(
    ("module", "name", "stage"),
    [(audits, "explain", stages.SIGNS), (audits, "by_knowledge", stages.LENGTHS)],
)
def test_an_interrupt_says_in_which_stage_it_stopped(
    tmp_path, capsys, monkeypatch, module, name, stage
):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, name, interrupted)
    assert interrupted_audit(tmp_path, capsys) == f"audit: stopped while {stage}"


@pytest.mark.parametrize(
    ("module", "name", "stage"),
    [(audits, "compare", stages.HINDSIGHT), (knobs, "solve", stages.KNOBS)],
)
def test_an_interrupt_that_a_solver_keeps_ends_the_audit(
    tmp_path, capsys, monkeypatch, module, name, stage
):
    usual = getattr(module, name)

    def interrupted(*arguments, **options):
        found = usual(*arguments, **options)
        solution = getattr(found, "solution", found)
        object.__setattr__(solution, "method", f"{solution.method}, interrupted")
        return found

    monkeypatch.setattr(module, name, interrupted)
    assert interrupted_audit(tmp_path, capsys) == f"audit: stopped while {stage}"


def interrupted_audit(folder, capsys):
    """The line before the last one, which is that of any interrupted command."""
    path = written(folder, served(20))
    words = ["audit", str(path), "--batch-time", BATCH_TIME, "--time-limit", "0"]
    assert run(words) == 130
    *_, said, last = capsys.readouterr().err.splitlines()
    assert last == "batchprophet: interrupted"
    return said
