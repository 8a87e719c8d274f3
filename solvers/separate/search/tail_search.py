"""Re-optimise the tail of a schedule: exhaustive searches that keep its first batches.

What follows the first batches of a good schedule has few requests to deal with, so the best tail is
found in a moment. Ever longer tails are searched, until a search takes too long.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ....models.instance import Instance
from ....models.separate.schedule import SeparateSchedule
from ...limits import Budget
from ..exact.gpu_path_lookahead import PathTable
from ..exact.search import search_states

#: Shares of the batches that are kept, one search after the other.
KEPT = (0.75, 0.65, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15)

#: Labels that one search may expand.
MOST_EXPANDED = 60_000


def improve_tail(
    instance: Instance,
    schedule: SeparateSchedule,
    path: PathTable | None,
    *,
    time_limit: float = math.inf,
    stop: Callable[[], bool] | None = None,
) -> SeparateSchedule:
    """Replace ever longer tails of a schedule by the best ones.

    Parameters
    ----------
    instance : Instance
        An instance that `search_states` takes.
    schedule : SeparateSchedule
        A feasible schedule.
    path : PathTable or None
        Costs to go, for schedules no worse than this one; without them only small instances are
        searched to the end.
    time_limit : float
        Seconds.
    stop : callable, optional
        Asked now and then whether to end.

    Returns
    -------
    SeparateSchedule
        The schedule, or a better one.

    See Also
    --------
    search.recipe.improve_separate : Simulated annealing.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.milp.from_variables import left_shifted
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[3, 3])
    >>> batches = [(kind, (i,)) for i in (0, 1) for kind in ("prompt", "token", "token")]
    >>> one_by_one = left_shifted(instance, batches)
    >>> better = improve_tail(instance, one_by_one, None)
    >>> one_by_one.completion(instance).tolist(), better.completion(instance).tolist()
    ([3, 6], [3, 4])
    """
    budget = Budget(time_limit, None, stop)
    for share in KEPT:
        if budget.is_spent:
            break
        outcome = search_states(
            instance,
            schedule,
            kept=int(share * schedule.starts.size),
            path=path,
            work_limit=MOST_EXPANDED,
            stop=lambda: budget.is_spent,
        )
        schedule = outcome.schedule
        if not outcome.complete:
            break
    return schedule
