"""Class prices: weights of ages that are the same at all times, and multipliers over time.

The bound and its proof are those of `certificates.mixed.class_prices`. A table of weights π with
σ = 1 says how much of the machine a request takes in each round of its run: ``Σ_j π(c, j)`` is
the least time between completions of class c in the long run, whatever is staggered. It is found by
column generation: maximise the requests' total weight subject to π·C ≤ 1 for the configurations
known, then look for the heaviest one (`configuration_pricing`), and so on. There is a table for all
classes together, one for each class, and the KV tokens over M. The multipliers, one per round and
table, are found by adaptive steps.
"""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np

from ....models.instance import FloatArray, Instance, IntArray
from ....models.mixed.schedule import MixedSchedule
from ...ascent.adaptive import AdaptiveAscent
from ...certificates.clock import Clock
from ...certificates.mixed.class_prices import ClassPriceProof
from .column_types import ColumnTypes, column_types
from .configuration_pricing import heaviest_configuration, workspace
from .fluid_prices import fluid_prices

#: What the bound is called.
CLASS_PRICES = "class prices"

#: Units of weights and of multipliers.
WEIGHT_SCALE, MULTIPLIER_SCALE = 2**14, 2**10

#: Configurations found for a table, at most, and by how much the last may exceed 1.
MOST_CONFIGURATIONS, ENOUGH = 300, 1e-3

#: Steps of the multipliers; the first length, in parts of the largest, and the last in parts of it.
STEPS, FIRST_LENGTH, LAST_LENGTH = 3000, 0.05, 1e-3

#: Steps from one look at the average to the next; weight of the other classes in a class's table.
LOOK_AFTER, OTHERS = 10, 0.01

#: Largest pricing problem, K·(M/2)·M, and rounds times tables.
LARGEST_PRICING, MOST_ENTRIES = 2**26, 2**18


def class_prices(
    instance: Instance,
    schedule: MixedSchedule,
    *,
    seconds: float | None = None,
    steps: int = STEPS,
) -> tuple[Fraction, ClassPriceProof] | None:
    """Return a bound on the total latency, and its proof; None if the tables would be too large.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching), of few classes.
    schedule : MixedSchedule
        A feasible schedule: its last completion is the last round with multipliers.
    seconds : float, optional
        Time for the tables and, again, for the multipliers; without it nothing looks at the clock.
    steps : int
        Steps of the multipliers, at most.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> n, gpu = 12, Gpu(kv_capacity=30)
    >>> instance = Instance(gpu=gpu, arrival=[0] * n, prompt=[2] * n, output=[8] * n)
    >>> bound, proof = class_prices(instance, MixedSchedule([3 * i for i in range(n)]))
    >>> 210 < bound <= 222  # the optimum
    True
    """
    M, last = int(instance.gpu.kv_capacity), int(schedule.completion(instance).max())
    types = column_types(instance)
    classes = sorted(set(zip(instance.prompt.tolist(), instance.output.tolist(), strict=True)))
    tables = len(classes) + 1 + (len(classes) > 1)
    pricing = types.size.size * (M // 2 + 2) * (M + 1)
    if pricing > LARGEST_PRICING or last * tables > MOST_ENTRIES:
        return None
    member = [np.flatnonzero((instance.prompt == s) & (instance.output == o)) for s, o in classes]
    limit = _Until(seconds)
    weights = _weights(types, [int(each[0]) for each in member], M, limit)
    limit = _Until(seconds)
    paths = [types.path[types.first[i] : types.first[i + 1]] for i in (m[0] for m in member)]
    arrivals = [instance.arrival[each] for each in member]
    dual = _Dual(weights, paths, arrivals, last)
    start = np.zeros((tables, last + 1))
    start[:2] = 0.5 * M * fluid_prices(instance, np.arange(last + 2))
    found = dual.climb(start, steps, limit)
    proof = ClassPriceProof(
        scale=WEIGHT_SCALE * MULTIPLIER_SCALE,
        classes=tuple(classes),
        weights=tuple(
            tuple(tuple(map(int, np.floor(WEIGHT_SCALE * row[path]))) for path in paths)
            for row in weights
        ),
        multipliers=tuple(tuple(map(int, np.floor(MULTIPLIER_SCALE * row[1:]))) for row in found),
    )
    return Fraction(proof.bound(instance, "latency", Clock(None))), proof


class _Until:
    """When to end, by the clock."""

    def __init__(self, seconds: float | None) -> None:
        self.end = None if seconds is None else time.perf_counter() + seconds

    def reached(self) -> bool:
        return self.end is not None and time.perf_counter() >= self.end


def _weights(types: ColumnTypes, firsts: list[int], M: int, limit: _Until) -> FloatArray:
    """Tables of weights by type, each with σ ≤ 1."""
    K = types.size.size
    total = np.bincount(types.path, minlength=K).astype(np.float64)
    wanted = [total]
    if len(firsts) > 1:
        for i in firsts:
            own = OTHERS * total / total.max()
            own[types.path[types.first[i] : types.first[i + 1]]] += 1.0
            wanted.append(own)
    return np.array([types.size / M, *(_steady(types, each, M, limit) for each in wanted)])


def _steady(types: ColumnTypes, worth: FloatArray, M: int, limit: _Until) -> FloatArray:
    """Weights with σ ≤ 1 of nearly the largest total worth."""
    from scipy.optimize import linprog  # slow to load

    work = workspace(types.size.size, M)
    best = types.size / M
    value, rows, weight = float(worth @ best), [], np.ones(types.size.size)
    for _ in range(MOST_CONFIGURATIONS):
        units: IntArray = np.floor(WEIGHT_SCALE * weight).astype(np.int64).clip(0)
        heaviest, members = heaviest_configuration(units, types.size, types.to_go, M, work)
        found = float(worth @ units) / max(heaviest, 1)
        if found > value:
            value, best = found, units / heaviest
        if heaviest <= WEIGHT_SCALE * (1 + ENOUGH) or limit.reached():
            break
        row = np.zeros(types.size.size)
        np.add.at(row, work.chosen[:members], 1.0)
        rows.append(row)
        solved = linprog(-worth, A_ub=np.array(rows), b_ub=np.ones(len(rows)), bounds=(0, 1))
        if solved.x is None:
            break
        weight = solved.x
    return best


class _Dual:
    """The bound as a function of the multipliers, in floating point; the proof is exact."""

    def __init__(
        self, weights: FloatArray, paths: list[IntArray], arrivals: list[IntArray], last: int
    ) -> None:
        self.rows = [weights[:, path] for path in paths]
        self.arrivals, self.last = arrivals, last
        self.starts = max(last, *(int(each.max()) for each in arrivals)) + 1

    def value(self, multiplier: FloatArray, slope: FloatArray) -> float:
        """Return the bound, and fill a subgradient."""
        slope[:] = -1.0
        slope[:, 0] = 0.0
        total = -float(multiplier[:, 1:].sum())
        for rows, arrival in zip(self.rows, self.arrivals, strict=True):
            o = rows.shape[1]
            cost = np.arange(self.starts) + float(o)
            for row, each in zip(rows, multiplier, strict=True):
                padded = np.zeros(self.starts + o)
                padded[: self.last + 1] = each
                cost += np.correlate(padded[1:], row, "valid")
            backwards = cost[::-1]
            is_least = backwards == np.minimum.accumulate(backwards)
            place = np.maximum.accumulate(np.where(is_least, np.arange(self.starts), 0))
            k = (self.starts - 1 - place)[::-1][arrival]
            total += float((cost[k] - arrival).sum())
            starts = np.bincount(k, minlength=self.starts)
            for row, along in zip(rows, slope, strict=True):
                along[1:] += np.convolve(starts, row)[: self.last]
        return total

    def climb(self, start: FloatArray, steps: int, limit: _Until) -> FloatArray:
        """Return the best multipliers met, or averages of them."""
        slope, ignored = np.zeros_like(start), np.zeros_like(start)
        best, value = np.zeros_like(start), self.value(np.zeros_like(start), ignored)
        length = FIRST_LENGTH * max(float(start.max()), 1.0)
        ascent = AdaptiveAscent(start)
        began = time.perf_counter()
        while ascent.steps < steps and not limit.reached():
            found = self.value(ascent.point, slope)
            if found > value:
                value, best = found, ascent.point.copy()
            part = ascent.steps / steps
            if limit.end is not None:
                part = max(part, (time.perf_counter() - began) / (limit.end - began))
            ascent.step(slope, length * LAST_LENGTH**part)
            if ascent.steps % LOOK_AFTER == 0:
                found = self.value(ascent.centre, ignored)
                if found > value:
                    value, best = found, ascent.centre.copy()
        return best
