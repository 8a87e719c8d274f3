"""Prices that make the GPU's path expensive: adaptive ascent from the relaxation's dual values."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numba import njit

from ....models.batch_time import AffineTime
from ....models.instance import FloatArray, Instance, IntArray
from ....models.separate.milp.running_classes import running_classes
from ....models.separate.problem import separate_problem
from ....models.separate.schedule import SeparateSchedule
from ...certificates.separate.walk_prices import WalkPriceProof
from .class_relaxation import ClassPrices
from .gpu_path_costs import SCALE, Flow, Prices, cheapest_path, follow_path
from .gpu_path_options import Classes, empty_options

#: Most entries of the table of costs to go.
MOST_COSTS = 40_000_000

#: Most entries of a table without prices.
MOST_UNPRICED = 20_000

#: Steps, in time units per request: of the first step and of the last one.
FIRST_LENGTH, LAST_LENGTH = 0.1, 0.004

#: Parts of the running means of slopes and their squares that a step keeps, what is added to the
#: root, and the weight of the newest point in the centre (`ascent.adaptive`).
KEPT, KEPT_SQUARE, EPSILON, NEWEST_POINT = 0.9, 0.99, 0.05, 0.02

#: Steps between two looks at the centre.
LOOK_AFTER = 20


@dataclass(frozen=True, slots=True)
class PathPrices:
    """Prices, and the bound on the total latency that the whole table gives.

    Attributes
    ----------
    bound : Fraction
        Lower bound, exact.
    prices : Prices
        The prices.
    steps : int
        Steps of the ascent.
    """

    bound: Fraction
    prices: Prices
    steps: int


def classes_of(instance: Instance, end: int) -> Classes:
    """Return the classes of running requests as columns, for schedules that are done by `end`.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 4], output=[3, 2])
    >>> classes = classes_of(instance, 6)
    >>> classes.held.tolist(), classes.first.tolist(), classes.last.tolist()
    ([5, 4], [2, 1], [5, 4])
    """
    problem = separate_problem(instance)
    tau_P, tau_D = problem.law.prompt, problem.law.token
    begin = int(instance.arrival.min())
    rows, entry = running_classes(instance, "latency", list(range(instance.n)))
    first = [
        min(
            int(instance.arrival[i])
            - begin
            + tau_P
            + (c.held - int(instance.prompt[i]) - 1) * tau_D
            for i in c.members
        )
        for c in rows
    ]
    alone = tau_P + (instance.output - 1) * tau_D
    return Classes(
        held=_column([c.held for c in rows]),
        members=_column([min(len(c.members), problem.M // (c.held + 1)) for c in rows]),
        following=_column([-1 if c.following is None else c.following for c in rows]),
        first=_column(first),
        last=_column([end - begin - c.to_go * tau_D for c in rows]),
        entry=_column([entry.get(i, -1) for i in range(instance.n)]),
        last_prompt=end - begin - alone,
    )


def _column(values: list[int]) -> IntArray:
    return np.array(values, dtype=np.int64)


def proof_of(instance: Instance, prices: Prices, end: int) -> WalkPriceProof:
    """Return the prices as a proof for a certificate."""
    rows, _ = running_classes(instance, "latency", list(range(instance.n)))
    return WalkPriceProof(
        scale=SCALE,
        end=end,
        prompt=tuple(prices.prompt.tolist()),
        kv=tuple(prices.kv.tolist()),
        running={
            (c.held, c.to_go): tuple(row)
            for c, row in zip(rows, prices.running.tolist(), strict=True)
        },
    )


def unpriced_path(instance: Instance, latency: int) -> WalkPriceProof | None:
    """Return prices of 0 up to the last end of schedules below a total latency.

    None where batch times are affine or the table would be larger than `MOST_UNPRICED`.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 1], prompt=[3, 1], output=[2, 1])
    >>> unpriced_path(instance, 4).end
    5
    """
    end = int(instance.arrival.max()) + latency
    if isinstance(instance.gpu.batch_time, AffineTime) or _states(instance, end) > MOST_UNPRICED:
        return None
    times = end - int(instance.arrival.min()) + 1
    return WalkPriceProof(scale=1, end=end, prompt=(0,) * instance.n, kv=(0,) * times, running={})


def has_path(instance: Instance, end: int) -> bool:
    """Whether the table of all states up to a time is small enough."""
    return _states(instance, end) <= MOST_COSTS


def _states(instance: Instance, end: int) -> int:
    span = end - int(instance.arrival.min()) + 1
    return span * (instance.n + 1) * (most_running(instance) + 1)


def most_running(instance: Instance) -> int:
    """Most requests with token jobs to go that fit into KV at once."""
    held = np.cumsum(np.sort(instance.prompt[instance.output > 1] + 1))
    return int(np.searchsorted(held, instance.gpu.kv_capacity, side="right"))


def path_prices(
    instance: Instance,
    schedule: SeparateSchedule,
    begin: ClassPrices,
    *,
    time_limit: float,
    most_steps: int | None = None,
    stop: Callable[[], bool] | None = None,
    found: Callable[[Fraction], None] | None = None,
) -> PathPrices:
    """Climb from the dual values of the relaxation to prices of a better bound.

    Parameters
    ----------
    instance : Instance
        An instance with `has_path`.
    schedule : SeparateSchedule
        A feasible schedule that is done by the relaxation's end.
    begin : ClassPrices
        Where to begin.
    time_limit : float
        Seconds; the first point is always evaluated.
    most_steps : int, optional
        Steps at most. The steps become shorter towards whichever limit is nearer.
    stop : callable, optional
        Asked at each step whether to end.
    found : callable, optional
        Called with each better bound.

    Returns
    -------
    PathPrices
        The best prices met.

    See Also
    --------
    bounds.class_relaxation.class_prices : The linear relaxation that gives the first prices.
    certificates.separate.walk_prices.WalkPriceProof : Verifies the bound.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch
    >>> from batchprophet.solvers.separate.bounds.class_relaxation import class_prices
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[2, 1])
    >>> one = SeparateSchedule([Batch("prompt", 0, (0, 1)), Batch("token", 1, (0,))])
    >>> float(path_prices(instance, one, class_prices(instance, one), time_limit=0).bound)
    3.0
    """
    ascent = _Ascent(instance, schedule, begin)
    deadline = time.perf_counter() + time_limit
    started, steps = time.perf_counter(), 0
    ascent.look(ascent.point, found)
    while steps != most_steps and time.perf_counter() < deadline:
        if ascent.is_tight or (stop is not None and stop()):
            break
        of_time = (time.perf_counter() - started) / max(time_limit, 1e-9)
        of_steps = 0.0 if most_steps is None else steps / most_steps
        ascent.step(FIRST_LENGTH * (LAST_LENGTH / FIRST_LENGTH) ** max(of_time, of_steps))
        steps += 1
        if steps % LOOK_AFTER == 0:
            ascent.look(ascent.centre, found)
    if steps % LOOK_AFTER:
        ascent.look(ascent.centre, found)
    return ascent.prices(steps)


class _Ascent:
    """The point, the centre, and the best prices."""

    def __init__(self, instance: Instance, schedule: SeparateSchedule, begin: ClassPrices) -> None:
        n, (C, times) = instance.n, begin.running.shape
        self._problem = separate_problem(instance)
        self._classes = classes_of(instance, begin.end)
        K = most_running(instance)
        self._options = empty_options(self._problem, K)
        self._value = np.empty((times, n + 1, K + 1), np.int64)
        clock = int(instance.arrival.min()) + np.arange(times)
        arrived = np.searchsorted(np.sort(instance.arrival), clock, side="right")
        self._arrived = arrived.astype(np.int64)
        self._target = int((schedule.completion(instance) - instance.arrival).sum())
        self._late = (begin.end + 1 - instance.arrival) * SCALE
        self._flow = Flow(
            served=np.zeros(n, np.int64),
            passing=np.zeros((C, times), np.int64),
            deposits=np.zeros(times, np.int64),
        )
        self._parts = np.cumsum([n, C * times])
        self._slope = np.zeros(n + C * times + times)
        self.point = np.concatenate([begin.prompt, begin.running.ravel(), _fall(begin.kv)])
        self._make_valid(self.point)
        self.centre = self.point.copy()
        self._unit = np.ones_like(self.point)
        self._unit[self._parts[1] :] = 1 / float(instance.peak.mean())
        self._mean, self._square = np.zeros_like(self.point), np.zeros_like(self.point)
        self._steps = 0
        self._best: tuple[int, Prices] | None = None

    @property
    def is_tight(self) -> bool:
        """Whether the target is proved."""
        return self._best is not None and self._best[0] > (self._target - 1) * SCALE

    def look(self, point: FloatArray, found: Callable[[Fraction], None] | None) -> None:
        """Evaluate a point; keep it if it is the best."""
        value, prices = self._evaluate(point)
        if self._best is None or value > self._best[0]:
            self._best = value, prices
            if found is not None:
                found(Fraction(value, SCALE))

    def step(self, length: float) -> None:
        """Move the point along a subgradient."""
        _, prices = self._evaluate(self.point)
        order = np.argsort(self._late - prices.prompt, kind="stable")
        done = follow_path(
            self._problem, self._classes, prices, self._arrived, self._options, self._value,
            self._flow,
        )  # fmt: skip
        served, running, kv = np.split(self._slope, self._parts)
        served[:] = 1 - self._flow.served
        served[order[: served.size - done]] -= 1
        running[:] = self._flow.passing.ravel()
        kv[:] = np.cumsum(self._flow.deposits) - self._problem.M
        self._steps += 1
        unbiased = length / (1.0 - KEPT**self._steps)
        root = math.sqrt(1.0 - KEPT_SQUARE**self._steps)
        self._mean += (1.0 - KEPT) * (self._slope - self._mean)
        self._square += (1.0 - KEPT_SQUARE) * (self._slope**2 - self._square)
        self.point += unbiased * self._unit * self._mean / (np.sqrt(self._square) / root + EPSILON)
        self._make_valid(self.point)
        self.centre += NEWEST_POINT * (self.point - self.centre)

    def _make_valid(self, point: FloatArray) -> None:
        """Replace Π by the nearest prices that do not rise, and μ < 0 by 0."""
        _, running, kv = np.split(point, self._parts)
        never_rising(running.reshape(self._flow.passing.shape))
        np.maximum(kv, 0.0, out=kv)

    def _evaluate(self, point: FloatArray) -> tuple[int, Prices]:
        """Bound at a point in units of 1/`SCALE`, and its prices in these units."""
        whole = np.floor(point * SCALE).astype(np.int64)
        prompt, running, kv = np.split(whole, self._parts)
        left_out = np.concatenate([[0], np.cumsum(np.sort(self._late - prompt))])
        prices = Prices(
            prompt=prompt,
            running=running.reshape(self._flow.passing.shape),
            kv=np.cumsum(kv[::-1])[::-1].copy(),
            left_out=left_out.astype(np.int64),
        )
        bound = cheapest_path(
            self._problem, self._classes, prices, self._arrived, self._options, self._value
        )
        return int(bound), prices

    def prices(self, steps: int) -> PathPrices:
        """Return the best prices."""
        assert self._best is not None
        value, prices = self._best
        return PathPrices(Fraction(value, SCALE), prices, steps)


def _fall(deposit: FloatArray) -> FloatArray:
    """μ_t = δ_t − δ_{t+1}, and 0 after the end."""
    falls: FloatArray = deposit - np.append(deposit[1:], 0.0)
    return falls


@njit(cache=True, nogil=True)
def never_rising(prices: FloatArray) -> None:
    """Replace each row by the nearest one that does not rise (pool adjacent violators)."""
    mean, size = np.empty(prices.shape[1]), np.empty(prices.shape[1], np.int64)
    for c in range(prices.shape[0]):
        blocks = 0
        for t in range(prices.shape[1]):
            mean[blocks], size[blocks] = prices[c, t], 1
            blocks += 1
            while blocks > 1 and mean[blocks - 2] < mean[blocks - 1]:
                both = size[blocks - 2] + size[blocks - 1]
                total = mean[blocks - 2] * size[blocks - 2] + mean[blocks - 1] * size[blocks - 1]
                blocks -= 1
                mean[blocks - 1], size[blocks - 1] = total / both, both
        t = 0
        for block in range(blocks):
            for _ in range(size[block]):
                prices[c, t] = mean[block]
                t += 1
