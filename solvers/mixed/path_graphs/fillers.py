"""What requests that are not tracked by name can earn in a round, compiled.

A node knows of some running requests only how many rounds they still have to go. In the round they
may be of any type (w, r) with these rounds to go that some request can have, and fewer rounds to go
than the last of them may be added at will. Beside c items of total size W, all with at least r
rounds to go, one more of type (w, r) fits iff ``W + w + (c + 1)·r ≤ M``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ..exact.excess import Excess
from .graph import Ints32

#: Earned by what does not fit.
NONE = np.int64(-(2**60))

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


class Fillers(NamedTuple):
    """Tables for one round.

    Attributes
    ----------
    weight : ndarray of int64, shape (R, M + 1)
        Price of the type (w, r), −1 if no request can be of this type.
    free : ndarray of int64, shape (R, C, M + 1)
        Most that types of at most r rounds to go earn beside c items of total size W.
    code : ndarray of int64, shape (rows,)
        What a row is for: c and the rounds to go.
    row : ndarray of int64, shape (rows, M + 1)
        Most that the types of these rounds to go earn, by total size W of what is there.
    slot : ndarray of int32, a power of two long
        Hash table of the rows.
    present : ndarray of int64, shape (1,)
        Rows present.
    """

    weight: IntArray
    free: IntArray
    code: NDArray[np.uint64]
    row: IntArray
    slot: Ints32
    present: IntArray


def empty_fillers(longest: int, M: int, rows: int) -> Fillers:
    """Allocate for outputs up to `longest`, with room for `rows`, a power of two."""
    C = M // 2 + 2
    return Fillers(
        np.zeros((longest, M + 1), np.int64),
        np.zeros((longest, C, M + 1), np.int64),
        np.zeros(rows, np.uint64),
        np.zeros((rows, M + 1), np.int64),
        np.full(2 * rows, -1, np.int32),
        np.zeros(1, np.int64),
    )


def more_fillers(fillers: Fillers) -> Fillers:
    """Return empty tables with twice the rows, for the same weights."""
    R, width = fillers.weight.shape
    larger = empty_fillers(R, width - 1, 2 * fillers.code.size)
    return larger._replace(weight=fillers.weight, free=fillers.free)


@njit(cache=True, nogil=True)
def set_weights(fillers: Fillers, excess: Excess, allowed: NDArray[np.bool_], t: int) -> None:
    """Fill in `weight` for round t + 1: what requests that may have started by then would earn."""
    fillers.weight[:] = -1
    for i in range(excess.output.size):
        s, o = excess.prompt[i], excess.output[i]
        for age in range(1, min(o, t + 1) + 1):
            if allowed[i, t + 1 - age]:
                earned = excess.earned[i, t + 1, age - 1]
                fillers.weight[o - age, s + age] = max(fillers.weight[o - age, s + age], earned)


@njit(cache=True, nogil=True)
def fill(fillers: Fillers) -> None:
    """Compute `free` from `weight`, and forget the rows."""
    weight, free = fillers.weight, fillers.free
    R, C, width = free.shape
    M = width - 1
    for r in range(R):
        if r == 0:
            free[0] = 0
        else:
            free[r] = free[r - 1]
        for c in range(C - 2, -1, -1):
            for W in range(M - (c + 1) * r):
                best = free[r, c, W]
                for w in range(1, M - (c + 1) * r - W + 1):
                    if weight[r, w] >= 0:
                        best = max(best, weight[r, w] + free[r, c + 1, W + w])
                free[r, c, W] = best
    fillers.slot[:] = -1
    fillers.present[0] = 0


@njit(cache=True, nogil=True)
def row_of(fillers: Fillers, times: IntArray, count: int, c: int, more: bool) -> int:
    """Row for these rounds to go at the boundary before the round; −1 without room.

    Parameters
    ----------
    times : ndarray of int64
        Rounds to go (falling), `count` ≥ 1 of them.
    c : int
        Items that are there already.
    more : bool
        Whether more may run, with at most the last rounds to go.
    """
    at = _find(fillers, _code(times, 0, count, c, more))
    if at >= 0:
        return at
    for first in range(count - 1, -1, -1):
        here = _code(times, first, count, c + first, more)
        if _find(fillers, here) >= 0:
            continue
        after = -1
        if first < count - 1:
            after = _find(fillers, _code(times, first + 1, count, c + first + 1, more))
        at = int(fillers.present[0])
        if at == fillers.code.size:
            return -1
        _compute(fillers, times[first] - 1, c + first, more, after, fillers.row[at])
        fillers.code[at] = here
        fillers.present[0] += 1
        last = np.uint64(fillers.slot.size - 1)
        h = _hash(here) & last
        while fillers.slot[h] >= 0:
            h = (h + np.uint64(1)) & last
        fillers.slot[h] = at
    return at


@njit(cache=True, nogil=True)
def _compute(fillers: Fillers, r: int, c: int, more: bool, after: int, row: IntArray) -> None:
    weight = fillers.weight
    M = weight.shape[1] - 1
    row[:] = NONE
    for W in range(M - (c + 1) * r):
        best = NONE
        for w in range(1, M - (c + 1) * r - W + 1):
            if weight[r, w] < 0:
                continue
            rest = np.int64(0)
            if after >= 0:
                rest = fillers.row[after, W + w]
            elif more:
                rest = fillers.free[r, c + 1, W + w]
            best = max(best, weight[r, w] + rest)
        row[W] = max(best, NONE)


@njit(cache=True, nogil=True)
def _code(times: IntArray, first: int, count: int, c: int, more: bool) -> np.uint64:
    code = (np.uint64(c) << np.uint64(1)) | np.uint64(more)
    for place in range(first, count):
        code = (code << np.uint64(8)) | np.uint64(times[place])
    return (code << np.uint64(3)) | np.uint64(count - first)


@njit(cache=True, nogil=True)
def _hash(code: np.uint64) -> np.uint64:
    h = code * _MIX
    h ^= h >> _SHIFT
    return h * _MIX


@njit(cache=True, nogil=True)
def _find(fillers: Fillers, code: np.uint64) -> int:
    last = np.uint64(fillers.slot.size - 1)
    h = _hash(code) & last
    while fillers.slot[h] >= 0:
        at = fillers.slot[h]
        if fillers.code[at] == code:
            return int(at)
        h = (h + np.uint64(1)) & last
    return -1
