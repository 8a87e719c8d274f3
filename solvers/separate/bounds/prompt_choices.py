"""The cheapest prompt batch of each choice of output lengths, at one time, under prices."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ....models.separate.problem import Problem

#: The cost of what is impossible.
IMPOSSIBLE = 2**60

#: Prompt tokens are counted in at most this many units per batch; rounded down, so that whatever
#: fits still fits.
MOST_UNITS = 64


@njit(cache=True, nogil=True)
def token_units(problem: Problem) -> tuple[IntArray, int]:
    """Prompt tokens of each request in units, and units per batch; tokens are units if exact."""
    if problem.C_P <= MOST_UNITS:
        return problem.prompt.copy(), problem.C_P
    return problem.prompt * MOST_UNITS // problem.C_P, MOST_UNITS


@njit(cache=True, nogil=True)
def cheapest_batches(
    problem: Problem,
    choice: NDArray[np.int64],
    kind: IntArray,
    price: IntArray,
    may: NDArray[np.bool_],
    cheapest: NDArray[np.int64],
) -> None:
    """Write the cost of the cheapest batch of each choice, over all and over all full ones.

    Parameters
    ----------
    problem : Problem
        The problem.
    choice : ndarray of int64, shape (K, J)
        Requests of each output length in the batch.
    kind : ndarray of int64, shape (n,)
        Position of each request's output among the output lengths.
    price : ndarray of int64, shape (n,)
        Cost of each request in the batch.
    may : ndarray of bool, shape (n,)
        Who may be in it: who has arrived.
    cheapest : ndarray of int64, shape (2, K)
        Result: row 0 over all sets of requests within C_P; row 1 over those that some further
        prompt of the largest size might not fit beside. `IMPOSSIBLE` where there is none.
    """
    J = choice.shape[1]
    by_kind = _cheapest_by_kind(problem, J, kind, price, may)
    C = by_kind.shape[2] - 1
    largest = 0
    for i in range(price.size):
        if may[i]:
            largest = max(largest, problem.prompt[i])
    exact = problem.C_P <= MOST_UNITS
    nearly_full = max(0, problem.C_P - largest + 1) if exact else 0
    sums = np.empty((J + 1, C + 1), np.int64)
    for k in range(choice.shape[0]):
        last = _add_up(by_kind, choice[k], sums)
        cheapest[0, k] = cheapest[1, k] = IMPOSSIBLE
        for units in range(C + 1):
            cheapest[0, k] = min(cheapest[0, k], sums[last, units])
            if units >= nearly_full:
                cheapest[1, k] = min(cheapest[1, k], sums[last, units])


@njit(cache=True, nogil=True)
def _cheapest_by_kind(
    problem: Problem, J: int, kind: IntArray, price: IntArray, may: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Least cost of x requests of output j that take exactly c units of tokens, at [j, x, c]."""
    units, C = token_units(problem)
    best = np.full((J, problem.B_P + 1, C + 1), IMPOSSIBLE)
    best[:, 0, 0] = 0
    for i in range(price.size):
        if not may[i]:
            continue
        table = best[kind[i]]
        for x in range(problem.B_P, 0, -1):
            for c in range(C, units[i] - 1, -1):
                if table[x - 1, c - units[i]] < IMPOSSIBLE:
                    table[x, c] = min(table[x, c], table[x - 1, c - units[i]] + price[i])
    return best


@njit(cache=True, nogil=True)
def _add_up(by_kind: NDArray[np.int64], k: IntArray, sums: NDArray[np.int64]) -> int:
    """Least costs of a choice by units of tokens, in the row of `sums` that is returned."""
    C = sums.shape[1] - 1
    sums[0, :] = IMPOSSIBLE
    sums[0, 0] = 0
    row = 0
    for j in range(k.size):
        if k[j] == 0:
            continue
        sums[row + 1, :] = IMPOSSIBLE
        for c in range(C + 1):
            if by_kind[j, k[j], c] == IMPOSSIBLE:
                continue
            for before in range(C + 1 - c):
                if sums[row, before] < IMPOSSIBLE:
                    cost = sums[row, before] + by_kind[j, k[j], c]
                    sums[row + 1, before + c] = min(sums[row + 1, before + c], cost)
        row += 1
    return row


@njit(cache=True, nogil=True)
def cheapest_members(
    problem: Problem,
    k: IntArray,
    kind: IntArray,
    price: IntArray,
    may: NDArray[np.bool_],
    cost: int,
    members: IntArray,
) -> int:
    """Find members of a batch of choice k with a given total price; return their number.

    A depth-first search: the batch is known to exist.
    """
    units, C = token_units(problem)
    left = k.copy()
    size = k.sum()
    at, depth, total, used = -1, 0, 0, 0
    while depth < size:
        at += 1
        while at == price.size:
            depth -= 1
            at = members[depth]
            total -= price[at]
            used -= units[at]
            left[kind[at]] += 1
            at += 1
        if not may[at] or left[kind[at]] == 0 or used + units[at] > C:
            continue
        if depth + 1 == size and total + price[at] != cost:
            continue
        members[depth] = at
        depth += 1
        total += price[at]
        used += units[at]
        left[kind[at]] -= 1
    return depth
