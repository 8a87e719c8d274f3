"""States of the verifiers' searches: a byte per request. Of equal ones the cheapest is kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...models.instance import IntArray
from .clock import OutOfMemory

#: Bytes that the states of one time may take; as much again is needed to sort them.
MOST_BYTES = 2**32

States = NDArray[np.uint8]


def require_room(states: States) -> None:
    """Raise `OutOfMemory` if states with their costs take too much memory."""
    if states.size + 8 * states.shape[0] > MOST_BYTES:
        raise OutOfMemory(
            f"not verified: the search needs more than {MOST_BYTES / 2**30:g} GiB for its states"
        )


def cheapest_of_equals(parts: list[tuple[States, IntArray]]) -> tuple[States, IntArray]:
    """Put states and their costs together and sort them; keep the cheapest of equal ones.

    Examples
    --------
    >>> first = np.array([[2, 0], [1, 1]], np.uint8), np.array([5, 4])
    >>> second = np.array([[2, 0]], np.uint8), np.array([3])
    >>> states, costs = cheapest_of_equals([first, second])
    >>> states.tolist(), costs.tolist()
    ([[2, 0], [1, 1]], [3, 4])
    """
    states = np.concatenate([each for each, _ in parts])
    costs = np.concatenate([each for _, each in parts])
    padded = np.zeros((costs.size, -(-states.shape[1] // 8) * 8), np.uint8)
    padded[:, : states.shape[1]] = states
    words = padded.view(np.uint64)
    order = np.lexsort((costs, *words.T))
    words = words[order]
    first = np.ones(costs.size, dtype=np.bool_)
    first[1:] = (words[1:] != words[:-1]).any(axis=1)
    return states[order[first]], costs[order[first]]
