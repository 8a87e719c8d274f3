"""List scheduling with the future check, event-driven and compiled.

At every round boundary, after completions and arrivals, scan the waiting requests in order of
rank and start one iff at every future completion round the KV occupancy stays within M, and the
next round within the limits of the GPU on its requests and tokens (later rounds have no more of
either); at one that does not fit stop, or go on (skipping). Ranking by output length and stopping
is MC-SF of arXiv 2502.07115, ranking by arrival its MC-Benchmark.

The work is per arrival, completion and wake-up, not per round: a request that does not fit now may
fit by waiting alone, so after a scan the machine sleeps until the next arrival, the next
completion, or the first boundary at which a waiting request fits, whichever comes first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ....models.mixed.problem import limits
from ....models.mixed.schedule import MixedSchedule
from .future_check import (
    Running,
    add,
    earliest_fit,
    fits,
    may_fit_within,
    next_completion,
    nothing_running,
    remove_completed,
)
from .waiting_tree import (
    ROOT,
    Waiting,
    dequeue,
    descend,
    enqueue,
    first_rank,
    from_rank,
    is_empty,
    none_waiting,
    skip_subtree,
)


class Caps(NamedTuple):
    """Limits as numbers: M, and of a round B requests and C tokens, below 2^62."""

    M: int
    B: int
    C: int


def list_schedule(
    instance: Instance,
    rank: ArrayLike,
    *,
    skip: bool = False,
    planned: ArrayLike | None = None,
) -> MixedSchedule:
    """Schedule by a priority order and the future check.

    Parameters
    ----------
    instance : Instance
        What is to be scheduled (mixed batching; of the GPU, the KV capacity and the limits on a
        round are looked at).
    rank : array_like of int or float, shape (n,)
        Priority: lower first; ties by arrival, then in the instance's order.
    skip : bool
        Go on scanning after a request that does not fit, instead of stopping.
    planned : array_like of int, shape (n,), optional
        Output length that the future check reckons with, ``o_i ≤ planned_i ≤ M − s_i``; requests
        leave at their true length all the same. The true length by default.

    Returns
    -------
    MixedSchedule
        A feasible schedule.

    Raises
    ------
    InputError
        If `rank` or `planned` has a wrong shape, type or range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> list_schedule(instance, rank=instance.output).start.tolist()
    [0, 3]

    References
    ----------
    arXiv 2502.07115, Algorithm 1 (MC-SF) and its benchmark; docs/model/mixed.md §5.
    """
    ranks = _priorities(rank, instance.n)
    lengths = instance.output if planned is None else _planned_lengths(planned, instance)
    M, most = instance.gpu.kv_capacity, limits(instance)
    columns = (instance.arrival, instance.prompt, instance.output)
    by_arrival = np.argsort(instance.arrival, kind="stable")
    by_rank = by_arrival[np.argsort(ranks[by_arrival], kind="stable")]
    caps = Caps(M, most.running, most.tokens)
    return MixedSchedule(list_starts(*columns, lengths, by_arrival, by_rank, caps, skip))


def _priorities(rank: ArrayLike, n: int) -> NDArray[Any]:
    ranks = np.asarray(rank)
    number = np.issubdtype(ranks.dtype, np.integer) or np.issubdtype(ranks.dtype, np.floating)
    if ranks.shape != (n,) or not number or bool(np.isnan(ranks).any()):
        raise InputError(
            f"rank: expected {n} numbers, one per request, none of them NaN; "
            f"found {ranks.dtype} of shape {ranks.shape}"
        )
    return ranks.astype(np.int64 if np.issubdtype(ranks.dtype, np.integer) else np.float64)


def _planned_lengths(planned: ArrayLike, instance: Instance) -> IntArray:
    lengths = np.asarray(planned)
    if lengths.shape != (instance.n,) or not np.issubdtype(lengths.dtype, np.integer):
        raise InputError(
            f"planned: expected {instance.n} integers, one per request; "
            f"found {lengths.dtype} of shape {lengths.shape}"
        )
    longest = instance.gpu.kv_capacity - instance.prompt
    wrong = np.flatnonzero((lengths < instance.output) | (lengths > longest))
    if wrong.size:
        i = int(wrong[0])
        raise InputError(
            f"planned[{i}]: expected from output = {instance.output[i]} to "
            f"kv_capacity − prompt = {longest[i]} tokens, found {lengths[i]}"
        )
    lengths = lengths.astype(np.int64)
    lengths.flags.writeable = False  # as the columns are: else all is compiled once more
    return lengths


@njit(cache=True)
def list_starts(
    arrival: IntArray,
    prompt: IntArray,
    output: IntArray,
    planned: IntArray,
    by_arrival: IntArray,
    by_rank: IntArray,
    caps: Caps,
    skip: bool,
) -> IntArray:
    """Return the starts of `list_schedule`, unchecked, for requests by arrival and by rank.

    Requires ``1 ≤ output ≤ planned ≤ M − prompt``. The orders are numpy's: to sort takes longer to
    compile than all of the rest.
    """
    n = arrival.size
    M, B, C = caps
    position = np.empty(n, np.int64)
    for rank in range(n):
        position[by_rank[rank]] = rank
    start = np.full(n, -1, dtype=np.int64)
    waiting = none_waiting(n)
    running = nothing_running(min(n, M // 2) + 1)  # each holds 2 tokens or more
    first = int(np.int64(0))  # no literal: what is called with one is compiled once more
    m, arrived, t = first, first, first
    while arrived < n or not is_empty(waiting):
        m = remove_completed(running, m, M, t)
        while arrived < n and arrival[by_arrival[arrived]] <= t:
            i = by_arrival[arrived]
            enqueue(waiting, int(position[i]), int(prompt[i]), int(planned[i]))
            arrived += 1
        seats = B - running.count_from[0]
        tokens = C - running.count_from[0]
        p = _next_to_start(waiting, running, m, M, t, first, skip, seats, tokens)
        while p >= 0:
            i = by_rank[p]
            start[i] = t
            seats -= 1
            tokens -= prompt[i]
            dequeue(waiting, p)
            m = add(running, m, M, int(prompt[i]), int(planned[i]), int(output[i]), t)
            p = _next_to_start(waiting, running, m, M, t, p + 1, skip, seats, tokens)
        event = next_completion(running, m)
        if arrived < n:
            event = min(event, int(arrival[by_arrival[arrived]]))
        # In later rounds what runs counts a token each; only a completion makes a seat.
        if seats > 0:
            tokens = C - running.count_from[0]
            t = _wake_up(waiting, running, m, M, t, event, skip, tokens)
        else:
            t = event
    return start


@njit(cache=True)
def _next_to_start(
    waiting: Waiting,
    running: Running,
    m: int,
    M: int,
    t: int,
    rank: int,
    skip: bool,
    seats: int,
    tokens: int,
) -> int:
    """Position of the next request to start at `t` in the scan that has reached `rank`, or −1.

    The next round has so many seats and tokens left. What did not fit earlier in the scan does not
    fit after further starts either.
    """
    if is_empty(waiting) or seats <= 0:
        return -1
    size = waiting.prompt.size // 2
    if not skip:
        p = first_rank(waiting)
        head = size + p
        s = waiting.prompt[head]
        return p if s <= tokens and fits(running, m, M, s, waiting.planned[head], t) else -1
    node = from_rank(waiting, rank)
    while node > 0:
        s = waiting.prompt[node]
        if s > tokens or not fits(running, m, M, s, waiting.planned[node], t):
            node = skip_subtree(node)
        elif node >= size:
            return node - size
        else:
            node = descend(node)
    return -1


@njit(cache=True)
def _wake_up(
    waiting: Waiting, running: Running, m: int, M: int, t: int, event: int, skip: bool, tokens: int
) -> int:
    """Next boundary to scan at: the next event, or before it the first at which one may start.

    Up to the next event a round has so many tokens left.
    """
    if is_empty(waiting) or event <= t + 1:
        return event
    size = waiting.prompt.size // 2
    if not skip:
        head = size + first_rank(waiting)
        if waiting.prompt[head] > tokens:
            return event
        k = earliest_fit(running, m, M, waiting.prompt[head], waiting.planned[head], t + 1)
        return min(event, k)
    node = ROOT
    while node > 0 and event > t + 1:
        s, o = waiting.prompt[node], waiting.planned[node]
        if s > tokens or not may_fit_within(running, m, M, s, o, t + 1, event - 1):
            node = skip_subtree(node)
        elif node >= size:
            event = min(event, earliest_fit(running, m, M, s, o, t + 1))
            node = skip_subtree(node)
        else:
            node = descend(node)
    return event
