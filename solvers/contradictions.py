"""Whether what a solver says agrees with itself, with the model, and with what is known of it.

HiGHS 1.16 returns, now and then, the columns of the warm start with the objective of another
solution and the status "optimal". Nothing here trusts a number that can be computed from others.
"""

from __future__ import annotations

import math

import numpy as np

from ..models.instance import FloatArray
from .highs_run import Answer
from .matrix_form import MatrixForm
from .weak_duality import dual_bound

#: Columns may be off from rows, bounds and integers by this, relative to 1 and the row's terms:
#: ten times the tolerances of HiGHS.
FEASIBILITY = 1e-5

#: Bound and objective may contradict each other by this, relative to 1 and their size; objective
#: and cost · columns by this, relative to the size of what is summed.
VALUE, TERMS = 1e-6, 1e-9


def doubt(
    form: MatrixForm,
    answer: Answer,
    *,
    relax: bool,
    vertex: bool,
    absolute_gap: float,
    start: FloatArray | None,
) -> str | None:
    """Say what is wrong with an answer; None if nothing is.

    Parameters
    ----------
    form : MatrixForm
        The model.
    answer : Answer
        What the solver says of it.
    relax : bool
        Whether the answer is of the LP relaxation.
    vertex : bool
        Whether an LP was solved to a vertex, so that its dual values must prove its objective.
    absolute_gap : float
        How far incumbent and bound of a MILP may be apart at optimality.
    start : ndarray of float64 or None
        The warm start, if there was one: where it satisfies the model it is something known.
    """
    known = _value_of_start(form, start)
    if answer.status == "kInfeasible" and known is not None:
        return "infeasible, though the start satisfies every row"
    if answer.values is not None:
        wrong = _wrong_columns(form, answer.values, relax) or _wrong_objective(form, answer)
        if wrong is not None:
            return wrong
    bound, value = bound_of(form, answer), value_of(form, answer.values)
    for whose, found in (("its objective", value), ("the start's objective", known)):
        if found is not None and bound is not None and _better(form, found, bound):
            return f"the bound {bound:.10g} contradicts {whose} {found:.10g}"
    if answer.status != "kOptimal":
        return None
    if value is None:
        return "optimal, but without a solution"
    if known is not None and _better(form, known, value, by=absolute_gap):
        return f"optimal with objective {value:.10g}, though the start has {known:.10g}"
    if bound is None:
        return "optimal, but without a bound" if answer.row_duals is None else None
    if vertex and _better(form, bound, value, by=absolute_gap):
        return f"optimal with objective {value:.10g}, but the bound is {bound:.10g}"
    return None


def value_of(form: MatrixForm, values: FloatArray | None) -> float | None:
    """Objective of some columns, summed here; None if there are none."""
    if values is None:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sum(form.cost * values)) + form.offset


def _value_of_start(form: MatrixForm, start: FloatArray | None) -> float | None:
    """Objective of the start, if it is complete and satisfies the model."""
    if start is None or np.isnan(start).any():
        return None
    return None if _wrong_columns(form, start, relax=False) else value_of(form, start)


def bound_of(form: MatrixForm, answer: Answer) -> float | None:
    """Return the bound of a MILP, or of an LP; None for nothing.

    That of an LP is what its dual values prove. Where a column has no finite end, the slightest
    rounding makes that infinite, and the objective of the solution takes its place.
    """
    if answer.row_duals is None:
        return answer.bound
    bound = dual_bound(form, answer.row_duals)
    return bound if math.isfinite(bound) else value_of(form, answer.values)


def _wrong_objective(form: MatrixForm, answer: Answer) -> str | None:
    """Say how the objective differs from cost · columns."""
    value = value_of(form, answer.values)
    assert value is not None
    tolerance = VALUE + TERMS * (abs(value) + 2 * abs(form.offset))
    if answer.objective is None or not abs(answer.objective - value) <= tolerance:
        return f"the objective {answer.objective} is not that of its columns, {value:.10g}"
    return None


def _wrong_columns(form: MatrixForm, values: FloatArray, relax: bool) -> str | None:
    """Say which column or row is violated most, beyond the tolerance."""
    if not np.isfinite(values).all():
        return "columns that are not numbers"
    if form.integer.any() and not relax:
        integers = values[form.integer]
        if np.abs(integers - np.round(integers)).max(initial=0.0) > FEASIBILITY:
            return "columns that are not integers"
    size = np.abs(values)
    worst = _most_excess(values, form.low, form.high, size)
    if worst is not None:
        return f"column {form.columns[worst]} = {values[worst]:.10g} is out of its bounds"
    activity, terms = form.matrix @ values, abs(form.matrix) @ size
    worst = _most_excess(activity, form.row_low, form.row_high, terms)
    if worst is not None:
        return f"its columns violate row {form.rows[worst]}: {activity[worst]:.10g}"
    return None


def _most_excess(
    values: FloatArray, low: FloatArray, high: FloatArray, size: FloatArray
) -> int | None:
    """Where the values leave their range by the most, relative to their size; None if nowhere."""
    if values.size == 0:
        return None
    excess = np.maximum(low - values, values - high) / (1 + size)
    worst = int(np.argmax(excess))
    return worst if excess[worst] > FEASIBILITY else None


def _better(form: MatrixForm, one: float, other: float, *, by: float = 0.0) -> bool:
    """Whether one objective value is better than another by more than `by` and the tolerance."""
    gain = one - other if form.maximise else other - one
    size = max(abs(one), abs(other))
    return gain > by + VALUE * max(1.0, size) + TERMS * abs(form.offset)
