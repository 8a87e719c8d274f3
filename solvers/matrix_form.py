"""A linear Pyomo model as matrices: what a solver reads."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from pyomo.common.errors import InfeasibleConstraintException
from pyomo.common.gc_manager import PauseGC
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler
from scipy.sparse import csc_array

from ..models.default_horizon import CAUTION, has_default_horizon, outgrows_default_horizon
from ..models.errors import InfeasibleError
from ..models.instance import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class MatrixForm:
    """``min or max cost·x + offset`` over ``row_low ≤ matrix·x ≤ row_high``, ``low ≤ x ≤ high``.

    Attributes
    ----------
    columns : tuple of VarData
        The Pyomo variable of each column; variables that appear nowhere have none.
    rows : tuple of ConstraintData
        The Pyomo constraint of each row.
    integer : ndarray of bool, shape (columns,)
        Which variables are integer.
    caution : str
        What may be at fault if this is infeasible; "" if nothing is known.
    """

    columns: tuple[Any, ...]
    rows: tuple[Any, ...]
    cost: FloatArray
    offset: float
    maximise: bool
    matrix: csc_array
    row_low: FloatArray
    row_high: FloatArray
    low: FloatArray
    high: FloatArray
    integer: NDArray[np.bool_]
    caution: str = ""

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Numbers of columns, rows and non-zeros."""
        return len(self.columns), int(self.row_low.size), int(self.matrix.nnz)


def compile_model(model: pyo.ConcreteModel) -> MatrixForm:
    """Compile a linear Pyomo model with one objective into matrices.

    Raises
    ------
    InfeasibleError
        If a constraint without variables is violated; the message names it.

    Warns
    -----
    UserWarning
        If constraints were added to a model whose horizon is a default one (`default_horizon`):
        its optimum may be beyond.

    Examples
    --------
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var([1, 2], bounds=(0, 1))
    >>> model.budget = pyo.Constraint(expr=model.x[1] + 2 * model.x[2] <= 2)
    >>> model.goal = pyo.Objective(expr=3 * model.x[1] + model.x[2], sense=pyo.maximize)
    >>> compile_model(model).sizes
    (2, 1, 2)
    """
    caution = CAUTION if has_default_horizon(model) else ""
    if outgrows_default_horizon(model):
        warnings.warn(f"{model.name}: {CAUTION}", stacklevel=2)
    with PauseGC():  # many small objects and no cycle among them
        try:
            form = LinearStandardFormCompiler().write(model, mixed_form=True, set_sense=None)
        except InfeasibleConstraintException as error:
            reason = f"{error}; {caution}" if caution else str(error)
            raise InfeasibleError(f"{model.name}: {reason}") from error
        return _to_matrices(form, caution)


def _to_matrices(form: Any, caution: str) -> MatrixForm:
    (objective,) = form.objectives
    side = np.array([bound for _, bound in form.rows])  # −1: ≥ rhs, 0: = rhs, 1: ≤ rhs
    rhs = np.asarray(form.rhs, dtype=np.float64)
    low, high = np.array([variable.bounds for variable in form.columns], dtype=np.float64).T
    return MatrixForm(
        columns=tuple(form.columns),
        rows=tuple(constraint for constraint, _ in form.rows),
        cost=form.c.toarray().ravel(),
        offset=float(form.c_offset[0]),
        maximise=objective.sense == pyo.maximize,
        matrix=form.A,
        row_low=np.where(side <= 0, rhs, -np.inf),
        row_high=np.where(side >= 0, rhs, np.inf),
        low=np.where(np.isnan(low), -np.inf, low),
        high=np.where(np.isnan(high), np.inf, high),
        integer=np.array([not variable.is_continuous() for variable in form.columns]),
        caution=caution,
    )
