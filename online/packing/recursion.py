"""What packing policies are worth, exactly: recursions over the budgets that are left.

Values are expectations in double precision: exact up to rounding, some 10⁻¹² relative.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...models.errors import InputError
from ...models.instance import FloatArray, IntArray
from ..coupling.infrequent_resolving import THRESHOLD_EXPONENT, resolving_periods
from .problem import PackingProblem
from .program import solve_packing

#: Policies of online packing in the order of tables, with the numbers that compiled code has.
RULES = ("dp", "bayes", "resolve", "static", "irt")
DP, BAYES, RESOLVE, STATIC, IRT = range(5)

#: States of IRT that are less probable than this are left out (`exact_value` says what that costs).
NEGLIGIBLE = 1e-17


def exact_value(problem: PackingProblem, rule: str) -> float:
    """Expected reward of a policy over the whole horizon.

    Parameters
    ----------
    problem : PackingProblem
        The problem.
    rule : {"dp", "bayes", "resolve", "static", "irt"}
        The optimal online policy; the Bayes selector with the fluid estimate (accept iff
        ``x_j ≥ t·p_j/2``, x of the LP with t periods to go); accept with probability
        ``x_j/(t·p_j)``; the same with the probabilities of the first period forever; infrequent
        re-solving with thresholds.

    Returns
    -------
    float
        The value, by recursion over all states. IRT's state includes the budgets at its last
        re-solve; there states of probability below `NEGLIGIBLE` are left out, which changes the
        value by less than 10⁻⁹ relative.

    Raises
    ------
    InputError
        If there is no such policy.

    Examples
    --------
    >>> from batchprophet.online.packing.problem import ONLINE_PACKING
    >>> round(exact_value(ONLINE_PACKING, "bayes"), 4)
    774.6988

    References
    ----------
    Vera, Banerjee, *The Bayesian Prophet*, arXiv 1901.05028; Bumpensanti, Wang, *A re-solving
    heuristic with uniformly bounded loss for network revenue management*, arXiv 1802.06192.
    """
    number = require_rule(rule)
    if number == IRT:
        return _irt_value(problem)
    if number == STATIC:
        return _static_value(problem)
    return float(dynamic_values(problem, rule)[tuple(_budgets(problem))])


def require_rule(rule: str) -> int:
    """Return a policy's number in compiled code.

    Raises
    ------
    InputError
        If there is no such policy.
    """
    if rule not in RULES:
        raise InputError(f"policy: expected one of {', '.join(RULES)}; found {rule!r}")
    return RULES.index(rule)


def dynamic_values(problem: PackingProblem, rule: str) -> FloatArray:
    """Value over the whole horizon from each budget, shape (B_1 + 1, B_2 + 1).

    For policies that look at budgets and time only: dp, bayes, resolve.
    """
    program = problem.program
    return _recursion(
        require_rule(rule),
        problem.horizon,
        _budgets(problem),
        np.array(problem.chances),
        program.uses,
        program.rewards,
        program.columns,
        program.inverse,
        program.full,
    )


def optimal_values(problem: PackingProblem) -> FloatArray:
    """Optimal value from each number of periods to go and budgets, (T + 1, B_1 + 1, B_2 + 1)."""
    program = problem.program
    values = np.zeros((problem.horizon + 1, *(_budgets(problem) + 1)))
    p = np.array(problem.chances) / problem.weight
    for t in range(1, problem.horizon + 1):
        values[t] = values[t - 1]
        for j, (a0, a1) in enumerate(program.uses.T.tolist()):
            before = values[t - 1, a0:, a1:]
            after = values[t - 1, : before.shape[0], : before.shape[1]] + program.rewards[j]
            values[t, a0:, a1:] += p[j] * np.maximum(after - before, 0.0)
    return values


def first_solution(problem: PackingProblem) -> tuple[int, ...]:
    """Solution of the fluid LP over the whole horizon, in units of 1/weight."""
    W = problem.weight
    counts = tuple(problem.horizon * w for w in problem.chances)
    return problem.program.solution(tuple(W * b for b in problem.budgets), counts)


def _static_value(problem: PackingProblem) -> float:
    accept = np.array(first_solution(problem)) / (problem.horizon * np.array(problem.chances))
    start = np.zeros(_budgets(problem) + 1)
    start[-1, -1] = 1.0
    p = np.array(problem.chances) / problem.weight
    program = problem.program
    earned, _ = _spread(start, problem.horizon, accept * p, program.uses, program.rewards, 0.0)
    return float(earned)


def _irt_value(problem: PackingProblem) -> float:
    """Spread the budgets' distribution from one re-solve to the next, from each state apart."""
    program, p = problem.program, np.array(problem.chances) / problem.weight
    mass = np.zeros(_budgets(problem) + 1)
    mass[-1, -1] = 1.0
    total = 0.0
    for left, until, thresholds in resolving_periods(problem.horizon):
        after = np.zeros_like(mass)
        for b0, b1 in zip(*np.nonzero(mass > NEGLIGIBLE), strict=True):
            b = (int(b0), int(b1))[: len(problem.budgets)]
            accept = irt_probabilities(problem, b, left, thresholds)
            start = np.zeros((b0 + 1, b1 + 1))
            start[-1, -1] = mass[b0, b1]
            earned, end = _spread(
                start, left - until, accept * p, program.uses, program.rewards, NEGLIGIBLE * 1e-3
            )
            total += earned
            after[: b0 + 1, : b1 + 1] += end
        mass = after
    return total


def irt_probabilities(
    problem: PackingProblem, budgets: tuple[int, ...], left: int, thresholds: bool
) -> FloatArray:
    """Acceptance probabilities that IRT keeps until its next re-solve."""
    W = problem.weight
    counts = tuple(left * w for w in problem.chances)
    share = np.array(problem.program.solution(tuple(W * b for b in budgets), counts)) / counts
    if thresholds:
        margin = left**-THRESHOLD_EXPONENT
        share[share < margin] = 0.0
        share[share > 1 - margin] = 1.0
    return np.asarray(share, dtype=np.float64)


def _budgets(problem: PackingProblem) -> IntArray:
    return np.array([*problem.budgets, 0][:2], dtype=np.int64)


@njit(cache=True, nogil=True)
def _recursion(
    rule: int,
    horizon: int,
    budgets: IntArray,
    chances: IntArray,
    uses: IntArray,
    rewards: IntArray,
    columns: IntArray,
    inverse: IntArray,
    full: IntArray,
) -> FloatArray:
    """Values from each budget, for more and more periods to go."""
    W, n = chances.sum(), chances.size
    value = np.zeros((budgets[0] + 1, budgets[1] + 1))
    new = np.zeros_like(value)
    x = np.zeros(n, dtype=np.int64)
    for t in range(1, horizon + 1):
        u = t * chances
        basis = 0
        for b0 in range(budgets[0] + 1):
            for b1 in range(budgets[1] + 1):
                if rule != DP:
                    basis = solve_packing(W * b0, W * b1, u, uses, columns, inverse, full, basis, x)
                total = 0.0
                stay = value[b0, b1]
                for j in range(n):
                    q = 0.0
                    if b0 >= uses[0, j] and b1 >= uses[1, j]:
                        go = rewards[j] + value[b0 - uses[0, j], b1 - uses[1, j]]
                        if rule == DP:
                            q = 1.0 if go > stay else 0.0
                        elif rule == BAYES:
                            q = 1.0 if 2 * x[j] >= u[j] else 0.0
                        else:
                            q = x[j] / u[j]
                        total += chances[j] * (q * go + (1 - q) * stay)
                    else:
                        total += chances[j] * stay
                new[b0, b1] = total / W
        value, new = new, value
    return value


@njit(cache=True, nogil=True)
def _spread(
    start: FloatArray,
    periods: int,
    accept: FloatArray,
    uses: IntArray,
    rewards: IntArray,
    negligible: float,
) -> tuple[float, FloatArray]:
    """Move a distribution of budgets through periods of fixed acceptance: (reward, distribution).

    `accept` is the probability that a request of the type arrives and is accepted if it fits.
    """
    mass = start.copy()
    new = np.zeros_like(mass)
    earned = 0.0
    low0, low1 = mass.shape[0] - 1, mass.shape[1] - 1
    for _ in range(periods):
        low0, low1 = max(0, low0 - 1), max(0, low1 - 1)
        new[low0:, low1:] = 0.0
        for b0 in range(low0, mass.shape[0]):
            for b1 in range(low1, mass.shape[1]):
                here = mass[b0, b1]
                if here <= negligible:
                    continue
                stay = here
                for j in range(accept.size):
                    if accept[j] > 0 and b0 >= uses[0, j] and b1 >= uses[1, j]:
                        moved = here * accept[j]
                        earned += moved * rewards[j]
                        new[b0 - uses[0, j], b1 - uses[1, j]] += moved
                        stay -= moved
                new[b0, b1] += stay
        mass, new = new, mass
    return earned, mass
