"""What a worker does: it runs cells, and says what came out, or why nothing did."""

from __future__ import annotations

import time
import traceback
from fractions import Fraction
from functools import lru_cache
from typing import Any

from ...models.errors import BatchprophetError
from ...models.instance import Instance
from ...models.objectives import Exact
from ...models.regimes import schedule_value
from ...solvers.hindsight import solve
from ...solvers.regimes import recipe
from ..evaluation import run_policy
from ..regimes import regime
from .cell import Cell, Limit, PolicyRun, Problem
from .host import machine_facts
from .result import DONE, ENDLESS, FAILED, FIGURES, CellResult


def run_cell(cell: Cell) -> CellResult:
    """Run one cell; whatever goes wrong in it is its result.

    Examples
    --------
    >>> from .source import Source
    >>> source = Source(
    ...     kind="family", origin="arrival-model-1", settings=(("n", 3),), label="tiny"
    ... )
    >>> problem = Problem(source=source, seed=1, model="mixed", objective="latency")
    >>> run_cell(Cell(problem=problem, job=Limit(label="short", work=100))).outcome
    'done'
    """
    begin = time.perf_counter()
    note = ""
    try:
        outcome, record = _run(cell)
    except Exception as error:  # a policy of a third party may raise anything
        outcome, record = FAILED, {"reason": _reason(error)}
        note = traceback.format_exc()
    return CellResult(
        key=cell.key,
        outcome=outcome,
        record=record,
        seconds=time.perf_counter() - begin,
        machine=machine_facts(),
        note=note,
    )


def exact_text(value: Exact) -> int | str:
    """Write an exact value for JSON: an integer, or a fraction as text.

    Examples
    --------
    >>> exact_text(7), exact_text(Fraction(7, 2))
    (7, '7/2')
    """
    return str(value) if isinstance(value, Fraction) else int(value)


def _run(cell: Cell) -> tuple[str, dict[str, Any]]:
    instance = _instance(cell.problem)
    about = {"n": instance.n, "kv_capacity": instance.gpu.kv_capacity}
    if isinstance(cell.job, PolicyRun):
        outcome, found = _run_policy(cell.problem, cell.job, instance)
    else:
        outcome, found = _solve(cell.problem, cell.job, instance)
    return outcome, about | found


@lru_cache(maxsize=4)
def _instance(problem: Problem) -> Instance:
    """Make the instance; the cells of one instance come one after the other."""
    instance = problem.source.make(problem.seed)
    regime(problem.model).require(instance)
    return instance


def _run_policy(problem: Problem, job: PolicyRun, instance: Instance) -> tuple[str, dict[str, Any]]:
    told = job.predictions.predict(instance, problem.seed)
    policy = regime(problem.model).registry.make(job.spec)
    result = run_policy(told, policy, job.policy, seed=problem.seed, model=problem.model)
    if result.schedule is None:
        return ENDLESS, {"reason": result.verdict.removeprefix(f"{ENDLESS}: ")}
    value = schedule_value(instance, result.schedule, problem.objective)
    figures = {
        name: getattr(result.metrics, name) for name in FIGURES if hasattr(result.metrics, name)
    }
    return DONE, {"value": exact_text(value), **figures}


def _solve(problem: Problem, limit: Limit, instance: Instance) -> tuple[str, dict[str, Any]]:
    if limit.seconds is not None:
        _load_engine(problem, instance)  # compiling does not count against the limit
    solution = solve(
        instance,
        model=problem.model,
        objective=problem.objective,
        time_limit=60.0 if limit.seconds is None else limit.seconds,
        work_limit=limit.work,
        threads=1,
        seed=problem.seed,
    )
    bound = None if solution.bound is None else exact_text(solution.bound)
    return DONE, {"value": exact_text(solution.objective), "bound": bound}


#: Regimes whose engine this process has loaded.
_loaded: set[str] = set()


def _load_engine(problem: Problem, instance: Instance) -> None:
    """Load the compiled code of a regime's engine, once per process."""
    if problem.model in _loaded:
        return
    recipe(problem.model).load(instance)
    _loaded.add(problem.model)


def _reason(error: Exception) -> str:
    """Return the error in one line, with its type where the message is not ours."""
    text = " ".join(str(error).split())
    if isinstance(error, BatchprophetError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
