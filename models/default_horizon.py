"""What a default horizon holds for: the model as it is built, and no constraint beyond.

The latest starts, or completions, that a formulation derives from the instance keep an optimal
schedule *of the instance*. A constraint that is added may leave no schedule as early as that, or
only worse ones. Then the horizon is the caller's to give: that of any schedule which obeys the
constraint, or a proof for it.
"""

from __future__ import annotations

import pyomo.environ as pyo

#: What is said where it matters.
CAUTION = (
    "its latest starts or completions are the default ones, which hold for the model as it was "
    "built: with constraints added, give build_model others (latest=…) that hold for these too"
)


def note_default_horizon(model: pyo.ConcreteModel) -> None:
    """Remember that the model has a default horizon, and how many constraints it was built with."""
    model.rows_with_default_horizon = _rows(model)


def has_default_horizon(model: pyo.ConcreteModel) -> bool:
    """Whether the model was built with a default horizon."""
    return hasattr(model, "rows_with_default_horizon")


def outgrows_default_horizon(model: pyo.ConcreteModel) -> bool:
    """Whether constraints were added to a model that was built with a default horizon.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.models.mixed.milp.formulation import build_model
    >>> model = build_model(Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4]))
    >>> outgrows_default_horizon(model)
    False
    >>> model.late = pyo.Constraint(expr=model.x[0, 0] == 0)
    >>> outgrows_default_horizon(model)
    True
    """
    return has_default_horizon(model) and _rows(model) > model.rows_with_default_horizon


def _rows(model: pyo.ConcreteModel) -> int:
    return sum(len(rows) for rows in model.component_objects(pyo.Constraint, active=True))
