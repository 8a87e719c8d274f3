"""All states of the search at one round boundary, in arrays with a hash table.

The state of a schedule under construction at boundary t (after completions) is one byte per
request: `WAITING`, or the rounds that it still has to go, 0 when it is done. Eight requests make a
word. Of equal states the cheapest is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ...state_table import Slots, Words, empty_slots, fill_slots, slot_of

#: The byte of a request that has not started; no output is longer than 254.
WAITING = 255

#: Requests that a state has room for: one bit each in `Layer.started`.
MOST_REQUESTS = 64


class Layer(NamedTuple):
    """States, and how each was reached.

    Attributes
    ----------
    state : ndarray of uint64, shape (capacity, ⌈n / 8⌉)
        The bytes of the requests, request 0 lowest.
    excess : ndarray of int64, shape (capacity,)
        Excess so far: start costs of what has started, slacks of the rounds up to t.
    parent : ndarray of int32, shape (capacity,)
        Position of the state at boundary t − 1 that it was reached from.
    started : ndarray of uint64, shape (capacity,)
        Bit i: request i was started at t − 1.
    slot : ndarray of int32
        The table of states (`state_table`).
    present : ndarray of int64, shape (1,)
        How many states there are.
    """

    state: Words
    excess: IntArray
    parent: NDArray[np.int32]
    started: Words
    slot: Slots
    present: IntArray


def empty_layer(words: int, capacity: int) -> Layer:
    """Return a layer without states that has room for `capacity`, a power of two."""
    return Layer(
        np.empty((capacity, words), np.uint64),
        np.empty(capacity, np.int64),
        np.empty(capacity, np.int32),
        np.empty(capacity, np.uint64),
        empty_slots(capacity),
        np.zeros(1, np.int64),
    )


def bytes_per_state(words: int) -> int:
    """Memory of a layer per state of its capacity."""
    return 8 * words + 8 + 4 + 8 + 2 * 4


def root(n: int) -> Layer:
    """Return the layer at boundary 0: every request waits."""
    layer = empty_layer(-(-n // 8), 1)
    layer.state[0] = 0
    for i in range(n):
        layer.state[0, i >> 3] |= np.uint64(WAITING << 8 * (i & 7))
    layer.excess[0] = 0
    layer.present[0] = 1
    return layer


def doubled(layer: Layer) -> Layer:
    """Return a layer with the same states and twice the room."""
    m = int(layer.present[0])
    larger = empty_layer(layer.state.shape[1], 2 * layer.excess.size)
    larger.state[:m] = layer.state[:m]
    larger.excess[:m] = layer.excess[:m]
    larger.parent[:m] = layer.parent[:m]
    larger.started[:m] = layer.started[:m]
    larger.present[0] = m
    fill_slots(larger.state, larger.slot, m)
    return larger


@njit(cache=True, nogil=True)
def insert(layer: Layer, state: Words, excess: int, parent: int, started: np.uint64) -> bool:
    """Add a state, or keep the cheaper of it and its equal; False if there is no room."""
    h = slot_of(layer.state, layer.slot, state)
    position = layer.slot[h]
    if position < 0:
        position = layer.present[0]
        if position == layer.excess.size:
            return False
        layer.slot[h] = position
        layer.state[position] = state
        layer.present[0] += 1
    elif excess >= layer.excess[position]:
        return True
    layer.excess[position] = excess
    layer.parent[position] = parent
    layer.started[position] = started
    return True
