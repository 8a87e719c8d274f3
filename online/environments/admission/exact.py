"""The hindsight optimum of a short path, by the S1 admission MILP (docs/model.md §3)."""

from __future__ import annotations

import numpy as np

from ....models.instance import IntArray
from ....models.separate.formulation import build_model
from ....solvers.highs import Status, solve_model
from .law import AdmissionLaw


def optimal_reward(law: AdmissionLaw, arrivals: IntArray) -> int:
    """Most that any schedule earns on a path, known from the start.

    Parameters
    ----------
    law : AdmissionLaw
        The law.
    arrivals : ndarray of int64, shape (T, K)
        Arrivals by slot and type.

    Examples
    --------
    >>> from batchprophet.online.environments.admission.law import PROTOTYPE
    >>> arrivals = np.zeros((8, 3), dtype=np.int64)
    >>> arrivals[0] = [2, 1, 0]  # type 2 needs 3 + 12 slots
    >>> optimal_reward(PROTOTYPE, arrivals)
    8
    """
    T = arrivals.shape[0]
    alone = law.prompt_time + law.token_time * (np.array(law.output) - 1)
    if not (arrivals * (np.arange(T)[:, None] + alone <= T)).any():
        return 0
    model = build_model(law.instance(arrivals), objective="reward")
    # Rewards are integers: a gap below one proves the optimum.
    result = solve_model(model, absolute_gap=0.5)
    assert result.status is Status.OPTIMAL, "without limits a solve ends optimal or raises"
    assert result.objective is not None, "an optimal result has an objective"
    return round(result.objective)
