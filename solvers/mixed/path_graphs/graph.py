"""Layers of the path graph: nodes with a hash table, arcs, and the sets of starts on them.

A node at boundary t stands for what runs there. Its key packs the requests known by name, longest
to go first, 16 bits each: the request (8 bits) and the rounds that it still has to go (8 bits).
Where others are known by their rounds to go only, a word holds these, 8 bits each. Words for
requests that were started before, a bit each, may follow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ...state_table import Slots, Words, empty_slots, fill_slots, slot_of

Ints32 = NDArray[np.int32]


class Nodes(NamedTuple):
    """Nodes of a layer under construction.

    Attributes
    ----------
    key : ndarray of uint64, shape (capacity, words)
    cost : ndarray of int64, shape (capacity,)
        Least cost of a path from the root.
    slot : ndarray of int32
        The table of keys (`state_table`).
    present : ndarray of int64, shape (1,)
        Nodes present.
    """

    key: Words
    cost: IntArray
    slot: Slots
    present: IntArray


class Arcs(NamedTuple):
    """Arcs from a layer to the next, by tail; `first` has one entry more than there are tails."""

    first: IntArray
    head: Ints32
    starts: Ints32
    cost: Ints32
    present: IntArray


class Starts(NamedTuple):
    """Sets of requests that start together, as a tree: a set is its parent and one request more.

    Attributes
    ----------
    child : ndarray of int32, shape (capacity, n)
        The set with this request too, −1 if it is not there yet.
    parent, request : ndarray of int32, shape (capacity,)
    present : ndarray of int64, shape (1,)
    """

    child: Ints32
    parent: Ints32
    request: Ints32
    present: IntArray


def empty_nodes(words: int, capacity: int) -> Nodes:
    """Return a layer without nodes, with room for `capacity`, a power of two."""
    return Nodes(
        np.empty((capacity, words), np.uint64),
        np.empty(capacity, np.int64),
        empty_slots(capacity),
        np.zeros(1, np.int64),
    )


def more_nodes(nodes: Nodes) -> Nodes:
    """Return the same nodes with twice the room."""
    m = int(nodes.present[0])
    larger = empty_nodes(nodes.key.shape[1], 2 * nodes.cost.size)
    larger.key[:m], larger.cost[:m] = nodes.key[:m], nodes.cost[:m]
    larger.present[0] = m
    fill_slots(larger.key, larger.slot, m)
    return larger


def empty_arcs(tails: int, capacity: int) -> Arcs:
    """Return room for arcs."""
    return Arcs(
        np.zeros(tails + 1, np.int64),
        np.empty(capacity, np.int32),
        np.empty(capacity, np.int32),
        np.empty(capacity, np.int32),
        np.zeros(1, np.int64),
    )


def more_arcs(arcs: Arcs) -> Arcs:
    """Return the same arcs with twice the room."""
    head, starts, cost = (np.concatenate((c, np.empty_like(c))) for c in arcs[1:4])
    return Arcs(arcs.first, head, starts, cost, arcs.present)


def empty_starts(n: int, capacity: int) -> Starts:
    """Return the tree of sets with the empty set in it."""
    return Starts(
        np.full((capacity, n), -1, np.int32),
        np.full(capacity, -1, np.int32),
        np.full(capacity, -1, np.int32),
        np.ones(1, np.int64),
    )


def more_starts(starts: Starts) -> Starts:
    """Return the same sets with twice the room."""
    child, parent, request = (np.concatenate((c, np.full_like(c, -1))) for c in starts[:3])
    return Starts(child, parent, request, starts.present)


@njit(cache=True, nogil=True)
def insert(nodes: Nodes, key: Words, cost: int) -> int:
    """Position of the key, which is added if need be, −1 without room; keep the least cost."""
    h = slot_of(nodes.key, nodes.slot, key)
    position = nodes.slot[h]
    if position >= 0:
        nodes.cost[position] = min(nodes.cost[position], cost)
        return int(position)
    added = nodes.present[0]
    if added == nodes.cost.size:
        return -1
    nodes.slot[h] = added
    nodes.key[added] = key
    nodes.cost[added] = cost
    nodes.present[0] += 1
    return int(added)


@njit(cache=True, nogil=True)
def with_request(starts: Starts, parent: int, request: int) -> int:
    """Return the set with a request more; −1 without room."""
    child = int(starts.child[parent, request])
    if child < 0:
        child = int(starts.present[0])
        if child == starts.parent.size:
            return -1
        starts.child[parent, request] = child
        starts.parent[child], starts.request[child] = parent, request
        starts.present[0] += 1
    return child
