"""The configuration bound: prices on types of running requests, found by the volume algorithm.

**Validity.** Let ``U_t(w, r) ≥ 0`` be the price of having a request of type (w, r) (see
`column_types`) in the batch of round t, and C_t the types that a schedule has there. Whatever the
completions cost (`completion_costs`; for the total latency ``cost_i(c) = c − a_i``),

    Σ_i cost_i(c_i) = Σ_i [ cost_i(c_i) + Σ_{rounds t of i} U_t(its type) ] − Σ_t U_t·C_t
                    ≥ Σ_i min_{k ≥ a_i} [ cost_i(k + o_i) + Σ_{j=1..o_i} U_{k+j}(s_i + j, o_i − j) ]
                      − Σ_t max { U_t·C : C a configuration },

since C_t is feasible in every schedule. Prices are 0 after the last priced round, so the minimum
over k is finite in effect. This is the Lagrangian dual of the time-indexed MILP in which each
round's memory row is replaced by the convex hull of its configurations; the memory rows alone are
the special case ``U_t(w, r) = u_t·w``.

**Search.** The dual function is concave and piecewise linear; the volume algorithm of Barahona and
Anbil (2000) climbs it along averaged subgradients with steps towards the value of a known schedule.
Prices constant on blocks of rounds come first (16, then 8, 4, 2, 1 rounds): few configurations to
price, and a good start for the finer ones. A type that no request can be of yet, since none has
arrived that early, has price 0: no start would pay it, and it can only raise the deduction.
Where the volume algorithm ends it is stuck: started again from its prices it gains nothing. So
prices handed back are improved by adaptive steps (see `ascent.adaptive`) that leave them and
return, ever shorter, to the average of where they were.

Prices and costs are integers in the units of the costs, ``1 / SCALE`` rounds for the total latency,
and everything is summed in integers, so each iterate's bound is exact.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ....models.instance import FloatArray, Instance, IntArray
from ....models.mixed.schedule import MixedSchedule
from ...ascent.adaptive import AdaptiveAscent, rounded
from ...ascent.volume import StepFactor
from ..completion_costs import FINEST_SCALE, CompletionCosts, by_deadline, latency_costs
from .column_types import ColumnTypes, column_types, first_rounds
from .configuration_dual import blend, dual_value, squared_norm, step_along
from .fluid_prices import fluid_prices

#: For the total latency, prices are multiples of 1 / SCALE.
SCALE = FINEST_SCALE

#: Rounds per block, from coarse to fine.
STAGES = (16, 8, 4, 2, 1)

#: A stage ends when this many steps improve the bound by less than this part of the known value.
STALL_STEPS = 400
STALL = 0.004

#: First step factor, on the coarsest blocks and on finer ones.
FACTOR, FINER_FACTOR = 0.3, 0.1

#: Weight of the newest subgradient in the running average.
NEWEST = 0.01

#: A stage ends when its step factor has shrunk to this.
SMALLEST_FACTOR = 0.0005

#: Steps without improvement after which the step factor shrinks, and to what part of it.
PATIENCE, SHORTER = 20, 0.8

#: Length of the first and of the last adaptive step, in what a round is worth; most steps from one
#: to the other.
FIRST_LENGTH, LAST_LENGTH = 0.1, 0.001
ADAPTIVE_STEPS = 8000

#: Length of the first step where prices of another deadline are the beginning.
FIRST_DEADLINE_LENGTH = 0.03

#: Adaptive steps from one look at the bound of their average to the next.
LOOK_AFTER = 10

#: Largest size of the pricing problem, K·(M/2)·M, and of the price table, that the bound is for.
LARGEST_PRICING = 2**25
LARGEST_TABLE = 2**24


@dataclass(frozen=True, slots=True, eq=False)
class ConfigurationPrices:
    """Prices and the bound that they prove.

    Attributes
    ----------
    price : ndarray of int64, shape (T + 1, K)
        ``price[t]`` are the prices of the types in round t, in units of ``1 / scale``; row 0 is
        not used, and after round T all prices are 0.
    bound : Fraction
        The bound on the cost of all completions that they prove, in steps of the objective
        (rounds, for the total latency), exact.
    iterations : int
        Steps taken.
    scale : int
        That of the costs.
    """

    price: IntArray
    bound: Fraction
    iterations: int
    scale: int = SCALE


def is_applicable(instance: Instance, last_round: int) -> bool:
    """Whether the bound's tables have a sensible size for this instance."""
    M, K = instance.gpu.kv_capacity, int(min(instance.output.sum(), instance.gpu.kv_capacity**2))
    return K * (M // 2 + 2) * (M + 1) <= LARGEST_PRICING and K * last_round <= LARGEST_TABLE


def configuration_prices(
    instance: Instance,
    schedule: MixedSchedule,
    *,
    costs: CompletionCosts | None = None,
    begin: ConfigurationPrices | None = None,
    time_limit: float | None = None,
    work_limit: int | None = None,
    stop: Callable[[], bool] | None = None,
    found: Callable[[Fraction], None] | None = None,
) -> ConfigurationPrices:
    """Find prices that prove a large lower bound on what completions cost.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching).
    schedule : MixedSchedule
        A feasible schedule: its value is what the steps aim at, its last completion the last
        round that is priced.
    costs : CompletionCosts, optional
        What completions cost; the total latency by default.
    begin : ConfigurationPrices, optional
        Prices of this instance and these costs to improve, by adaptive steps.
    time_limit : float, optional
        Seconds.
    work_limit : int, optional
        Iterations of the coarsest stage's cost; the result does not depend on the clock then.
    stop : callable, optional
        Asked after every step; True ends the search.
    found : callable, optional
        Called with each improved bound.

    Returns
    -------
    ConfigurationPrices
        The best prices found, and their exact bound.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> prices = configuration_prices(instance, MixedSchedule([0, 3]), work_limit=20_000)
    >>> float(prices.bound) > 6.66, prices.bound <= 7
    (True, True)
    """
    limits = _Limits(time_limit, work_limit, stop)
    costs = latency_costs(instance) if costs is None else costs
    if begin is not None:
        search = _Volume(instance, schedule, costs, begin=begin.price)
        search.leave_and_return(limits, FIRST_LENGTH, found)
        return search.prices()
    search = _Volume(instance, schedule, costs)
    for rounds in STAGES:
        search.refine(rounds)
        search.climb(limits, found)
        if limits.reached or search.bound >= search.goal:
            break
    return search.prices()


def deadline_prices(
    instance: Instance,
    schedule: MixedSchedule,
    begin: IntArray,
    *,
    block: int,
    time_limit: float | None = None,
    work_limit: int | None = None,
    stop: Callable[[], bool] | None = None,
) -> ConfigurationPrices:
    """Find prices that prove that no schedule is done by D: climb until their bound is above 0.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching).
    schedule : MixedSchedule
        A feasible schedule.
    begin : ndarray of int64, shape (D + 1, K)
        Prices of the rounds up to the deadline D: where to begin.
    block : int
        Rounds for which prices are the same.
    time_limit : float, optional
        Seconds.
    work_limit : int, optional
        Iterations, as for `configuration_prices`.
    stop : callable, optional
        Asked after every step; True ends the search.

    Returns
    -------
    ConfigurationPrices
        Prices of the tardiness with all due at D (`completion_costs.by_deadline`).

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 3], output=[4, 4])
    >>> types = column_types(instance)
    >>> begin = np.full((6, types.size.size), SCALE // 8)
    >>> schedule = MixedSchedule([0, 3])
    >>> prices = deadline_prices(instance, schedule, begin, block=2, work_limit=20_000)
    >>> prices.bound > 0  # the last round of one and the third of the other hold 14 tokens
    True
    """
    above_zero: list[Fraction] = []
    limits = _Limits(
        time_limit, work_limit, lambda: bool(above_zero) or (stop is not None and stop())
    )
    costs = by_deadline(instance, begin.shape[0] - 1)
    search = _Volume(instance, schedule, costs, begin=begin, block=block)
    search.leave_and_return(
        limits, FIRST_DEADLINE_LENGTH, lambda bound: above_zero.append(bound) if bound > 0 else None
    )
    return search.prices()


class _Limits:
    """When to stop; a step on blocks of D rounds counts ``STAGES[0] / D``."""

    def __init__(
        self, time_limit: float | None, work_limit: int | None, stop: Callable[[], bool] | None
    ) -> None:
        self.begin, self.time_limit = time.perf_counter(), time_limit
        self.work_limit = self.work_left = work_limit
        self.stop = stop
        self.reached = False

    def allow_step(self, rounds: int) -> bool:
        """Whether one more step may be taken."""
        if self.work_left is not None:
            self.work_left -= max(1, STAGES[0] // rounds)
            self.reached = self.work_left < 0
        elif self.time_limit is not None:
            self.reached = time.perf_counter() >= self.begin + self.time_limit
        if self.stop is not None and self.stop():
            self.reached = True
        return not self.reached

    def part_used(self) -> float:
        """Part of the work or time that has been used, 0 if there is no limit."""
        if self.work_limit is not None and self.work_left is not None:
            return 1.0 - max(self.work_left, 0) / max(self.work_limit, 1)
        if self.time_limit is not None:
            return min(1.0, (time.perf_counter() - self.begin) / max(self.time_limit, 1e-9))
        return 0.0


class _Volume:
    """The volume algorithm on block prices."""

    def __init__(
        self,
        instance: Instance,
        schedule: MixedSchedule,
        costs: CompletionCosts,
        *,
        begin: IntArray | None = None,
        block: int = 1,
    ) -> None:
        completion = schedule.completion(instance)
        self.instance = instance
        self.types = column_types(instance)
        self.first_rounds = first_rounds(instance, self.types)
        self.costs = costs
        self.per_round = costs.per_round(instance.output)
        self.goal = costs.of(completion)
        self.rounds = STAGES[0] if begin is None else block
        self.last_round = -(-int(completion.max()) // self.rounds) * self.rounds
        if begin is not None:
            self.last_round = begin.shape[0] - 1
        self.iterations = 0
        self.best = self._first_prices() if begin is None else begin[::block].copy()
        self.bound = -(2**62)

    def _first_prices(self) -> IntArray:
        """Take the fluid machine's memory prices, ``U_t(w, r) = u_t·w``, unless zero is better."""
        boundaries = np.arange(self.last_round // self.rounds + 2) * self.rounds
        per_token = fluid_prices(self.instance, boundaries)
        prices = np.floor(self.per_round * per_token)[:, None] * self.types.size[None, :]
        self._drop_unpayable(prices)
        candidates = (prices.astype(np.int64), np.zeros(prices.shape, dtype=np.int64))
        slope = np.empty(prices.shape)
        return max(candidates, key=lambda price: self._evaluate(price, slope))

    def refine(self, rounds: int) -> None:
        """Split the blocks to this many rounds."""
        self.best = np.repeat(self.best, self.rounds // rounds, axis=0)
        self.rounds = rounds
        self._drop_unpayable(self.best)

    def _drop_unpayable(self, price: FloatArray | IntArray) -> None:
        """Set the prices of types that no request can be of by the end of a block to 0."""
        last_rounds = (np.arange(price.shape[0]) + 1) * self.rounds - 1
        price[last_rounds[:, None] < self.first_rounds] = 0

    def climb(self, limits: _Limits, found: Callable[[Fraction], None] | None) -> None:
        """Take steps at this block length while they pay."""
        slope = np.zeros(self.best.shape)
        self.bound = self._evaluate(self.best, slope)
        average, trial = slope.copy(), np.empty_like(self.best)
        first = FACTOR if self.rounds == STAGES[0] else FINER_FACTOR
        factor = StepFactor(first, SHORTER, PATIENCE)
        steps, before = 0, self.bound
        while (
            factor.value > SMALLEST_FACTOR
            and self.bound < self.goal
            and limits.allow_step(self.rounds)
        ):
            length = factor.value * (self.goal - self.bound) / squared_norm(average)
            step_along(self.best, average, length, trial)
            value = self._evaluate(trial, slope)
            blend(average, slope, NEWEST)
            if value > self.bound:
                factor.succeeded()
                self.best, trial = trial, self.best
                self._better(value, found)
            else:
                factor.failed()
            steps += 1
            if steps % STALL_STEPS == 0 and self.rounds > STAGES[-1]:
                if self.bound - before < STALL * self.goal:
                    break
                before = self.bound
        self.iterations += steps

    def leave_and_return(
        self, limits: _Limits, first_length: float, found: Callable[[Fraction], None] | None
    ) -> None:
        """Take adaptive steps from long to short; keep the best of their points and averages."""
        slope, ignored = np.zeros(self.best.shape), np.empty(self.best.shape)
        self._drop_unpayable(self.best)
        self.bound = self._evaluate(self.best, slope)
        ascent = AdaptiveAscent(self.best / self.per_round)
        while (
            ascent.steps < ADAPTIVE_STEPS
            and self.bound < self.goal
            and limits.allow_step(self.rounds)
        ):
            part = max(limits.part_used(), ascent.steps / ADAPTIVE_STEPS)
            ascent.step(slope, first_length * (LAST_LENGTH / first_length) ** part)
            self._offer(rounded(ascent.point, self.per_round), slope, found)
            if ascent.steps % LOOK_AFTER == 0:
                self._offer(rounded(ascent.centre, self.per_round), ignored, found)
        self.iterations += ascent.steps

    def _offer(
        self, price: IntArray, slope: FloatArray, found: Callable[[Fraction], None] | None
    ) -> None:
        """Evaluate prices; keep them if they are the best."""
        value = self._evaluate(price, slope)
        if value > self.bound:
            self.best = price
            self._better(value, found)

    def _better(self, bound: int, found: Callable[[Fraction], None] | None) -> None:
        self.bound = bound
        if found is not None:
            found(Fraction(bound, self.costs.scale))

    def _evaluate(self, price: IntArray, slope: FloatArray) -> int:
        columns = (self.instance.arrival, self.instance.output)
        M = self.instance.gpu.kv_capacity
        return int(
            dual_value(
                price, *columns, *_arrays(self.types), self.rounds, self.last_round, M, self.costs,
                slope,
            )
        )  # fmt: skip

    def prices(self) -> ConfigurationPrices:
        """Return the best prices round by round, where some more cannot be paid."""
        self.refine(1)
        bound = max(self.bound, self._evaluate(self.best, np.empty(self.best.shape)), 0)
        by_round = self.best[: self.last_round + 1]
        scale = self.costs.scale
        return ConfigurationPrices(by_round, Fraction(bound, scale), self.iterations, scale)


def _arrays(types: ColumnTypes) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    return types.size, types.to_go, types.first, types.path
