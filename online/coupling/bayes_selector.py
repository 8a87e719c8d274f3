"""The Bayes selector: do what hindsight would least probably regret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

import numpy as np

from .problem import Action, State

if TYPE_CHECKING:
    from .estimate import Estimate


@dataclass(frozen=True, slots=True)
class BayesSelector(Generic[State, Action]):
    """Choose ``argmin_a P̂[Q(t, a, S_t)]``, of equals the first.

    For problems with a few actions per decision. Scheduling policies build a decision up from many
    parts and apply the same rule to each part in turn (`elected`).

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
        return least_regretted(self.estimate.scores(t, S, rng))


def least_regretted(scores: Mapping[Action, float]) -> Action:
    """Return the action of least score, of equals the first."""
    return min(scores, key=scores.__getitem__)


def most_wanted(actions: Iterable[Action], ballots: Iterable[Collection[Action]]) -> Action:
    """Return the action on most ballots, of equals the first.

    A ballot holds the actions that are satisfying in one sampled future, so it is the action of
    least estimated P[Q].

    Examples
    --------
    >>> most_wanted("abc", ["ab", "bc", "c"])
    'b'
    """
    votes = Counter(action for ballot in ballots for action in ballot)
    return least_regretted({action: -votes[action] for action in actions})


def elected(
    ballots: Callable[[list[int]], Sequence[Collection[int]]],
    commit: Callable[[list[int]], None],
    *,
    at_least_one: bool,
) -> list[int]:
    """Choose requests one by one, as long as at least half of the sampled futures want one more.

    Going on is regretted in the futures that want none, stopping in the others. Each choice is
    the request that most of them want; then the others are made to agree, and they vote again.
    Voting on each request by itself would choose none where futures want different requests.

    Parameters
    ----------
    ballots : callable
        From the requests chosen so far to what each future wants besides, any one of them.
    commit : callable
        Makes all futures agree with the requests chosen so far.
    at_least_one : bool
        Whether the first one wanted is chosen in any case.
    """
    chosen: list[int] = []
    while True:
        wanted = ballots(chosen)
        some = sum(map(bool, wanted))
        if some == 0 or (2 * some < len(wanted) and not (at_least_one and not chosen)):
            return chosen
        requests = sorted({request for ballot in wanted for request in ballot})
        chosen.append(most_wanted(requests, wanted))
        commit(chosen)
