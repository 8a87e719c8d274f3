"""Labels of the exhaustive search: partial schedules, a hash table of states, a heap by bound."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from .states import WordArray

#: What a label is: to be expanded, expanded, or worse than another of its state.
OPEN, EXPANDED, DOMINATED = 0, 1, 2

#: Positions in `Labels.size`.
LABELS, HEAP, EXPANSIONS, BY_TIME, LEVEL, AT_LEVEL = range(6)

_NONE = np.uint64(0)
_MIX, _FOLD = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)

IndexArray = NDArray[np.int32]


class Labels(NamedTuple):
    """Partial schedules by number, 0, 1, …; all arrays have the same capacity.

    A label *dominates* another of the same tokens if its completions so far are no larger, it bars
    and ties no request that the other does not, and it is of the same time, or no later and every
    request has arrived: all that may follow the other may follow it.

    Attributes
    ----------
    state, bars : ndarray of uint64, shape (capacity, words)
        Tokens of each request and who is barred (`states`).
    ties : ndarray of uint64, shape (capacity,)
        Ties (`states.pack_ties`).
    time, cost, bound : ndarray of int64, shape (capacity,)
        The end of the last batch, Σ completions of those that are complete, and a lower bound on
        the Σ completions of all.
    parent, chain : ndarray of int32, shape (capacity,)
        The label before it, and the next one of its slot of the hash table; −1 for none.
    kind : ndarray of int8, shape (capacity,)
        `OPEN`, `EXPANDED` or `DOMINATED`.
    slot : ndarray of int32
        First label of each slot of the hash table; its size is a power of 2.
    heap : ndarray of int32, shape (capacity,)
        Open labels, the least bound first, the latest of these first; level by level: the earliest
        first, and of these the least bound.
    size : ndarray of int64, shape (6,)
        Labels, entries of the heap, and of an expansion: how many labels it has expanded, whether
        it goes level by level, the level's time, and how many labels of it have come up.
    """

    state: NDArray[np.uint64]
    bars: NDArray[np.uint64]
    ties: WordArray
    time: IntArray
    cost: IntArray
    bound: IntArray
    parent: IndexArray
    chain: IndexArray
    kind: NDArray[np.int8]
    slot: IndexArray
    heap: IndexArray
    size: IntArray


def empty_labels(capacity: int, words: int, bar_words: int) -> Labels:
    """Return room for labels; capacity is a power of 2."""
    return Labels(
        state=np.zeros((capacity, words), np.uint64),
        bars=np.zeros((capacity, bar_words), np.uint64),
        ties=np.zeros(capacity, np.uint64),
        time=np.zeros(capacity, np.int64),
        cost=np.zeros(capacity, np.int64),
        bound=np.zeros(capacity, np.int64),
        parent=np.full(capacity, -1, np.int32),
        chain=np.full(capacity, -1, np.int32),
        kind=np.zeros(capacity, np.int8),
        slot=np.full(2 * capacity, -1, np.int32),
        heap=np.zeros(capacity, np.int32),
        size=np.array([0, 0, 0, 0, -1, 0], dtype=np.int64),
    )


def enlarged(labels: Labels) -> Labels:
    """Return the same labels in arrays of twice the size."""
    capacity, words = labels.state.shape
    larger = empty_labels(2 * capacity, words, labels.bars.shape[1])
    for name in Labels._fields:
        old, new = getattr(labels, name), getattr(larger, name)
        if name != "slot":
            new[: old.shape[0]] = old
    _hash_all(larger)
    return larger


@njit(cache=True, nogil=True)
def _hash_all(labels: Labels) -> None:
    for label in range(labels.size[LABELS]):
        _enter(labels, label)


@njit(cache=True, nogil=True)
def _slot_of(labels: Labels, state: WordArray) -> np.int64:
    number = np.uint64(0)
    for word in state:
        number = (number ^ word) * _MIX
        number ^= number >> _FOLD
    return np.int64(number & np.uint64(labels.slot.size - 1))


@njit(cache=True, nogil=True)
def _enter(labels: Labels, label: int) -> None:
    slot = _slot_of(labels, labels.state[label])
    labels.chain[label] = labels.slot[slot]
    labels.slot[slot] = label


@njit(cache=True, nogil=True)
def _same(left: WordArray, right: WordArray) -> bool:
    for k in range(left.size):  # noqa: SIM110 - faster compiled
        if left[k] != right[k]:
            return False
    return True


@njit(cache=True, nogil=True)
def _within(left: WordArray, right: WordArray) -> bool:
    for k in range(left.size):  # noqa: SIM110 - faster compiled
        if left[k] & ~right[k]:
            return False
    return True


@njit(cache=True, nogil=True)
def _is_as_early(time: int, other: int, last_arrival: int) -> bool:
    return time == other or last_arrival <= time < other


@njit(cache=True, nogil=True)
def is_dominated(
    labels: Labels,
    state: WordArray,
    bars: WordArray,
    ties: np.uint64,
    time: int,
    cost: int,
    last_arrival: int,
) -> bool:
    """Whether some label dominates a new one; mark the open ones that the new one dominates."""
    label = labels.slot[_slot_of(labels, state)]
    while label >= 0:
        if labels.kind[label] != DOMINATED and _same(labels.state[label], state):
            if (
                _is_as_early(labels.time[label], time, last_arrival)
                and labels.cost[label] <= cost
                and labels.ties[label] & ~ties == _NONE
                and _within(labels.bars[label], bars)
            ):
                return True
            if (
                labels.kind[label] == OPEN
                and _is_as_early(time, labels.time[label], last_arrival)
                and cost <= labels.cost[label]
                and ties & ~labels.ties[label] == _NONE
                and _within(bars, labels.bars[label])
            ):
                labels.kind[label] = DOMINATED
        label = labels.chain[label]
    return False


@njit(cache=True, nogil=True)
def add_label(
    labels: Labels,
    state: WordArray,
    bars: WordArray,
    ties: np.uint64,
    time: int,
    cost: int,
    bound: int,
    parent: int,
) -> None:
    """Add an open label; there must be room."""
    label = labels.size[LABELS]
    labels.size[LABELS] += 1
    labels.state[label] = state
    labels.bars[label] = bars
    labels.ties[label] = ties
    labels.time[label], labels.cost[label], labels.bound[label] = time, cost, bound
    labels.parent[label] = parent
    labels.kind[label] = OPEN
    _enter(labels, label)
    push(labels, label)


@njit(cache=True, nogil=True)
def _before(labels: Labels, left: int, right: int) -> bool:
    if labels.size[BY_TIME] and labels.time[left] != labels.time[right]:
        return bool(labels.time[left] < labels.time[right])
    if labels.bound[left] != labels.bound[right]:
        return bool(labels.bound[left] < labels.bound[right])
    if labels.time[left] != labels.time[right]:
        return bool(labels.time[left] > labels.time[right])
    return left < right


@njit(cache=True, nogil=True)
def push(labels: Labels, label: int) -> None:
    """Put an open label into the heap."""
    heap, at = labels.heap, labels.size[HEAP]
    labels.size[HEAP] += 1
    while at > 0 and _before(labels, label, heap[(at - 1) >> 1]):
        heap[at] = heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    heap[at] = label


@njit(cache=True, nogil=True)
def pop(labels: Labels) -> int:
    """Take the open label of least bound from the heap, dominated ones too; −1 if it is empty."""
    if labels.size[HEAP] == 0:
        return -1
    heap = labels.heap
    first = heap[0]
    labels.size[HEAP] -= 1
    size, last, at = labels.size[HEAP], heap[labels.size[HEAP]], 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and _before(labels, heap[child + 1], heap[child]):
            child += 1
        if not _before(labels, heap[child], last):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = last
    return int(first)
