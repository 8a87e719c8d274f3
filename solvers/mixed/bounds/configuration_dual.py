"""The dual function of configuration prices, and steps along its subgradients, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit

from ....models.instance import FloatArray, IntArray
from ..completion_costs import CompletionCosts, cost_at
from .configuration_pricing import heaviest_configuration, workspace


@njit(cache=True, nogil=True)
def dual_value(
    price: IntArray,
    arrival: IntArray,
    output: IntArray,
    size: IntArray,
    to_go: IntArray,
    first: IntArray,
    path: IntArray,
    rounds: int,
    last: int,
    M: int,
    costs: CompletionCosts,
    slope: FloatArray,
) -> int:
    """Return the dual function, in units of the costs, and a subgradient, for block prices.

    Block b holds the rounds ``b·rounds … (b + 1)·rounds − 1`` up to the last, without round 0.
    """
    slope[:] = 0.0
    blocks = min(price.shape[0], last // rounds + 1)
    total = np.int64(0)
    for i in range(arrival.size):
        types = path[first[i] : first[i + 1]]
        cost, k = _cheapest_start(price, i, arrival[i], output[i], types, rounds, last, costs)
        total += cost
        for j in range(min(output[i], last - k)):
            slope[(k + j + 1) // rounds, types[j]] += 1.0
    work = workspace(size.size, M)
    for b in range(blocks):
        length = min((b + 1) * rounds, last + 1) - max(b * rounds, 1)
        if length == 0:
            continue
        weight, members = heaviest_configuration(price[b], size, to_go, M, work)
        total -= length * weight
        for position in range(members):
            slope[b, work.chosen[position]] -= length
    return int(total)


@njit(cache=True, nogil=True)
def _cheapest_start(
    price: IntArray,
    i: int,
    arrival: int,
    output: int,
    types: IntArray,
    rounds: int,
    last: int,
    costs: CompletionCosts,
) -> tuple[int, int]:
    """Least ``cost_i(k + o) + Σ_j U_{k+j}`` over k ≥ a, and its k.

    Neither costs nor prices are negative, and costs do not fall, so no k whose cost is not below
    the best can be better. Where the cost ends at a fixed one, a start beyond all prices has that.
    """
    best, best_k = np.int64(2**62), arrival
    if costs.rate[i] == 0:
        best, best_k = costs.fixed[i], max(arrival, last)
    k = arrival
    before = cost_at(costs, i, k + output)
    while before < best:
        cost = np.int64(before)
        for j in range(min(output, last - k)):
            cost += price[(k + j + 1) // rounds, types[j]]
        if cost < best:
            best, best_k = cost, k
        k += 1
        before = cost_at(costs, i, k + output)
    return int(best), int(best_k)


@njit(cache=True, nogil=True)
def squared_norm(average: FloatArray) -> float:
    """Return the sum of squares, and a little where that is 0: a length is divided by it."""
    total = 0.0
    for value in average.flat:
        total += value * value
    return max(total, 1e-12)


@njit(cache=True, nogil=True)
def step_along(price: IntArray, average: FloatArray, length: float, trial: IntArray) -> None:
    """Fill `trial` with the prices moved along a direction, none below 0."""
    for b in range(price.shape[0]):
        for q in range(price.shape[1]):
            trial[b, q] = max(0, price[b, q] + np.int64(length * average[b, q]))


@njit(cache=True, nogil=True)
def blend(average: FloatArray, slope: FloatArray, newest: float) -> None:
    """Move the average towards the newest subgradient by a weight."""
    for b in range(average.shape[0]):
        for q in range(average.shape[1]):
            average[b, q] += newest * (slope[b, q] - average[b, q])
