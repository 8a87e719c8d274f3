"""The dense form, as in arXiv 2502.07115: one memory row per round over the starts themselves."""

from __future__ import annotations

from collections.abc import Callable

import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression

from ...instance import Instance
from .offered_starts import Starts


def add_dense_memory(model: pyo.ConcreteModel, instance: Instance, starts: Starts) -> None:
    """KV capacity: ``Σ_i Σ_{k=max(a_i, t−o_i)}^{t−1} (s_i + t − k)·x_{i,k} ≤ M`` for all rounds t.

    About o_i non-zeros per binary.
    """
    M = instance.gpu.kv_capacity
    s, o = instance.prompt.tolist(), instance.output.tolist()
    a, L = starts.earliest.tolist(), starts.latest.tolist()
    x = [[model.x[i, k] for k in range(a[i], L[i] + 1)] for i in model.REQUESTS]

    def memory(model: pyo.ConcreteModel, t: int) -> object:
        tokens: list[int] = []
        running: list[object] = []
        for i in model.REQUESTS:
            first, last = max(a[i], t - o[i]), min(t - 1, L[i])
            if first <= last:
                running += x[i][first - a[i] : last - a[i] + 1]
                tokens += range(s[i] + t - first, s[i] + t - last - 1, -1)
        if not running:
            return pyo.Constraint.Skip
        return LinearExpression(constant=0, linear_coefs=tokens, linear_vars=running) <= M

    model.memory = pyo.Constraint(model.ROUNDS, rule=memory, doc="KV tokens held in round t ≤ M")
    _add_limits(model, instance, starts)


def _add_limits(model: pyo.ConcreteModel, instance: Instance, starts: Starts) -> None:
    """Limits on a round: ``Σ_i Σ_k x_{i,k} ≤ B``, and ``≤ C`` with s_i for 1 where k = t − 1."""
    B, C = instance.gpu.running_requests, instance.gpu.batch_tokens
    s, o = instance.prompt.tolist(), instance.output.tolist()
    a, L = starts.earliest.tolist(), starts.latest.tolist()

    def at_most(most: int, first_round: list[int]) -> Callable[[pyo.ConcreteModel, int], object]:
        def row(model: pyo.ConcreteModel, t: int) -> object:
            runs = [
                (first_round[i] if k == t - 1 else 1, model.x[i, k])
                for i in model.REQUESTS
                for k in range(max(a[i], t - o[i]), min(t - 1, L[i]) + 1)
            ]
            if not runs:
                return pyo.Constraint.Skip
            coefficients, variables = zip(*runs, strict=True)
            return (
                LinearExpression(
                    constant=0, linear_coefs=list(coefficients), linear_vars=list(variables)
                )
                <= most
            )

        return row

    if B is not None:
        rule = at_most(B, [1] * instance.n)
        model.running = pyo.Constraint(model.ROUNDS, rule=rule, doc="requests in round t ≤ B")
    if C is not None:
        rule = at_most(C, s)
        model.batch_tokens = pyo.Constraint(model.ROUNDS, rule=rule, doc="tokens in round t ≤ C")
