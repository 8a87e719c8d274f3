"""Prices of prompts that make the profile relaxation tight: a subgradient ascent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ....models.batch_time import AffineTime
from ....models.instance import FloatArray, Instance, IntArray
from ....models.separate.problem import Problem, separate_problem
from ....models.separate.schedule import SeparateSchedule
from .profile_costs import SCALE, CostTable, compute_costs, empty_table, follow
from .profiles import Profiles, count_profiles, drop_longest, profile_number, tabulate_profiles

#: Most running requests in a profile that is remembered, if the tables allow it, and at least.
MOST_RUNNING, LEAST_RUNNING = 9, 3

#: Most entries of the table of choices × profiles, and of the table of costs.
MOST_TRANSITIONS, MOST_COSTS = 8_000_000, 30_000_000

#: Steps without a better bound until the step is shortened, and by what.
PATIENCE, SHORTER = 1, 0.6

#: Share of the newest subgradient in the direction.
NEWEST = 0.4

#: The ascent ends when its step is so short.
LEAST_STEP = 0.002


@dataclass(frozen=True, slots=True)
class Stage:
    """A state for which prices are to be good.

    Attributes
    ----------
    time : int
        The time.
    tokens : ndarray of int64, shape (n,)
        Tokens that each request has.
    """

    time: int
    tokens: IntArray

    def latency_to_come(self, instance: Instance, schedule: SeparateSchedule) -> int:
        """Latency under a schedule of those whose prompt is to come, and of those who run from now.

        Examples
        --------
        >>> from batchprophet.models.instance import Gpu
        >>> from batchprophet.models.separate.schedule import Batch
        >>> columns = {"arrival": [0, 0], "prompt": [3, 1], "output": [2, 1]}
        >>> instance = Instance(gpu=Gpu(kv_capacity=9), **columns)
        >>> one = [Batch("prompt", 0, (0,)), Batch("token", 1, (0,)), Batch("prompt", 2, (1,))]
        >>> Stage(1, np.array([1, 0])).latency_to_come(instance, SeparateSchedule(one))
        4
        """
        completion = schedule.completion(instance)
        to_come = self.tokens == 0
        running = (self.tokens > 0) & (self.tokens < instance.output)
        total = (completion - instance.arrival)[to_come].sum()
        return int(total + (completion - self.time)[running].sum())


def stages_of(
    instance: Instance, schedule: SeparateSchedule, shares: Sequence[float]
) -> list[Stage]:
    """Return the states of a schedule when certain shares of the prompts are done.

    Each is at the end of a batch; shares that give the same one give it once.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[2, 1])
    >>> one = [Batch("prompt", 0, (0,)), Batch("token", 1, (0,)), Batch("prompt", 2, (1,))]
    >>> [(x.time, x.tokens.tolist()) for x in stages_of(instance, SeparateSchedule(one), (0.5, 1))]
    [(1, [1, 0]), (3, [2, 1])]
    """
    columns, ends = schedule.columns, schedule.ends(instance)
    prompts = np.cumsum(np.where(columns.prompt, columns.size, 0))
    stages = []
    for b in sorted({int((prompts < share * instance.n).sum()) for share in shares}):
        if b < ends.size:
            tokens = np.bincount(columns.first(b + 1).member, minlength=instance.n)
            stages.append(Stage(int(ends[b]), tokens))
    return stages


@dataclass(frozen=True, slots=True)
class ProfilePrices:
    """Prices of the requests' prompts, and the bound and the costs to go that they give.

    Attributes
    ----------
    bound : Fraction
        Lower bound on the latency to come from the stage on: V + Σ λ of the prompts not done; the
        total latency from the first arrival on.
    profiles : Profiles
        The profiles.
    table : CostTable
        Costs to go under the prices.
    steps : int
        Steps of the ascent.
    """

    bound: Fraction
    profiles: Profiles
    table: CostTable
    steps: int


def most_running(instance: Instance) -> int | None:
    """Most running requests that profiles of an instance can tell apart; None if too few.

    Tables must stay small, the law must be the unit or the constant one.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> most_running(Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2]))
    2
    """
    if isinstance(instance.gpu.batch_time, AffineTime):
        return None
    problem = separate_problem(instance)
    R = max(1, int(problem.output.max()) - 1)
    J = int(np.unique(problem.output).size)
    span = int(np.ptp(problem.arrival)) + 1
    if span * (instance.n + 1) > MOST_COSTS:
        return None
    arrived = np.searchsorted(
        np.sort(problem.arrival), int(problem.arrival.min()) + np.arange(span), side="right"
    )
    rows, choices = int((arrived + 1).sum()), count_profiles(J, problem.B_P)
    for most in range(min(MOST_RUNNING, instance.n), 0, -1):
        P = count_profiles(R, most)
        if P < 2**15 and P * choices <= MOST_TRANSITIONS and P * rows <= MOST_COSTS:
            return most if most >= min(LEAST_RUNNING, instance.n) else None
    return None


def profile_prices(
    instance: Instance,
    target: int,
    *,
    begin: ProfilePrices | None = None,
    stage: Stage | None = None,
    time_limit: float = math.inf,
    most_steps: int | None = None,
    stop: Callable[[], bool] | None = None,
    found: Callable[[Fraction], None] | None = None,
) -> ProfilePrices:
    """Climb to prices of a good bound on the total latency.

    Parameters
    ----------
    instance : Instance
        An instance for which `most_running` is not None.
    target : int
        Total latency of a schedule: the ascent takes steps towards it (Polyak's rule). From a stage
        on: latency still to come, of those who run since the stage's time.
    begin : ProfilePrices, optional
        Where to begin.
    stage : Stage, optional
        The state to be bounded: the first arrival with nothing done by default.
    time_limit : float
        Seconds; one step is always taken.
    most_steps : int, optional
        Steps at most.
    stop : callable, optional
        Asked at each step whether to end.
    found : callable, optional
        Called with each better bound.

    Returns
    -------
    ProfilePrices
        The best prices met, with their costs to go.

    See Also
    --------
    bounds.gpu_path_prices.path_prices : Prices of a relaxation that knows KV.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[4, 2])
    >>> profile_prices(instance, 7, most_steps=1).bound
    Fraction(6, 1)
    """
    most = most_running(instance)
    assert most is not None
    problem = separate_problem(instance)
    profiles = begin.profiles if begin is not None else tabulate_profiles(problem, most)
    if stage is None:
        stage = Stage(int(problem.arrival.min()), np.zeros(instance.n, np.int64))
    climb = _Climb(problem, profiles, begin, stage, target)
    deadline = time.perf_counter() + time_limit
    steps = 0
    while climb.length >= LEAST_STEP:
        improved = climb.evaluate()
        steps += 1
        if improved and found is not None:
            found(climb.bound)
        if climb.is_tight or (stop is not None and stop()):
            break
        if steps == most_steps or time.perf_counter() >= deadline:
            break
        climb.step()
    return climb.prices(steps)


class _Climb:
    """The point, the best point, and the step's length."""

    def __init__(
        self,
        problem: Problem,
        profiles: Profiles,
        begin: ProfilePrices | None,
        stage: Stage,
        target: int,
    ) -> None:
        self._problem, self._profiles, self._target = problem, profiles, target
        self._kind = np.searchsorted(profiles.outputs, problem.output).astype(np.int64)
        self._table = empty_table(problem, profiles, stage.time)
        self._to_come = stage.tokens == 0
        profile, self._dropped = _profile(problem, profiles, stage.tokens)
        self._begin = (stage.time, int((stage.tokens > 0).sum()), profile)
        self._visits = np.zeros(problem.arrival.size, np.int64)
        self._mean: FloatArray | None = None
        self._since = 0
        self.length = 1.0 if begin is None else 0.25
        start = _first_prices(problem) if begin is None else begin.table.price
        self._point: FloatArray = start.astype(float)
        self._best: IntArray = start.copy()
        self._best_bound: int | None = None
        self._value = 0

    @property
    def bound(self) -> Fraction:
        """The best bound so far."""
        assert self._best_bound is not None
        return Fraction(self._best_bound, SCALE)

    @property
    def is_tight(self) -> bool:
        """Whether the relaxed schedule has every request once, or the target is proved."""
        assert self._best_bound is not None
        return (
            bool((self._visits == self._to_come).all())
            or self._best_bound > (self._target - 1) * SCALE
        )

    def evaluate(self) -> bool:
        """Compute the bound at the point; return whether it is the best."""
        table = self._table
        table.price[:] = np.round(self._point).astype(np.int64)
        self._value = self._bound()
        follow(self._problem, self._profiles, self._kind, table, self._begin, self._visits)
        if self._best_bound is None or self._value > self._best_bound:
            self._best_bound, self._best, self._since = self._value, table.price.copy(), 0
            return True
        self._since += 1
        if self._since >= PATIENCE:
            self.length *= SHORTER
            self._since = 0
            self._point = self._best.astype(float)
            self._mean = None
        return False

    def step(self) -> None:
        """Move along the smoothed subgradient, by a share of what is missing to the target."""
        slope = self._to_come.astype(float) - self._visits
        self._mean = slope if self._mean is None else self._mean + NEWEST * (slope - self._mean)
        missing = self._target * SCALE - self._value
        self._point = self._point + self.length * missing / (slope @ slope) * self._mean

    def _bound(self) -> int:
        """Compute all costs to go; the bound in units of 1/`SCALE`."""
        table = self._table
        compute_costs(self._problem, self._profiles, self._kind, table)
        t, q, profile = self._begin
        late = max(0, t - table.last)
        value = int(table.value[table.row[t - late - table.first] + q, profile])
        value += int(table.price[self._to_come].sum())
        waiting = late * int(self._to_come.sum())
        return value + (waiting + self._dropped * self._problem.law.token) * SCALE

    def prices(self, steps: int) -> ProfilePrices:
        """Return the best prices with their costs to go."""
        table = self._table
        if (table.price != self._best).any():
            table.price[:] = self._best
            self._bound()
        return ProfilePrices(self.bound, self._profiles, table, steps)


def _profile(problem: Problem, profiles: Profiles, tokens: IntArray) -> tuple[int, int]:
    """Profile of those who run, and the completions of those dropped, in token batches."""
    to_go = (problem.output - tokens)[tokens > 0]
    c = np.bincount(to_go[to_go > 0], minlength=max(2, int(problem.output.max())))[1:]
    vector = c.astype(np.int64)
    dropped = drop_longest(vector, profiles.most, problem.B_D)
    number = profile_number(vector, profiles.most, profiles.binomial)
    return int(profiles.rank[number]), int(dropped)


def _first_prices(problem: Problem) -> IntArray:
    """What a request costs alone, roughly doubled by the others."""
    return 2 * SCALE * problem.law.token * (problem.output - 1)
