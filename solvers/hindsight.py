"""The hindsight optimum, certified: the front door of all regimes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..models.instance import Instance
from ..models.regime import Schedule
from .progress import Progress
from .recipe import Options
from .regimes import recipe
from .solution import Solution


def solve(
    instance: Instance,
    *,
    model: str = "mixed",
    objective: str = "latency",
    time_limit: float = 60.0,
    work_limit: int | None = None,
    threads: int | None = None,
    seed: int = 0,
    warm_start: Schedule | None = None,
    formulation: str = "auto",
    progress: Callable[[Progress], None] | None = None,
) -> Solution[Any]:
    """Find the hindsight-optimal schedule, or the best within the limits, with a proved bound.

    Separate batching has a recipe of its own (`separate.hindsight`). Under mixed batching, list
    schedules and combinatorial bounds come first. For the total latency the engine follows
    (`engine`: schedule search on one thread; prices on configurations, or on memory for large
    instances, and exhaustive search guided by them on the other). For the other objectives, and
    where a formulation is asked for, the MILP follows if it is small enough
    (`milp_size.MOST_BINARIES`). A keyboard interrupt ends the search and returns what it has.

    Parameters
    ----------
    instance : Instance
        The instance; for mixed batching with the unit-time law, and no batch limits but those on
        the requests and tokens of a round.
    model : {"mixed", "separate"}
        The regime.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective.
    time_limit : float
        Seconds of wall-clock time for everything, ≥ 0. One list schedule and the combinatorial
        bounds are always computed, and a solver looks at its clock only between its steps.
    work_limit : int, optional
        Units of work, ≥ 0: about ten microseconds each in the engine, branch-and-bound nodes where
        a formulation is asked for (a MILP whose root is too large for so few is not tried). With it
        the result does not depend on the clock: the time limit is not used, and the same seed and
        threads give the same schedule and bound.
    threads : int, optional
        Threads; with 1 the engine's two parts run one after the other. Two parts at once and the
        solver's own choice by default.
    seed : int
        Random seed of the schedule search and the solver.
    warm_start : MixedSchedule or SeparateSchedule, optional
        A feasible schedule of the regime; the result is never worse.
    formulation : {"auto", "dense", "running-sum"}
        A form of the MILP to solve; under separate batching {"auto", "time-expanded", "stages",
        "classes", "batch-sequence"}. By itself the engine; where that proves nothing of
        an objective, the dense form if it has at most `mixed.milp.MOST_DENSE_NONZEROS` non-zeros.
    progress : callable, optional
        Called with a `Progress` at each step and while the solver runs.

    Returns
    -------
    Solution
        The best schedule found, checked, with the best bound and what proved it.

    Raises
    ------
    InputError
        If an argument is unknown or out of range, the warm start violates a rule, or mixed
        batching cannot express the instance.
    BatchprophetError
        If schedule and bound contradict each other: a defect of this package.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> solution = solve(instance)
    >>> solution.objective, solution.status, solution.schedule.start.tolist()
    (7, 'optimal', [0, 3])
    """
    options = Options(
        objective=objective,
        time_limit=time_limit,
        work_limit=work_limit,
        threads=threads,
        seed=seed,
        formulation=formulation,
    )
    return recipe(model).solve(instance, options, warm_start=warm_start, progress=progress)
