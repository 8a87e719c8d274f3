"""Labels of the exhaustive search: states with a time and a cost, by state and by bound."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray

#: What `Labels.size` counts: labels, those in the heap, expansions, and the label of the best end.
LABELS, HEAP, EXPANSIONS, BEST = range(4)


class Labels(NamedTuple):
    """Labels as columns; room for N of them, n requests.

    Attributes
    ----------
    state : ndarray of int32, shape (N, n)
        As `states` has it.
    time, cost, bound : ndarray of int64, shape (N,)
        When the last batch ended, the cost so far, and the lower bound.
    parent, drops, following : ndarray of int32, shape (N,)
        The label before, the set of requests whose caches were dropped since, and the next label
        of the same state; −1 where there is none.
    waits : ndarray of bool, shape (N,)
        Whether it is still to be expanded.
    heap : ndarray of int32, shape (N,)
        Labels that wait, as a binary heap by bound.
    table : ndarray of int32, shape (2N,)
        The first label of each state, by hash.
    size : ndarray of int64, shape (4,)
        Counts.
    """

    state: NDArray[np.int32]
    time: IntArray
    cost: IntArray
    bound: IntArray
    parent: NDArray[np.int32]
    drops: NDArray[np.int32]
    following: NDArray[np.int32]
    waits: NDArray[np.bool_]
    heap: NDArray[np.int32]
    table: NDArray[np.int32]
    size: IntArray


def empty_labels(room: int, n: int) -> Labels:
    """Return room, a power of 2, for labels of n requests.

    Examples
    --------
    >>> empty_labels(8, 3).state.shape
    (8, 3)
    """
    return Labels(
        state=np.zeros((room, n), dtype=np.int32),
        time=np.zeros(room, dtype=np.int64),
        cost=np.zeros(room, dtype=np.int64),
        bound=np.zeros(room, dtype=np.int64),
        parent=np.full(room, -1, dtype=np.int32),
        drops=np.full(room, -1, dtype=np.int32),
        following=np.full(room, -1, dtype=np.int32),
        waits=np.zeros(room, dtype=np.bool_),
        heap=np.zeros(room, dtype=np.int32),
        table=np.full(2 * room, -1, dtype=np.int32),
        size=np.array([0, 0, 0, -1], dtype=np.int64),
    )


def enlarged(labels: Labels) -> Labels:
    """Return the same labels in twice the room."""
    room, n = labels.state.shape
    more = empty_labels(2 * room, n)
    columns: list[tuple[NDArray[Any], NDArray[Any]]] = list(zip(labels[:9], more[:9], strict=True))
    for old, new in columns:
        new[:room] = old
    more.size[:] = labels.size
    _enter_all(more)
    return more


@njit(cache=True)
def slot_of(labels: Labels, state: IntArray) -> int:
    """Return the slot of a state in the table: that of its first label, or a free one."""
    mask = labels.table.size - 1
    key = np.uint64(1469598103934665603)
    for i in range(state.size):
        key = (key ^ np.uint64(state[i])) * np.uint64(1099511628211)
        key ^= key >> np.uint64(29)
    at = int(np.int64(key & np.uint64(mask)))
    while True:
        label = labels.table[at]
        if label < 0:
            return at
        same = True
        for i in range(state.size):
            if labels.state[label, i] != state[i]:
                same = False
                break
        if same:
            return at
        at = (at + 1) & mask


@njit(cache=True)
def _enter_all(labels: Labels) -> None:
    """Enter the first label of each state, which no other one is followed by, into the table."""
    count = labels.size[LABELS]
    first = np.ones(count, np.bool_)
    row = np.zeros(labels.state.shape[1], np.int64)
    for label in range(count):
        if labels.following[label] >= 0:
            first[labels.following[label]] = False
    for label in range(count):
        if first[label]:
            row[:] = labels.state[label]
            labels.table[slot_of(labels, row)] = label


@njit(cache=True)
def push(labels: Labels, label: int) -> None:
    """Put a label on the heap."""
    heap = labels.heap
    at = labels.size[HEAP]
    labels.size[HEAP] += 1
    labels.waits[label] = True
    while at > 0:
        up = (at - 1) // 2
        if not _before(labels, label, heap[up]):
            break
        heap[at] = heap[up]
        at = up
    heap[at] = label


@njit(cache=True)
def pop(labels: Labels) -> int:
    """Take the label of least bound off the heap; of equal ones the one that cost most so far."""
    heap = labels.heap
    top: int = heap[0]
    labels.size[HEAP] -= 1
    size = labels.size[HEAP]
    last = heap[size]
    at = 0
    while True:
        down = 2 * at + 1
        if down >= size:
            break
        if down + 1 < size and _before(labels, heap[down + 1], heap[down]):
            down += 1
        if not _before(labels, heap[down], last):
            break
        heap[at] = heap[down]
        at = down
    heap[at] = last
    return top


@njit(cache=True)
def _before(labels: Labels, one: int, other: int) -> bool:
    before = one > other
    if labels.bound[one] != labels.bound[other]:
        before = labels.bound[one] < labels.bound[other]
    elif labels.time[one] != labels.time[other]:
        before = labels.time[one] > labels.time[other]
    return before
