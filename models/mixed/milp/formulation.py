"""The mixed-batching MILP: its table of contents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import pyomo.environ as pyo
from pyomo.common.gc_manager import PauseGC

from ...default_horizon import note_default_horizon
from ...errors import InputError
from ...instance import Instance, IntArray
from ...objectives import MAXIMISED
from ..problem import require_mixed
from .dense import add_dense_memory
from .goals import GOALS
from .horizon import latest_starts
from .offered_starts import Starts, offered_starts
from .running_sum import add_running_sums
from .starts import add_start_once, add_starts

#: How each form keeps the KV occupancy within M.
FORMULATIONS: Mapping[str, Callable[[pyo.ConcreteModel, Instance, Starts], None]] = (
    MappingProxyType({"dense": add_dense_memory, "running-sum": add_running_sums})
)


def build_model(
    instance: Instance,
    *,
    objective: str = "latency",
    formulation: str = "running-sum",
    latest: IntArray | None = None,
) -> pyo.ConcreteModel:
    """Build the hindsight-optimal MILP of mixed batching (docs/model/mixed.md §2).

    Parameters
    ----------
    instance : Instance
        The instance (unit-time law); limits on its rounds are constraints of both forms.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective. For the reward the model leaves out what is not done in time.
    formulation : {"running-sum", "dense"}
        The form; both have the same LP relaxation.
    latest : ndarray of int64, shape (n,), optional
        Latest start of each request; by default those of `horizon.latest_starts`, which need no
        known schedule. Later ones change nothing; earlier ones may lose the optimum. The default
        holds for this model only: if you add constraints that a schedule may violate, give the
        latest starts of some schedule that is good enough and obeys them.

    Returns
    -------
    ConcreteModel
        With the sets REQUESTS, ROUNDS, STARTS, the binaries ``x[i, t]`` and the objective `goal`.

    Raises
    ------
    InputError
        If the objective or the formulation is unknown, the reward is asked for without a horizon,
        no request has a start, or mixed batching cannot express the instance.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> model = build_model(instance)
    >>> len(model.x), model.nconstraints()
    (10, 18)

    Six requests that fit together take 12 rounds at most, so by default none starts after round 10.
    If at most one may start in any four rounds, the last one starts in round 20.

    >>> alike = {"arrival": [0] * 6, "prompt": [3] * 6, "output": [2] * 6}
    >>> six = Instance(gpu=Gpu(kv_capacity=50), **alike)
    >>> model = build_model(six, latest=six.arrival + 20)
    >>> rounds = [[x for (_, t), x in model.x.items() if k <= t < k + 4] for k in range(18)]
    >>> model.apart = pyo.Constraint(range(18), rule=lambda _, k: sum(rounds[k]) <= 1)
    >>> from batchprophet.solvers.highs import solve_model
    >>> solve_model(model).objective  # 2 + 6 + 10 + 14 + 18 + 22
    72.0

    References
    ----------
    arXiv 2502.07115, §2 (the integer program of the hindsight optimum).
    """
    require_mixed(instance)
    if formulation not in FORMULATIONS:
        known = ", ".join(FORMULATIONS)
        raise InputError(f"formulation: expected one of {known}; found {formulation!r}")
    default = latest is None
    if latest is None:
        latest = latest_starts(instance, objective)
    starts = offered_starts(instance, latest)

    with PauseGC():  # a million small objects and no cycle among them
        model = pyo.ConcreteModel(name=f"mixed batching, {formulation} form, {objective}")
        add_starts(model, starts)
        add_start_once(model, starts, optional=objective in MAXIMISED)
        FORMULATIONS[formulation](model, instance, starts)
        GOALS[objective](model, instance, starts)
    if default:
        note_default_horizon(model)
    return model
