"""Profiles: numbers of running requests by tokens to go. What batches do to them, tabulated."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ....models.separate.problem import Problem

#: A transition is packed into one number: the profile that follows in the low bits, the completion
#: of dropped requests (in token batches) in the high ones.
INDEX_BITS = 16


class Profiles(NamedTuple):
    """All profiles of up to `most` running requests, and what batches make of them.

    A profile c is a vector: ``c[r − 1]`` requests run with r tokens to go, r = 1 … R. A *choice* k
    is a vector too: ``k[j]`` prompts of requests with output ``outputs[j]`` are in one batch.

    Profiles with more than `most` requests are replaced by ones without the longest requests, and
    the completion of these is put down as a cost: see `profile_costs` for the proof.

    Attributes
    ----------
    most : int
        Most requests in a profile.
    running : ndarray of int64, shape (P,)
        Requests in each profile. Profiles are sorted by tokens to go.
    first_after : ndarray of int64, shape (P + 1,)
        The profiles after token batches of min(B_D, requests) members, any of them, are
        ``after_token_batch[first_after[p] : first_after[p + 1]]``.
    after_token_batch : ndarray of int64
        See there; empty for the empty profile.
    outputs : ndarray of int64, shape (J,)
        The different output lengths, increasing.
    choice : ndarray of int64, shape (K, J)
        All choices of up to B_P prompts; the first is the empty one.
    after_prompts : ndarray of int32, shape (K, P)
        Packed: the profile with the choice's requests, and the dropped ones' completions.
    rank : ndarray of int64, shape (P,)
        Position of a profile in `sorted order` by its lexicographic number (`profile_number`).
    binomial : ndarray of int64
        Pascal's triangle.
    """

    most: int
    running: IntArray
    first_after: IntArray
    after_token_batch: IntArray
    outputs: IntArray
    choice: NDArray[np.int64]
    after_prompts: NDArray[np.int32]
    rank: IntArray
    binomial: NDArray[np.int64]


def count_profiles(R: int, most: int) -> int:
    """Number of profiles of up to `most` requests with 1 … R tokens to go.

    Examples
    --------
    >>> count_profiles(2, 2)  # none, 1, 2, 1 1, 1 2, 2 2
    6
    """
    return math.comb(R + most, R)


def tabulate_profiles(problem: Problem, most: int) -> Profiles:
    """Return the profiles of a problem's requests.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.models.separate.problem import separate_problem
    >>> gpu = Gpu(kv_capacity=9, prompt_batch_requests=1, token_batch_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[3, 1])
    >>> profiles = tabulate_profiles(separate_problem(instance), 2)
    >>> profiles.running.tolist()  # none, 1, 2, 1 1, 1 2, 2 2
    [0, 1, 1, 2, 2, 2]
    >>> profiles.first_after.tolist(), profiles.after_token_batch.tolist()
    ([0, 0, 1, 2, 3, 5, 6], [0, 1, 1, 2, 3, 4])
    >>> profiles.outputs.tolist(), profiles.choice.tolist()
    ([1, 3], [[0, 0], [0, 1], [1, 0]])
    """
    R = max(1, int(problem.output.max()) - 1)
    outputs = np.unique(problem.output)
    vectors = _vectors(R, most)
    to_go = vectors @ np.arange(1, R + 1)
    order = np.argsort(to_go, kind="stable")
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    binomial = _binomials(R + most + 1)
    vectors = np.ascontiguousarray(vectors[order])
    choice = _vectors(outputs.size, problem.B_P)
    numbering = (most, rank, binomial)
    first_after, after_token_batch = _after_token_batches(vectors, problem.B_D, *numbering)
    after_prompts = np.zeros((len(choice), order.size), np.int32)
    _fill_after_prompts(vectors, choice, outputs, problem.B_D, *numbering, after_prompts)
    return Profiles(
        most=most,
        running=vectors.sum(axis=1),
        first_after=first_after,
        after_token_batch=after_token_batch,
        outputs=outputs,
        choice=choice,
        after_prompts=after_prompts,
        rank=rank,
        binomial=binomial,
    )


def _vectors(length: int, most: int) -> NDArray[np.int64]:
    """All vectors of naturals with sum up to `most`, in lexicographic order."""
    rows: list[list[int]] = [[]]
    for _ in range(length):
        rows = [[*row, x] for row in rows for x in range(most - sum(row) + 1)]
    return np.array(rows, dtype=np.int64).reshape(len(rows), length)


def _binomials(size: int) -> NDArray[np.int64]:
    return np.array([[math.comb(i, j) for j in range(size)] for i in range(size)], dtype=np.int64)


@njit(cache=True, nogil=True)
def profile_number(c: IntArray, most: int, binomial: NDArray[np.int64]) -> int:
    """Lexicographic number of a profile among those of up to `most` requests."""
    number, left = 0, most
    for r in range(c.size):
        tail = c.size - r - 1
        for x in range(c[r]):
            number += binomial[tail + left - x, tail]
        left -= c[r]
    return number


@njit(cache=True, nogil=True)
def drop_longest(c: IntArray, most: int, B_D: int) -> int:
    """Take requests out of a profile until `most` are left; their completions' sum.

    The unit is a token batch. Each time the one with the most tokens to go, r, leaves: it completes
    after at least ``max(r, ⌈Σ tokens to go / B_D⌉)`` token batches.
    """
    count = tokens = completions = 0
    for r in range(c.size):
        count += c[r]
        tokens += c[r] * (r + 1)
    r = c.size - 1
    while count > most:
        while c[r] == 0:
            r -= 1
        completions += max(r + 1, -(-tokens // B_D))
        c[r] -= 1
        count -= 1
        tokens -= r + 1
    return completions


def _after_token_batches(
    vectors: NDArray[np.int64], B_D: int, most: int, rank: IntArray, binomial: NDArray[np.int64]
) -> tuple[IntArray, IntArray]:
    """`Profiles.first_after` and `Profiles.after_token_batch`."""
    room = np.zeros(1, np.int64)
    first = np.zeros(len(vectors) + 1, np.int64)
    count = _fill_after_token_batches(vectors, B_D, most, rank, binomial, first, room)
    after = np.zeros(count, np.int64)
    _fill_after_token_batches(vectors, B_D, most, rank, binomial, first, after)
    return first, after


@njit(cache=True, nogil=True)
def _fill_after_token_batches(
    vectors: NDArray[np.int64],
    B_D: int,
    most: int,
    rank: IntArray,
    binomial: NDArray[np.int64],
    first: IntArray,
    after: IntArray,
) -> int:
    """Write as many as `after` has room for; return how many there are."""
    P, R = vectors.shape
    served, c = np.zeros(R, np.int64), np.zeros(R, np.int64)
    count = 0
    for p in range(P):
        first[p] = count
        size = min(B_D, vectors[p].sum())
        if size == 0:
            continue
        served[:] = 0
        while True:  # all vectors up to vectors[p], like an odometer
            r = 0
            while r < R and served[r] == vectors[p, r]:
                served[r] = 0
                r += 1
            if r == R:
                break
            served[r] += 1
            if served.sum() != size:
                continue
            for r in range(R):
                c[r] = vectors[p, r] - served[r] + (served[r + 1] if r + 1 < R else 0)
            if count < after.size:
                after[count] = rank[profile_number(c, most, binomial)]
            count += 1
    first[P] = count
    return count


@njit(cache=True, nogil=True)
def _fill_after_prompts(
    vectors: NDArray[np.int64],
    choice: NDArray[np.int64],
    outputs: IntArray,
    B_D: int,
    most: int,
    rank: IntArray,
    binomial: NDArray[np.int64],
    after_prompts: NDArray[np.int32],
) -> None:
    after = np.zeros(vectors.shape[1], np.int64)
    for p in range(vectors.shape[0]):
        for k in range(choice.shape[0]):
            after[:] = vectors[p]
            for j in range(outputs.size):
                if outputs[j] > 1:
                    after[outputs[j] - 2] += choice[k, j]
            completions = drop_longest(after, most, B_D)
            number = rank[profile_number(after, most, binomial)]
            after_prompts[k, p] = number + (completions << INDEX_BITS)
