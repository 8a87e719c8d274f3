"""The one door to HiGHS: what it says is a contract.

`solve_model` returns a result whose status says what is proved, or raises: infeasible, unbounded,
a limit reached and a failure of the solver are four different things. Of HiGHS only the model
status is read; its return code says nothing (an infeasible LP "returns OK" with objective 0). And
what it says must agree with itself, with the model and with the start (`contradictions`): if not,
it is asked again without the start, or without presolve; after that neither its columns nor its
bound are believed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import pyomo.environ as pyo

from ..models.errors import BatchprophetError, InfeasibleError
from ..models.instance import FloatArray
from . import highs_run
from .contradictions import bound_of, doubt, value_of
from .highs_run import Answer, SolverError, SolverState
from .matrix_form import MatrixForm, compile_model

__all__ = ["HighsResult", "SolverError", "SolverState", "Status", "UnboundedError", "solve_model"]


class UnboundedError(BatchprophetError):
    """The objective has no finite optimum."""


class Status(Enum):
    """What a solve that ended without an error has proved."""

    OPTIMAL = "optimal"
    FEASIBLE_AT_LIMIT = "a limit was reached with a feasible solution"
    NOTHING_AT_LIMIT = "a limit was reached without a feasible solution"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HighsResult:
    """What HiGHS found and proved.

    Attributes
    ----------
    status : Status
        OPTIMAL, or which limit situation; never infeasible or unbounded (these are exceptions).
    form : MatrixForm
        The matrices that were solved; its columns name the entries of `values`.
    values : ndarray of float64 or None
        Primal values by column; None if there is no feasible solution.
    objective : float or None
        Their objective value, summed from the costs.
    bound : float or None
        Dual bound of a MILP, within the tolerances of HiGHS; of an LP what its dual values prove
        (`weak_duality`), or its objective if they prove nothing for want of finite column ends.
        None if nothing is proved.
    row_duals : ndarray of float64 or None
        Dual values by row, of an LP that was solved to optimality.
    nodes : int
        Branch-and-bound nodes.
    seconds : float
        Wall-clock time of the solve.
    interrupted : bool
        Whether a keyboard interrupt ended it.
    log : str
        The solver's own log.
    doubts : tuple of str
        What HiGHS said first and was not believed, because it contradicts itself, the model or the
        start; the result is that of a second solve.
    """

    status: Status
    form: MatrixForm
    values: FloatArray | None
    objective: float | None
    bound: float | None
    row_duals: FloatArray | None
    nodes: int
    seconds: float
    interrupted: bool
    log: str
    doubts: tuple[str, ...] = ()
    _column: dict[int, int] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._column.update((id(variable), j) for j, variable in enumerate(self.form.columns))

    def value(self, variable: Any) -> float:
        """Value of a Pyomo variable; there must be a solution, and the variable must be in it."""
        assert self.values is not None, self.status
        return float(self.values[self._column[id(variable)]])


def solve_model(
    model: pyo.ConcreteModel | MatrixForm,
    *,
    relax: bool = False,
    interior_point: bool = False,
    time_limit: float | None = None,
    work_limit: int | None = None,
    threads: int | None = None,
    seed: int = 0,
    absolute_gap: float = 1e-6,
    warm_start: bool = False,
    progress: Callable[[SolverState], None] | None = None,
) -> HighsResult:
    """Solve a linear Pyomo model with HiGHS.

    A keyboard interrupt ends the solve and returns what it has. The relative gap is zero, so that
    optimal means optimal.

    Parameters
    ----------
    model : ConcreteModel or MatrixForm
        A linear model with one objective, or what `compile_model` made of it.
    relax : bool
        Solve the LP relaxation.
    interior_point : bool
        Solve an LP by interior point without crossover (values are not at a vertex; on large
        running-sum forms 2-3 times faster), and by simplex only if that ends without a result.
    time_limit : float, optional
        Seconds of wall-clock time, ≥ 0, with the compilation of the model; none by default. HiGHS
        looks at its clock between its steps, and some of them (in presolve) take seconds.
    work_limit : int, optional
        Branch-and-bound nodes, ≥ 0: a deterministic limit (the same seed and number of threads
        end with the same result, however fast the machine); none by default.
    threads : int, optional
        Threads, ≥ 1; the default of HiGHS if not given.
    seed : int
        Random seed, from 0 to 2^31 − 1.
    absolute_gap : float
        Stop when incumbent and bound differ by at most this: less than the step of the objective
        where its values have one.
    warm_start : bool
        Start from the values of the model's variables (those that have one).
    progress : callable, optional
        Called about ten times a second with a `SolverState` while it changes.

    Returns
    -------
    HighsResult
        The solution, the bound, and which of them is proved.

    Raises
    ------
    InfeasibleError, UnboundedError
        If the model is proved to be so.
    SolverError
        If HiGHS refuses an option or the model, ends with an error, or contradicts itself twice.

    Examples
    --------
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var([1, 2], domain=pyo.Binary)
    >>> model.budget = pyo.Constraint(expr=2 * model.x[1] + 2 * model.x[2] <= 3)
    >>> model.goal = pyo.Objective(expr=3 * model.x[1] + 2 * model.x[2], sense=pyo.maximize)
    >>> solve_model(model).objective, solve_model(model, relax=True).objective
    (3.0, 4.0)
    """
    began = time.perf_counter()
    form = model if isinstance(model, MatrixForm) else compile_model(model)
    start = _start(form) if warm_start else None
    options = {
        "solver": "ipm" if interior_point else None,
        "run_crossover": "off" if interior_point else None,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": absolute_gap,
        "random_seed": seed,
        "mip_max_nodes": work_limit,
        "threads": threads,
    }
    mip = bool(form.integer.any()) and not relax
    doubts: list[str] = []
    for given, change in _attempts(start, interior_point):
        left = None if time_limit is None else max(0.0, time_limit - (time.perf_counter() - began))
        settings = options | change | {"time_limit": left}
        answer = highs_run.ask(form, settings, relax=relax, start=given, progress=progress)
        wrong = _failure(answer) or doubt(
            form,
            answer,
            relax=relax,
            vertex=settings["solver"] != "ipm",
            absolute_gap=absolute_gap,
            start=start,
        )
        if wrong is None:
            return _result(form, answer, mip, time.perf_counter() - began, tuple(doubts))
        doubts.append(wrong)
        if answer.interrupted:
            nothing = Answer(status="kInterrupt", interrupted=True, log=answer.log)
            return _result(form, nothing, mip, time.perf_counter() - began, tuple(doubts))
    raise SolverError(f"HiGHS is not believed: {'; solved again: '.join(doubts)}")


def _start(form: MatrixForm) -> FloatArray:
    """Return the variables' values by column, not a number where there is none."""
    values = (variable.value for variable in form.columns)
    return np.array([np.nan if x is None else x for x in values], dtype=np.float64)


def _attempts(
    start: FloatArray | None, interior_point: bool
) -> Iterator[tuple[FloatArray | None, dict[str, Any]]]:
    """Yield start and options of the first solve, and of the second.

    What is wrong comes from a start that presolve mangles, or from presolve: the second solve has
    no start or, if there was none, no presolve, and does not take the interior point method.
    """
    yield start, {}
    change: dict[str, Any] = {} if start is not None else {"presolve": "off"}
    if interior_point:
        change |= {"solver": "simplex", "run_crossover": None}
    yield None, change


def _failure(answer: Answer) -> str | None:
    """Return what a status says that is neither a result nor a limit, with the end of the log."""
    if answer.status in {*_LIMITS, "kOptimal", "kInfeasible", "kUnbounded"}:
        return None
    end = " / ".join(answer.log.strip().splitlines()[-2:])
    return f"it ended with status {answer.status_text!r}: {end}"


_LIMITS = frozenset(
    {
        "kTimeLimit",
        "kIterationLimit",
        "kSolutionLimit",  # nodes, too
        "kInterrupt",
        "kHighsInterrupt",
        "kMemoryLimit",
    }
)


def _result(
    form: MatrixForm, answer: Answer, mip: bool, seconds: float, doubts: tuple[str, ...]
) -> HighsResult:
    if answer.status == "kInfeasible":
        reason = f"; {form.caution}" if form.caution else ""
        raise InfeasibleError(f"the model is infeasible (proved by HiGHS){reason}")
    if answer.status == "kUnbounded":
        raise UnboundedError("the model's objective is unbounded (proved by HiGHS)")
    return HighsResult(
        status=_status(answer.status == "kOptimal", answer.values is not None),
        form=form,
        values=answer.values,
        objective=value_of(form, answer.values),
        bound=bound_of(form, answer),
        row_duals=answer.row_duals,
        nodes=answer.nodes,
        seconds=seconds,
        interrupted=answer.interrupted,
        log=answer.log,
        doubts=doubts,
    )


def _status(optimal: bool, solved: bool) -> Status:
    if optimal:
        return Status.OPTIMAL
    return Status.FEASIBLE_AT_LIMIT if solved else Status.NOTHING_AT_LIMIT
