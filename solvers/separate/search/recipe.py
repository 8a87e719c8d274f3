"""Improve a schedule of separate batching: list schedules, then annealing from many encodings."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from ....models.errors import InputError
from ....models.instance import Instance
from ....models.separate.feasibility import check_separate
from ....models.separate.problem import Problem, separate_problem
from ....models.separate.schedule import SeparateSchedule
from ...limits import Budget
from ...random_stream import Stream, random_stream
from .annealing import anneal, empty_begin, start_annealing
from .encoding import Encoding
from .list_encodings import encoding_of, list_encodings
from .schedule_builder import REJECTED, schedule_of, total_latency, working_space

Found = Callable[[SeparateSchedule, int], None]

#: Annealing steps per request in the first runs, and in later ones.
STEPS_PER_REQUEST = (2_500, 2_500, 5_000)

#: Most placements of a request in one run: with many requests a run has fewer steps, and less heat.
MOST_PLACEMENTS = 40_000_000

#: How many of the best list schedules take turns.
MOST_STARTS = 6

#: Temperatures at the first and last step, as shares of the mean latency.
HEAT = (0.5, 0.015)

#: The time between two reports, in times of the time that one takes.
RARELY = 20.0

#: Share of that heat at which a run from the incumbent begins.
REHEAT = 0.25


def improve_separate(
    instance: Instance,
    schedule: SeparateSchedule,
    *,
    time_limit: float,
    work_limit: int | None = None,
    seed: int = 0,
    stop: Callable[[], bool] | None = None,
    found: Found | None = None,
) -> SeparateSchedule:
    """Search for a schedule of smaller total latency until the time is up.

    Runs of annealing take turns: one from the next of the best list schedules, one with less heat
    from the best schedule so far.

    Parameters
    ----------
    instance : Instance
        The instance; any law, any limits.
    schedule : SeparateSchedule
        A feasible schedule of it.
    time_limit : float
        Seconds of wall-clock time, ≥ 0.
    work_limit : int, optional
        Placements of a request, about, ≥ 0. With it the result does not depend on the clock: the
        time limit is not used.
    seed : int
        Random seed, ≥ 0.
    stop : callable, optional
        Asked about every 20 ms; the search ends when it returns True.
    found : callable, optional
        Called with each better schedule and its total latency, which falls from call to call.

    Returns
    -------
    SeparateSchedule
        The best schedule found; feasible, and never worse than the one given.

    Raises
    ------
    InputError
        If the schedule violates a rule, or a limit or the seed is out of range.

    See Also
    --------
    exact.search.search_states : Proves a schedule optimal, or finds a better one.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.separate.search.encoding import plain_encoding
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 1], prompt=[2, 1], output=[3, 3])
    >>> one_by_one = schedule_of(instance, plain_encoding(np.array([0, 1]), 2, wait=9))
    >>> better = improve_separate(instance, one_by_one, time_limit=0, work_limit=100)
    >>> one_by_one.completion(instance).tolist(), better.completion(instance).tolist()
    ([3, 6], [4, 4])
    """
    _check_arguments(instance, schedule, time_limit, work_limit, seed)
    problem = separate_problem(instance)
    budget = Budget(time_limit, work_limit, stop)
    best = _Best(instance, problem, schedule, found)
    starts = _starts(instance, best, budget)
    stream = random_stream(seed)
    run = 0
    while not budget.is_spent:
        from_best = run % 2 == 1
        encoding = best.encoding if from_best else starts[run // 2 % len(starts)]
        heat = REHEAT if from_best else 1.0
        _run(best, encoding, budget, stream, STEPS_PER_REQUEST[min(run, 2)], heat)
        run += 1
    best.report()
    return best.schedule


class _Best:
    """The best encoding so far, and the best schedule; reports better ones, not too often."""

    def __init__(
        self, instance: Instance, problem: Problem, schedule: SeparateSchedule, found: Found | None
    ) -> None:
        self.instance, self.problem = instance, problem
        self.schedule = schedule
        self.latency = int((schedule.completion(instance) - instance.arrival).sum())
        self.encoding = encoding_of(instance, schedule)
        self.encoding_latency = self.value(self.encoding)
        self._found = found
        self._next_report = 0.0

    def value(self, encoding: Encoding) -> int:
        """Total latency of an encoding's schedule."""
        space, no_log = working_space(self.instance.n), np.zeros(0, np.int64)
        return int(total_latency(self.problem, space, encoding, float(REJECTED), no_log))

    def offer(self, encoding: Encoding, latency: int) -> None:
        """Keep an encoding if it is the best so far."""
        if latency < self.encoding_latency:
            self.encoding, self.encoding_latency = encoding, latency
        if time.perf_counter() >= self._next_report:
            self.report()

    def report(self) -> None:
        """Make the schedule of the best encoding, if it is better than the one there is.

        With thousands of batches that takes as long as thousands of evaluations.
        """
        if self.encoding_latency >= self.latency:
            return
        began = time.perf_counter()
        self.schedule, self.latency = (
            schedule_of(self.instance, self.encoding),
            self.encoding_latency,
        )
        if self._found is not None:
            self._found(self.schedule, self.latency)
        now = time.perf_counter()
        self._next_report = now + RARELY * (now - began)


def _starts(instance: Instance, best: _Best, budget: Budget) -> list[Encoding]:
    """Encodings of the best list schedules, the best first; the incumbent's where time is up."""
    encodings = [(best.encoding_latency, best.encoding)]
    for _, encoding in list_encodings(instance):
        if budget.is_spent:
            break
        budget.work += instance.n
        latency = best.value(encoding)
        best.offer(encoding, latency)
        encodings.append((latency, encoding))
    encodings.sort(key=lambda entry: entry[0])
    return [encoding for _, encoding in encodings[:MOST_STARTS]]


def _run(
    best: _Best, encoding: Encoding, budget: Budget, stream: Stream, per_request: int, reheat: float
) -> None:
    """One run of annealing from an encoding."""
    n = best.instance.n
    state = start_annealing(best.problem, empty_begin(), encoding)
    mean = best.encoding_latency / n
    steps = max(1, min(n * per_request, MOST_PLACEMENTS // n))
    reheat *= math.sqrt(steps / (n * per_request))

    def go_on(now: int, end: int) -> None:
        anneal(
            best.problem,
            state,
            stream,
            (now, end, steps),
            (max(HEAT[0] * reheat, HEAT[1]) * mean, HEAT[1] * mean),
        )
        if state.cost[1] < best.encoding_latency:
            best.offer(state.best.copied(), int(state.cost[1]))

    budget.work += n
    budget.in_slices(steps, n, go_on)


def _check_arguments(
    instance: Instance,
    schedule: SeparateSchedule,
    time_limit: float,
    work_limit: int | None,
    seed: int,
) -> None:
    if not time_limit >= 0:
        raise InputError(f"time_limit: expected at least 0 seconds, found {time_limit}")
    if work_limit is not None and work_limit < 0:
        raise InputError(f"work_limit: expected at least 0 placements, found {work_limit}")
    if seed < 0:
        raise InputError(f"seed: expected an integer of at least 0, found {seed}")
    violations = check_separate(instance, schedule)
    if violations:
        raise InputError(f"schedule: must be feasible, found: {violations[0].message}")
