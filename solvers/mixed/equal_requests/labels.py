"""Starts of equal requests under release dates: labels (pattern, block), request by request.

A label after request j says which pattern runs and in which block j started, with the least sum of
starts that leads there. Request i costs ``max(release_i, q·b)`` where it starts in block b. A label
is dropped if its sum and the least that the others add exceed the budget. Three bounds on that, of
which the largest counts: m requests are left, the last start was in block b, from pattern v on

- releases aside, ``q·(m·b + delay[m, v])``;
- one by one, ``Σ_i max(release_i, q·(b + span[i − j, v]))``;
- whatever runs, ``rest[j + 1]``: see `Releases`.

Where nothing runs, the next request starts as soon as it is there: started earlier it is done
earlier, those before it are done, and so no later completion finds more tokens (`patterns`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ...state_table import Slots, Words, empty_slots, fill_slots, slot_of
from .counts import Counts
from .patterns import Patterns

#: So many requests are bounded one by one, the others by `Releases.rest`.
ONE_BY_ONE = 128

#: Labels that are followed between two looks at the clock; room for labels at first.
AT_ONCE = 2048
FIRST_CAPACITY = 4096

#: Where no bound is wanted.
NONE = 2**62


class Releases(NamedTuple):
    """What the releases say, whatever runs.

    Attributes
    ----------
    round : ndarray of int64, shape (n,)
        Earliest start of each request in rounds: its arrival, or later because of those before.
    rest : ndarray of int64, shape (n + 1,)
        Least sum of the starts of requests i … n − 1.
    """

    round: IntArray
    rest: IntArray


class Program(NamedTuple):
    """Patterns, their tables, and the releases."""

    graph: Patterns
    table: Counts
    release: Releases


class Labels(NamedTuple):
    """Labels after one request; the first `filled[0]` of each array.

    Attributes
    ----------
    key : ndarray of uint64, shape (capacity, 1)
        Pattern · 2³² + block.
    total, least : ndarray of int64, shape (capacity,)
        Sum of the starts so far, and with what the others add at least.
    parent : ndarray of int32, shape (capacity,)
        The label before.
    slot : ndarray of int32
        Hash table of the keys.
    filled : ndarray of int64, shape (1,)
        How many there are.
    """

    key: Words
    total: IntArray
    least: IntArray
    parent: NDArray[np.int32]
    slot: Slots
    filled: IntArray


class TooMany(Exception):  # noqa: N818 - no error: nothing is proved
    """There are more labels than are allowed."""


def releases(graph: Patterns, table: Counts, arrival: IntArray) -> Releases:
    """Return earliest starts and least sums, for arrivals that rise.

    Request i starts no earlier than ``span[i − j, 0]`` blocks after the earliest start of j < i.
    The sum from i on is that of the earliest starts at least, or from one of them on that of
    `delay`.

    Examples
    --------
    >>> from .counts import counts
    >>> from .patterns import on_grid, patterns
    >>> graph = patterns(on_grid(8, 40, 144, 10), 1000)
    >>> found = releases(graph, counts(graph, 5), np.array([0, 0, 0, 0, 0]))
    >>> found.round.tolist(), found.rest.tolist()
    ([0, 0, 0, 20, 30], [80, 50, 50, 50, 30, 0])
    """
    n, q = arrival.size, graph.grid.rounds
    block, span = arrival // q, table.span[:, 0].astype(np.int64)
    for i in range(1, n):
        block[i] = (block[:i] + span[i:0:-1]).max(initial=block[i])
    earliest = np.maximum(arrival, q * block)
    rest = np.zeros(n + 1, np.int64)
    for i in range(n - 1, -1, -1):
        m = n - i - 1
        together = q * (int(block[i]) * (m + 1) + int(table.delay[m, 0]))
        rest[i] = max(int(earliest[i]) + int(rest[i + 1]), together)
    return Releases(earliest, rest)


def first_labels(release: Releases, rounds: int) -> Labels:
    """Return the only label after the first request, before its total is looked at."""
    labels = _empty(1)
    labels.key[0, 0] = release.round[0] // rounds
    labels.total[0] = release.round[0]
    labels.filled[0] = 1
    return labels


def _empty(capacity: int) -> Labels:
    return Labels(
        np.zeros((capacity, 1), np.uint64),
        np.zeros(capacity, np.int64),
        np.zeros(capacity, np.int64),
        np.full(capacity, -1, np.int32),
        empty_slots(1 << (capacity - 1).bit_length()),
        np.zeros(1, np.int64),
    )


def follow(
    program: Program,
    labels: Labels,
    j: int,
    budget: int,
    most: int,
    stop: Callable[[], bool],
) -> Labels:
    """Return the labels after request j, from those after request ``j − 1``.

    Raises
    ------
    TooMany
        If there are more than `most`, or it is to stop.
    """
    following, done, count = _empty(FIRST_CAPACITY), 0, int(labels.filled[0])
    while done < count:
        if stop():
            raise TooMany
        end = min(count, done + AT_ONCE)
        reached = _expand(*program, labels, j, budget, done, end, following)
        if reached < end:
            if following.total.size >= most:
                raise TooMany
            following = _grown(following)
        done = reached
    return following


def _grown(labels: Labels) -> Labels:
    """Return the labels with four times the room."""
    count, larger = int(labels.filled[0]), _empty(4 * labels.total.size)
    larger.key[:count], larger.total[:count] = labels.key[:count], labels.total[:count]
    larger.least[:count], larger.parent[:count] = labels.least[:count], labels.parent[:count]
    larger.filled[0] = count
    fill_slots(larger.key, larger.slot, count)
    return larger


@njit(cache=True, nogil=True)
def _expand(
    graph: Patterns,
    table: Counts,
    release: Releases,
    labels: Labels,
    j: int,
    budget: int,
    done: int,
    end: int,
    following: Labels,
) -> int:
    """Follow the labels ``done … end − 1``; return the first that `following` has no room for.

    A label followed twice does no harm.
    """
    q, n = graph.grid.rounds, release.round.size
    earliest = release.round[j] // q
    for place in range(done, end):
        key = labels.key[place, 0]
        v, before = int(np.int64(key >> np.uint64(32))), int(np.int64(key & np.uint64(0xFFFFFFFF)))
        total = labels.total[place]
        for e in range(graph.first[v], graph.first[v + 1]):
            b = int(before + np.int64(graph.gap[e]))
            if b < earliest:
                continue
            so_far = total + max(release.round[j], q * b)
            u = int(np.int64(graph.to[e]))
            least = _least(table, release, j, n, q, u, b, so_far, budget)
            if least <= budget and not _enter(following, u, b, so_far, least, place):
                return place
        if before + graph.rest[v] < earliest:
            so_far = total + release.round[j]
            least = _least(table, release, j, n, q, 0, earliest, so_far, budget)
            if least <= budget and not _enter(following, 0, earliest, so_far, least, place):
                return place
    return end


@njit(cache=True, nogil=True)
def _least(
    table: Counts,
    release: Releases,
    j: int,
    n: int,
    q: int,
    v: int,
    b: int,
    so_far: int,
    budget: int,
) -> int:
    """Sum of all starts at least, where j starts in block b and the pattern is v then."""
    m = n - j - 1
    least: int = so_far + max(release.rest[j + 1], q * (m * b + table.delay[m, v]))
    if least > budget:
        return least
    singly, end = so_far, min(m, ONE_BY_ONE)
    for i in range(1, end + 1):
        singly += max(release.round[j + i], q * (b + table.span[i, v]))
    by_one: int = singly + release.rest[j + end + 1]
    return max(least, by_one)


@njit(cache=True, nogil=True)
def _enter(labels: Labels, v: int, b: int, total: int, least: int, parent: int) -> bool:
    """Keep the label if it is new or better; False if there is no room."""
    count = labels.filled[0]
    if count == labels.key.shape[0]:
        return False
    labels.key[count, 0] = (np.uint64(v) << np.uint64(32)) | np.uint64(b)
    h = slot_of(labels.key, labels.slot, labels.key[count])
    place = labels.slot[h]
    if place < 0:
        labels.slot[h] = count
        labels.filled[0] = count + 1
        place = count
    elif labels.total[place] <= total:
        return True
    labels.total[place], labels.least[place], labels.parent[place] = total, least, parent
    return True


def best_of(labels: Labels, width: int) -> Labels:
    """Return the most promising labels, at most `width`; ties by their order."""
    count = int(labels.filled[0])
    chosen = np.argsort(labels.least[:count], kind="stable")[:width]
    return Labels(
        labels.key[chosen],
        labels.total[chosen],
        labels.least[chosen],
        labels.parent[chosen],
        labels.slot[:0],
        np.array([chosen.size]),
    )
