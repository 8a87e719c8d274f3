"""Prices of memory and seats for the exhaustive search, by a subgradient ascent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ....models.instance import IntArray
from ...limits import Budget
from .problem import Problem

if TYPE_CHECKING:
    from .potentials import Potentials

#: Prices and costs are multiples of 1 / SCALE.
SCALE = 2**16

#: Cells in a batch at most, cells in all tables, cells that share their prices, in a batch.
FINEST, MOST_CELLS, PRICES_PER_BATCH = 24, 2**21, 2

#: Steps of the ascent, steps without gain before they get shorter, by this factor.
STEPS, PATIENCE, SHORTER = 250, 8, 0.7

#: Highest price of all blocks or seats, for a unit of time.
MOST_PRICE = 2**30


class Prices(NamedTuple):
    """Prices of a block and of a seat per unit of time, multiples of 1/SCALE.

    Attributes
    ----------
    cell, width : int
        D, and how many cells share their prices.
    block, seat : ndarray of int64, shape (K,)
    """

    cell: int
    width: int
    block: IntArray
    seat: IntArray


def climb(problem: Problem, least: int, budget: Budget) -> tuple[Potentials, Prices]:
    """Return the best prices that some steps of a subgradient ascent find, and their tables.

    Parameters
    ----------
    problem : Problem
        The numbers of an instance; total latency or weighted completions.
    least : int
        Cost of a schedule that is known, in the weights' unit.
    budget : Budget
        Looked at before each step. The steps are no work: their number depends on the problem only.
    """
    from .potentials import MOST_COST, empty_tables, fill, job_time, read_time

    first, last = int(problem.arrival.min()), int(problem.arrival.max())
    batch = job_time(problem, 0, 1) if problem.output[0] > 1 else read_time(problem)
    tokens = int(problem.output.sum())
    span = last - first + (batch * (tokens + 2 * problem.output.size)) // 2
    cells = 2 * problem.prompt.size * int(problem.output.max())
    cell = max(1, batch // FINEST, -(-span * cells // MOST_CELLS))
    largest = int(problem.weight.max()) * problem.prompt.size * (last + batch * tokens) * SCALE
    if (2 * cell > batch and cell > 1) or problem.makespan or largest > MOST_COST // 16:
        nothing = np.zeros(0, dtype=np.int64)
        return empty_tables(problem, first, 1, 0), Prices(1, 1, nothing, nothing)
    tables = empty_tables(problem, first, cell, span // cell + 1)
    width = max(1, batch // cell // PRICES_PER_BATCH)
    found = _ascend(problem, tables, width, least * SCALE, budget)
    fill(problem, tables, found[0], found[1], width)
    return tables, Prices(cell, width, found[0], found[1])


def _ascend(
    problem: Problem, tables: Potentials, width: int, target: int, budget: Budget
) -> IntArray:
    """Return prices of blocks and seats, shape (2, K), that lift the bound towards a target."""
    from .potentials import bound_and_use, fill
    from .workspace import workspace

    count = -(-(tables.charge.size - 1) // width)
    limit = np.array([problem.blocks, problem.seats], dtype=np.float64)[:, None]
    price, best, found = np.zeros((2, count)), -math.inf, np.zeros((2, count), dtype=np.int64)
    momentum, step, stalled = np.zeros((2, count)), 1.0, 0
    use = np.zeros((2, count), dtype=np.int64)
    here = workspace(problem, tables)
    for _ in range(STEPS):
        if budget.is_spent:
            break
        whole = np.rint(price).astype(np.int64)
        fill(problem, tables, whole[0], whole[1], width)
        bound = bound_and_use(
            problem, tables, here.fact, here.request, here.rest, width, use[0], use[1]
        )
        if bound > best:
            best, found, stalled = bound, whole, 0
        else:
            stalled += 1
            if stalled == PATIENCE:
                step, stalled = step * SHORTER, 0
        momentum = momentum / 2 + use / limit
        slope = np.where((price <= 0) & (momentum < 0), 0.0, momentum)
        square = float((slope * slope).sum())
        if square == 0:
            break
        gap = max(target - bound, target * 1e-4)
        price = np.maximum(0.0, price + step * gap / square * slope / limit)
        price = np.minimum(price, MOST_PRICE / limit)
    return found
