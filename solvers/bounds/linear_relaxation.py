"""The bound of the linear relaxation of a formulation, by weak duality."""

from __future__ import annotations

import numpy as np

from ...models.instance import FloatArray, Instance, IntArray
from ...models.mixed.formulation import build_model
from ..highs import solve_model
from ..matrix_form import MatrixForm


def linear_relaxation(
    instance: Instance,
    objective: str = "latency",
    *,
    formulation: str = "running-sum",
    latest: IntArray | None = None,
    time_limit: float | None = None,
    threads: int | None = None,
) -> float | None:
    """Bound on the optimum by the LP relaxation of the MILP.

    The solver's objective is not used: its dual values give the bound by weak duality, whatever
    its tolerances (`dual_bound`).

    Parameters
    ----------
    instance, objective, formulation, latest
        As in `formulation.build_model`.
    time_limit : float, optional
        Seconds for the LP.
    threads : int, optional
        Threads of the solver.

    Returns
    -------
    float or None
        A lower bound (for the reward an upper bound); None if the LP was not solved in time.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> round(linear_relaxation(instance), 6)
    6.571429
    """
    model = build_model(instance, objective=objective, formulation=formulation, latest=latest)
    result = solve_model(model, relax=True, time_limit=time_limit, threads=threads)
    return None if result.row_duals is None else dual_bound(result.form, result.row_duals)


def dual_bound(form: MatrixForm, row_duals: FloatArray) -> float:
    """Bound on a linear program from any row multipliers y, optimal or not.

    Weak duality, for a minimum: with ``d = cost − matrixᵀ·y``, every feasible x has
    ``cost·x = y·(matrix·x) + d·x ≥ Σ_r min over the row's range of y_r·(…) + Σ_j min over the
    column's range of d_j·x_j``. Multipliers of the wrong sign for a one-sided row are set to 0.
    """
    sign = -1.0 if form.maximise else 1.0
    y = sign * row_duals
    y = np.where((y > 0) & np.isinf(form.row_low), 0.0, y)
    y = np.where((y < 0) & np.isinf(form.row_high), 0.0, y)
    d = sign * form.cost - form.matrix.T @ y
    rows = _least(y, form.row_low, form.row_high)
    columns = _least(d, form.low, form.high)
    return sign * float(np.sum(rows) + np.sum(columns)) + form.offset


def _least(factor: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Least of ``factor·v`` over ``low ≤ v ≤ high``; 0 where the factor is 0."""
    end = np.where(factor > 0, low, high)
    return np.where(factor == 0, 0.0, factor * np.where(factor == 0, 0.0, end))
