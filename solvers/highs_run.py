"""One run of HiGHS on a matrix form: what it says, unchecked (`highs` is the door that checks)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np

from ..models.errors import BatchprophetError
from ..models.instance import FloatArray
from .matrix_form import MatrixForm


class SolverError(BatchprophetError):
    """HiGHS failed; the message has its model status and the end of its log."""


@dataclass(frozen=True, slots=True)
class SolverState:
    """How far a running branch and bound is: seconds, incumbent, dual bound, nodes."""

    seconds: float
    incumbent: float | None
    bound: float | None
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What HiGHS says.

    Attributes
    ----------
    status, status_text : str
        Its model status, as ``kOptimal``, and in words.
    values : ndarray of float64 or None
        Primal values by column; None if it has no feasible solution.
    objective, bound : float or None
        Objective value of the solution; dual bound of a MILP.
    row_duals : ndarray of float64 or None
        Dual values by row, of an LP that it calls solved to optimality.
    nodes : int
        Branch-and-bound nodes.
    interrupted : bool
        Whether a keyboard interrupt ended it.
    log : str
        Its log.
    """

    status: str
    status_text: str = ""
    values: FloatArray | None = None
    objective: float | None = None
    bound: float | None = None
    row_duals: FloatArray | None = None
    nodes: int = 0
    interrupted: bool = False
    log: str = ""


#: Model statuses that leave open what the model is, and the option that settles it.
_SECOND_TRIES = (
    ("kUnknown", "solver", "simplex"),
    ("kUnboundedOrInfeasible", "presolve", "off"),
)


def ask(
    form: MatrixForm,
    options: Mapping[str, Any],
    *,
    relax: bool,
    start: FloatArray | None,
    progress: Callable[[SolverState], None] | None,
) -> Answer:
    """Run HiGHS once.

    Parameters
    ----------
    form : MatrixForm
        The model.
    options : mapping
        Options of HiGHS; those that are None stay at their defaults.
    relax : bool
        Solve the LP relaxation.
    start : ndarray of float64, shape (columns,), or None
        Where to start from; not a number where nothing is known.
    progress : callable or None
        Called about ten times a second with a `SolverState` while it changes.

    Raises
    ------
    SolverError
        If HiGHS refuses an option, the model or the start.
    """
    highs = _SilentHighs()  # type: ignore[no-untyped-call]  # highspy leaves it untyped
    log = _capture_log(highs)
    for name, setting in options.items():
        if setting is not None:
            _expect_ok(highs.setOptionValue(name, setting), f"option {name} = {setting}", log)
    _expect_ok(highs.passModel(_to_highs(form, relax)), "model", log)
    if start is not None:
        index = np.flatnonzero(~np.isnan(start)).astype(np.int32)
        _expect_ok(highs.setSolution(index.size, index, start[index]), "the warm start", log)
    interrupted = _run(highs, progress)
    for unclear, name, setting in _SECOND_TRIES:
        if highs.getModelStatus().name == unclear and not interrupted:
            _expect_ok(highs.setOptionValue(name, setting), f"option {name} = {setting}", log)
            interrupted = _run(highs, progress)
    return _read(highs, form, relax, interrupted, log)


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
    except Exception as error:
        raise SolverError(f"HiGHS failed: {type(error).__name__}: {error}") from error
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


def _read(
    highs: highspy.Highs, form: MatrixForm, relax: bool, interrupted: bool, log: list[str]
) -> Answer:
    found, info, solution = highs.getModelStatus(), highs.getInfo(), highs.getSolution()
    mip = bool(form.integer.any()) and not relax
    optimal = found == highspy.HighsModelStatus.kOptimal
    feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    solved = optimal or (mip and feasible)
    return Answer(
        status=found.name,
        status_text=highs.modelStatusToString(found),
        values=np.array(solution.col_value) if solved else None,
        objective=float(info.objective_function_value) if solved else None,
        bound=_finite(info.mip_dual_bound) if mip else None,
        row_duals=np.array(solution.row_dual) if optimal and not mip else None,
        nodes=max(0, int(info.mip_node_count)),
        interrupted=interrupted,
        log="".join(log),
    )


def _finite(value: float) -> float | None:
    """Return the number, or None for the infinities that HiGHS puts where it has nothing."""
    return float(value) if math.isfinite(value) else None
