"""What a node of a path graph remembers, packed into its key, compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import IntArray
from ...state_table import Slots, Words

_ONE = np.uint64(1)
_8 = np.uint64(8)


class Tracking(NamedTuple):
    """What a node remembers.

    Attributes
    ----------
    named : int
        Running requests tracked by name, those with most rounds to go.
    timed : int
        The next ones, of which only the rounds to go are tracked, at most 6.
    hiding : bool
        Whether others may run beside these; with False, `named` must be enough for all that can.
    bit : ndarray of int64, shape (n,)
        Which bit tells whether the request was started, −1 for none.
    items, words : int
        Words for tracked requests, and all words.
    """

    named: int
    timed: int
    hiding: bool
    bit: IntArray
    items: int
    words: int


class Known(NamedTuple):
    """The nodes of a layer of a coarser graph, their costs to go, and the least of these."""

    key: Words
    slot: Slots
    ahead: IntArray
    least: int


def tracking(n: int, named: int, timed: int, *, hiding: bool, remembered: list[int]) -> Tracking:
    """Return what a node remembers that tracks this many requests, and these visits."""
    bit = np.full(n, -1, np.int64)
    bit[remembered] = np.arange(len(remembered))
    items = -(-named // 4) + (timed > 0)
    return Tracking(named, timed, hiding, bit, items, items + -(-len(remembered) // 64))


@njit(cache=True, nogil=True)
def pack(
    tracking: Tracking,
    item: IntArray,
    to_go: IntArray,
    count: int,
    times: IntArray,
    timed: int,
    visited: Words,
    bits: IntArray,
    key: Words,
) -> None:
    """Write the key of the items and times, sorted; `visited` has the bits of a finer tracking."""
    key[: tracking.words] = 0
    kept = min(count, tracking.named)
    for place in range(kept):
        code = (np.uint64(item[place]) << _8) | np.uint64(to_go[place])
        key[place >> 2] |= code << np.uint64(16 * (place & 3))
    word = tracking.items - 1
    place = 0
    for rest in range(kept, count):
        if place == tracking.timed:
            break
        key[word] |= np.uint64(to_go[rest]) << np.uint64(8 * place)
        place += 1
    for rest in range(timed):
        if place == tracking.timed:
            break
        key[word] |= np.uint64(times[rest]) << np.uint64(8 * place)
        place += 1
    if tracking.words > tracking.items:
        for i in range(bits.size):
            mine, theirs = tracking.bit[i], bits[i]
            if mine >= 0 and (visited[theirs >> 6] >> np.uint64(theirs & 63)) & _ONE:
                key[tracking.items + (mine >> 6)] |= _ONE << np.uint64(mine & 63)
