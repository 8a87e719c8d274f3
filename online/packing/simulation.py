"""Packing policies run on sample paths, with every compensation: compiled, in integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ...models.instance import FloatArray, IntArray
from ..coupling.infrequent_resolving import resolving_periods
from .problem import PackingProblem
from .program import solve_packing
from .recursion import (
    BAYES,
    DP,
    IRT,
    RESOLVE,
    STATIC,
    first_solution,
    irt_probabilities,
    require_rule,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackingRun:
    """One policy on one path, accounted for.

    Attributes
    ----------
    value, hindsight : int
        What it earned, and what hindsight earns.
    by_period : ndarray of int64, shape (T,)
        Compensation in each period.
    accepted, rejected : ndarray of int64, shape (n,)
        Compensations of accepting and of rejecting, by type.
    smallest : int
        The smallest single compensation: negative ones would refute the oracle.
    """

    value: int
    hindsight: int
    by_period: IntArray
    accepted: IntArray
    rejected: IntArray
    smallest: int

    @property
    def residual(self) -> int:
        """``V_off − V_on − Σ compensations``: 0."""
        return self.hindsight - self.value - int(self.by_period.sum())


def draw_types(problem: PackingProblem, rng: np.random.Generator) -> IntArray:
    """Draw the types of all periods, shape (T,)."""
    chances = np.array(problem.chances) / problem.weight
    return rng.choice(len(problem.rewards), size=problem.horizon, p=chances).astype(np.int64)


def run_packing(
    problem: PackingProblem,
    rule: str,
    types: IntArray,
    uniforms: FloatArray,
    optimal: FloatArray | None = None,
) -> PackingRun:
    """Run a policy on a path.

    Parameters
    ----------
    problem : PackingProblem
        The problem.
    rule : {"dp", "bayes", "resolve", "static", "irt"}
        The policy, as in `exact_value`.
    types : ndarray of int64, shape (T,)
        The type that arrives in each period.
    uniforms : ndarray of float64, shape (T,)
        Random numbers in [0, 1) of the policies that randomise; the same for all of them.
    optimal : ndarray of float64, shape (T + 1, B_1 + 1, B_2 + 1), optional
        Values of `optimal_values`; "dp" needs them.

    Returns
    -------
    PackingRun
        Its value and compensations.

    Examples
    --------
    >>> from batchprophet.online.packing.problem import ONLINE_PACKING
    >>> rng = np.random.default_rng(0)
    >>> types, uniforms = draw_types(ONLINE_PACKING, rng), rng.random(200)
    >>> run = run_packing(ONLINE_PACKING, "bayes", types, uniforms)
    >>> run.residual, run.smallest >= 0
    (0, True)
    """
    number = require_rule(rule)
    accept = np.zeros((problem.horizon + 1, len(problem.rewards)))
    if number == STATIC:
        solution = np.array(first_solution(problem))
        accept[:] = solution / (problem.horizon * np.array(problem.chances))
    program = problem.program
    budgets = np.array([*problem.budgets, 0][:2], dtype=np.int64)
    spans = [(problem.horizon, 0, False)]
    if number == IRT:
        spans = resolving_periods(problem.horizon)
    counts = np.bincount(types, minlength=len(problem.rewards)).astype(np.int64)
    by_period = np.zeros(problem.horizon, dtype=np.int64)
    parts = np.zeros((2, counts.size), dtype=np.int64)
    totals = np.array([0, 0, np.iinfo(np.int64).max], dtype=np.int64)
    values = np.zeros((1, 1, 1)) if optimal is None else optimal
    for left, until, trim in spans:
        if number == IRT:
            b = tuple(budgets[: len(problem.budgets)].tolist())
            accept[:] = irt_probabilities(problem, b, left, trim)
        first = left == problem.horizon
        _simulate(
            number,
            left,
            until,
            first,
            types,
            uniforms,
            accept[0],
            values,
            np.array(problem.chances),
            program.uses,
            program.rewards,
            program.columns,
            program.inverse,
            program.full,
            budgets,
            counts,
            by_period,
            parts,
            totals,
        )
    return PackingRun(
        value=int(totals[0]),
        hindsight=int(totals[1]),
        by_period=by_period,
        accepted=parts[0],
        rejected=parts[1],
        smallest=int(totals[2]),
    )


@njit(cache=True, nogil=True)
def _simulate(
    rule: int,
    left: int,
    until: int,
    first: bool,
    types: IntArray,
    uniforms: FloatArray,
    accept: FloatArray,
    optimal: FloatArray,
    chances: IntArray,
    uses: IntArray,
    rewards: IntArray,
    columns: IntArray,
    inverse: IntArray,
    full: IntArray,
    budgets: IntArray,
    counts: IntArray,
    by_period: IntArray,
    parts: IntArray,
    totals: IntArray,
) -> None:
    """Run periods from `left` to go to `until` to go; budgets, counts and totals move on.

    ``counts`` are the requests to come, the present one with them; ``totals`` are value, hindsight
    value, smallest compensation.
    """
    n, W = chances.size, chances.sum()
    T = types.size
    x = np.zeros(n, dtype=np.int64)
    fluid, known = 0, 0
    known = solve_packing(budgets[0], budgets[1], counts, uses, columns, inverse, full, known, x)
    potential = _dot(rewards, x)
    if first:
        totals[1] = potential
    for t in range(left, until, -1):
        period = T - t
        j = types[period]
        taken = False
        if budgets[0] >= uses[0, j] and budgets[1] >= uses[1, j]:
            if rule == DP:
                stay = optimal[t - 1, budgets[0], budgets[1]]
                after = optimal[t - 1, budgets[0] - uses[0, j], budgets[1] - uses[1, j]]
                taken = rewards[j] + after > stay
            elif rule in (BAYES, RESOLVE):
                fluid = solve_packing(
                    W * budgets[0],
                    W * budgets[1],
                    t * chances,
                    uses,
                    columns,
                    inverse,
                    full,
                    fluid,
                    x,
                )
                if rule == BAYES:
                    taken = 2 * x[j] >= t * chances[j]
                else:
                    taken = uniforms[period] * (t * chances[j]) < x[j]
            else:
                taken = uniforms[period] < accept[j]
        earned = 0
        if taken:
            budgets[0] -= uses[0, j]
            budgets[1] -= uses[1, j]
            earned = rewards[j]
        counts[j] -= 1
        known = solve_packing(
            budgets[0], budgets[1], counts, uses, columns, inverse, full, known, x
        )
        after_value = _dot(rewards, x)
        paid = potential - earned - after_value
        by_period[period] = paid
        parts[0 if taken else 1, j] += paid
        totals[0] += earned
        totals[2] = min(totals[2], paid)
        potential = after_value


@njit(cache=True, nogil=True)
def _dot(rewards: IntArray, x: IntArray) -> int:
    total = 0
    for j in range(x.size):
        total += rewards[j] * x[j]
    return total
