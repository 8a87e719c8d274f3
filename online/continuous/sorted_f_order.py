"""The order of Sorted-F, compiled: which of the waiting requests comes first.

The waiting requests are kept in three orders, as sorted lists of ranks; the set of least F is made
anew when they change.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...models.instance import IntArray


@njit(cache=True, nogil=True)
def insert(queue: IntArray, size: int, rank: int) -> None:
    """Put a rank into a sorted list of `size` ranks."""
    at = size
    while at > 0 and queue[at - 1] > rank:
        queue[at] = queue[at - 1]
        at -= 1
    queue[at] = rank


@njit(cache=True, nogil=True)
def remove(queue: IntArray, size: int, rank: int) -> None:
    """Take a rank out of a sorted list of `size` ranks."""
    at = np.searchsorted(queue[:size], rank)
    queue[at : size - 1] = queue[at + 1 : size]


@njit(cache=True, nogil=True)
def first_of_best_set(
    queues: IntArray,
    ranks: IntArray,
    of_rank: IntArray,
    size: int,
    prompt: IntArray,
    planned: IntArray,
    blocks: int,
    block: int,
    seats: int,
) -> int:
    """Return the request of least output in the set of least Σ output / size², of equals the first.

    In each order a set grows up to the first request with which it does not fit an empty GPU at one
    of its completions: caches hold ``s + k − 1`` tokens after k batches.
    """
    best, head = np.inf, -1
    most = min(size, seats)
    s, o, held = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    for row in range(queues.shape[0]):
        total, shortest = 0, -1
        for k in range(most):
            i = of_rank[row, queues[row, k]]
            s[k], o[k], held[k] = prompt[i], planned[i], 0
            for j in range(k + 1):  # at the newcomer's completion
                if o[j] >= o[k]:
                    held[k] += -(-(s[j] + o[k] - 1) // block)
            fits = held[k] <= blocks
            for j in range(k):  # the newcomer at the others' completions
                if o[j] <= o[k]:
                    held[j] += -(-(s[k] + o[j] - 1) // block)
                    fits = fits and held[j] <= blocks
            if not fits:
                break
            total += o[k]
            if shortest < 0 or ranks[0, i] < ranks[0, shortest]:
                shortest = i
            F = total / ((k + 1) * (k + 1))
            if best > F:
                best, head = F, shortest
    return head
