"""The same study on a real local Dask cluster, one of whose workers is killed in mid-run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchprophet.models.errors import InputError
from batchprophet.online.study.engine import DaskCluster, LocalProcesses
from batchprophet.online.study.reading import read_study
from batchprophet.online.study.recipe import run_study
from tests.paths import ROOT

distributed = pytest.importorskip("distributed", reason="needs the extra [dask]")

HERE = ROOT / "tests"
CELLS = 60


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(HERE)
    path = tmp_path / "study.toml"
    path.write_text(
        f"""
        name = "test"
        seeds = {{ first = 1, count = {CELLS} }}
        policies = ["study_policies:Slow:milliseconds=100"]
        instances = [{{ family = "arrival-model-1", settings = {{ n = 5 }} }}]
        """
    )
    return path


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, each a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    local = ["--local-directory", str(tmp_path), "--no-nanny", "--nthreads", "1"]
    words = [
        ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"],
        *[["worker", address, "--no-dashboard", *local]] * 2,
    ]
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    with (tmp_path / "cluster.log").open("w") as log:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "dask", *each], env=environment, stdout=log, stderr=log
            )
            for each in words
        ]
        try:
            _wait_for_workers(address, 2)
            yield address, processes[1:]
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()


def _wait_for_workers(address: str, count: int) -> None:
    with distributed.Client(address, timeout="60s", set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_makes_the_same_table(
    study: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path
) -> None:
    address, workers = cluster
    killed: list[int] = []

    def kill_one_in_mid_run(progress: object) -> None:
        done = progress.done  # type: ignore[attr-defined]  # a StudyProgress
        if done >= CELLS // 4 and not killed:
            workers[0].kill()
            killed.append(done)

    for name in ("cluster", "local"):
        (tmp_path / name).mkdir()
    read = read_study(study)
    run_study(read, tmp_path / "cluster", engine=DaskCluster(address), progress=kill_one_in_mid_run)
    assert killed
    assert killed[0] < CELLS
    run_study(read, tmp_path / "local", engine=LocalProcesses(2))
    for name in ("results.csv", "summary.json"):
        assert (tmp_path / "cluster" / name).read_bytes() == (
            tmp_path / "local" / name
        ).read_bytes()


@pytest.mark.slow
def test_a_study_goes_on_after_the_scheduler_has_gone(
    study: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path
) -> None:
    address, workers = cluster
    folder = tmp_path / "out"
    words = [sys.executable, "-m", "batchprophet", "study", str(study), "--out", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    process = subprocess.Popen(
        [*words, "--scheduler", address], env=environment, stderr=subprocess.PIPE
    )
    log, deadline = folder / "study.sqlite-wal", time.monotonic() + 60
    while not log.exists() or log.stat().st_size < 80_000:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for worker in workers:
        worker.kill()
    _scheduler(address).kill()
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 2
    assert "the scheduler has gone" in errors.decode().splitlines()[-1]
    done = subprocess.run([*words, "--jobs", "2"], env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0
    assert (folder / "results.csv").read_text().count("\n") == CELLS + 1


def _scheduler(address: str):  # type: ignore[no-untyped-def]  # a psutil.Process
    import psutil

    port = int(address.rsplit(":", 1)[1])
    return next(
        each
        for each in psutil.Process().children()
        if any(c.laddr.port == port and c.status == "LISTEN" for c in each.net_connections())
    )


def test_a_scheduler_that_does_not_answer_is_an_input_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("batchprophet.online.study.engine.ANSWER_SECONDS", 0.5)
    with pytest.raises(InputError, match=r"scheduler: tcp://127\.0\.0\.1:9: cannot be reached"):
        DaskCluster("tcp://127.0.0.1:9").open()
    with pytest.raises(InputError, match=r"scheduler: nothing://here: cannot be reached"):
        DaskCluster("nothing://here").open()
