"""Compilation is not counted against the time limit of the demo."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from types import SimpleNamespace

import numba
import pytest

import batchprophet as bp
from batchprophet.commands import console
from batchprophet.online import evaluation
from batchprophet.solvers import compiled, warm_up
from batchprophet.solvers.best_so_far import BestSoFar
from batchprophet.solvers.compiled import PHASE
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.mixed import engine
from batchprophet.solvers.mixed import warm_up as mixed_warm_up
from batchprophet.solvers.progress import Progress
from batchprophet.solvers.recipe import Options
from batchprophet.solvers.regimes import RECIPES, recipe

#: In a process of its own with a cache of its own: what is compiled while the demo's clock runs.
NEW_CODE_IN_THE_TIMED_PART = """
import sys
import batchprophet as bp
from batchprophet.online import evaluation
from numba.core.registry import CPUDispatcher

def compiled():
    modules = [module for name, module in sys.modules.items() if name.startswith("batchprophet")]
    found = [each for module in modules for each in vars(module).values()]
    return {(f.py_func.__module__, f.py_func.__name__, str(each))
            for f in found if isinstance(f, CPUDispatcher) for each in f.stats.cache_misses}

timed = evaluation.solve

def solve(*arguments, **options):
    before = compiled()
    solution = timed(*arguments, **options)
    assert before, "nothing was compiled before"
    print(sorted(compiled() - before))
    return solution

evaluation.solve = solve
bp.demo()
"""


@pytest.mark.slow
def test_the_clock_of_the_demo_starts_after_compilation(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", NEW_CODE_IN_THE_TIMED_PART],
        capture_output=True,
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
        check=True,
        text=True,
    )
    assert run.stdout == "[]\n"


def test_the_demo_hands_on_its_limit_and_tells_how_far_it_is(monkeypatch):
    told, limits = [], []

    def timed(*arguments, time_limit, **options):
        limits.append(time_limit)
        return solve(*arguments, time_limit=time_limit, **options)

    monkeypatch.setattr(evaluation, "solve", timed)
    solution = bp.demo(time_limit=30.0, progress=told.append).solution
    assert limits == [30.0]
    assert told[-1].gap == 0.0
    assert solution.status == "optimal"


def test_without_time_nothing_is_searched_and_nothing_warmed_up(monkeypatch):
    def refuse(instance, paths=True):
        raise AssertionError

    monkeypatch.setattr("batchprophet.solvers.mixed.warm_up.load_compiled_code", refuse)
    assert bp.demo(time_limit=0.0).solution.status == "feasible"


FOUR = bp.Instance(
    gpu=bp.Gpu(kv_capacity=9), arrival=[0, 3, 0, 1], prompt=[2, 3, 4, 1], output=[1, 4, 1, 3]
)


@pytest.fixture
def nothing_compiled(monkeypatch):
    """Pretend that no code is compiled; return what is compiled meanwhile, by requests."""
    loaded = []
    monkeypatch.setattr(mixed_warm_up, "are_compiled", lambda functions: False)
    monkeypatch.setattr(
        mixed_warm_up,
        "load_compiled_code",
        lambda instance, paths: loaded.append((instance.n, paths)),
    )
    return loaded


def test_nothing_is_compiled_where_it_is():
    warm_up.compile_first("mixed")
    told = []
    warm_up.compile_first("mixed", told.append)
    assert mixed_warm_up.is_compiled()
    assert told == []


def test_everything_is_compiled_where_no_instance_is_given(nothing_compiled):
    told = []
    warm_up.compile_first("mixed", told.append)
    assert [each.phase for each in told] == [PHASE]
    assert nothing_compiled == [(12, False), (60, False)]  # small, and like a trace


def test_an_instance_that_a_list_schedule_solves_needs_no_engine(nothing_compiled):
    told = []
    warm_up.compile_first("mixed", told.append, instance=FOUR)
    assert bp.solve(FOUR).solution.method.startswith("list schedule")
    assert [each.phase for each in told] == [PHASE]  # the list schedules are compiled all the same
    assert nothing_compiled == []


@pytest.mark.parametrize(
    ("family", "settings", "sample"),
    [("arrival-model-1", {"n": 8}, 12), ("lognormal-burst", {"n": 30}, 60)],
)
def test_only_the_engine_for_the_size_of_the_instance_is_compiled(
    nothing_compiled, family, settings, sample
):
    warm_up.compile_first("mixed", instance=bp.make(family, seed=1, settings=settings))
    assert nothing_compiled == [(sample, False)]


@pytest.mark.parametrize(("law", "expected"), [("affine", [24]), ("unit", [])])
def test_what_a_relaxation_runs_is_compiled_where_it_applies(monkeypatch, law, expected):
    done = []
    own = replace(recipe("separate"), compiled=lambda: True)
    monkeypatch.setitem(RECIPES, "separate", lambda: own)
    other = replace(
        recipe("continuous"),
        compiled=lambda: False,
        compile=lambda instance, announce: done.append(instance.n),
    )
    monkeypatch.setitem(RECIPES, "continuous", lambda: other)
    taken = bp.AffineTime(c0=1, c1=0.1, c2=0.1, c3=0) if law == "affine" else bp.UnitTime()
    gpu = bp.Gpu(kv_capacity=30, batch_time=taken)
    instance = bp.Instance(gpu=gpu, arrival=[0] * 24, prompt=[3] * 24, output=[4] * 24)
    warm_up.compile_first("separate", instance=instance)
    assert done == expected
    warm_up.compile_first("separate")
    assert done == expected


def test_without_a_terminal_compilation_is_told_in_one_line_and_nothing_else(capsys):
    with console.live_progress("solve") as tell:
        for phase in ("list schedules", PHASE, PHASE, "bounds"):
            tell(Progress(seconds=0.0, incumbent=None, bound=None, gap=None, phase=phase))
    captured = capsys.readouterr()
    assert captured.err == f"solve: {PHASE}\n"
    assert captured.out == ""


def test_what_is_off_the_clock_takes_no_time_from_the_limit():
    told = []
    search = BestSoFar(FOUR, "latency", 60.0, told.append)
    search.off_the_clock(PHASE, lambda: time.sleep(0.3))
    assert search.seconds < 0.3
    assert [each.phase for each in told] == [PHASE]


@pytest.mark.parametrize("objective", ["latency", "weighted", "makespan"])
def test_the_engine_of_continuous_batching_is_compiled_off_the_clock(monkeypatch, objective):
    # Whoever asks for the solve, and whatever it minimises: the engine runs for all of these.
    done = []

    def compile_slowly(instance, announce):
        time.sleep(3.0)
        done.append(instance.n)

    own = replace(recipe("continuous"), compiled=lambda: bool(done), compile=compile_slowly)
    told, begin = [], time.perf_counter()
    solution = own.solve(FOUR, Options(objective=objective, time_limit=0.5), progress=told.append)
    assert done == [FOUR.n]
    assert [each.phase for each in told].count(PHASE) == 1
    assert solution.bound is not None
    assert solution.seconds <= time.perf_counter() - begin - 3.0
    # Compiled once, and not at all where no time is given or the MILP is asked for.
    own.solve(FOUR, Options(objective=objective, time_limit=0.5))
    assert len(done) == 1
    done.clear()
    own.solve(FOUR, Options(objective=objective, time_limit=0))
    own.solve(FOUR, Options(objective="latency", formulation="batch-sequence", time_limit=1))
    assert done == []


def test_weights_and_deadlines_run_the_code_that_is_compiled():
    # Arrays that are read-only are another type for numba, and would compile all of it again.
    from batchprophet.solvers.certificates.continuous.batch_lengths import facts_of

    instance = FOUR.replace(weight=[1, 2, 3, 4][: FOUR.n], deadline=[4] * FOUR.n)
    types = {
        objective: [numba.typeof(each) for each in facts_of(instance, 1, 1, objective)]
        for objective in ("latency", "weighted", "tardiness")
    }
    assert types["latency"] == types["weighted"] == types["tardiness"]


def test_path_graphs_are_compiled_where_they_are_reached(monkeypatch):
    instance = bp.make("arrival-model-1", seed=100, settings={"n": 12})
    done = []
    monkeypatch.setattr(engine, "paths_are_compiled", lambda: bool(done))
    monkeypatch.setattr(engine, "compile_paths", lambda: done.append("compiled"))
    monkeypatch.setattr(engine._Engine, "search_states", lambda engine, limits: None)  # gives up

    def prove(*arguments, **options):
        done.append("searched")
        return SimpleNamespace(complete=True)

    monkeypatch.setattr(engine.sublimation, "prove_by_paths", prove)
    solve(instance)
    assert done == ["compiled", "searched"]


def test_a_function_that_no_cache_knows_is_not_ready():
    @numba.njit
    def new(x):
        return x + 1

    assert not compiled._is_ready(new)
    new(1)
    assert compiled._is_ready(new)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["latency", "weighted"])
def test_nothing_of_continuous_batching_is_compiled_within_a_limit(tmp_path, objective):
    """What the warm-up leaves out would be compiled while the clock runs, each time anew."""
    cache = tmp_path / "cache"
    code = textwrap.dedent(f"""
        import os, pathlib
        import numpy as np
        from batchprophet.models.families.registry import make_instance
        from batchprophet.solvers import solve
        from batchprophet.solvers.continuous.warm_up import load_compiled_code
        cache = pathlib.Path(os.environ["NUMBA_CACHE_DIR"])
        load_compiled_code()
        before = {{path.name for path in cache.rglob("*.nbc")}}
        settings = {{"n": 40, "rate": 20.0}}
        instance = make_instance("continuous-conversation", seed=1, settings=settings)
        solve(instance, model="continuous", objective={objective!r}, time_limit=5)
        print(sorted({{path.name for path in cache.rglob("*.nbc")}} - before))
    """)
    found = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == "[]"
