"""Patterns: the ages of what runs just after a start, where all requests are equal.

Let all requests be (s, o), in order of arrival, with starts k_1 ≤ k_2 ≤ … When i completes, those
before it are done, and a later one j that runs holds ``s + o − (k_j − k_i)`` tokens. So starts are
feasible iff for every i

    Σ { s + o − (k_j − k_i) : j ≥ i, k_j < k_i + o } ≤ M,

and what may start next depends on the *pattern* alone: how many of those running have r rounds to
go, for each r. There are few: 22,949 for (8, 40) at M = 144.

On a **grid** of q rounds let b_j = ⌊k_j / q⌋, or k_j = q·b_j. Both keep the same shape, with
``weight − q·(b_j − b_i)`` for each j ≥ i with ``b_j < b_i + length``:

- *on the grid*: starts at multiples of q. ``weight = s + o``, ``length = ⌈o / q⌉``, exact.
- *below the grid*: any starts. In round q·(b_i + ⌊o / q⌋) request i runs still, and j ≥ i with
  b_j < b_i + ⌊o / q⌋ holds at least ``s + 1 + q·(⌊o / q⌋ − 1 − (b_j − b_i))``. So ``length =
  ⌊o / q⌋`` and ``weight = s + 1 + q·(length − 1)``: what is feasible is feasible on this grid.

For q = 1 both are the exact condition.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ...state_table import Slots, Words, empty_slots, slot_of

#: Longest pattern, in blocks of the grid.
MOST_BLOCKS = 64

#: Most requests that may start in the same block: counts are bytes.
MOST_AT_ONCE = 255

#: Steps from pattern to pattern that are kept, for each pattern, at most.
STEPS_PER_PATTERN = 64


class Grid(NamedTuple):
    """The condition on starts, on a grid.

    Attributes
    ----------
    rounds : int
        Rounds q of a block.
    weight : int
        Tokens of a request when it completes.
    length : int
        Blocks in which it runs.
    M : int
        KV capacity.
    """

    rounds: int
    weight: int
    length: int
    M: int


class Patterns(NamedTuple):
    """All patterns, and the steps between them.

    Attributes
    ----------
    grid : Grid
        The condition that they meet.
    first : ndarray of int64, shape (N + 1,)
        The steps of pattern v are ``first[v] … first[v + 1] − 1``, by rising gap. Pattern 0 is
        one request alone.
    gap : ndarray of int16, shape (steps,)
        Blocks until the next request starts.
    to : ndarray of int32, shape (steps,)
        The pattern then.
    rest : ndarray of int64, shape (N,)
        Blocks until nothing runs any more.
    """

    grid: Grid
    first: IntArray
    gap: NDArray[np.int16]
    to: NDArray[np.int32]
    rest: IntArray


def on_grid(s: int, o: int, M: int, rounds: int) -> Grid:
    """Return the condition on starts at multiples of this many rounds.

    Examples
    --------
    >>> on_grid(8, 40, 144, 1) == below_grid(8, 40, 144, 1)
    True
    """
    return Grid(rounds, s + o, -(-o // rounds), M)


def below_grid(s: int, o: int, M: int, rounds: int) -> Grid:
    """Return a condition that the blocks of all feasible starts meet; at most o rounds.

    Examples
    --------
    >>> below_grid(8, 40, 144, 8)
    Grid(rounds=8, weight=41, length=5, M=144)
    """
    length = o // rounds
    return Grid(rounds, s + 1 + rounds * (length - 1), length, M)


def patterns(grid: Grid, most: int) -> Patterns | None:
    """List all patterns, at most `most` of them, and their steps; None if there are more.

    Examples
    --------
    >>> found = patterns(on_grid(8, 40, 144, 10), 1000)
    >>> found.first.size - 1, found.gap[: found.first[1]].tolist()
    (26, [0, 1, 2, 3, 4])
    """
    if grid.length > MOST_BLOCKS or not 1 <= grid.M // grid.weight <= MOST_AT_ONCE:
        return None
    capacity = min(most, 1024)
    while True:
        words = -(-grid.length // 8)
        count = np.zeros((capacity, 8 * words), np.uint8)
        first = np.zeros(capacity + 1, np.int64)
        steps = capacity * min(grid.length + 1, STEPS_PER_PATTERN)
        gap, to = np.empty(steps, np.int16), np.empty(steps, np.int32)
        slot = empty_slots(1 << (capacity - 1).bit_length())
        found = _reach(grid, count, count.view(np.uint64), slot, first, gap, to)
        if found >= 0:
            end = int(first[found])
            rest = _rest(count[:found])
            return Patterns(grid, first[: found + 1], gap[:end].copy(), to[:end].copy(), rest)
        if capacity >= most:
            return None
        capacity = min(most, 8 * capacity)


def _rest(count: NDArray[np.uint8]) -> IntArray:
    """Blocks until nothing runs: the largest place with a count, plus one."""
    rest: IntArray = count.shape[1] - np.argmax(count[:, ::-1] > 0, axis=1).astype(np.int64)
    return rest


@njit(cache=True, nogil=True)
def _reach(
    grid: Grid,
    count: NDArray[np.uint8],
    words: Words,
    slot: Slots,
    first: IntArray,
    gap: NDArray[np.int16],
    to: NDArray[np.int32],
) -> int:
    """Walk from one request alone to all patterns; return how many, −1 if there are too many.

    ``count[v, r − 1]`` of the requests of pattern v have r blocks to go.
    """
    L = grid.length
    following = np.zeros(count.shape[1], np.uint8)
    row = following.view(np.uint64)
    count[0, L - 1] = 1
    slot[slot_of(words, slot, words[0])] = 0
    found, steps = 1, 0
    v = 0
    while v < found:
        first[v] = steps
        for d in range(L + 1):
            running = _age(count[v], d, L, following)
            if not _feasible(grid, following):
                continue
            h = slot_of(words[:found], slot, row)
            if slot[h] < 0:
                if found == count.shape[0]:
                    return -1
                words[found] = row
                slot[h] = found
                found += 1
            if steps == gap.size:
                return -1
            gap[steps], to[steps] = d, slot[h]
            steps += 1
            if not running:
                break
        v += 1
    first[found] = steps
    return found


@njit(cache=True, nogil=True)
def _age(count: NDArray[np.uint8], d: int, L: int, following: NDArray[np.uint8]) -> bool:
    """Fill the pattern d blocks later, and one more request started; whether others run."""
    running = False
    following[:] = 0
    for r in range(d, L):
        following[r - d] = count[r]
        running = running or count[r] > 0
    following[L - 1] += 1
    return running


@njit(cache=True, nogil=True)
def _feasible(grid: Grid, count: NDArray[np.uint8]) -> bool:
    """Whether the tokens at each completion stay within M, if nothing more starts."""
    members, to_go = np.int64(0), np.int64(0)
    for r in range(grid.length, 0, -1):
        c = np.int64(count[r - 1])
        if c == 0:
            continue
        members += c
        to_go += c * r
        if members * grid.weight - grid.rounds * (to_go - members * r) > grid.M:
            return False
    return True
