"""Compensations: what hindsight must be paid to follow a decision, and the account of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from ...models.errors import PolicyError
from ...models.objectives import Exact
from .oracle import Oracle, is_exact
from .problem import Action, ControlProblem, Path, State

#: A control: ``rule(t, S, rng) -> a``. It sees the state, never the path.
Rule = Callable[[int, State, np.random.Generator], Action]

#: Compensations of floating-point oracles count as zero up to this share of the values involved.
ROUNDING = 1e-9


def compensation(
    problem: ControlProblem[State, Action, Path],
    oracle: Oracle[State, Path],
    t: int,
    a: Action,
    S: State,
    path: Path,
) -> Exact | float:
    """Return ``∂R(t, a, S)[ω] = V_off(t, S)[ω] − (R(t, a, S) + V_off(t+1, T(a, S))[ω])``.

    Parameters
    ----------
    problem : ControlProblem
        The problem.
    oracle : Oracle
        V_off, or another potential.
    t : int
        Number of the decision.
    a : Action
        The action; it must be one of ``problem.actions(t, S, path)``.
    S : State
        The state S_t.
    path : Path
        The sample path ω.

    Examples
    --------
    One seat, two offers of 4 and 9: taking the first costs hindsight 5, waiting costs nothing.

    >>> from batchprophet.online.packing.problem import PackingProblem
    >>> from batchprophet.online.coupling.oracle import RecursionOracle
    >>> problem = PackingProblem(horizon=2, budgets=(1,), uses=((1, 1),), chances=(1, 1),
    ...                          rewards=(9, 4))
    >>> path = (1, 0)
    >>> S = problem.initial_state(path)
    >>> [compensation(problem, RecursionOracle(problem), 0, a, S, path) for a in (True, False)]
    [5, 0]

    References
    ----------
    Vera, Banerjee, *The Bayesian Prophet*, arXiv 1901.05028, Definition 1.
    """
    after = problem.next_state(t, a, S, path)
    taken = problem.reward(t, a, S, path) + oracle.value(t + 1, after, path)
    return oracle.value(t, S, path) - taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Generic[Action]):
    """One line of an account.

    Attributes
    ----------
    t : int
        Number of the decision.
    action : Action
        What was done.
    satisfying : tuple of Action
        What hindsight would have done without compensation.
    compensation : int, Fraction or float
        ``∂R(t, action, S_t)[ω]``.
    """

    t: int
    action: Action
    satisfying: tuple[Action, ...]
    compensation: Exact | float

    @property
    def disagrees(self) -> bool:
        """Whether the event Q(t, action, S_t) happened: the action was not satisfying."""
        return self.action not in self.satisfying


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(Generic[Action]):
    """Where the regret of one run arose: ``hindsight − value = Σ compensations``.

    Attributes
    ----------
    decisions : tuple of Decision
        Every decision, in order.
    hindsight : int, Fraction or float
        V_off(0, S_0)[ω].
    value : int or Fraction
        What the run earned.
    """

    decisions: tuple[Decision[Action], ...]
    hindsight: Exact | float
    value: Exact

    @property
    def regret(self) -> Exact | float:
        """Regret ``V_off(0, S_0)[ω] − V_on[ω]``."""
        return self.hindsight - self.value

    @property
    def total(self) -> Exact | float:
        """Sum of all compensations."""
        return sum((d.compensation for d in self.decisions), start=0)

    @property
    def residual(self) -> Exact | float:
        """``regret − Σ compensations``: 0 in exact arithmetic, whatever the oracle."""
        return self.regret - self.total

    @property
    def disagreements(self) -> tuple[Decision[Action], ...]:
        """The decisions at which hindsight would have acted otherwise."""
        return tuple(d for d in self.decisions if d.disagrees)

    def rows(self) -> list[dict[str, Any]]:
        """Return the table: time, action, satisfying actions, compensation."""
        return [
            {
                "time": d.t,
                "action": d.action,
                "satisfying": list(d.satisfying),
                "compensation": d.compensation,
            }
            for d in self.decisions
        ]


def run_account(
    problem: ControlProblem[State, Action, Path],
    oracle: Oracle[State, Path],
    rule: Rule[State, Action],
    path: Path,
    rng: np.random.Generator,
) -> Account[Action]:
    """Run a rule on a path, and account for its regret decision by decision.

    Parameters
    ----------
    problem : ControlProblem
        The problem.
    oracle : Oracle
        V_off, or another potential.
    rule : callable
        ``rule(t, S, rng) -> a``.
    path : Path
        The sample path ω.
    rng : Generator
        Randomness of the rule.

    Returns
    -------
    Account
        The account; with an exact oracle no compensation in it is negative.

    Raises
    ------
    PolicyError
        If the rule does what the problem does not allow.
    """
    S, t = problem.initial_state(path), 0
    potential = oracle.value(t, S, path)
    hindsight, decisions = potential, list[Decision[Action]]()
    earned: Exact = 0
    while actions := problem.actions(t, S, path):
        a = rule(t, S, rng)
        if a not in actions:
            raise PolicyError(f"decision {t}: expected one of {list(actions)}, found {a!r}")
        states = {b: problem.next_state(t, b, S, path) for b in actions}
        after = {b: oracle.value(t + 1, states[b], path) for b in actions}
        rewards = {b: problem.reward(t, b, S, path) for b in actions}
        costs = {b: potential - (rewards[b] + after[b]) for b in actions}
        least = _least(list(costs.values()), potential, oracle.exact)
        satisfying = tuple(b for b in actions if costs[b] <= least)
        decisions.append(Decision(t=t, action=a, satisfying=satisfying, compensation=costs[a]))
        earned += rewards[a]
        S, potential, t = states[a], after[a], t + 1
    return Account(decisions=tuple(decisions), hindsight=hindsight, value=earned)


def _least(costs: list[Exact | float], potential: Exact | float, exact: bool) -> Exact | float:
    """Up to where a compensation counts as none.

    Exactly 0 with an exact oracle in exact arithmetic. A potential that only bounds may leave no
    action without compensation: then the cheapest ones are called satisfying.
    """
    cheapest = min(costs)
    slack = 0.0 if all(map(is_exact, costs)) else ROUNDING * max(1.0, abs(float(potential)))
    if exact:
        return slack or 0
    return max(cheapest, 0) + slack if slack else max(cheapest, 0)
