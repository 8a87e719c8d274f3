"""What the MILPs whose variables are completion times share: who can be served, and the goal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from .arrays import NO_DEADLINE
from .errors import InputError
from .linear import linear
from .objectives import due_times

if TYPE_CHECKING:
    import pyomo.environ as pyo

    from .instance import Instance, IntArray


def servable(instance: Instance, latest: IntArray, alone: IntArray) -> list[int]:
    """Return the requests that can complete by their latest completion: alone, from their arrival.

    Parameters
    ----------
    instance : Instance
        The instance.
    latest : ndarray of int64, shape (n,)
        Latest completion of each request.
    alone : ndarray of int64, shape (n,)
        Least time from the first batch of each request to its completion.

    Returns
    -------
    list of int
        The requests, ascending.

    Raises
    ------
    InputError
        If `latest` has another shape than (n,), or no request can.

    Examples
    --------
    >>> import numpy as np
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> servable(instance, np.array([3, 4]), instance.output)
    [1]
    """
    if latest.shape != (instance.n,):
        raise InputError(f"latest: expected shape ({instance.n},), found {latest.shape}")
    found = np.flatnonzero(instance.arrival + alone <= latest)
    if not found.size:
        raise InputError("latest: no request can complete between its arrival and its latest end")
    return [int(i) for i in found]


def add_completion_goal(
    model: pyo.ConcreteModel,
    instance: Instance,
    objective: str,
    accepted: Callable[[int], object],
) -> None:
    """Add the objective: latency, weighted completion, tardiness, makespan, or reward.

    These are ``Σ (c_i − a_i)``, ``Σ w_i·c_i``, ``Σ w_i·l_i`` with ``l_i ≥ max(0, c_i − d_i)``,
    ``max c_i``, and ``Σ r_i·accepted(i)``.

    Parameters
    ----------
    model : ConcreteModel
        Has the set REQUESTS and a variable c[i] for each of them.
    instance : Instance
        Its arrivals, weights, deadlines and rewards.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective; the makespan gets a variable C, tardiness a variable l[i] for each request.
    accepted : callable
        The variable that is 1 where request i is served, for the reward.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> model = pyo.ConcreteModel()
    >>> model.REQUESTS = pyo.Set(initialize=[0, 1])
    >>> model.c = pyo.Var(model.REQUESTS)
    >>> add_completion_goal(model, instance, "latency", lambda i: None)
    >>> print(model.goal.expr)
    -2 + c[0] + c[1]
    """
    import pyomo.environ as pyo

    if objective == "reward":
        r = instance.reward.tolist()
        earned = linear([(r[i], accepted(i)) for i in model.REQUESTS])
        model.goal = pyo.Objective(expr=earned, sense=pyo.maximize, doc="reward")
        return
    if objective == "makespan":
        model.C = pyo.Var(bounds=(0, None), doc="C: makespan")

        def done_by_end(model: pyo.ConcreteModel, i: int) -> object:
            return model.c[i] <= model.C

        model.done_by_end = pyo.Constraint(model.REQUESTS, rule=done_by_end)
        model.goal = pyo.Objective(expr=model.C, doc="makespan")
        return
    if objective == "tardiness":
        _add_tardiness(model, instance)
        return
    latency = objective == "latency"
    weight = [1] * instance.n if latency else instance.weight.tolist()
    constant = -int(instance.arrival.sum()) if latency else 0
    terms = [(weight[i], model.c[i]) for i in model.REQUESTS]
    model.goal = pyo.Objective(expr=linear(terms, constant), doc=objective)


def set_completion_goal(
    model: pyo.ConcreteModel, instance: Instance, completion: Mapping[int, int]
) -> None:
    """Set what `add_completion_goal` adds, and c, as far as the model has them.

    Parameters
    ----------
    model : ConcreteModel
        The model.
    instance : Instance
        Its deadlines.
    completion : mapping of int to int
        Completion of each request that is served.
    """
    if hasattr(model, "c"):
        for i, c in model.c.items():
            c.set_value(completion[i])
    if hasattr(model, "l"):
        due = due_times(instance).tolist()
        for i, late in model.l.items():
            late.set_value(max(0, completion[i] - due[i]))
    if hasattr(model, "C"):
        model.C.set_value(max(completion.values()))


def _add_tardiness(model: pyo.ConcreteModel, instance: Instance) -> None:
    import pyomo.environ as pyo

    due, w = due_times(instance), instance.weight.tolist()
    late = [i for i in model.REQUESTS if due[i] != NO_DEADLINE and w[i] > 0]
    model.LATE = pyo.Set(initialize=late, doc="requests whose tardiness counts")
    model.l = pyo.Var(model.LATE, bounds=(0, None), doc="l_i: tardiness")

    def is_late(model: pyo.ConcreteModel, i: int) -> object:
        return model.c[i] - model.l[i] <= int(due[i])

    model.is_late = pyo.Constraint(model.LATE, rule=is_late, doc="c_i − d_i ≤ l_i")
    tardiness = linear([(w[i], model.l[i]) for i in late])
    model.goal = pyo.Objective(expr=tardiness, doc="tardiness")
