"""The hindsight optimum of a short path, by the S1 admission MILP (docs/model/separate.md §2)."""

from __future__ import annotations

import numpy as np

from ....models.errors import BatchprophetError
from ....models.instance import IntArray
from ....models.separate.milp.formulation import build_model
from ....models.separate.milp.from_variables import decode
from ....solvers.highs import Status, solve_model
from ....solvers.solution import certified
from .law import AdmissionLaw


def optimal_reward(law: AdmissionLaw, arrivals: IntArray) -> int:
    """Most that any schedule earns on a path, known from the start.

    Parameters
    ----------
    law : AdmissionLaw
        The law.
    arrivals : ndarray of int64, shape (T, K)
        Arrivals by slot and type.

    Raises
    ------
    BatchprophetError
        If the solver's bound is not what its schedule earns.

    Examples
    --------
    >>> from batchprophet.online.separate.admission.law import PROTOTYPE
    >>> arrivals = np.zeros((8, 3), dtype=np.int64)
    >>> arrivals[0] = [2, 1, 0]  # type 2 needs 3 + 12 slots
    >>> optimal_reward(PROTOTYPE, arrivals)
    8
    """
    T = arrivals.shape[0]
    alone = law.prompt_time + law.token_time * (np.array(law.output) - 1)
    if not (arrivals * (np.arange(T)[:, None] + alone <= T)).any():
        return 0
    instance = law.instance(arrivals)
    model = build_model(instance, objective="reward")
    # Rewards are integers: a gap below one proves the optimum.
    result = solve_model(model, absolute_gap=0.5)
    assert result.status is Status.OPTIMAL, "without limits a solve ends optimal or raises"
    assert result.bound is not None, "an optimal result has a bound"
    solution = certified(
        instance,
        decode(instance, model, result.value),
        objective_name="reward",
        bounds=(("MILP", result.bound),),
        method="MILP",
        seconds=result.seconds,
    )
    if solution.status != "optimal":
        raise BatchprophetError(
            f"MILP: the schedule earns {solution.objective}, the bound is {solution.bound}"
        )
    return int(solution.objective)
