"""States of the exhaustive search: what is done of each request, packed into words.

Requests are sorted by (prompt, output, arrival), so that equal ones stand together. A state has the
tokens g_i that each has, ``0 ≤ g_i ≤ o_i``, which are *barred*, and which are *tied* to which
(`expansion`). Equal requests that have arrived may exchange their names: among them those with more
tokens come first, and of those that run with as many, the barred ones last.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ....models.separate.problem import Problem

WordArray = NDArray[np.uint64]

#: Ties are kept for up to this many running requests, and up to this many requests.
MOST_TIED, MOST_NAMED = 8, 64

_ONE = np.uint64(1)


class Packing(NamedTuple):
    """Where each request's tokens are in the words of a state.

    Attributes
    ----------
    word, shift : ndarray of int64 and of uint64, shape (n,)
        The word, and the lowest of the bits in it.
    mask : ndarray of uint64, shape (n,)
        As many ones as the bits.
    group : ndarray of int64, shape (number of types + 1,)
        First request of each type, and n.
    words, bar_words : int
        Words for the tokens, and for who is barred.
    """

    word: IntArray
    shift: WordArray
    mask: WordArray
    group: IntArray
    words: int
    bar_words: int


def sorted_problem(problem: Problem) -> tuple[Problem, IntArray]:
    """Return the problem with its requests sorted by (prompt, output, arrival), and their order."""
    order = np.lexsort((problem.arrival, problem.output, problem.prompt)).astype(np.int64)
    arrival, prompt, output = (column[order] for column in problem[:3])
    return problem._replace(arrival=arrival, prompt=prompt, output=output), order


def packing_of(problem: Problem) -> Packing:
    """Return the packing for a problem with sorted requests.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.models.separate.problem import separate_problem
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[1, 1], output=[4, 4])
    >>> packing = packing_of(separate_problem(instance))
    >>> packing.shift.tolist(), packing.mask.tolist(), packing.group.tolist()
    ([0, 3], [7, 7], [0, 2])
    """
    word, shift, mask = [], [], []
    at, used = 0, 0
    for o in problem.output.tolist():
        bits = o.bit_length()
        if used + bits > 64:
            at, used = at + 1, 0
        word.append(at)
        shift.append(used)
        mask.append((1 << bits) - 1)
        used += bits
    n = problem.output.size
    types = np.stack([problem.prompt, problem.output])
    new = np.flatnonzero((types[:, 1:] != types[:, :-1]).any(axis=0)) + 1
    return Packing(
        word=np.array(word, dtype=np.int64),
        shift=np.array(shift, dtype=np.uint64),
        mask=np.array(mask, dtype=np.uint64),
        group=np.concatenate([[0], new, [n]]).astype(np.int64),
        words=at + 1,
        bar_words=(n + 63) // 64,
    )


@njit(cache=True, nogil=True)
def unpack(
    packing: Packing, state: WordArray, bars: WordArray, g: IntArray, barred: NDArray[np.bool_]
) -> None:
    """Write the tokens of each request, and whether it is barred."""
    for i in range(g.size):
        g[i] = (state[packing.word[i]] >> packing.shift[i]) & packing.mask[i]
        barred[i] = (bars[i >> 6] >> np.uint64(i & 63)) & _ONE == _ONE


@njit(cache=True, nogil=True)
def pack(
    packing: Packing, g: IntArray, barred: NDArray[np.bool_], state: WordArray, bars: WordArray
) -> None:
    """Write the words of a state."""
    state[:] = 0
    bars[:] = 0
    for i in range(g.size):
        state[packing.word[i]] |= np.uint64(g[i]) << packing.shift[i]
        if barred[i]:
            bars[i >> 6] |= _ONE << np.uint64(i & 63)


@njit(cache=True, nogil=True)
def name_in_order(
    packing: Packing, g: IntArray, barred: NDArray[np.bool_], tied: WordArray
) -> None:
    """Let equal requests that have a token exchange names until they are in order."""
    for k in range(packing.group.size - 1):
        for i in range(packing.group[k] + 1, packing.group[k + 1]):
            j = i
            while j > packing.group[k] and (
                g[j - 1] < g[j] or (g[j] > 0 and g[j - 1] == g[j] and barred[j - 1] > barred[j])
            ):
                g[j - 1], g[j] = g[j], g[j - 1]
                barred[j - 1], barred[j] = barred[j], barred[j - 1]
                _exchange_ties(tied, j - 1, j)
                j -= 1


@njit(cache=True, nogil=True)
def _exchange_ties(tied: WordArray, i: int, j: int) -> None:
    """Exchange the names of two requests in the ties; rows only count below 64."""
    if tied.size == 0:
        return
    tied[i], tied[j] = tied[j], tied[i]
    bit_i, bit_j = _ONE << np.uint64(i), _ONE << np.uint64(j)
    for k in range(tied.size):
        has_i, has_j = tied[k] & bit_i, tied[k] & bit_j
        tied[k] &= ~(bit_i | bit_j)
        if has_i:
            tied[k] |= bit_j
        if has_j:
            tied[k] |= bit_i


@njit(cache=True, nogil=True)
def pack_ties(problem: Problem, g: IntArray, tied: WordArray, running: IntArray) -> np.uint64:
    """Pack the ties among up to 8 running requests, by their positions; else none.

    `running` is working space. Forgetting ties only adds to what may follow.
    """
    m = 0
    for i in range(g.size):
        if 0 < g[i] < problem.output[i]:
            running[m] = i
            m += 1
    ties = np.uint64(0)
    if m > MOST_TIED or tied.size == 0:
        return ties
    for k in range(m):
        for other in range(m):
            if tied[running[k]] >> np.uint64(running[other]) & _ONE:
                ties |= _ONE << np.uint64(MOST_TIED * k + other)
    return ties


@njit(cache=True, nogil=True)
def unpack_ties(
    problem: Problem, g: IntArray, ties: np.uint64, tied: WordArray, running: IntArray
) -> None:
    """Write which requests each running one is tied to, as bits by number."""
    tied[:] = 0
    if ties == np.uint64(0):
        return
    m = 0
    for i in range(g.size):
        if 0 < g[i] < problem.output[i]:
            running[m] = i
            m += 1
    for k in range(m):
        for other in range(m):
            if ties >> np.uint64(MOST_TIED * k + other) & _ONE:
                tied[running[k]] |= _ONE << np.uint64(running[other])
