"""A hash table of states: rows of words that are found by their content, compiled.

States are the rows of an array, numbered by who adds them. The table is another array, `slot`, of
power-of-two size: the number of a state, or −1, open addressing. So nothing that is found depends
on the hash, and two tables may share their states.

    h = slot_of(states, slot, wanted)
    if slot[h] < 0:  # it is new
        states[count] = wanted
        slot[h] = count
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Slots = NDArray[np.int32]

_ONE = np.uint64(1)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


def empty_slots(capacity: int) -> Slots:
    """Return a table without states, at most half full with `capacity` of them, a power of two.

    Examples
    --------
    >>> states, slot = np.array([[5, 7], [5, 8]], np.uint64), empty_slots(2)
    >>> fill_slots(states, slot, 2)
    >>> find(states, slot, states[1]), find(states, slot, np.array([8, 5], np.uint64))
    (1, -1)
    """
    return np.full(2 * capacity, -1, np.int32)


@njit(cache=True, nogil=True)
def hash_words(state: Words) -> np.uint64:
    """Mix the words of a state."""
    h = np.uint64(0)
    for word in state:
        h = (h ^ word) * _MIX
        h ^= h >> _SHIFT
    return h


@njit(cache=True, nogil=True)
def slot_of(states: Words, slot: Slots, wanted: Words) -> np.uint64:
    """Place in the table of a state that is there, or the free one that it would get."""
    last = np.uint64(slot.size - 1)
    h = hash_words(wanted) & last
    while slot[h] >= 0:
        equal = True
        for word in range(wanted.size):
            equal = equal and states[slot[h], word] == wanted[word]
        if equal:
            break
        h = (h + _ONE) & last
    return h


@njit(cache=True, nogil=True)
def find(states: Words, slot: Slots, wanted: Words) -> int:
    """Number of a state, −1 if it is not there."""
    return int(slot[slot_of(states, slot, wanted)])


@njit(cache=True, nogil=True)
def fill_slots(states: Words, slot: Slots, count: int) -> None:
    """Enter the first states, all different, into an empty table."""
    last = np.uint64(slot.size - 1)
    for number in range(count):
        h = hash_words(states[number]) & last
        while slot[h] >= 0:
            h = (h + _ONE) & last
        slot[h] = number
