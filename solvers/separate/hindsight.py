"""The hindsight optimum of separate batching, certified: the recipe."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ...models.errors import InputError
from ...models.feasibility import check
from ...models.instance import Instance
from ...models.separate.regime import require_separate, serial_work
from ...models.separate.schedule import SeparateSchedule
from ..progress import Progress, relative_gap
from ..solution import Solution, certified
from .decode import schedule_of
from .exhaustion import exhaust, is_applicable
from .improvement import improve_separate

#: Share of the time for the schedule search where an exhaustive search follows, and the most
#: seconds of it for each request.
SHARE_OF_SEARCH, SECONDS_PER_REQUEST = 0.3, 0.1


def solve_separate(
    instance: Instance,
    *,
    objective: str = "latency",
    time_limit: float = 60.0,
    seed: int = 0,
    warm_start: SeparateSchedule | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Solution[SeparateSchedule]:
    """Find the separate schedule of least total latency, or the best within the time, with a bound.

    A schedule search comes first, and an exhaustive search of states where they can be enumerated.
    Without it the bound is that no request takes less than its time alone on the GPU.

    Parameters
    ----------
    instance : Instance
        Any batch-time law, any batch limits.
    objective : {"latency"}
        The objective.
    time_limit : float
        Seconds of wall-clock time for everything, ≥ 0.
    seed : int
        Random seed of the schedule search.
    warm_start : SeparateSchedule, optional
        A feasible schedule; the result is never worse.
    progress : callable, optional
        Called with a `Progress` when a schedule or a bound gets better.

    Returns
    -------
    Solution
        The best schedule found, checked, with the best bound and what proved it.

    Raises
    ------
    InputError
        If an argument is out of range, or the warm start violates a rule.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> solution = solve_separate(instance)
    >>> solution.objective, solution.status
    (7, 'optimal')
    """
    require_separate(instance)
    if objective != "latency":
        raise InputError(f"objective: separate batching is solved for latency, found {objective!r}")
    begin = time.perf_counter()
    bounds = [("time alone", serial_work(instance))]

    def tell(phase: str, latency: int, bound: int) -> None:
        if progress is not None:
            gap = relative_gap(latency, bound)
            progress(Progress(time.perf_counter() - begin, latency, bound, gap, phase))

    schedule = warm_start if warm_start is not None else _first_come_first_served(instance)
    violations = check(instance, schedule)
    if violations:
        raise InputError(f"warm_start: expected a feasible schedule: {violations[0].message}")
    exhaustible = is_applicable(instance)
    if time_limit > 0:
        first = min(SHARE_OF_SEARCH * time_limit, SECONDS_PER_REQUEST * instance.n)
        schedule = improve_separate(
            instance,
            schedule,
            time_limit=first if exhaustible else time_limit,
            seed=seed,
            found=lambda _, latency: tell("schedule search", latency, bounds[0][1]),
        )
        if exhaustible:
            left = max(0.0, time_limit - (time.perf_counter() - begin))
            outcome = exhaust(instance, schedule, time_limit=left)
            schedule = outcome.schedule
            bounds.append(("exhaustive search", outcome.bound))
    return certified(
        instance,
        schedule,
        bounds=tuple(bounds),
        method="schedule search",
        seconds=time.perf_counter() - begin,
    )


def _first_come_first_served(instance: Instance) -> SeparateSchedule:
    """Return a first schedule: prompts in order of arrival, one by one."""
    order = np.argsort(instance.arrival, kind="stable").astype(np.int64)
    return schedule_of(instance, order, np.full(instance.n, -1, dtype=np.int64))
