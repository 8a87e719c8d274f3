"""The objectives of the formulations, as linear functions of the starts x."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression

from ...instance import Instance
from ...objectives import due_times
from .offered_starts import Starts


def minimise_latency(model: pyo.ConcreteModel, instance: Instance, starts: Starts) -> None:
    """Total latency: ``min Σ_i (Σ_t t·x_{i,t} + o_i − a_i)``."""
    constant = int((instance.output - instance.arrival).sum())
    terms = [(t, x) for (_, t), x in model.x.items()]
    model.goal = pyo.Objective(expr=_linear(terms, constant), doc="total end-to-end latency")


def minimise_weighted(model: pyo.ConcreteModel, instance: Instance, starts: Starts) -> None:
    """Weighted completion: ``min Σ_i w_i·(Σ_t t·x_{i,t} + o_i)``."""
    w = instance.weight.tolist()
    constant = float(instance.weight @ instance.output)
    terms = [(w[i] * t, x) for (i, t), x in model.x.items() if w[i] * t]
    model.goal = pyo.Objective(expr=_linear(terms, constant), doc="weighted completion")


def minimise_tardiness(model: pyo.ConcreteModel, instance: Instance, starts: Starts) -> None:
    """Weighted tardiness: ``min Σ_i w_i·Σ_t max(0, t + o_i − d_i)·x_{i,t}``."""
    w, d, o = instance.weight.tolist(), due_times(instance).tolist(), instance.output.tolist()
    terms = [
        (w[i] * (t + o[i] - d[i]), x)
        for (i, t), x in model.x.items()
        if w[i] > 0 and t + o[i] > d[i]
    ]
    model.goal = pyo.Objective(expr=_linear(terms, 0), doc="weighted tardiness")


def minimise_makespan(model: pyo.ConcreteModel, instance: Instance, starts: Starts) -> None:
    """Makespan: ``min C`` with ``C ≥ Σ_t t·x_{i,t} + o_i`` for all i."""
    o = instance.output.tolist()
    a, L = starts.earliest.tolist(), starts.latest.tolist()
    least = int((instance.arrival + instance.output).max())
    model.C = pyo.Var(bounds=(least, starts.last_round), doc="C, completion of the last request")

    def done_by_end(model: pyo.ConcreteModel, i: int) -> object:
        start = [(t, model.x[i, t]) for t in range(a[i], L[i] + 1)]
        return _linear([*start, (-1, model.C)], o[i]) <= 0

    model.done_by_end = pyo.Constraint(model.REQUESTS, rule=done_by_end, doc="c_i ≤ C")
    model.goal = pyo.Objective(expr=model.C, doc="makespan")


def maximise_reward(model: pyo.ConcreteModel, instance: Instance, starts: Starts) -> None:
    """Reward: ``max Σ_i r_i·Σ_t x_{i,t}`` over starts that complete in time."""
    r = instance.reward.tolist()
    terms = [(r[i], x) for (i, _), x in model.x.items() if r[i]]
    model.goal = pyo.Objective(
        expr=_linear(terms, 0), sense=pyo.maximize, doc="reward of what is done in time"
    )


def _linear(terms: list[tuple[float, object]], constant: float) -> LinearExpression:
    return LinearExpression(
        constant=constant,
        linear_coefs=[coefficient for coefficient, _ in terms],
        linear_vars=[variable for _, variable in terms],
    )


#: What each objective adds to a model.
GOALS: Mapping[str, Callable[[pyo.ConcreteModel, Instance, Starts], None]] = MappingProxyType(
    {
        "latency": minimise_latency,
        "weighted": minimise_weighted,
        "tardiness": minimise_tardiness,
        "makespan": minimise_makespan,
        "reward": maximise_reward,
    }
)
