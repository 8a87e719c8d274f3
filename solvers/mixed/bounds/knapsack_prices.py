"""The Lagrangian bound by prices of tokens and of presence: requests are held whole or not at all.

The linear relaxation, and so the bound by memory prices, may hold 0.9 of a request in the room that
is left and the rest later. Where requests are large against M that is most of its error. Here
request i pays, beside the price of its tokens, a price ``v_{i,t}`` for being in the batch of round
t. What a round can earn by these prices is the optimum of a knapsack of whole requests
(`certified_knapsacks` has the proof), so the best prices give the value of the relaxation in which
every round's requests are in the convex hull of the sets that fit together.

**Search.** From good memory prices and ``v = 0``, adaptive steps from long to short (see
`ascent.adaptive`). Only rounds in which a request can be, at about what it costs by memory prices,
have a price of its presence: its window.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from ....models.errors import InputError
from ....models.instance import FloatArray, Instance, IntArray
from ....models.mixed.problem import require_mixed
from ...ascent.adaptive import AdaptiveAscent
from ...certificates.clock import Clock
from ...certificates.mixed.certified_knapsacks import MOST_ROUNDS, fits_64_bits
from ...certificates.mixed.knapsack_prices import KnapsackPriceProof
from ...certificates.mixed.price_blocks import MemoryPrices
from .presence_kernels import Windows, cheapest_starts, knapsacks, windows

#: A window is so many times the wait that a request costs by memory prices, and some rounds more.
MARGIN, SPARE = 1.3, 8

#: Presence prices that may be searched.
MOST_PRICES = 2**21

#: Length of the first and of the last step, in rounds.
FIRST_LENGTH, LAST_LENGTH = 2.0, 0.001

#: Steps from one look at the bound of the points' average to the next.
LOOK_AFTER = 10

#: Binary digits of the certificate's presence prices after the point, and of a token's beyond M's.
DIGITS = 10

#: Presence prices of 0 that end a run of them in the certificate.
LONGEST_GAP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class KnapsackPriceBound:
    """Prices, and the lower bound on the total latency that they prove.

    Attributes
    ----------
    proof : KnapsackPriceProof
        The certificate.
    value : Fraction
        What it proves.
    evaluations : int
        How many prices were tried.
    """

    proof: KnapsackPriceProof
    value: Fraction
    evaluations: int


def knapsack_price_bound(
    instance: Instance,
    memory: MemoryPrices,
    *,
    target: int | None = None,
    steps: int = 4000,
    work_limit: int | None = None,
    time_limit: float | None = None,
    stop: Callable[[], bool] | None = None,
) -> KnapsackPriceBound | None:
    """Bound the total latency from below by prices of tokens and of presence.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching).
    memory : MemoryPrices
        Good prices of tokens (`memory_prices.memory_price_bound`): where the search begins.
    target : int, optional
        The search ends once a bound above ``target − 1`` is found: the latency of a schedule.
    steps : int
        Steps, ≥ 1.
    work_limit : int, optional
        Steps times prices, ≥ 0: fewer steps if that is less.
    time_limit : float, optional
        Seconds ≥ 0 of wall-clock time; one evaluation and the certified one are always done.
    stop : callable, optional
        Asked after every step; True ends the search.

    Returns
    -------
    KnapsackPriceBound or None
        The best prices found; None if the instance has too many rounds or windows.

    Examples
    --------
    Three requests of which only two fit at once. By memory prices half of the third fits as well.

    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.mixed.bounds.memory_prices import memory_price_bound
    >>> gpu = Gpu(kv_capacity=5)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0, 0], prompt=[1, 1, 1], output=[1, 1, 1])
    >>> memory = memory_price_bound(instance)
    >>> round(float(memory.value), 2)
    3.5
    >>> 3.7 < knapsack_price_bound(instance, memory.prices, steps=400).value <= 4
    True
    """
    require_mixed(instance)
    if steps < 1:
        raise InputError(f"steps: expected at least 1, found {steps!r}")
    problem = _problem(instance, memory)
    if problem is None:
        return None
    if work_limit is not None:
        steps = min(steps, work_limit // problem.first.size)
    search = _Search(problem)
    search.climb(target, steps, time_limit, stop)
    proof = _proof(problem, search.best)
    if proof is None:
        return None
    value = Fraction(proof.bound(instance, "latency", Clock(None)))
    return KnapsackPriceBound(proof=proof, value=value, evaluations=search.evaluations)


@dataclass(frozen=True, slots=True)
class _Problem:
    """What is priced, in rounds from the first arrival.

    A point holds the prices of all of M in rounds 1 … `rounds`, then the prices of presence.
    """

    instance: Instance
    windows: Windows
    rounds: int
    first: FloatArray

    @property
    def capacity(self) -> int:
        """M."""
        return self.instance.gpu.kv_capacity

    def evaluate(self, point: FloatArray, slope: FloatArray) -> float:
        """Return the bound and fill a subgradient."""
        token, presence = self.token(point), point[self.rounds :]
        slope[:] = 0.0
        held, there = np.zeros(self.rounds + 1), slope[self.rounds :]
        cost = np.empty(self.instance.n)
        value = cheapest_starts(self.windows, token, presence, cost, held, there)
        value -= knapsacks(self.windows, presence, self.capacity, there)
        slope[: self.rounds] = held[1:] / self.capacity - 1.0
        return value - float(point[: self.rounds].sum())

    def token(self, point: FloatArray) -> FloatArray:
        """Prices of a token by round, from round 0."""
        return np.append(0.0, point[: self.rounds] / self.capacity)


def _problem(instance: Instance, memory: MemoryPrices) -> _Problem | None:
    """Windows of what a request costs by memory prices; None if there would be too many prices."""
    origin = int(instance.arrival.min())
    last = memory.boundaries[-1] - origin
    latest = int((instance.arrival + instance.output).max()) - origin
    if max(last, latest) > MOST_ROUNDS // 4:
        return None
    token = np.zeros(max(last, 0) + 1)
    for (begin, end), price in zip(pairwise(memory.boundaries), memory.prices, strict=True):
        token[max(begin - origin + 1, 0) : max(end - origin + 1, 0)] = price / memory.scale
    token[0] = 0.0
    cost = np.empty(instance.n)
    nothing = windows(instance, np.zeros(instance.n, np.int64))
    cheapest_starts(nothing, token, np.zeros(0), cost, np.zeros(token.size), np.zeros(0))
    wait = np.ceil(MARGIN * (cost - instance.output)).astype(np.int64) + SPARE
    length = wait + instance.output
    rounds = max(token.size - 1, int((instance.arrival - origin + length).max()))
    if length.sum() > MOST_PRICES or rounds > MOST_ROUNDS:
        return None
    first = np.zeros(rounds + int(length.sum()))
    first[: token.size - 1] = token[1:] * instance.gpu.kv_capacity
    return _Problem(instance, windows(instance, length), rounds, first)


class _Search:
    """The best prices so far, and the ascent that improves them."""

    def __init__(self, problem: _Problem) -> None:
        self.began = time.perf_counter()
        self.problem = problem
        self.best = problem.first
        self.slope = np.empty_like(self.best)
        self.value = problem.evaluate(self.best, self.slope)
        self.evaluations = 1

    def climb(
        self,
        target: int | None,
        steps: int,
        time_limit: float | None,
        stop: Callable[[], bool] | None,
    ) -> None:
        """Take steps from long to short, by the part of the steps or of the time that is used."""
        ascent = AdaptiveAscent(self.best[None, :])
        ignored = np.empty_like(self.best)
        while ascent.steps < steps and (target is None or self.value <= target - 1):
            part = ascent.steps / steps
            if time_limit is not None:
                part = max(part, (time.perf_counter() - self.began) / max(time_limit, 1e-9))
            if part >= 1.0 or (stop is not None and stop()):
                break
            length = FIRST_LENGTH * (LAST_LENGTH / FIRST_LENGTH) ** part
            ascent.step(self.slope[None, :], length)
            self._offer(ascent.point[0], self.slope)
            if ascent.steps % LOOK_AFTER == 0:
                self._offer(ascent.centre[0], ignored)

    def _offer(self, point: FloatArray, slope: FloatArray) -> None:
        value = self.problem.evaluate(point, slope)
        self.evaluations += 1
        if value > self.value:
            self.best, self.value = point.copy(), value


def _proof(problem: _Problem, point: FloatArray) -> KnapsackPriceProof | None:
    """Round to integers; None where arithmetic of 64 bits is too small for them."""
    instance, origin = problem.instance, int(problem.instance.arrival.min())
    step = 2 ** problem.capacity.bit_length()
    scale = step * 2**DIGITS
    token = np.rint(problem.token(point) * scale).astype(np.int64)
    priced = np.flatnonzero(token)
    first, last = (int(priced[0]), int(priced[-1])) if priced.size else (1, 0)
    prices = tuple(token[first : last + 1].tolist())
    values = np.rint(point[problem.rounds :] * 2**DIGITS).astype(np.int64)
    end = problem.rounds + int(instance.output.max())
    if not fits_64_bits(problem.capacity, scale, prices, step, int(values.sum()), end):
        return None
    return KnapsackPriceProof(
        scale=scale,
        first=first + origin,
        prices=prices,
        step=step,
        presence=tuple(_runs(instance, problem.windows.offset, values)),
    )


def _runs(instance: Instance, offset: IntArray, values: IntArray) -> Iterator[tuple[int, ...]]:
    """Yield ``(request, first round, price, price, …)`` without long gaps of zeros."""
    for i in range(instance.n):
        window = values[offset[i] : offset[i + 1]]
        there = np.flatnonzero(window)
        if there.size == 0:
            continue
        breaks = np.flatnonzero(np.diff(there) > LONGEST_GAP + 1) + 1
        for run in np.split(there, breaks):
            t = int(instance.arrival[i]) + 1 + int(run[0])
            yield (i, t, *window[run[0] : run[-1] + 1].tolist())
