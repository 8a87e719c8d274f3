"""The Lagrangian bound by memory prices: the linear relaxation's bound, for large instances.

Relaxing ``tokens held in round t ≤ M`` with a price u_t ≥ 0 leaves one small problem per request:
the cheapest start. The best prices give the value of the MILP's linear relaxation (each of these
problems has an integral optimum anyway), and prices constant on blocks of rounds come close to it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ....models.errors import InputError
from ....models.instance import FloatArray, Instance, IntArray
from ....models.mixed.problem import require_mixed
from ....models.mixed.schedule import MixedSchedule
from ....models.objectives import total_latency
from ...ascent.volume import volume_ascent
from ...certificates.mixed.certified_prices import certified_value, fits_64_bits
from ...certificates.mixed.price_blocks import MemoryPrices
from ..list_scheduling.list_schedule import list_schedule
from .fluid_prices import fluid_prices
from .priced_starts import cheapest_starts, held_tokens

#: Blocks of the first level; every further level halves them.
FIRST_BLOCKS = 64

#: Integer prices have at most this many binary digits after the point.
FINEST_SCALE = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPriceBound:
    """Prices, and the lower bound on the total latency that they prove.

    Attributes
    ----------
    prices : MemoryPrices
        The certificate.
    value : Fraction
        ``certified_value(instance, prices)``.
    evaluations : int
        How many price vectors were tried.
    seconds : float
        Wall-clock time.
    """

    prices: MemoryPrices
    value: Fraction
    evaluations: int
    seconds: float


def memory_price_bound(
    instance: Instance,
    *,
    schedule: MixedSchedule | None = None,
    blocks: int = 1024,
    steps: int = 200,
    time_limit: float | None = None,
    keep_going: Callable[[float], bool] | None = None,
    tried: Callable[[IntArray], None] | None = None,
) -> MemoryPriceBound:
    """Bound the total latency from below by prices on memory.

    The blocks are refined level by level, each beginning with the better of the fluid machine's
    prices and those of the level before (zero at first). The result depends on the clock only if a
    limit on it is given and reached.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching).
    schedule : MixedSchedule, optional
        A feasible schedule: its value sets the length of the steps, its runs say where blocks are
        needed. By default the list schedule by KV area.
    blocks : int
        Blocks of rounds at the last level, ≥ 1 (fewer if there are fewer busy rounds).
    steps : int
        Price vectors tried at each level beyond the first, ≥ 0.
    time_limit : float, optional
        Seconds ≥ 0 of wall-clock time; three evaluations and the certified one are always done.
    keep_going : callable, optional
        Told the best (uncertified) bound after every evaluation; False ends the search.
    tried : callable, optional
        Told the cheapest starts under every price vector tried: orders for schedules.

    Returns
    -------
    MemoryPriceBound
        The best prices found and their certified bound.

    Raises
    ------
    InputError
        If an argument is out of range, or mixed batching cannot express the instance.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0, 2], prompt=[3, 3, 1], output=[4, 4, 2])
    >>> bound = memory_price_bound(instance)
    >>> math.ceil(bound.value)  # the optimum is 15
    15
    """
    require_mixed(instance)
    for name, number, low in (("blocks", blocks, 1), ("steps", steps, 0)):
        if number < low:
            raise InputError(f"{name}: expected at least {low}, found {number!r}")
    if time_limit is not None and not time_limit >= 0:
        raise InputError(f"time_limit: expected at least 0 seconds, found {time_limit!r}")
    if schedule is None:
        schedule = list_schedule(instance, instance.volume)
    search = _Search(instance, schedule, time_limit, keep_going, tried)
    for level in _levels(blocks):
        search.climb(busy_boundaries(instance, schedule, level), steps)
        if search.over:
            break
    prices = round_prices(instance, search.boundaries, search.prices)
    value = certified_value(instance, prices)
    seconds = time.perf_counter() - search.began
    return MemoryPriceBound(
        prices=prices, value=value, evaluations=search.evaluations, seconds=seconds
    )


def _levels(blocks: int) -> list[int]:
    """FIRST_BLOCKS, doubled up to `blocks`."""
    levels = [blocks]
    while levels[0] > FIRST_BLOCKS:
        levels.insert(0, max(FIRST_BLOCKS, -(-levels[0] // 2)))
    return levels


class _Search:
    """The prices so far, and the ascent that improves them."""

    def __init__(
        self,
        instance: Instance,
        schedule: MixedSchedule,
        time_limit: float | None,
        keep_going: Callable[[float], bool] | None,
        tried: Callable[[IntArray], None] | None,
    ) -> None:
        self.began = time.perf_counter()
        self.instance = instance
        self.target = float(total_latency(instance, schedule.completion(instance)))
        self.limit = math.inf if time_limit is None else time_limit
        self.listener = keep_going
        self.tried = tried
        self.over = False
        self.evaluations = 0
        self.origin = int(instance.arrival.min())  # floating-point times count from here
        self.arrival = instance.arrival - self.origin
        self.start = np.empty(instance.n, dtype=np.int64)
        self.boundaries: IntArray = np.empty(0, dtype=np.int64)
        self.prices: FloatArray = np.empty(0)

    def climb(self, boundaries: IntArray, steps: int) -> None:
        """Ascend on these blocks."""
        candidates = [fluid_prices(self.instance, boundaries), self._inherited(boundaries)]
        self.boundaries = boundaries
        values = [self.evaluate(prices)[0] for prices in candidates]
        self.prices = candidates[int(np.argmax(values))]
        self.prices, _ = volume_ascent(
            self.evaluate,
            self.prices,
            np.diff(boundaries).astype(np.float64),
            self.target,
            steps=steps,
            keep_going=self.keep_going,
        )

    def _inherited(self, boundaries: IntArray) -> FloatArray:
        """The prices of the level before; none of them on the first level: all start at arrival."""
        if self.prices.size == 0:
            return np.zeros(boundaries.size - 1)
        middle = (boundaries[1:] + boundaries[:-1]) // 2
        position = np.searchsorted(self.boundaries, middle, side="right") - 1
        inherited: FloatArray = self.prices[np.clip(position, 0, self.prices.size - 1)]
        return inherited

    def evaluate(self, prices: FloatArray) -> tuple[float, FloatArray]:
        """The bound, and its subgradient: token-rounds held beyond capacity in each block."""
        instance, b = self.instance, self.boundaries - self.origin
        columns = (self.arrival, instance.prompt, instance.output)
        costs = cheapest_starts(*columns, b, prices, self.start)
        held = np.empty(prices.size)
        held_tokens(self.start, instance.prompt, instance.output, b, held)
        capacity = instance.gpu.kv_capacity * np.diff(b).astype(np.float64)
        self.evaluations += 1
        if self.tried is not None:
            self.tried(self.start + self.origin)
        return costs - float(capacity @ prices), held - capacity

    def keep_going(self, value: float) -> bool:
        """Whether the ascent may go on; False for good once the clock or the listener says so."""
        late = time.perf_counter() - self.began >= self.limit
        self.over = late or (self.listener is not None and not self.listener(value))
        return not self.over


def busy_boundaries(instance: Instance, schedule: MixedSchedule, blocks: int) -> IntArray:
    """Boundaries of about `blocks` blocks: equal shares of the busy rounds.

    The longest idle stretches between them, at most as many, are blocks of their own.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9)
    >>> instance = Instance(gpu=gpu, arrival=[0, 100], prompt=[3, 1], output=[4, 2])
    >>> busy_boundaries(instance, MixedSchedule([0, 100]), 3).tolist()
    [0, 2, 4, 100, 102]
    """
    order = np.argsort(schedule.start, kind="stable")
    begin = schedule.start[order]
    end = np.maximum.accumulate(schedule.completion(instance)[order])
    first = np.flatnonzero(np.append(True, begin[1:] > end[:-1]))  # of each busy stretch
    left, right = begin[first], end[np.append(first[1:] - 1, instance.n - 1)]
    before = np.append(0, np.cumsum(right - left))  # busy rounds up to each stretch
    share = np.arange(blocks + 1) * int(before[-1]) // blocks
    stretch = np.clip(np.searchsorted(before, share, side="left") - 1, 0, left.size - 1)
    cuts = left[stretch] + share - before[stretch]
    idle = np.argsort(-(left[1:] - right[:-1]), kind="stable")[:blocks]
    ends = [int(instance.arrival.min())], cuts, right[:-1][idle], left[1:][idle]
    return np.unique(np.concatenate(ends)).astype(np.int64)


def round_prices(instance: Instance, boundaries: IntArray, prices: FloatArray) -> MemoryPrices:
    """Round prices to integers over the finest power of two that keeps to 64-bit arithmetic.

    At scale 1 at the latest the prices are taken as they come: the certified value then uses
    unlimited integers.
    """
    for digits in range(FINEST_SCALE, -1, -1):
        scale = 2**digits
        rounded = MemoryPrices(
            boundaries=tuple(boundaries.tolist()),
            prices=tuple(round(price * scale) for price in prices.tolist()),
            scale=scale,
        )
        if fits_64_bits(instance, rounded):
            return rounded
    return rounded
