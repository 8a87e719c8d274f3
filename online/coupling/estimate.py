"""Estimates of P[Q(t, a, S)]: how likely hindsight would not do what we are about to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np

from ...models.errors import InputError
from ...models.objectives import Exact
from .compensation import ROUNDING
from .oracle import Oracle, is_exact
from .problem import Action, ControlProblem, Path, State

_State = TypeVar("_State", contravariant=True)
_Action = TypeVar("_Action")


class Estimate(Protocol[_State, _Action]):
    """Scores of the actions in a state: the smallest is chosen, of equals the first."""

    def scores(self, t: int, S: _State, rng: np.random.Generator) -> Mapping[_Action, float]:
        """Return estimated P[Q(t, a, S)], or another score, by action."""
        ...


@dataclass(frozen=True, slots=True)
class ClosedForm(Generic[State, Action]):
    """P[Q] by a formula: of the fluid LP, or exact where the problem has one.

    Parameters
    ----------
    formula : callable
        ``formula(t, S) -> {action: score}``.
    """

    formula: Callable[[int, State], Mapping[Action, float]]

    def scores(self, t: int, S: State, rng: np.random.Generator) -> Mapping[Action, float]:
        """Return the formula's scores; no randomness is used."""
        return self.formula(t, S)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledHindsight(Generic[State, Action, Path]):
    """P[Q] by K sampled futures, the same for all actions of a decision (common random numbers).

    Parameters
    ----------
    problem : ControlProblem
        Draws the futures.
    oracle : Oracle
        V_off on each of them.
    samples : int
        K ≥ 1.
    score : {"vote", "compensation"}
        Share of futures on which an action is not satisfying, or its mean compensation.

    Raises
    ------
    InputError
        If a parameter is out of range.

    References
    ----------
    Vera, Banerjee, *The Bayesian Prophet*, arXiv 1901.05028, §3 (Bayes selector, estimated).
    """

    problem: ControlProblem[State, Action, Path]
    oracle: Oracle[State, Path]
    samples: int = 32
    score: Literal["vote", "compensation"] = "vote"

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise InputError(f"samples: expected at least 1, found {self.samples}")
        if self.score not in ("vote", "compensation"):
            raise InputError(f"score: expected 'vote' or 'compensation', found {self.score!r}")

    def scores(self, t: int, S: State, rng: np.random.Generator) -> Mapping[Action, float]:
        """Return the score of every action over the K futures."""
        totals: dict[Action, float] = {}
        for _ in range(self.samples):
            path = self.problem.redraw(t, S, rng)
            for a, cost in self._costs(t, S, path).items():
                totals[a] = totals.get(a, 0.0) + (
                    cost if self.score == "compensation" else cost > 0
                )
        return {a: total / self.samples for a, total in totals.items()}

    def _costs(self, t: int, S: State, path: Path) -> dict[Action, float]:
        """Return what each action costs on a future beyond the cheapest one."""
        values: dict[Action, Exact | float] = {}
        for a in self.problem.actions(t, S, path):
            after = self.problem.next_state(t, a, S, path)
            gained = self.problem.reward(t, a, S, path)
            values[a] = gained + self.oracle.value(t + 1, after, path)
        best = max(values.values())
        slack = 0.0 if is_exact(best) else ROUNDING * max(1.0, abs(float(best)))
        costs = {a: float(best - value) for a, value in values.items()}
        return {a: cost if cost > slack else 0.0 for a, cost in costs.items()}
