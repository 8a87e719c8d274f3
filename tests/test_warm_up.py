"""Compilation is not counted against the time limit of the demo."""

from __future__ import annotations

import subprocess
import sys

import numba

import batchprophet as bp
from batchprophet.online import evaluation
from batchprophet.solvers import hindsight, warm_up
from batchprophet.solvers.hindsight import solve

#: In a process of its own, where nothing is loaded: what is compiled for the first time, or loaded
#: from the cache, while the demo's clock runs.
NEW_CODE_IN_THE_TIMED_PART = """
import sys
import batchprophet as bp
from batchprophet.online import evaluation
from numba.core.registry import CPUDispatcher

def loaded():
    modules = [module for name, module in sys.modules.items() if name.startswith("batchprophet")]
    found = [each for module in modules for each in vars(module).values()]
    return {(f.py_func.__module__, f.py_func.__name__, tuple(map(str, f.signatures)))
            for f in found if isinstance(f, CPUDispatcher) and f.signatures}

timed = evaluation.solve

def solve(*arguments, **options):
    before = loaded()
    solution = timed(*arguments, **options)
    assert before, "nothing was compiled before"
    print(sorted(loaded() - before))
    return solution

evaluation.solve = solve
bp.demo()
"""


def test_the_clock_of_the_demo_starts_after_compilation():
    run = subprocess.run(
        [sys.executable, "-c", NEW_CODE_IN_THE_TIMED_PART],
        capture_output=True,
        check=True,
        text=True,
    )
    assert run.stdout == "[]\n"


def test_the_demo_tells_of_the_compilation_and_hands_on_its_limit(monkeypatch):
    told, limits = [], []

    def timed(*arguments, time_limit, **options):
        limits.append(time_limit)
        return solve(*arguments, time_limit=time_limit, **options)

    monkeypatch.setattr(evaluation, "solve", timed)
    solution = bp.demo(time_limit=30.0, progress=told.append).solution
    assert limits == [30.0]
    assert told[0].phase.startswith("compiling")
    assert not any(each.phase.startswith("compiling") for each in told[1:])
    assert solution.status == "optimal"


def test_without_time_nothing_is_searched_and_nothing_warmed_up(monkeypatch):
    def refuse(instance):
        raise AssertionError

    monkeypatch.setattr("batchprophet.solvers.hindsight.load_compiled_code", refuse)
    assert bp.demo(time_limit=0.0).solution.status == "feasible"


def test_nothing_is_compiled_where_it_is_and_everything_where_it_is_not(monkeypatch):
    warm_up.compile_first("mixed")
    told = []
    warm_up.compile_first("mixed", told.append)
    assert warm_up.is_compiled("mixed")
    assert told == []

    monkeypatch.setattr(warm_up, "is_compiled", lambda model: False)
    loaded = []
    monkeypatch.setattr(hindsight, "load_compiled_code", lambda instance: loaded.append(instance.n))
    warm_up.compile_first("mixed", told.append)
    assert [each.phase for each in told] == [warm_up.PHASE]
    assert len(loaded) == 2  # a small instance and one like a trace


def test_a_function_that_no_cache_knows_is_not_ready():
    @numba.njit
    def new(x):
        return x + 1

    assert not warm_up._is_ready(new)
    new(1)
    assert warm_up._is_ready(new)
