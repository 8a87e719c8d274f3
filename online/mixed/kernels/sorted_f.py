"""Sorted-F, event-driven and compiled; the rule is that of `online.mixed.policies.sorted_f`.

Waiting requests are kept in three orders (by output, by prompt + output, by volume), each as a tree
over ranks. The best set depends only on what waits, so it is kept until one arrives or starts.
Its first request, the head, is all that matters between events: the machine sleeps until the head
passes the future check. So an event takes as long as the sets that it looks at, however many wait.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import Instance, IntArray
from ....models.mixed.problem import limits
from ....models.mixed.schedule import MixedSchedule
from ....solvers.mixed.list_scheduling.future_check import (
    Running,
    add,
    earliest_fit,
    fits,
    next_completion,
    nothing_running,
    remove_completed,
)

#: Up to this many waiting requests the best set is found by enumeration.
EXACT_LIMIT = 10

#: Arrays of int64 with a row per order.
Table = NDArray[np.int64]

_NOBODY = -1


def run_sorted_f(instance: Instance, planned: IntArray) -> MixedSchedule:
    """Run a whole instance with planned lengths ``o_i ≤ planned_i ≤ M − s_i``."""
    queue = np.argsort(instance.arrival, kind="stable")
    arrival, prompt, output, plan = (
        column[queue] for column in (instance.arrival, instance.prompt, instance.output, planned)
    )
    volume = prompt * plan + plan * (plan + 1) // 2
    orders = [np.argsort(key, kind="stable") for key in (plan, prompt + plan, volume)]
    start = np.empty_like(queue)
    most = limits(instance)
    caps = Caps(instance.gpu.kv_capacity, most.running, most.tokens)
    start[queue] = _run(arrival, prompt, output, plan, np.array(orders), caps)
    return MixedSchedule(start)


class Caps(NamedTuple):
    """Limits: M, and of a round B requests and C tokens."""

    M: int
    B: int
    C: int


class _Line(NamedTuple):
    """Who waits, in three orders.

    Attributes
    ----------
    order, place : ndarray of int64, shape (3, n)
        Requests by rank, and the rank of each.
    some : ndarray of bool, shape (3, 2·size)
        A binary tree over the ranks of each order: whether anybody waits below a node.
    """

    order: Table
    place: Table
    some: NDArray[np.bool_]


@njit(cache=True)
def _run(
    arrival: IntArray,
    prompt: IntArray,
    output: IntArray,
    planned: IntArray,
    order: Table,
    caps: Caps,
) -> IntArray:
    """Return the starts; requests are in order of arrival, `order` has a row per order."""
    n = arrival.size
    M, B, C = caps
    start = np.full(n, -1, dtype=np.int64)
    running = nothing_running(min(n, M // 2) + 1)  # each holds 2 tokens or more
    trial = nothing_running(min(n, M // 2) + 1)
    line = _none_waits(order)
    grown = np.empty((3, n), dtype=np.int64)
    chosen = grown[0, :0].copy()  # the best set, empty where it is not known
    W, m, arrived, t = 0, 0, 0, 0
    while arrived < n or W > 0:
        m = remove_completed(running, m, M, t)
        while arrived < n and arrival[arrived] <= t:
            _set(line, arrived, True)
            W += 1
            arrived += 1
            chosen = chosen[:0]
        stopped = False
        runs = running.count_from[0]
        tokens = runs
        while W > 0 and not stopped:
            if chosen.size == 0:
                chosen = _choose(line, W, trial, grown, caps, prompt, planned)
            started = 0
            for i in chosen:
                full = runs >= B or tokens + prompt[i] > C
                if full or not fits(running, m, M, prompt[i], planned[i], t):
                    stopped = True
                    break
                runs += 1
                tokens += prompt[i]
                m = add(running, m, M, prompt[i], planned[i], output[i], t)
                start[i] = t
                _set(line, i, False)
                W -= 1
                started += 1
            if started > 0:
                chosen = chosen[:0]
        event = next_completion(running, m)
        if arrived < n:
            event = min(event, int(arrival[arrived]))
        if W > 0:
            if chosen.size == 0:
                chosen = _choose(line, W, trial, grown, caps, prompt, planned)
            head = chosen[0]
            if runs < B and runs + prompt[head] <= C:  # else not before a completion
                wake = earliest_fit(running, m, M, prompt[head], planned[head], t + 1)
                event = min(event, wake)
        t = event
    return start


@njit(cache=True)
def _none_waits(order: Table) -> _Line:
    n = order.shape[1]
    size = 1
    while size < n:
        size *= 2
    place = np.empty_like(order)
    for row in range(3):
        place[row, order[row]] = np.arange(n)
    return _Line(order, place, np.zeros((3, 2 * size), dtype=np.bool_))


@njit(cache=True)
def _set(line: _Line, i: int, waits: bool) -> None:
    """Let request i wait, or take it out."""
    some = line.some
    for row in range(3):
        node = some.shape[1] // 2 + line.place[row, i]
        some[row, node] = waits
        node //= 2
        while node > 0:
            below = some[row, 2 * node] or some[row, 2 * node + 1]
            if some[row, node] == below:
                break
            some[row, node] = below
            node //= 2


@njit(cache=True)
def _next(line: _Line, row: int, rank: int) -> int:
    """First rank in an order, at or after one, at which a request waits; −1 for none."""
    some = line.some[row]
    size: int = some.size // 2
    if rank >= size:
        return _NOBODY
    node = size + rank
    while not some[node]:
        while node % 2 == 1:  # no other below the parent
            node //= 2
        if node == 0:
            return _NOBODY
        node += 1
    while node < size:
        node *= 2
        if not some[node]:
            node += 1
    return node - size


@njit(cache=True)
def _choose(
    line: _Line,
    W: int,
    trial: Running,
    grown: Table,
    caps: Caps,
    prompt: IntArray,
    planned: IntArray,
) -> IntArray:
    """Return the best set, by output (ties by arrival)."""
    if W > EXACT_LIMIT:
        return _good_set(line, trial, grown, caps, prompt, planned)
    by_output = np.empty(W, dtype=np.int64)
    rank = -1
    for j in range(W):
        rank = _next(line, 0, rank + 1)
        by_output[j] = line.order[0, rank]
    return _best_set(by_output, caps, prompt, planned)


@njit(cache=True)
def _best_set(by_output: IntArray, caps: Caps, prompt: IntArray, planned: IntArray) -> IntArray:
    """Least F over all feasible sets, by enumeration; of equals the lowest number.

    Digit j of a set's number stands for the request with the j-th shortest output. Without its
    lowest digit a set is one of lower number; adding the shortest request to that one asks for
    just one more check, at the completion of the shortest, where all are there; beside those of
    the first round, where all begin.
    """
    M, B, C = caps
    numbers = 1 << by_output.size
    count = np.zeros(numbers, dtype=np.int64)
    prompts = np.zeros(numbers, dtype=np.int64)
    outputs = np.zeros(numbers, dtype=np.int64)
    feasible = np.ones(numbers, dtype=np.bool_)
    best, least = 1, np.inf
    for number in range(1, numbers):
        rest = number & (number - 1)
        digit = 0
        while not number >> digit & 1:
            digit += 1
        i = by_output[digit]
        count[number] = count[rest] + 1
        prompts[number] = prompts[rest] + prompt[i]
        outputs[number] = outputs[rest] + planned[i]
        fits_all = prompts[number] + count[number] * planned[i] <= M
        fits_round = count[number] <= B and prompts[number] <= C
        feasible[number] = feasible[rest] and fits_all and fits_round
        value = outputs[number] / (count[number] * count[number])
        if feasible[number] and value < least:
            best, least = number, value
    chosen = [by_output[j] for j in range(by_output.size) if best >> j & 1]
    return np.array(chosen)


@njit(cache=True)
def _good_set(
    line: _Line, trial: Running, grown: Table, caps: Caps, prompt: IntArray, planned: IntArray
) -> IntArray:
    """Grow a set in each of the three orders; take the best met on the way."""
    M, B, C = caps
    least, best_row, best_count = np.inf, 0, 1
    for row in range(3):
        m, count, total, tokens = 0, 0, 0, 0
        rank = _next(line, row, 0)
        while rank >= 0:
            i = line.order[row, rank]
            tokens += prompt[i]
            full = count >= B or tokens > C
            if full or not fits(trial, m, M, prompt[i], planned[i], 0):
                break
            grown[row, count] = i
            m = add(trial, m, M, prompt[i], planned[i], planned[i], 0)
            count += 1
            total += planned[i]
            value = total / (count * count)
            if value < least:
                least, best_row, best_count = value, row, count
            rank = _next(line, row, rank + 1)
        remove_completed(trial, m, M, M)  # empty it: all planned lengths are below M
    chosen = np.sort(grown[best_row, :best_count])
    return chosen[np.argsort(planned[chosen], kind="mergesort")]
