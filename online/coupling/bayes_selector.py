"""The Bayes selector: do what hindsight would least probably regret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import numpy as np

from .estimate import Estimate
from .problem import Action, State


@dataclass(frozen=True, slots=True)
class BayesSelector(Generic[State, Action]):
    """Choose ``argmin_a P̂[Q(t, a, S_t)]``, of equals the first.

    Parameters
    ----------
    estimate : Estimate
        Sampled hindsight, the fluid problem, or a closed form.

    Examples
    --------
    >>> from batchprophet.online.coupling.estimate import ClosedForm
    >>> rule = BayesSelector(ClosedForm(lambda t, S: {"accept": 0.1, "reject": 0.9}))
    >>> rule(0, None, np.random.default_rng(0))
    'accept'

    References
    ----------
    Vera, Banerjee, *The Bayesian Prophet*, arXiv 1901.05028, Algorithm 1.
    """

    estimate: Estimate[State, Action]

    def __call__(self, t: int, S: State, rng: np.random.Generator) -> Action:
        """Return the action of least score."""
        scores = self.estimate.scores(t, S, rng)
        return min(scores, key=scores.__getitem__)
