"""The running-sum form: the same LP relaxation, 4 memory non-zeros per binary (model/mixed.md §2).

A_t requests are in the batch of round t and hold m_t tokens together. From round t − 1 to t
what stays gains a token, what started at t − 1 enters with s_i + 1 tokens, and what
completed at t − 1 (started at t − 1 − o_i) leaves with s_i + o_i. Substituting both recursions
gives the dense row of every round.
"""

from __future__ import annotations

import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression

from ...instance import Instance
from .offered_starts import Starts

_ByRound = list[list[tuple[int, object]]]


def add_running_sums(model: pyo.ConcreteModel, instance: Instance, starts: Starts) -> None:
    """Add A and m, with ``A_t ≤ B`` and ``0 ≤ m_t ≤ M``, their recursions, and the token budget."""
    M = instance.gpu.kv_capacity
    most = min(instance.n, M // 2)  # each holds 2 tokens or more
    if instance.gpu.running_requests is not None:
        most = min(most, instance.gpu.running_requests)
    model.A = pyo.Var(model.ROUNDS, bounds=(0, most), doc="A_t requests in the batch of round t")
    model.m = pyo.Var(model.ROUNDS, bounds=(0, M), doc="m_t KV tokens held in round t")
    entering, leaving = _entering_and_leaving(model, instance, starts)
    _add_batch_size(model, entering, leaving)
    _add_memory(model, instance, entering, leaving)
    if instance.gpu.batch_tokens is not None:
        _add_token_budget(model, instance, entering, instance.gpu.batch_tokens)


def _entering_and_leaving(
    model: pyo.ConcreteModel, instance: Instance, starts: Starts
) -> tuple[_ByRound, _ByRound]:
    """Pairs (i, x_{i,k}) by the first round of the run and by the round after its last."""
    o = instance.output.tolist()
    entering: _ByRound = [[] for _ in range(starts.last_round + 2)]
    leaving: _ByRound = [[] for _ in range(starts.last_round + 2)]
    for (i, k), x in model.x.items():
        entering[k + 1].append((i, x))
        leaving[k + o[i] + 1].append((i, x))
    return entering, leaving


def _add_batch_size(model: pyo.ConcreteModel, entering: _ByRound, leaving: _ByRound) -> None:
    """Batch: ``A_t = A_{t−1} + Σ_i x_{i,t−1} − Σ_i x_{i,t−1−o_i}``, with ``A_0 = 0``."""

    def batch_size(model: pyo.ConcreteModel, t: int) -> object:
        previous = [model.A[t - 1]] if t > 1 else []
        terms = [
            model.A[t], *previous, *(x for _, x in entering[t]), *(x for _, x in leaving[t])
        ]  # fmt: skip
        signs = [1, *[-1] * len(previous), *[-1] * len(entering[t]), *[1] * len(leaving[t])]
        return LinearExpression(constant=0, linear_coefs=signs, linear_vars=terms) == 0

    model.batch_size = pyo.Constraint(model.ROUNDS, rule=batch_size, doc="defines A_t")


def _add_memory(
    model: pyo.ConcreteModel, instance: Instance, entering: _ByRound, leaving: _ByRound
) -> None:
    """Memory: ``m_t = m_{t−1} + A_t + Σ_i s_i·x_{i,t−1} − Σ_i (s_i + o_i)·x_{i,t−1−o_i}``."""
    s, peak = instance.prompt.tolist(), instance.peak.tolist()

    def memory(model: pyo.ConcreteModel, t: int) -> object:
        previous = [model.m[t - 1]] if t > 1 else []
        terms = [
            model.m[t], model.A[t], *previous,
            *(x for _, x in entering[t]), *(x for _, x in leaving[t]),
        ]  # fmt: skip
        tokens = [
            1, -1, *[-1] * len(previous),
            *(-s[i] for i, _ in entering[t]), *(peak[i] for i, _ in leaving[t]),
        ]  # fmt: skip
        return LinearExpression(constant=0, linear_coefs=tokens, linear_vars=terms) == 0

    model.memory = pyo.Constraint(model.ROUNDS, rule=memory, doc="defines m_t")


def _add_token_budget(
    model: pyo.ConcreteModel, instance: Instance, entering: _ByRound, C: int
) -> None:
    """Tokens of a round: ``A_t + Σ_i (s_i − 1)·x_{i,t−1} ≤ C``."""
    s = instance.prompt.tolist()

    def tokens(model: pyo.ConcreteModel, t: int) -> object:
        prompts = [(s[i] - 1, x) for i, x in entering[t] if s[i] > 1]
        return (
            LinearExpression(
                constant=0,
                linear_coefs=[1, *(more for more, _ in prompts)],
                linear_vars=[model.A[t], *(x for _, x in prompts)],
            )
            <= C
        )

    model.batch_tokens = pyo.Constraint(model.ROUNDS, rule=tokens, doc="tokens in round t ≤ C")
