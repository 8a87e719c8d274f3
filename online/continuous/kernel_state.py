"""The state of a compiled run: requests, the GPU, and the queue of those that wait."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...models.instance import IntArray
from .sorted_f_order import first_of_best_set, insert, remove


class Requests(NamedTuple):
    """The requests, shape (n,) each.

    Attributes
    ----------
    arrival, prompt, output, planned : ndarray of int64
        The planned output lengths are those that the rule reckons with.
    by_arrival : ndarray of int64
        Requests in order of arrival.
    ranks, of_rank : ndarray of int64, shape (1, n) or (3, n)
        Place of each request among all in the order in which they are admitted, and its inverse;
        for Sorted-F in the three orders of `sorted_f_order`.
    """

    arrival: IntArray
    prompt: IntArray
    output: IntArray
    planned: IntArray
    by_arrival: IntArray
    ranks: IntArray
    of_rank: IntArray


class State(NamedTuple):
    """What the GPU does; shape (n,) where nothing is said.

    Attributes
    ----------
    cached, tokens, room : ndarray of int64
        Cache, output tokens so far, and KV tokens set aside (whole blocks), of each request.
    ready : ndarray of bool
        Whether all that is to be read is read.
    running : ndarray of int64
        The running requests in order.
    waiting : ndarray of int64, shape (1, n) or (3, n)
        A heap of the ranks of those that wait; three sorted lists of them for Sorted-F.
    chunk_of, chunk_tokens, drop_of : ndarray of int64
        The batch: its chunks and its dropped caches.
    start, last : ndarray of int64
        The plan: where each running request's cache is on its line at 0, and when it completes.
    residues : ndarray of int64, shape (block,)
        Requests of the plan by their start, modulo a block.
    at : ndarray of int64, shape (13,)
        Numbers, by the constants below.
    """

    cached: IntArray
    tokens: IntArray
    room: IntArray
    ready: NDArray[np.bool_]
    running: IntArray
    waiting: IntArray
    chunk_of: IntArray
    chunk_tokens: IntArray
    drop_of: IntArray
    start: IntArray
    last: IntArray
    residues: IntArray
    at: IntArray


#: Places in `State.at`: how many run and wait; free KV tokens; tokens and prompt tokens that the
#: batch can still take; its chunks, drops and token jobs; KV tokens that it reads; its number; the
#: request that last did not fit the plan, and the batch in which it did not; the
#: request that is first in turn where it is known.
(
    RUNNING, WAITING, FREE, LEFT, PROMPT_LEFT, CHUNKS, DROPS, JOBS, READ, NUMBER, REFUSED,
    REFUSED_AT, HEAD,
) = range(13)  # fmt: skip


@njit(cache=True, nogil=True)
def begin(n: int, orders: int, kv: int, block: int) -> State:
    """Return the state before the first batch."""
    numbers = np.zeros((9, n), np.int64)
    at = np.zeros(13, np.int64)
    at[FREE], at[REFUSED], at[HEAD] = kv, -1, -1
    return State(
        numbers[0], numbers[1], numbers[2], np.zeros(n, np.bool_), numbers[3],
        np.zeros((orders, n), np.int64),
        numbers[4], numbers[5], numbers[6], numbers[7], numbers[8], np.zeros(block, np.int64), at,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def head(requests: Requests, state: State, blocks: int, block: int, seats: int) -> int:
    """Return the waiting request that is first in turn."""
    if state.waiting.shape[0] == 1:
        return int(requests.of_rank[0, state.waiting[0, 0]])
    at = state.at
    if at[HEAD] < 0:
        at[HEAD] = first_of_best_set(
            state.waiting, requests.ranks, requests.of_rank, at[WAITING], requests.prompt,
            requests.planned, blocks, block, seats,
        )  # fmt: skip
    return int(at[HEAD])


@njit(cache=True, nogil=True)
def push(requests: Requests, state: State, i: int) -> None:
    """Let a request wait."""
    size = state.at[WAITING]
    state.at[WAITING] += 1
    state.at[HEAD] = -1
    if state.waiting.shape[0] > 1:
        for row in range(state.waiting.shape[0]):
            insert(state.waiting[row], size, requests.ranks[row, i])
        return
    heap, rank, at = state.waiting[0], requests.ranks[0, i], size
    while at > 0:
        above = (at - 1) // 2
        if heap[above] <= rank:
            break
        heap[at] = heap[above]
        at = above
    heap[at] = rank


@njit(cache=True, nogil=True)
def pop(requests: Requests, state: State, i: int) -> None:
    """Let the request that is first in turn wait no longer."""
    state.at[WAITING] -= 1
    state.at[HEAD] = -1
    size = state.at[WAITING]
    if state.waiting.shape[0] > 1:
        for row in range(state.waiting.shape[0]):
            remove(state.waiting[row], size + 1, requests.ranks[row, i])
        return
    heap = state.waiting[0]
    rank, at = heap[size], 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and heap[below + 1] < heap[below]:
            below += 1
        if heap[below] >= rank:
            break
        heap[at] = heap[below]
        at = below
    heap[at] = rank
