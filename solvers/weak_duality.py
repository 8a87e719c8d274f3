"""A bound on a linear program from any row multipliers: what a solver's dual values prove."""

from __future__ import annotations

import math

import numpy as np

from ..models.instance import FloatArray
from .matrix_form import MatrixForm

#: Unit roundoff of a float.
ROUNDOFF = 2.0**-53


def dual_bound(form: MatrixForm, row_duals: FloatArray) -> float:
    """Bound on a linear program from any row multipliers y, optimal or not.

    Weak duality, for a minimum: with ``d = cost − matrixᵀ·y``, every feasible x has
    ``cost·x = y·(matrix·x) + d·x ≥ Σ_r min over the row's range of y_r·(…) + Σ_j min over the
    column's range of d_j·x_j``. Multipliers of the wrong sign for a one-sided row are set to 0.

    The sums are of floats, so the bound is moved, the wrong way for the proof to profit, by what
    rounding can amount to: d_j is off by at most ``(k_j + 2)·2⁻⁵³·(|cost_j| + Σ_r |a_rj·y_r|)``,
    with k_j the non-zeros of column j, times the farthest finite end of the column's range; and the
    sums, in pairs of blocks of 128, by less than 2⁻⁴⁶ times the sum of what they add.

    Parameters
    ----------
    form : MatrixForm
        The program; its columns may have infinite ends only where ``d_j`` keeps from them.
    row_duals : ndarray of float64, shape (rows,)
        The multipliers.

    Returns
    -------
    float
        A lower bound (for a maximum an upper one); infinite where the multipliers prove nothing.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> from batchprophet.solvers.matrix_form import compile_model
    >>> model = pyo.ConcreteModel()
    >>> model.x = pyo.Var([1, 2], bounds=(0, 1))
    >>> model.budget = pyo.Constraint(expr=model.x[1] + model.x[2] <= 1)
    >>> model.goal = pyo.Objective(expr=3 * model.x[1] + 2 * model.x[2], sense=pyo.maximize)
    >>> round(dual_bound(compile_model(model), np.array([2.0])), 9)  # 2 for the row, 1 for x[1]
    3.0
    """
    sign = -1.0 if form.maximise else 1.0
    y = sign * row_duals
    y = np.where((y > 0) & np.isinf(form.row_low), 0.0, y)
    y = np.where((y < 0) & np.isinf(form.row_high), 0.0, y)
    with np.errstate(over="ignore", invalid="ignore"):
        d = sign * form.cost - form.matrix.T @ y
        rows = _least(y, form.row_low, form.row_high)
        columns = _least(d, form.low, form.high)
        rounding = _rounding(form, y, rows, columns)
        least = float(np.sum(rows) + np.sum(columns)) + sign * form.offset - rounding
    return sign * least if math.isfinite(least) else sign * -math.inf


def _least(factor: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Least of ``factor·v`` over ``low ≤ v ≤ high``; 0 where the factor is 0."""
    end = np.where(factor > 0, low, high)
    return np.where(factor == 0, 0.0, factor * np.where(factor == 0, 0.0, end))


def _rounding(form: MatrixForm, y: FloatArray, rows: FloatArray, columns: FloatArray) -> float:
    """What rounding can amount to: in d, times the ends of the columns, and in the two sums."""
    entries = np.diff(form.matrix.indptr)
    size = np.abs(form.cost) + abs(form.matrix).T @ np.abs(y)
    ends = np.maximum(_finite(form.low), _finite(form.high))
    terms = float(np.sum(np.abs(rows)) + np.sum(np.abs(columns))) + abs(form.offset)
    return ROUNDOFF * (float(((entries + 2) * size) @ ends) * (1 + 1e-6) + 128 * terms)


def _finite(ends: FloatArray) -> FloatArray:
    return np.where(np.isinf(ends), 0.0, np.abs(ends))
