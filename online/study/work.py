"""What a worker does: it runs cells, and says what came out, or why nothing did."""

from __future__ import annotations

import json
import os
import platform
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from importlib import metadata
from typing import Any

from ...models.errors import BatchprophetError
from ...models.instance import Instance
from ...models.objectives import Exact
from ...models.schedules import schedule_value
from ...solvers.hindsight import load_compiled_code, solve
from ..evaluation import run_policy
from ..regime import regime
from .cell import Cell, Limit, PolicyRun, Problem

DONE, ENDLESS, FAILED, LOST = "done", "does not finish", "failed", "lost"

#: Figures of a policy's schedule that go into the results, where its regime has them.
FIGURES = ("makespan", "mean_latency", "p99_latency", "mean_ttft", "kv_utilisation", "evictions")

#: Packages that what comes out may depend on.
_PACKAGES = ("batchprophet", "numpy", "numba", "scipy", "highspy", "pyomo")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """What came out of a cell.

    Attributes
    ----------
    key : str
        The cell's.
    outcome : {"done", "does not finish", "failed", "lost"}
        Lost: the process that ran it ended.
    record : dict
        What the cell's definition determines, and nothing else.
    seconds : float
        Wall-clock time that it took in its worker.
    machine : str
        Facts about machine, packages and process, as JSON.
    note : str
        Where a failure came from (a traceback); "" where there is none.
    """

    key: str
    outcome: str
    record: dict[str, Any]
    seconds: float
    machine: str = "{}"
    note: str = ""


def run_chunk(version: str, cells: Sequence[Cell]) -> list[CellResult]:
    """Run some cells in this process, one after the other.

    Parameters
    ----------
    version : str
        The package's version where the study is: results of another are not mixed with it.
    cells : sequence of Cell
        What to run.

    Raises
    ------
    BatchprophetError
        If this process has another version of the package.
    """
    here = metadata_version("batchprophet")
    if here != version:
        raise BatchprophetError(
            f"worker {platform.node()}: expected batchprophet {version}, found {here}"
        )
    return [run_cell(cell) for cell in cells]


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


@lru_cache(maxsize=1)
def machine_facts() -> str:
    """Return facts about this machine and its packages, as JSON."""
    facts = {
        "host": platform.node(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: metadata_version(name) for name in _PACKAGES},
    }
    return json.dumps(facts)


@lru_cache(maxsize=16)
def metadata_version(package: str) -> str:
    """Version of an installed package; "" if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


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
    if limit.seconds is not None and problem.model == "mixed":
        _load_engine(instance)  # compiling does not count against the limit
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


_engine_loaded = False


def _load_engine(instance: Instance) -> None:
    global _engine_loaded
    if not _engine_loaded:
        load_compiled_code(instance)
        _engine_loaded = True


def _reason(error: Exception) -> str:
    """Return the error in one line, with its type where the message is not ours."""
    text = " ".join(str(error).split())
    if isinstance(error, BatchprophetError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a kernel's table
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:  # not Linux
        names = []
    return names[0] if names else platform.processor()
