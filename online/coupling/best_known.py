"""Latency accounted for with the best known completion as potential.

There is no exact hindsight oracle for total latency that is fast enough to be asked after every
decision. But any potential telescopes (docs/model/coupling.md §1): let U_k be the total latency of
the best schedule that is known to begin with a run's first k decisions. U_0 is the best known
schedule, the last U is what the run itself comes to, and the compensation of a decision is by how
much it raises U. Since whoever continues k + 1 decisions continues k of them, U_k ≤ U_{k+1} holds
once every U_k is replaced by the smallest of those that follow: then no compensation is negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...models.instance import IntArray


@dataclass(frozen=True, slots=True)
class Step:
    """One decision of a run.

    Attributes
    ----------
    t : int
        When it was made.
    part : str
        What was decided, for example ``"start"`` or ``"wait"``.
    best : int or None
        Total latency of a schedule that continues it; None where none is known.
    """

    t: int
    part: str
    best: int | None


def best_known(steps: Sequence[Step]) -> int:
    """Return the total latency of the best schedule that the steps know: the smallest of all."""
    return min(step.best for step in steps if step.best is not None)


def compensations(steps: Sequence[Step], benchmark: int) -> IntArray:
    """Return the compensation of each step, shape (m,); their sum is the regret of the run.

    Parameters
    ----------
    steps : sequence of Step
        The decisions in order; the last one's `best` is the latency of the run.
    benchmark : int
        Total latency of the best known schedule, at most that of every step.

    Examples
    --------
    The second continuation turned out to be better than what was known after the first decision.

    >>> steps = [Step(0, "start", 14), Step(3, "wait", 12), Step(4, "start", 15)]
    >>> compensations(steps, 10).tolist()
    [2, 0, 3]
    """
    least, after = np.zeros(len(steps), np.int64), steps[-1].best
    assert after is not None, "a run that has ended is its own continuation"
    for position in range(len(steps) - 1, -1, -1):
        known = steps[position].best
        after = after if known is None else min(after, known)
        least[position] = after
    return np.diff(least, prepend=benchmark)
