"""Online packing: one request a period, of a random type, to accept or reject at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ...models.errors import InputError
from .program import PackingProgram, packing_program

#: Budgets left, and the type that has arrived; no type once the horizon is over.
PackingState = tuple[tuple[int, ...], int | None]
PackingPath = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingProblem:
    """Online packing with one or two resources, each of which a request uses or not.

    Every period one request arrives, of type j with probability ``p_j``; accepting it earns
    ``r_j`` and uses ``A_j`` of the budgets. With uses of 0 or 1 of at most two resources the
    hindsight LP has an integral optimum (an interval matrix is totally unimodular).

    Parameters
    ----------
    horizon : int
        Number of periods T ≥ 1.
    budgets : tuple of int
        B ≥ 0, one or two.
    uses : tuple of tuple of int
        A, one row per resource, one column per type, entries 0 or 1; no column is all 0.
    chances : tuple of int
        Integer weights ≥ 1: ``p_j = chances_j / Σ chances``.
    rewards : tuple of int
        r ≥ 1.

    Raises
    ------
    InputError
        If a value is out of range or lengths differ.

    Examples
    --------
    >>> ONLINE_PACKING.fluid_value()
    Fraction(800, 1)

    References
    ----------
    Vera, Banerjee, *The Bayesian Prophet*, arXiv 1901.05028, §4.
    """

    horizon: int
    budgets: tuple[int, ...]
    uses: tuple[tuple[int, ...], ...]
    chances: tuple[int, ...]
    rewards: tuple[int, ...]

    def __post_init__(self) -> None:
        n = len(self.rewards)
        if not 1 <= len(self.budgets) <= 2 or len(self.uses) != len(self.budgets):
            raise InputError(
                f"packing: expected one or two budgets with a row of uses each, found "
                f"{len(self.budgets)} budgets and {len(self.uses)} rows"
            )
        if n == 0 or len(self.chances) != n or any(len(row) != n for row in self.uses):
            raise InputError(
                f"packing: expected as many chances and uses as rewards, found rewards "
                f"{self.rewards}, chances {self.chances}, uses {self.uses}"
            )
        if any(a not in (0, 1) for row in self.uses for a in row):
            raise InputError(f"packing: expected uses of 0 or 1, found {self.uses}")
        if any(not any(column) for column in zip(*self.uses, strict=True)):
            raise InputError(f"packing: expected every type to use a resource, found {self.uses}")
        if self.horizon < 1 or min(self.budgets) < 0:
            raise InputError(
                f"packing: expected a horizon of at least 1 and budgets of at least 0, found "
                f"{self.horizon} and {self.budgets}"
            )
        if min(self.chances) < 1 or min(self.rewards) < 1:
            raise InputError(
                f"packing: expected chances and rewards of at least 1, found {self.chances} and "
                f"{self.rewards}"
            )

    @property
    def program(self) -> PackingProgram:
        """The linear program's bases, for compiled code."""
        return packing_program(self.uses, self.rewards)

    @property
    def weight(self) -> int:
        """Common denominator Σ chances of the probabilities."""
        return sum(self.chances)

    def fluid_value(self) -> Fraction:
        """Value of the fluid LP: requests arrive at their expected numbers."""
        W = self.weight
        budgets = tuple(W * b for b in self.budgets)
        counts = tuple(self.horizon * w for w in self.chances)
        return Fraction(self.program.value(budgets, counts), W)

    def draw(self, rng: np.random.Generator) -> PackingPath:
        """Draw the types of all periods."""
        chances = np.array(self.chances) / self.weight
        return tuple(rng.choice(len(self.rewards), size=self.horizon, p=chances).tolist())

    def redraw(self, t: int, S: PackingState, rng: np.random.Generator) -> PackingPath:
        """Draw the types after period t; those before do not matter any more."""
        _, j = S
        assert j is not None, "there is nothing to decide once the horizon is over"
        later = self.draw(rng)[t + 1 :]
        return (j,) * (t + 1) + later

    def initial_state(self, path: PackingPath) -> PackingState:
        """Return all budgets and the first request."""
        return self.budgets, path[0]

    def actions(self, t: int, S: PackingState, path: PackingPath) -> tuple[bool, ...]:
        """Return accept (True) if it fits, and reject (False)."""
        b, j = S
        if j is None:
            return ()
        return (True, False) if self._fits(b, j) else (False,)

    def reward(self, t: int, a: bool, S: PackingState, path: PackingPath) -> int:
        """Return r_j if accepted."""
        _, j = S
        return self.rewards[j] if a and j is not None else 0

    def next_state(self, t: int, a: bool, S: PackingState, path: PackingPath) -> PackingState:
        """Return what is left of the budgets, and the next request."""
        b, j = S
        if a and j is not None:
            b = tuple(left - row[j] for left, row in zip(b, self.uses, strict=True))
        return b, path[t + 1] if t + 1 < self.horizon else None

    def hindsight(self, t: int, S: PackingState, path: PackingPath) -> int:
        """V_off(t, S)[ω]: the packing LP over the requests to come, this one with them."""
        b, j = S
        if j is None:
            return 0
        counts = np.bincount(path[t:], minlength=len(self.rewards))
        return self.program.value(b, tuple(counts.tolist()))

    def fluid_to_go(self, t: int, S: PackingState, path: PackingPath) -> Fraction:
        """Return the fluid LP's value from a state on, this request and expected later ones.

        It does not look at the path. As a potential it telescopes like any other, but a
        compensation measured by it may be negative: chance can be kinder than its mean.
        """
        b, j = S
        if j is None:
            return Fraction(0)
        W, later = self.weight, self.horizon - t - 1
        counts = [later * w for w in self.chances]
        counts[j] += W
        return Fraction(self.program.value(tuple(W * c for c in b), tuple(counts)), W)

    def fluid_scores(self, t: int, S: PackingState) -> Mapping[bool, float]:
        """P[Q] as the fluid LP sees it: accepting is regretted by the share that it rejects.

        With x the LP's solution at expected arrivals, accept iff ``x_j ≥ E[Z_j]/2``.
        """
        b, j = S
        assert j is not None, "there is nothing to decide once the horizon is over"
        if not self._fits(b, j):
            return {False: 0.0}
        W, left = self.weight, self.horizon - t
        counts = tuple(left * w for w in self.chances)
        x = self.program.solution(tuple(W * c for c in b), counts)
        share = x[j] / counts[j]
        return {True: 1 - share, False: share}

    def _fits(self, b: tuple[int, ...], j: int) -> bool:
        return all(left >= row[j] for left, row in zip(b, self.uses, strict=True))


def scaled(problem: PackingProblem, horizon: int) -> PackingProblem:
    """Return the problem with another horizon and budgets in proportion.

    Raises
    ------
    InputError
        If a budget would not be an integer.
    """
    budgets = [Fraction(b * horizon, problem.horizon) for b in problem.budgets]
    if any(b.denominator != 1 for b in budgets):
        raise InputError(
            f"horizon: expected one at which budgets {problem.budgets} of {problem.horizon} "
            f"periods stay integers, found {horizon}"
        )
    return PackingProblem(
        horizon=horizon,
        budgets=tuple(int(b) for b in budgets),
        uses=problem.uses,
        chances=problem.chances,
        rewards=problem.rewards,
    )


#: The reference instance with six types (docs/model/coupling.md §2), at scale 1.
ONLINE_PACKING = PackingProblem(
    horizon=200,
    budgets=(40, 40),
    uses=((1, 1, 0, 0, 1, 1), (0, 0, 1, 1, 1, 1)),
    chances=(2, 2, 2, 2, 1, 1),
    rewards=(10, 6, 10, 5, 9, 8),
)

#: A multi-secretary problem whose budget is just that of its two best types: the fluid solution
#: is degenerate, where re-solving with randomisation loses √T.
MULTI_SECRETARY = PackingProblem(
    horizon=200,
    budgets=(100,),
    uses=((1, 1, 1, 1),),
    chances=(2, 3, 3, 2),
    rewards=(10, 6, 3, 1),
)
