"""The bound of S1 merged by class: its linear relaxation, and the dual values to go on from.

**The horizon.** Latest completions that hold in every optimal schedule
(`models.separate.milp.horizon`) are far off. A schedule that completes some requests after a time T
may have these left out: what remains is a feasible schedule of the others, all of them done by T,
and the total latency is at least that of the others and ``T + 1 − a_i`` for each that is left out.
So the relaxation ends at T, and a request may be served, or be *late* at that cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ....models.batch_time import AffineTime
from ....models.errors import InfeasibleError
from ....models.instance import FloatArray, Instance
from ....models.separate.milp.horizon import latest_completions
from ....models.separate.milp.running_classes import running_classes
from ....models.separate.schedule import SeparateSchedule

if TYPE_CHECKING:
    import pyomo.environ as pyo

#: How long after the last completion of the schedule the relaxation ends, in parts of its span.
BEYOND = 0.2

#: Most token jobs, classes × times, of a relaxation that is built.
MOST_JOBS = 60_000


@dataclass(frozen=True, slots=True)
class ClassPrices:
    """What the relaxation proves, and its dual values.

    Attributes
    ----------
    bound : float
        Lower bound on the total latency, of floating-point numbers.
    end : int
        T, the time at which the relaxation ends.
    prompt : ndarray of float64, shape (n,)
        λ_i: what serving request i is worth.
    running : ndarray of float64, shape (classes, T − first arrival + 1)
        Π_{c,t}: what a request in class c at time t is worth, as in `gpu_path_costs`.
    kv : ndarray of float64, shape (T − first arrival + 1,)
        δ_t: the deposit on a KV token at time t, as there.
    """

    bound: float
    end: int
    prompt: FloatArray
    running: FloatArray
    kv: FloatArray


def end_of_relaxation(instance: Instance, schedule: SeparateSchedule) -> int:
    """Time T: somewhat after the schedule's last completion, and no request is late by itself.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[2])
    >>> schedule = SeparateSchedule([Batch("prompt", 0, (0,)), Batch("token", 1, (0,))])
    >>> end_of_relaxation(instance, schedule)
    2
    """
    completion = schedule.completion(instance)
    value = int((completion - instance.arrival).sum())
    first, last = int(instance.arrival.min()), int(completion.max())
    wanted = last + 1 + int(BEYOND * (last - first))
    return min(wanted, int(latest_completions(instance, value=value).max()))


def has_class_bound(instance: Instance, end: int) -> bool:
    """Whether the relaxation is small enough; it takes the unit and the constant law only."""
    if isinstance(instance.gpu.batch_time, AffineTime):
        return False
    if int(instance.output.sum()) > MOST_JOBS:
        return False
    classes, _ = running_classes(instance, "latency", list(range(instance.n)))
    first = [min(int(instance.arrival[i]) for i in c.members) for c in classes]
    return sum(max(0, end - t) for t in first) <= MOST_JOBS


def class_prices(
    instance: Instance, schedule: SeparateSchedule, *, time_limit: float | None = None
) -> ClassPrices | None:
    """Solve the relaxation by interior point.

    Parameters
    ----------
    instance : Instance
        An instance for which `has_class_bound` holds.
    schedule : SeparateSchedule
        A feasible schedule of it: the relaxation ends soon after it does.
    time_limit : float, optional
        Seconds for the linear program.

    Returns
    -------
    ClassPrices or None
        None if the time was too short, or the solver failed: what is known goes on without it.

    See Also
    --------
    bounds.gpu_path_prices.path_prices : Goes on from these prices.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[2, 1])
    >>> one = [Batch("prompt", 0, (0, 1)), Batch("token", 1, (0,))]
    >>> round(class_prices(instance, SeparateSchedule(one)).bound, 6)
    3.0
    """
    from ....models.separate.milp.formulation import build_model
    from ...highs import SolverError, UnboundedError, solve_model
    from ...weak_duality import dual_bound

    end = end_of_relaxation(instance, schedule)
    latest = np.full(instance.n, end, dtype=np.int64)
    model = build_model(instance, formulation="classes", latest=latest, strengthenings=())
    _allow_late(model, instance, end)
    if hasattr(model, "m"):
        model.m.setlb(-instance.gpu.kv_capacity)  # m ≥ 0 says nothing, but has dual values
    try:
        result = solve_model(
            model, relax=True, interior_point=True, time_limit=time_limit, threads=1
        )
    except (SolverError, InfeasibleError, UnboundedError):  # no LP that this builds is either
        return None
    bound = -math.inf if result.row_duals is None else dual_bound(result.form, result.row_duals)
    if result.row_duals is None or not math.isfinite(bound):
        return None
    first = int(instance.arrival.min())
    prompt = np.zeros(instance.n)
    running = np.full((len(model.classes), end - first + 1), np.nan)
    kv = np.full(end - first + 1, np.nan)
    kv[-1] = 0.0
    for row, dual in zip(result.form.rows, result.row_duals.tolist(), strict=True):
        name, index = row.parent_component().local_name, row.index()
        if name == "served_or_late":
            prompt[index] = dual - instance.arrival[index]
        elif name == "class_balance":
            running[index[0], index[1] - first] = -dual
        elif name == "kv_capacity":
            kv[index - first] = dual
    for prices in (*running, kv):
        _fill(prices)
    return ClassPrices(bound, end, prompt, running, kv)


def _allow_late(model: pyo.ConcreteModel, instance: Instance, end: int) -> None:
    """Let each request be late: ``Σ_t x_{i,t} + late_i = 1``, at the cost ``T + 1 − a_i``.

    The goal has −Σ a_i already.
    """
    import pyomo.environ as pyo

    from ....models.linear import linear
    from ....models.separate.milp.classes import prompt_starts

    model.prompt_once.deactivate()
    starts = prompt_starts(model)
    model.late = pyo.Var(model.REQUESTS, bounds=(0, 1), doc="late_i: i is done after T")

    def served_or_late(model: pyo.ConcreteModel, i: int) -> object:
        return linear([*starts[i], (1, model.late[i])]) == 1

    model.served_or_late = pyo.Constraint(model.REQUESTS, rule=served_or_late)
    model.goal.set_value(model.goal.expr + linear([(end + 1, x) for x in model.late.values()]))


def _fill(prices: FloatArray) -> None:
    """Give the times at which a class has no jobs the price of the next that has."""
    known = np.flatnonzero(~np.isnan(prices))
    nearest = np.clip(np.searchsorted(known, np.arange(prices.size)), 0, known.size - 1)
    prices[:] = prices[known[nearest]]
