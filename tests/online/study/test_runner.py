"""Studies survive what can go wrong, and end with the same table: cells, processes, the disk."""

from __future__ import annotations

import csv
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from batchprophet.models.errors import InputError
from batchprophet.online.study import cell_runner as work
from batchprophet.online.study.cell import Cell, Limit, Problem
from batchprophet.online.study.chunk import local_modules, run_chunk
from batchprophet.online.study.engine import LocalProcesses
from batchprophet.online.study.reading import read_study
from batchprophet.online.study.recipe import run_study
from batchprophet.online.study.result import DONE, FAILED, LOST, CellResult
from batchprophet.online.study.source import Source
from batchprophet.online.study.store import STORE, Store, StoreError
from tests.paths import ROOT

HERE = ROOT / "tests"
COMMAND = [sys.executable, "-m", "batchprophet", "study"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE)}
VERSION = "0.1.0"


@pytest.fixture(autouse=True)
def _policies_of_this_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)  # workers get the path of the process that starts them


def write_study(folder: Path, policies: list[str], seeds: int, limits: str = "") -> Path:
    path = folder / "study.toml"
    path.write_text(
        f"""
        name = "test"
        seeds = {{ first = 1, count = {seeds} }}
        policies = {policies}
        instances = [{{ family = "arrival-model-1", settings = {{ n = 5 }} }}]
        {limits}
        """
    )
    return path


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def stored(folder: Path) -> dict[str, CellResult]:
    with Store(folder, version=VERSION) as store:
        return store.results()


def run(path: Path, folder: Path, jobs: int = 2) -> bytes:
    folder.mkdir(exist_ok=True)
    run_study(read_study(path), folder, engine=LocalProcesses(jobs))
    return (folder / "results.csv").read_bytes()


def begin(path: Path, folder: Path, **options: object) -> subprocess.Popen[bytes]:
    words = [*COMMAND, str(path), "--out", str(folder), "--jobs", "2"]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, env=ENVIRONMENT, stdout=pipe, stderr=pipe, **options)  # type: ignore[call-overload,no-any-return]  # options


def wait_for_cells(folder: Path, size: int = 80_000) -> None:
    """Wait until the store's log holds some cells (the store itself is locked).

    Its tables take 45 kB, and each chunk of cells 20 to 40.
    """
    log = folder / f"{STORE}-wal"
    deadline = time.monotonic() + 60
    while not log.exists() or log.stat().st_size < size:
        assert time.monotonic() < deadline, "no cells within a minute"
        time.sleep(0.02)


def test_one_and_two_processes_make_the_same_table(tmp_path: Path) -> None:
    path = write_study(tmp_path, ["mc-sf", "vllm"], 4, "limits = [{ work = 300 }]")
    assert run(path, tmp_path / "one", jobs=1) == run(path, tmp_path / "two", jobs=2)
    rows = table(tmp_path / "one")
    assert [row["policy"] for row in rows[:3]] == ["hindsight", "mc-sf", "vllm"]
    assert [int(row["seed"]) for row in rows] == sorted(3 * [1, 2, 3, 4])


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_a_study_that_is_killed_goes_on_where_it_was(
    tmp_path: Path, number: signal.Signals
) -> None:
    # 80 cells of twice 30 ms: when the first are in the log, most are still to come.
    path = write_study(tmp_path, ["study_policies:Slow"], 80)
    folder = tmp_path / "killed"
    process = begin(path, folder)
    wait_for_cells(folder)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    if number != signal.SIGKILL:
        note, line = errors.decode().splitlines()
        assert "cells are kept in" in note
        assert line == "batchprophet: interrupted"
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive, "workers outlived the study"
    kept = stored(folder)
    assert 0 < len(kept) < 80
    assert not (folder / "results.csv").exists()
    again = run(path, folder)
    finished = stored(folder)
    assert {key: finished[key].seconds for key in kept} == {
        key: result.seconds for key, result in kept.items()
    }, "cells that were done are not run again"
    assert again == run(path, tmp_path / "whole")


def test_a_failing_cell_is_recorded_and_stops_nothing(tmp_path: Path) -> None:
    path = write_study(tmp_path, ["study_policies:Fails", "mc-sf"], 12)
    run(path, tmp_path / "out")
    rows = [row for row in table(tmp_path / "out") if row["policy"] != "mc-sf"]
    bad = [row for row in rows if row["outcome"] == FAILED]
    assert 0 < len(bad) < len(rows)
    assert all(row["outcome"] == DONE for row in rows if row not in bad)
    # The reason is one line; the store has the traceback as well. (Capacities are not in the row
    # of a cell that failed before it had a value, so they are looked up in the other policy's.)
    assert {row["reason"] for row in bad} == {
        "policy fails at round 0: decide raised RuntimeError (an odd capacity) in "
        f"study_policies.py, line {_line('raise RuntimeError')}"
    }
    odd = {
        r["seed"] for r in table(tmp_path / "out") if r["kv_capacity"] and int(r["kv_capacity"]) % 2
    }
    assert {row["seed"] for row in bad} == odd
    failed = [result for result in stored(tmp_path / "out").values() if result.outcome == FAILED]
    assert all("Traceback" in result.note for result in failed)


def _line(text: str) -> int:
    lines = (HERE / "study_policies.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_a_lost_process_costs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = write_study(tmp_path, [f"study_policies:DiesOnce:mark={mark}", "mc-sf"], 6)
    lost = run(path, tmp_path / "lost")
    assert mark.exists()
    assert all(row["outcome"] == DONE for row in table(tmp_path / "lost"))
    assert lost == run(path, tmp_path / "quiet")  # the mark is there: nobody dies


def test_a_cell_that_always_ends_its_process_is_given_up(tmp_path: Path) -> None:
    path = write_study(tmp_path, ["study_policies:Dies", "mc-sf"], 8)
    run(path, tmp_path / "out")
    rows = table(tmp_path / "out")
    deadly = {
        row["seed"] for row in rows if row["policy"] == "mc-sf" and int(row["kv_capacity"]) >= 48
    }
    assert 0 < len(deadly) < 8
    assert {row["seed"] for row in rows if row["outcome"] == LOST} == deadly
    assert all("process that ran it ended" in r["reason"] for r in rows if r["outcome"] == LOST)
    # Lost cells are no results: they are tried again when the study is.
    assert len(stored(tmp_path / "out")) == len(rows) - len(deadly)


@pytest.mark.slow
def test_a_full_disk_ends_in_one_line_and_the_study_goes_on_later(tmp_path: Path) -> None:
    path = write_study(tmp_path, ["study_policies:Slow"], 80)
    folder = tmp_path / "out"

    def no_file_above_120_kb() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))

    process = begin(path, folder, preexec_fn=no_file_above_120_kb)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.decode().count("\n") == 1
    assert "cannot be written" in errors.decode()
    kept = stored(folder)
    assert 0 < len(kept) < 80
    assert run(path, folder) == run(path, tmp_path / "whole")


def test_sqlite_says_that_the_disk_is_full(tmp_path: Path) -> None:
    with Store(tmp_path, version=VERSION) as store:
        store._connection.execute("PRAGMA max_page_count=10")
        with pytest.raises(StoreError, match=r"study.sqlite: cannot be written \(.* full\); what"):
            _fill(store)
        kept = len(store.results())
    assert 0 < kept == len(stored(tmp_path)) < 1000


def _fill(store: Store) -> None:
    for number in range(1000):
        store.keep(_result(f"cell {number}" + 500 * "x"), seed=1)


def test_what_is_kept_at_once_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    def chunk(first: int, count: int) -> list[tuple[CellResult, int]]:
        return [(_result(f"cell {first + i}" + 500 * "x"), first + i) for i in range(count)]

    with Store(tmp_path, version=VERSION) as store:
        store.keep_all(chunk(0, 10))
        store._connection.execute("PRAGMA max_page_count=20")
        with pytest.raises(StoreError, match="full"):
            store.keep_all(chunk(10, 500))
        assert len(store.results()) == 10
        # The transaction that failed is over: what fits is kept.
        store.keep_all(chunk(10, 2))
    assert len(stored(tmp_path)) == 12


def test_results_of_a_chunk_are_one_transaction_and_then_outlive_the_process(
    tmp_path: Path,
) -> None:
    code = (
        "import os, signal, sys\n"
        "from batchprophet.online.study.result import CellResult\n"
        "from batchprophet.online.study.store import Store\n"
        f"store = Store(sys.argv[1], version={VERSION!r})\n"
        "rows = [(CellResult(key=str(i), outcome='done', record={}, seconds=0.1), i)"
        " for i in range(7)]\n"
        "store.keep_all(rows)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert stored(tmp_path).keys() == {str(i) for i in range(7)}


def test_who_hands_cells_out_loads_no_solver_and_mixed_batching_no_pyomo() -> None:
    code = (
        "import sys, batchprophet.online.study.recipe\n"
        "heavy = {'batchprophet.solvers', 'numba', 'pyomo', 'networkx', 'scipy.stats'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
        "import batchprophet.online.study.cell_runner\n"
        "print(sorted({'pyomo', 'networkx', 'scipy.stats'} & sys.modules.keys()))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n[]\n"


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    with (
        Store(tmp_path, version=VERSION),
        pytest.raises(InputError, match="another run is at work in this folder"),
    ):
        Store(tmp_path, version=VERSION)
    Store(tmp_path, version=VERSION).__exit__(None, None, None)


def test_other_stores_are_refused(tmp_path: Path) -> None:
    with Store(tmp_path, version=VERSION) as store:
        store.keep(_result("a"), seed=1)
    with pytest.raises(InputError, match=r"results of batchprophet 9\.9, found some of 0\.1\.0"):
        Store(tmp_path, version="9.9")
    (tmp_path / STORE).write_text("no database at all, but some text " * 10)
    with pytest.raises(InputError, match="expected the store of a study"):
        Store(tmp_path, version=VERSION)


def test_a_longer_study_takes_over_what_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run(write_study(tmp_path, ["mc-sf"], 3), folder)
    first = stored(folder)
    longer = write_study(tmp_path, ["mc-sf", "vllm"], 5)
    assert run(longer, folder) == run(longer, tmp_path / "whole")
    then = stored(folder)
    assert len(then) == 10
    assert all(then[key].seconds == result.seconds for key, result in first.items())


def _result(key: str) -> CellResult:
    return CellResult(key=key, outcome=DONE, record={"value": 1}, seconds=0.1)


OF_THIS_FOLDER = """
import multiprocessing

from batchprophet.online.mixed.policies.mc_sf import McSf


class Mine(McSf):
    lock = multiprocessing.Lock()  # the system keeps it until the process cleans up
"""


def test_workers_import_policies_of_the_current_folder_and_clean_up(tmp_path: Path) -> None:
    (tmp_path / "of_this_folder.py").write_text(OF_THIS_FOLDER)
    path = write_study(tmp_path, ["of_this_folder:Mine", "mc-sf"], 3)
    words = [
        str(Path(sys.executable).with_name("batchprophet")),
        "study",
        path.name,
        "--out",
        "out",
    ]
    done = subprocess.run([*words, "--jobs", "1"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "leaked" not in done.stderr
    rows = table(tmp_path / "out")
    assert {row["outcome"] for row in rows} == {DONE}
    assert [row["value"] for row in rows[::2]] == [row["value"] for row in rows[1::2]]


def test_a_worker_imports_policies_of_the_folder_that_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of a cluster must, whose path is another."""
    (tmp_path / "of_that_folder.py").write_text(OF_THIS_FOLDER)
    path = write_study(tmp_path, ["of_that_folder:Mine"], 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    cells, folder = read_study(path).cells(), local_modules()
    assert folder == str(tmp_path)
    monkeypatch.setattr("sys.path", [each for each in sys.path if each not in ("", folder)])
    monkeypatch.delitem(sys.modules, "of_that_folder")
    assert local_modules() is None
    assert [result.outcome for result in run_chunk(VERSION, folder, cells)] == [DONE]


@pytest.mark.parametrize("model", ["mixed", "separate"])
def test_compilation_does_not_count_against_a_time_limit(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is loaded before the clock of the first solve of a process starts, and once."""
    happened: list[str] = []
    monkeypatch.setattr(work, "_loaded", set())
    monkeypatch.setattr(
        work,
        "recipe",
        lambda model: SimpleNamespace(load=lambda instance: happened.append(model)),
    )
    real = work.solve
    monkeypatch.setattr(work, "solve", lambda *a, **k: (happened.append("solve"), real(*a, **k))[1])
    family = {"mixed": "arrival-model-1", "separate": "separate-random"}[model]
    source = Source(kind="family", origin=family, settings=(("n", 3),), label="tiny")
    for seed in (1, 2):
        problem = Problem(source=source, seed=seed, model=model, objective="latency")
        cell = Cell(problem=problem, job=Limit(label="short", seconds=5.0))
        assert work.run_cell(cell).outcome == DONE
    assert happened == [model, "solve", "solve"]
