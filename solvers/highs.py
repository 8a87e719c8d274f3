"""The one door to HiGHS: what it says is a contract.

`solve_model` returns a result whose status says what is proved, or raises: infeasible, unbounded,
a limit reached and a failure of the solver are four different things. Only the model status of
HiGHS is believed; its return code and its objective say nothing (an infeasible LP "returns OK"
with objective 0).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import highspy
import numpy as np
import pyomo.environ as pyo

from ..models.errors import BatchprophetError, InfeasibleError
from ..models.instance import FloatArray
from .matrix_form import MatrixForm, compile_model


class SolverError(BatchprophetError):
    """HiGHS failed; the message has its model status and the end of its log."""


class UnboundedError(BatchprophetError):
    """The objective has no finite optimum."""


class Status(Enum):
    """What a solve that ended without an error has proved."""

    OPTIMAL = "optimal"
    FEASIBLE_AT_LIMIT = "a limit was reached with a feasible solution"
    NOTHING_AT_LIMIT = "a limit was reached without a feasible solution"


@dataclass(frozen=True, slots=True)
class SolverState:
    """How far a running branch and bound is: seconds, incumbent, dual bound, nodes."""

    seconds: float
    incumbent: float | None
    bound: float | None
    nodes: int


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
        Their objective value.
    bound : float or None
        Dual bound, within the tolerances of HiGHS; None if nothing is proved.
    row_duals : ndarray of float64 or None
        Dual values by row, of an LP that was solved to optimality.
    nodes : int
        Branch-and-bound nodes.
    seconds : float
        Wall-clock time of the solver.
    interrupted : bool
        Whether a keyboard interrupt ended it.
    log : str
        The solver's own log.
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
        If HiGHS refuses an option or the model, or ends with an error.

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
    if time_limit is not None:
        time_limit = max(0.0, time_limit - (time.perf_counter() - began))
    highs = _SilentHighs()  # type: ignore[no-untyped-call]  # highspy leaves it untyped
    log = _capture_log(highs)
    options = {
        "solver": "ipm" if interior_point else None,
        "run_crossover": "off" if interior_point else None,
        "mip_rel_gap": 0.0,
        "mip_abs_gap": absolute_gap,
        "random_seed": seed,
        "time_limit": time_limit,
        "mip_max_nodes": work_limit,
        "threads": threads,
    }
    for name, setting in options.items():
        if setting is not None:
            _expect_ok(highs.setOptionValue(name, setting), f"option {name} = {setting}", log)
    _expect_ok(highs.passModel(_to_highs(form, relax)), "model", log)
    if warm_start:
        _pass_start(highs, form, log)
    interrupted = _run(highs, progress)
    for unclear, name, setting in _SECOND_TRIES:
        if highs.getModelStatus().name == unclear and not interrupted:
            _expect_ok(highs.setOptionValue(name, setting), f"option {name} = {setting}", log)
            interrupted = _run(highs, progress)
    return _read_result(highs, form, relax, interrupted, log)


#: Model statuses that leave open what the model is, and the option that settles it.
_SECOND_TRIES = (
    ("kUnknown", "solver", "simplex"),
    ("kUnboundedOrInfeasible", "presolve", "off"),
)


class _SilentHighs(highspy.Highs):
    """HiGHS that prints nothing: some versions print a banner when callbacks are first enabled.

    The constructor enables them, so the console must be off before.
    """

    def enableCallbacks(self) -> None:  # noqa: N802 - the name is that of highspy
        """Enable callbacks, with the console off."""
        self.setOptionValue("log_to_console", False)
        super().enableCallbacks()  # type: ignore[no-untyped-call]  # as above


def _capture_log(highs: highspy.Highs) -> list[str]:
    """Keep the log in a list; print nothing."""
    log: list[str] = []
    highs.setOptionValue("log_to_console", False)
    highs.cbLogging.subscribe(lambda event: log.append(event.message))
    return log


def _expect_ok(status: highspy.HighsStatus, what: str, log: list[str]) -> None:
    if status != highspy.HighsStatus.kOk:
        raise SolverError(f"HiGHS refuses {what}: {''.join(log[-3:]).strip() or status}")


def _to_highs(form: MatrixForm, relax: bool) -> highspy.HighsLp:
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_, _ = form.sizes
    lp.sense_ = highspy.ObjSense.kMaximize if form.maximise else highspy.ObjSense.kMinimize
    lp.offset_, lp.col_cost_ = form.offset, form.cost
    lp.col_lower_, lp.col_upper_ = form.low, form.high
    lp.row_lower_, lp.row_upper_ = form.row_low, form.row_high
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = lp.num_col_, lp.num_row_
    lp.a_matrix_.start_ = form.matrix.indptr.astype(np.int32)
    lp.a_matrix_.index_ = form.matrix.indices.astype(np.int32)
    lp.a_matrix_.value_ = form.matrix.data.astype(np.float64)
    if not relax and form.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(integer)] for integer in form.integer]
    return lp


def _pass_start(highs: highspy.Highs, form: MatrixForm, log: list[str]) -> None:
    """Hand over the variables' values; HiGHS completes and checks them."""
    given = [(j, v.value) for j, v in enumerate(form.columns) if v.value is not None]
    index = np.array([j for j, _ in given], dtype=np.int32)
    value = np.array([x for _, x in given], dtype=np.float64)
    _expect_ok(highs.setSolution(len(given), index, value), "the warm start", log)


def _run(highs: highspy.Highs, progress: Callable[[SolverState], None] | None) -> bool:
    """Run HiGHS in a thread of its own, so that interrupts and progress stay here.

    Returns whether it was interrupted. An exception of `progress` stops the solve and goes on up.
    """
    latest: list[SolverState] = []
    stop: list[bool] = []

    def look(event: Any) -> None:
        data = event.data_out
        incumbent, bound = _finite(data.mip_primal_bound), _finite(data.mip_dual_bound)
        latest[:] = [SolverState(data.running_time, incumbent, bound, int(data.mip_node_count))]
        if stop:
            event.interrupt()

    def stop_if_asked(event: Any) -> None:
        if stop:
            event.interrupt()

    highs.cbMipInterrupt.subscribe(look)
    highs.cbSimplexInterrupt.subscribe(stop_if_asked)
    highs.cbIpmInterrupt.subscribe(stop_if_asked)
    with ThreadPoolExecutor(max_workers=1) as executor:
        solving = executor.submit(_run_here, highs)
        try:
            _watch(solving, latest, progress)
        except KeyboardInterrupt:
            stop.append(True)
            solving.result()
        except BaseException:
            stop.append(True)
            raise
    highs.cbMipInterrupt.unsubscribe(look)
    highs.cbSimplexInterrupt.unsubscribe(stop_if_asked)
    highs.cbIpmInterrupt.unsubscribe(stop_if_asked)
    return bool(stop)


def _run_here(highs: highspy.Highs) -> None:
    try:
        highs.run()
    finally:
        highspy.Highs.resetGlobalScheduler(False)  # the threads of HiGHS end with this one


def _watch(
    solving: Future[None],
    latest: list[SolverState],
    progress: Callable[[SolverState], None] | None,
) -> None:
    """Wait for the solve; report every new state, at most ten times a second."""
    reported: SolverState | None = None
    while True:
        try:
            solving.result(timeout=0.1)
            return
        except StillRunning:
            if progress is not None and latest and latest[0] != reported:
                reported = latest[0]
                progress(reported)


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


def _read_result(
    highs: highspy.Highs, form: MatrixForm, relax: bool, interrupted: bool, log: list[str]
) -> HighsResult:
    found, info = highs.getModelStatus(), highs.getInfo()
    name = highs.modelStatusToString(found)
    if found == highspy.HighsModelStatus.kInfeasible:
        raise InfeasibleError("the model is infeasible (proved by HiGHS)")
    if found == highspy.HighsModelStatus.kUnbounded:
        raise UnboundedError("the model's objective is unbounded (proved by HiGHS)")
    if found != highspy.HighsModelStatus.kOptimal and found.name not in _LIMITS:
        raise SolverError(f"HiGHS ended with status {name!r}: {''.join(log[-3:]).strip()}")
    mip = bool(form.integer.any()) and not relax
    optimal = found == highspy.HighsModelStatus.kOptimal
    usable = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    solved = optimal or (mip and usable)
    solution = highs.getSolution()
    dual_bound = (
        info.mip_dual_bound if mip else (info.objective_function_value if optimal else None)
    )
    return HighsResult(
        status=_status(optimal, solved),
        form=form,
        values=np.array(solution.col_value) if solved else None,
        objective=float(info.objective_function_value) if solved else None,
        bound=_finite(dual_bound),
        row_duals=np.array(solution.row_dual) if optimal and not mip else None,
        nodes=max(0, int(info.mip_node_count)),
        seconds=float(highs.getRunTime()),
        interrupted=interrupted,
        log="".join(log),
    )


def _status(optimal: bool, solved: bool) -> Status:
    if optimal:
        return Status.OPTIMAL
    return Status.FEASIBLE_AT_LIMIT if solved else Status.NOTHING_AT_LIMIT


def _finite(value: float | None) -> float | None:
    """Return the number, or None for the infinities that HiGHS puts where it has nothing."""
    return float(value) if value is not None and math.isfinite(value) else None
