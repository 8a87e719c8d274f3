"""Shortest paths through the layers under multipliers, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from .graph import Ints32

#: No path.
FAR = np.int64(2**60)


@njit(cache=True, nogil=True)
def set_sums(parent: Ints32, request: Ints32, multiplier: IntArray, total: IntArray) -> None:
    """Sum of the multipliers of each set of starts."""
    total[0] = 0
    for number in range(1, total.size):
        total[number] = total[parent[number]] + multiplier[request[number]]


@njit(cache=True, nogil=True)
def backward(
    first: IntArray,
    head: Ints32,
    starts: Ints32,
    cost: Ints32,
    total: IntArray,
    ahead: IntArray,
    here: IntArray,
) -> None:
    """Least cost to go of each tail, from those of the heads."""
    for tail in range(here.size):
        least = FAR
        for arc in range(first[tail], first[tail + 1]):
            least = min(least, cost[arc] - total[starts[arc]] + ahead[head[arc]])
        here[tail] = min(least, FAR)


@njit(cache=True, nogil=True)
def forward(
    first: IntArray,
    head: Ints32,
    starts: Ints32,
    cost: Ints32,
    total: IntArray,
    here: IntArray,
    there: IntArray,
) -> None:
    """Least cost of a path to each head, from those of the tails."""
    there[:] = FAR
    for tail in range(here.size):
        if here[tail] >= FAR:
            continue
        for arc in range(first[tail], first[tail + 1]):
            value = here[tail] + cost[arc] - total[starts[arc]]
            if value < there[head[arc]]:
                there[head[arc]] = value


@njit(cache=True, nogil=True)
def next_arc(
    first: IntArray,
    head: Ints32,
    starts: Ints32,
    cost: Ints32,
    total: IntArray,
    ahead: IntArray,
    tail: int,
) -> int:
    """The arc on a shortest path from this tail."""
    best, least = -1, FAR
    for arc in range(first[tail], first[tail + 1]):
        value = cost[arc] - total[starts[arc]] + ahead[head[arc]]
        if value < least:
            best, least = arc, value
    return best


@njit(cache=True, nogil=True)
def mark(
    first: IntArray,
    head: Ints32,
    starts: Ints32,
    cost: Ints32,
    total: IntArray,
    here: IntArray,
    ahead: IntArray,
    limit: int,
    keep: NDArray[np.bool_],
) -> int:
    """Mark the arcs on paths of at most this cost; return how many."""
    count = 0
    for tail in range(here.size):
        for arc in range(first[tail], first[tail + 1]):
            value = here[tail] + cost[arc] - total[starts[arc]] + ahead[head[arc]]
            keep[arc] = value <= limit
            count += keep[arc]
    return count


@njit(cache=True, nogil=True)
def compact(
    first: IntArray,
    head: Ints32,
    starts: Ints32,
    cost: Ints32,
    keep: NDArray[np.bool_],
    tail_number: IntArray,
    head_number: IntArray,
    new_first: IntArray,
    new_head: Ints32,
    new_starts: Ints32,
    new_cost: Ints32,
) -> None:
    """Copy the arcs to keep under the new numbers of their ends."""
    number = 0
    for tail in range(tail_number.size):
        if tail_number[tail] < 0:
            continue
        new_first[tail_number[tail]] = number
        for arc in range(first[tail], first[tail + 1]):
            if keep[arc]:
                new_head[number] = head_number[head[arc]]
                new_starts[number] = starts[arc]
                new_cost[number] = cost[arc]
                number += 1
    new_first[-1] = number
