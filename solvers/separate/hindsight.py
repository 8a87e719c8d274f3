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
    schedule = warm_start if warm_start is not None else _first_come_first_served(instance)
    violations = check(instance, schedule)
    if violations:
        raise InputError(f"warm_start: expected a feasible schedule: {violations[0].message}")
    state = _State(instance, schedule, time_limit, progress)
    try:
        if time_limit > 0:
            _search(state, seed)
    except KeyboardInterrupt:
        state.account.append("interrupted")
    return certified(
        instance,
        state.schedule,
        bounds=tuple(state.bounds.items()),
        method="; ".join(["schedule search", *state.account]),
        seconds=state.seconds,
    )


class _State:
    """The best schedule and the bounds so far, kept when the search is interrupted."""

    def __init__(
        self,
        instance: Instance,
        schedule: SeparateSchedule,
        time_limit: float,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.instance = instance
        self.schedule = schedule
        self.bounds = {"time alone": serial_work(instance)}
        self.account: list[str] = []
        self._progress = progress
        self._begin = time.perf_counter()
        self._time_limit = time_limit

    @property
    def seconds(self) -> float:
        """Since the search began."""
        return time.perf_counter() - self._begin

    @property
    def seconds_left(self) -> float:
        """Until the time limit; 0 after it."""
        return max(0.0, self._time_limit - self.seconds)

    def found(self, schedule: SeparateSchedule, latency: int) -> None:
        """Keep a better schedule, and tell of it."""
        self.schedule = schedule
        if self._progress is not None:
            bound = max(self.bounds.values())
            gap = relative_gap(latency, bound)
            self._progress(Progress(self.seconds, latency, bound, gap, "schedule search"))


def _search(state: _State, seed: int) -> None:
    """Better the schedule; where states can be enumerated, prove it or find a better one."""
    instance = state.instance
    exhaustible = is_applicable(instance)
    limit = state.seconds_left
    if exhaustible:
        limit = min(SHARE_OF_SEARCH * limit, SECONDS_PER_REQUEST * instance.n)
    improve_separate(instance, state.schedule, time_limit=limit, seed=seed, found=state.found)
    if exhaustible:
        outcome = exhaust(instance, state.schedule, time_limit=state.seconds_left)
        state.schedule = outcome.schedule
        state.bounds["exhaustive search"] = outcome.bound


def _first_come_first_served(instance: Instance) -> SeparateSchedule:
    """Return a first schedule: prompts in order of arrival, one by one."""
    order = np.argsort(instance.arrival, kind="stable").astype(np.int64)
    return schedule_of(instance, order, np.full(instance.n, -1, dtype=np.int64))
