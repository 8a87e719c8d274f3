"""The waiting requests in order of rank, compiled: a tree that finds the first that may fit.

A leaf per request, in order of rank; every node knows the smallest prompt and the smallest planned
length that wait below it. A condition that is monotone in both (as the future check is) and fails
for this corner fails for all of them, so a scan in order of rank skips whole subtrees.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import IntArray

ROOT = 1
_NONE = 2**62


class Waiting(NamedTuple):
    """A binary tree over ranks: node v has children 2v and 2v + 1, leaf p is node ``size + p``.

    Attributes
    ----------
    prompt, planned : ndarray of int64, shape (2·size,)
        Smallest prompt and smallest planned length waiting below each node; 2^62 if none waits.
    """

    prompt: IntArray
    planned: IntArray


@njit(cache=True)
def none_waiting(n: int) -> Waiting:
    """Return an empty tree for `n` ranks."""
    size = 1
    while size < n:
        size *= 2
    return Waiting(
        np.full(2 * size, _NONE, dtype=np.int64), np.full(2 * size, _NONE, dtype=np.int64)
    )


@njit(cache=True)
def is_empty(waiting: Waiting) -> bool:
    """Say whether none waits."""
    return bool(waiting.prompt[ROOT] == _NONE)


@njit(cache=True)
def enqueue(waiting: Waiting, rank: int, prompt: int, planned: int) -> None:
    """Let the request of this rank wait."""
    _set(waiting, rank, prompt, planned)


@njit(cache=True)
def dequeue(waiting: Waiting, rank: int) -> None:
    """Take the request of this rank out."""
    none = int(np.int64(_NONE))  # no literal: `_set` would be compiled once more
    _set(waiting, rank, none, none)


@njit(cache=True)
def _set(waiting: Waiting, rank: int, prompt: int, planned: int) -> None:
    node = waiting.prompt.size // 2 + rank
    waiting.prompt[node] = prompt
    waiting.planned[node] = planned
    node //= 2
    while node > 0:
        least_prompt = min(waiting.prompt[2 * node], waiting.prompt[2 * node + 1])
        least_planned = min(waiting.planned[2 * node], waiting.planned[2 * node + 1])
        if least_prompt == waiting.prompt[node] and least_planned == waiting.planned[node]:
            return
        waiting.prompt[node] = least_prompt
        waiting.planned[node] = least_planned
        node //= 2


@njit(cache=True)
def first_rank(waiting: Waiting) -> int:
    """Return the smallest rank that waits; some request must."""
    node = ROOT
    size = waiting.prompt.size // 2
    while node < size:
        node *= 2
        if waiting.prompt[node] == _NONE:
            node += 1
    return node - size


@njit(cache=True)
def from_rank(waiting: Waiting, rank: int) -> int:
    """Return the node to start a scan from: the root for rank 0, else the leaf (0 past the end)."""
    size = waiting.prompt.size // 2
    if rank == 0:
        return ROOT
    return size + rank if rank < size else 0


@njit(cache=True)
def descend(node: int) -> int:
    """Return the child to look at first where a node may hold what is sought."""
    return 2 * node


@njit(cache=True)
def skip_subtree(node: int) -> int:
    """Return the next node in order of rank after everything below `node`; 0 past the end."""
    while node % 2 == 1:
        node //= 2
    return node + 1 if node > 0 else 0
