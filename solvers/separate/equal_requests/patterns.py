"""Patterns under separate batching: the ages of what runs, where all requests are equal.

Let all requests be (s, o) with o ≥ 2, under the unit or the constant law, and let ``w = s + 1``,
``J = o − 1`` be the tokens held after the prompt and the token jobs that follow.

**Normal form.** Forget B_D. Of any feasible schedule there is one with no larger total latency in
which

1. requests are prefilled, begin their token jobs and complete in order of arrival: which of equal
   requests a job belongs to is a name. Let the j-th to be prefilled be the j-th to arrive, and swap
   the names of two that hold equally many tokens where the later one would go ahead;
2. once a request is in a token batch it is in all of them until it completes: move its token jobs
   to the last J token batches up to its completion. At no time does it hold more than before;
3. a prompt batch comes just before the first token batch that one of its requests is in: token
   batches between the two hold none of it, so let them go first. Fewer tokens are held meanwhile,
   nothing is later.

So let k_j be the number of token batches before the first one that request j is in. It is in the
batches ``k_j + 1 … k_j + J``, and waits with w tokens from its prompt batch on. By 3, where a
prompt batch begins, all that were prefilled before it run, or begin in the token batch that
follows.

**On a grid** of q token batches, b_j = ⌊k_j / q⌋. When i completes, each j ≥ i with k_j < k_i + J
holds ``w + J − (k_j − k_i)`` tokens, and each that waited when the last one began holds w or more.
A *pattern* says how many of those running have r blocks to go, for each r. With p waiting and for
every i that runs,

    Σ { weight − q·(b_j − b_i) : j ≥ i, b_j < b_i + length } + spare + w·p ≤ M.

- *On the grid*: starts at multiples of q. ``weight = w + J``, ``spare = 0``, ``length = ⌈J / q⌉``:
  exact. Requests complete in their last block, after ``last = J − q·(length − 1)`` batches.
- *Below the grid*: any starts. ``b_j < b_i + ⌊J / q⌋`` implies ``k_j < k_i + J``, and
  ``k_j − k_i ≤ q·(b_j − b_i) + q − 1`` for j ≠ i: ``weight = w + J − (q − 1)``, ``spare = q − 1``,
  ``length = ⌊J / q⌋``. They complete no earlier than ``last = J − q·(length − 1)`` batches into
  their last block (if that is more than q, in the block after it).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray

#: Bits of a pattern.
MOST_BITS = 62


class Grid(NamedTuple):
    """The condition on what runs and waits, on a grid.

    Attributes
    ----------
    batches : int
        Token batches q of a block.
    weight, spare : int
        Tokens of a request when it completes, and of the first that does, beside them.
    length : int
        Blocks in which it runs.
    last : int
        Token batches from the beginning of its last block to its completion.
    waiting : int
        Tokens of a request that waits.
    M : int
        KV capacity.
    together : int
        Most requests in a prompt batch.
    running : int
        Most requests in a token batch.
    """

    batches: int
    weight: int
    spare: int
    length: int
    last: int
    waiting: int
    M: int
    together: int
    running: int


class Patterns(NamedTuple):
    """All patterns, and how many may wait beside each; what waits beside v has a number of its own.

    Attributes
    ----------
    grid : Grid
        The condition that they meet.
    first : ndarray of int64, shape (N + 1,)
        With p waiting beside v, the state is ``first[v] + p``. Pattern 0 is empty.
    most : ndarray of int16, shape (N,)
        Most that wait.
    start : ndarray of int32, shape (N,)
        The pattern when one more begins, −1 if it does not fit.
    after : ndarray of int32, shape (N,)
        The pattern a block later.
    done, run : ndarray of int16, shape (N,)
        How many are in their last block; how many run.
    order : ndarray of int64, shape (N,)
        The patterns so that `start`, and `after` where none is done, come earlier.
    """

    grid: Grid
    first: IntArray
    most: NDArray[np.int16]
    start: NDArray[np.int32]
    after: NDArray[np.int32]
    done: NDArray[np.int16]
    run: NDArray[np.int16]
    order: IntArray


class Rules(NamedTuple):
    """Requests (s, o), M, most requests in a prompt batch and in a token batch."""

    s: int
    o: int
    M: int
    together: int
    running: int


def on_grid(rules: Rules, batches: int) -> Grid:
    """Return the condition on starts at multiples of this many token batches.

    Examples
    --------
    >>> grid = on_grid(Rules(20, 30, 400, together=8, running=16), 5)
    >>> grid.weight, grid.spare, grid.length, grid.last
    (50, 0, 6, 4)
    """
    s, o, M, together, running = rules
    length = -(-(o - 1) // batches)
    last = o - 1 - batches * (length - 1)
    return Grid(batches, s + o, 0, length, last, s + 1, M, together, min(running, M))


def below_grid(rules: Rules, batches: int) -> Grid:
    """Return a condition that the blocks of all feasible starts meet; at most o − 1 batches.

    Examples
    --------
    >>> grid = below_grid(Rules(20, 30, 400, together=8, running=16), 4)
    >>> grid.weight, grid.spare, grid.length, grid.last
    (47, 3, 7, 5)
    """
    s, o, M, together, _ = rules
    length = (o - 1) // batches
    last, spare = o - 1 - batches * (length - 1), batches - 1
    return Grid(batches, s + o - spare, spare, length, last, s + 1, M, together, M)


def patterns(grid: Grid, most: int) -> Patterns | None:
    """List all patterns; None if there are more than `most` states.

    Examples
    --------
    >>> found = patterns(on_grid(Rules(20, 30, 400, together=8, running=16), 15), 1000)
    >>> found.run.size, int(found.first[-1])
    (52, 284)
    """
    at_once = min((grid.M - grid.spare) // grid.weight, grid.running)
    bits = int(at_once).bit_length()
    if bits * grid.length > MOST_BITS:
        return None
    key, tokens = np.empty(most, np.int64), np.empty(most, np.int64)
    count = _list(grid, bits, key, tokens)
    if count < 0:
        return None
    order = np.argsort(key[:count])
    key, tokens = key[order], tokens[order]
    beside = np.minimum((grid.M - tokens) // grid.waiting, grid.together - 1)
    first = np.concatenate([[0], np.cumsum(beside + 1)])
    if first[-1] > most:
        return None
    start, after = np.empty(count, np.int32), np.empty(count, np.int32)
    done, run = np.empty(count, np.int16), np.empty(count, np.int16)
    age = np.empty(count, np.int64)
    _link(grid.length, bits, key, start, after, done, run, age)
    return Patterns(
        grid,
        first,
        beside.astype(np.int16),
        start,
        after,
        done,
        run,
        np.lexsort((-age, -run.astype(np.int64))),
    )


@njit(cache=True, nogil=True)
def _list(grid: Grid, bits: int, key: IntArray, tokens: IntArray) -> int:
    """List the patterns depth first, the newest block first; −1 if there are too many.

    ``tokens`` is the left side of the condition without who waits, for the worst i.
    """
    L, q = grid.length, grid.batches
    stack = np.empty((L * (grid.M // grid.weight + 2) + 2, 5), np.int64)
    stack[0, :] = 0
    stack[0, 0] = L
    depth, count = 1, 0
    while depth > 0:
        depth -= 1
        r, members, held, worst, code = stack[depth]
        if r == 0:
            if count == key.size:
                return -1
            key[count], tokens[count] = code, worst
            count += 1
            continue
        held -= q * members
        for c in range(grid.running - members + 1):
            now = held + c * grid.weight
            if c > 0 and now + grid.spare > grid.M:
                break
            stack[depth, 0], stack[depth, 1], stack[depth, 2] = r - 1, members + c, now
            stack[depth, 3] = max(worst, now + grid.spare) if c > 0 else worst
            stack[depth, 4] = code | (c << (bits * (r - 1)))
            depth += 1
    return count


@njit(cache=True, nogil=True)
def _link(
    L: int,
    bits: int,
    key: IntArray,
    start: NDArray[np.int32],
    after: NDArray[np.int32],
    done: NDArray[np.int16],
    run: NDArray[np.int16],
    age: IntArray,
) -> None:
    """Fill in what follows each pattern, and the sum of the ages in blocks."""
    newest, mask = np.int64(1) << (bits * (L - 1)), (np.int64(1) << bits) - 1
    full = mask << (bits * (L - 1))
    for v in range(key.size):
        code = key[v]
        start[v] = -1
        if code & full != full:
            place = np.searchsorted(key, code + newest)
            if place < key.size and key[place] == code + newest:
                start[v] = place
        after[v] = np.searchsorted(key, code >> bits)
        done[v] = code & mask
        run[v], age[v] = 0, 0
        for r in range(1, L + 1):
            c = (code >> (bits * (r - 1))) & mask
            run[v] += c
            age[v] += c * (L - r)
