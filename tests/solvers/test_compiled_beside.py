"""Compilation in a second process: what it leaves is found, and nothing depends on it."""

import os
import subprocess
import sys
import time

import pytest

from batchprophet.solvers import compiled_beside
from batchprophet.solvers.compiled_beside import CompiledBeside


def started(beside):
    process = beside._process
    assert process is not None
    return process


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def test_the_function_is_called_and_waited_for():
    with CompiledBeside("solvers.compiled_beside", "_nothing") as beside:
        beside.join()
        assert started(beside).returncode == 0


def test_a_failure_costs_time_only(capfd):
    with CompiledBeside("solvers.compiled_beside", "_there_is_none") as beside:
        beside.join()
        assert started(beside).returncode == 1
    assert capfd.readouterr() == ("", "")


def test_what_is_not_needed_any_more_ends_with_the_context():
    began = time.perf_counter()
    beside = CompiledBeside("solvers.compiled_beside", "_nothing")
    beside._code = "import time; time.sleep(600)"
    with beside:
        assert started(beside).poll() is None
    assert started(beside).returncode not in (None, 0)
    assert time.perf_counter() - began < 60


def test_on_one_core_nothing_is_started(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(compiled_beside.subprocess, "Popen", None)
    with CompiledBeside("solvers.compiled_beside", "_nothing") as beside:
        beside.join()


@pytest.mark.slow
def test_the_exhaustive_search_is_compiled_by_it(tmp_path):
    code = (
        "from batchprophet.solvers.compiled_beside import CompiledBeside\n"
        "from batchprophet.solvers.mixed.exact.expansion import expand\n"
        "from batchprophet.solvers.compiled import are_compiled\n"
        "part = [('solvers.mixed.exact.expansion', 'expand')]\n"
        "assert not are_compiled(part)\n"
        "with CompiledBeside('solvers.mixed.warm_up', 'compile_proofs') as beside:\n"
        "    beside.join()\n"
        "assert are_compiled(part) and not expand.signatures\n"
    )
    cache = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=cache, check=True)
