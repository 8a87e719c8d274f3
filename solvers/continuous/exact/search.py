"""Prove a schedule optimal, or find a better one, by searching the states exhaustively (A*)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ....models.continuous.milp.from_variables import left_shifted
from ....models.continuous.schedule import Batch, ContinuousSchedule
from ....models.errors import InputError
from ....models.instance import Instance
from ....models.objectives import Exact
from ...limits import Budget
from .first_schedule import first_schedule
from .prices import Prices, climb
from .problem import Problem, is_applicable, problem_of, weights_in_units
from .watch import Watch

#: Labels that are kept at most (a power of 2), and room for at first.
MOST_LABELS, FIRST_LABELS = 2**23, 2**14

#: Labels that are expanded for each batch to find schedules first: without needless freedom, with.
BEAM, LAST_BEAM = 500, 500

#: Share of the time, or the work, that is left for each.
BEAM_SHARE = 0.25

#: Expansions between two reports.
SLICE = 200

#: Objectives that the search takes.
OBJECTIVES = ("latency", "weighted", "makespan")

if TYPE_CHECKING:
    from .potentials import Potentials

Found = Callable[[ContinuousSchedule | None, Exact, Prices], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an exhaustive search came to.

    Attributes
    ----------
    schedule : ContinuousSchedule or None
        A schedule better than the value that was known; None if there is none, or none was found.
    bound : int or Fraction
        Lower bound on the objective: the optimum itself if it is proved.
    proved : bool
        Whether the schedule, or else the value that was known, is proved optimal.
    expanded : int
        Labels expanded.
    prices : Prices
        Prices by which the search went.
    """

    schedule: ContinuousSchedule | None
    bound: Exact
    proved: bool
    expanded: int
    prices: Prices


def search(
    instance: Instance,
    value: Exact | None = None,
    *,
    objective: str = "latency",
    time_limit: float = math.inf,
    work_limit: int | None = None,
    stop: Callable[[], bool] | None = None,
    found: Found | None = None,
) -> Outcome:
    """Search the states of an instance in order of a lower bound until the best is proved.

    Parameters
    ----------
    instance : Instance
        The instance: any law, any limits, `problem.is_applicable`.
    value : int or Fraction, optional
        Value of a schedule that is known: only better ones are searched for, beginning with the
        list schedules of `first_schedule`.
    objective : {"latency", "weighted", "makespan"}
        The objective.
    time_limit : float
        Seconds.
    work_limit : int, optional
        Labels to expand; with it the clock is not looked at.
    stop : callable, optional
        Asked now and then whether to end.
    found : callable, optional
        Called with the best schedule, the lower bound and the prices, when either of the first gets
        better.

    Returns
    -------
    Outcome
        A better schedule if one was found, and how far the bound got.

    Raises
    ------
    InputError
        If the objective is another one, or the instance is too large for the states' integers.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[4, 3], output=[3, 3])
    >>> outcome = search(instance)
    >>> outcome.bound, outcome.proved, outcome.schedule.completion(instance).tolist()
    (7, True, [3, 4])
    """
    if objective not in OBJECTIVES:
        known = ", ".join(OBJECTIVES)
        raise InputError(f"objective: expected one of {known}; found {objective!r}")
    if not is_applicable(instance):
        raise InputError(f"requests: too many or too long for an exhaustive search ({instance.n})")
    budget = Budget(time_limit, work_limit, stop)
    watched = stop is not None or (work_limit is None and time_limit < math.inf)
    schedule: ContinuousSchedule | None
    schedule, least = first_schedule(instance, objective, budget)
    if value is not None and value <= least:
        schedule, least = None, value
    order = np.argsort(instance.arrival, kind="stable")
    problem = problem_of(instance, objective, order)
    expanded = 0
    priced = climb(problem, _cost(instance, objective, least), budget)
    for smaller in _parts_of(problem):
        run = _Run(instance, objective, smaller, priced, schedule, least, watched=watched)
        run.narrow(budget, BEAM)
        schedule, least = run.schedule, run.value
        expanded += run.expanded
    run = _Run(instance, objective, problem, priced, schedule, least, watched=watched)
    run.narrow(budget, LAST_BEAM)
    proved = run.until_done(budget, found)
    return Outcome(run.schedule, run.bound, proved, expanded + run.expanded, run.prices)


def _parts_of(problem: Problem) -> Iterator[Problem]:
    """Yield problems with less freedom, whose schedules are schedules of the problem.

    Without drops, and without chunks where all prompts fit a batch, many times fewer batches follow
    a state.
    """
    whole = not problem.chunked or int(problem.prompt.max()) <= problem.tokens
    plain = problem._replace(drops=False, chunked=not whole)
    without_chunks = problem._replace(chunked=not whole)
    if plain.drops != problem.drops:
        yield plain
    if without_chunks.chunked != problem.chunked:
        yield without_chunks


def _cost(instance: Instance, objective: str, value: Exact) -> int:
    """Return what completions cost at a value, in the weights' unit."""
    offset = int(instance.arrival.sum()) if objective == "latency" else 0
    return math.ceil(Fraction(value) / weights_in_units(instance, objective)[1]) + offset


class _Run:
    """One search: its labels, its limit, the best schedule."""

    def __init__(
        self,
        instance: Instance,
        objective: str,
        problem: Problem,
        priced: tuple[Potentials, Prices],
        schedule: ContinuousSchedule | None,
        value: Exact,
        *,
        watched: bool = False,
    ) -> None:
        from . import expansion, labels  # compiled code is loaded where it is used
        from .bound import least_cost
        from .workspace import workspace

        self._code, self._labels_code = expansion, labels
        self._instance, self._watched = instance, watched
        self._order = np.argsort(instance.arrival, kind="stable")
        self._unit = weights_in_units(instance, objective)[1]
        self._offset = int(instance.arrival.sum()) if objective == "latency" else 0
        self._tables, self.prices = priced
        self._here = workspace(problem, self._tables)
        self._labels = labels.empty_labels(FIRST_LABELS, instance.n)
        self.schedule = schedule
        cost = _cost(instance, objective, value)
        self._limit = np.array([cost], dtype=np.int64)
        first = np.zeros(instance.n, dtype=np.int64)
        time = int(instance.arrival.min())
        self._labels.size[labels.LABELS] = 1
        self._labels.time[0] = time
        here, tables = self._here, self._tables
        self._labels.bound[0] = least_cost(
            here.fact, here.request, here.rest, tables.job, tables.read, tables.charge,
            first, time, 0, here.space,
        )  # fmt: skip
        self._labels.table[labels.slot_of(self._labels, first)] = 0
        labels.push(self._labels, 0)
        self._bound = min(int(self._labels.bound[0]), cost)

    @property
    def expanded(self) -> int:
        """Labels expanded so far."""
        return int(self._labels.size[self._labels_code.EXPANSIONS])

    @property
    def bound(self) -> Exact:
        """The lower bound, in the objective's unit."""
        return self._out_of_units(self._bound)

    @property
    def value(self) -> Exact:
        """Value of the best schedule that is known, in the objective's unit."""
        return self._out_of_units(int(self._limit[0]))

    def _out_of_units(self, cost: int) -> Exact:
        value = self._unit * (cost - self._offset)
        return int(value) if value.denominator == 1 else value

    def until_done(self, budget: Budget, found: Found | None) -> bool:
        """Expand labels until none is left that counts, or the budget or the room is spent.

        Returns whether none is left.
        """
        with Watch(budget, self._here.stop, needed=self._watched):
            return self._until_done(budget, found)

    def _until_done(self, budget: Budget, found: Found | None) -> bool:
        while not budget.is_spent:
            before = self.expanded
            size = SLICE if budget.affords(SLICE) else 1
            cost, bound = int(self._limit[0]), self._bound
            ended = self._code.expand(self._tables, self._here, self._labels, self._limit, size)
            budget.work += self.expanded - before
            if self._limit[0] < cost:
                self.schedule = self._schedule_of(int(self._labels.size[self._labels_code.BEST]))
            self._bound = int(self._limit[0])
            if ended != self._code.EXHAUSTED:
                self._bound = max(bound, min(self._bound, self._least()))
            if found is not None and (self._limit[0] < cost or self._bound > bound):
                found(self.schedule, self.bound, self.prices)
            if ended == self._code.EXHAUSTED:
                return True
            if ended == self._code.STOPPED:
                return False
            if ended == self._code.FULL and not self._make_room():
                return False
        return False

    def narrow(self, budget: Budget, width: int) -> None:
        """Expand batch by batch the labels of least bounds alone (a beam), for good schedules."""
        part = budget.part(BEAM_SHARE)
        with Watch(part, self._here.stop, needed=self._watched):
            self._narrow(part, width)
        budget.settle(part)

    def _narrow(self, budget: Budget, width: int) -> None:
        chosen = np.zeros(1, dtype=np.int64)
        while chosen.size and not budget.is_spent:
            if not budget.affords(chosen.size):
                return
            before, first, cost = self.expanded, int(self._labels.size[0]), int(self._limit[0])
            while chosen.size:
                done = self._code.expand_some(
                    self._tables, self._here, self._labels, self._limit, chosen
                )
                chosen = chosen[done:]
                stopped = bool(self._here.stop[0])
                if chosen.size and (stopped or not self._make_room()):
                    break
            budget.work += self.expanded - before
            if self._limit[0] < cost:
                self.schedule = self._schedule_of(int(self._labels.size[self._labels_code.BEST]))
            if chosen.size:  # out of time, or of room
                return
            new = first + np.flatnonzero(self._labels.waits[first : int(self._labels.size[0])])
            bound = self._labels.bound[new]
            new = new[bound < self._limit[0]]
            chosen = new[np.argsort(self._labels.bound[new], kind="stable")[:width]]

    def _least(self) -> int:
        """Least bound of the labels that wait."""
        return int(self._labels.bound[self._labels.heap[0]])

    def _make_room(self) -> bool:
        """Enlarge the arrays; return whether that is still possible."""
        if 2 * self._labels.time.size > MOST_LABELS:
            return False
        self._labels = self._labels_code.enlarged(self._labels)
        return True

    def _schedule_of(self, label: int) -> ContinuousSchedule:
        """Follow a label back to the first one."""
        batches = []
        while label > 0:
            batches.append(self._batch_of(label))
            label = int(self._labels.parent[label])
        return left_shifted(self._instance, batches[::-1])

    def _batch_of(self, label: int) -> Batch:
        """Return the batch that leads to a label, from the states before and after it."""
        labels, parent = self._labels, int(self._labels.parent[label])
        chunks, jobs, drops = [], [], []
        for k, i in enumerate(self._order.tolist()):
            before, after = _parts(labels.state[parent, k]), _parts(labels.state[label, k])
            cache, ready = before[1], before[2]
            if int(labels.drops[label]) >> k & 1:
                drops.append(i)
                cache, ready = 0, False
            emitted = after[0] > before[0]
            if emitted and ready:
                jobs.append(i)
            elif emitted:
                chunks.append((i, int(self._instance.prompt[i]) + before[0] - cache))
            elif after[1] > cache:
                chunks.append((i, after[1] - cache))
        return Batch(0, tuple(chunks), tuple(jobs), tuple(drops))


def _parts(state: int) -> tuple[int, int, bool]:
    """Tokens, cache, and whether the prompt is complete."""
    number = int(state)
    return number & 1023, number >> 10 & 16383, bool(number >> 24 & 1)
