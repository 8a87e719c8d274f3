"""What the coupling asks of a control problem: states, actions, rewards, exogenous arrivals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from ...models.objectives import Exact

State = TypeVar("State")
Action = TypeVar("Action")
Path = TypeVar("Path")


class ControlProblem(Protocol[State, Action, Path]):
    """A finite-horizon control problem whose only uncertainty is exogenous.

    A sample path ω holds everything that chance decides, whatever the actions are. Decisions are
    numbered t = 0, 1, …; the state S_t holds all that is known before decision t (what has
    arrived, too), and nothing of the future. Rewards are maximised; costs are negative rewards.

    References
    ----------
    Vera, Banerjee, *The Bayesian Prophet*, arXiv 1901.05028, §2.
    """

    def draw(self, rng: np.random.Generator) -> Path:
        """Draw a sample path ω."""
        ...

    def redraw(self, t: int, S: State, rng: np.random.Generator) -> Path:
        """Draw a path that agrees with all that is known in S_t."""
        ...

    def initial_state(self, path: Path) -> State:
        """Return S_0."""
        ...

    def actions(self, t: int, S: State, path: Path) -> Sequence[Action]:
        """Return what may be done in S_t, first what ties are decided for; empty at the end."""
        ...

    def reward(self, t: int, a: Action, S: State, path: Path) -> Exact:
        """Return the reward R(t, a, S)."""
        ...

    def next_state(self, t: int, a: Action, S: State, path: Path) -> State:
        """Return the state T(a, S) in which decision t + 1 is made."""
        ...
