"""The binaries of both formulations: ``x_{i,t} = 1`` iff request i starts at round boundary t."""

from __future__ import annotations

import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression

from .offered_starts import Starts


def add_starts(model: pyo.ConcreteModel, starts: Starts) -> None:
    """Add the sets REQUESTS, ROUNDS, STARTS and the binaries x."""
    model.REQUESTS = pyo.RangeSet(0, starts.earliest.size - 1, doc="requests i")
    model.ROUNDS = pyo.RangeSet(1, starts.last_round, doc="rounds t")
    windows = zip(starts.earliest.tolist(), starts.latest.tolist(), strict=True)
    pairs = [(i, t) for i, (a, L) in enumerate(windows) for t in range(a, L + 1)]
    model.STARTS = pyo.Set(dimen=2, initialize=pairs, doc="(i, t): i may start at t, a_i ≤ t ≤ L_i")
    model.x = pyo.Var(model.STARTS, domain=pyo.Binary, doc="x_{i,t} = 1 iff i starts at t")


def add_start_once(model: pyo.ConcreteModel, starts: Starts, *, optional: bool) -> None:
    """Every request starts once: ``Σ_t x_{i,t} = 1`` for all i (`optional`: ≤ 1)."""
    a, L = starts.earliest.tolist(), starts.latest.tolist()

    def start_once(model: pyo.ConcreteModel, i: int) -> object:
        if L[i] < a[i]:
            return pyo.Constraint.Skip
        times = [model.x[i, t] for t in range(a[i], L[i] + 1)]
        total = LinearExpression(constant=0, linear_coefs=[1] * len(times), linear_vars=times)
        return total <= 1 if optional else total == 1

    model.start_once = pyo.Constraint(model.REQUESTS, rule=start_once, doc="each i starts once")
