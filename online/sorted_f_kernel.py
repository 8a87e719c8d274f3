"""Sorted-F, event-driven and compiled; the rule is that of `online.policies.sorted_f`.

Waiting requests are kept in three orders: by output, by prompt + output, by volume. The head, the
first request of the best set, is all that matters between events: while nobody arrives or starts,
the order stays, and the machine sleeps until the head passes the future check.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..models.instance import Instance, IntArray
from ..models.schedule import MixedSchedule
from ..solvers.future_check import (
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

_NOBODY = -1


def run_sorted_f(instance: Instance, planned: IntArray) -> MixedSchedule:
    """Run a whole instance with planned lengths ``o_i ≤ planned_i ≤ M − s_i``."""
    queue = np.argsort(instance.arrival, kind="stable")
    arrival, prompt, output, plan = (
        column[queue] for column in (instance.arrival, instance.prompt, instance.output, planned)
    )
    volume = prompt * plan + plan * (plan + 1) // 2
    ranks = [np.argsort(np.argsort(key, kind="stable")) for key in (plan, prompt + plan, volume)]
    start = np.empty_like(queue)
    start[queue] = _run(arrival, prompt, output, plan, np.array(ranks), instance.gpu.kv_capacity)
    return MixedSchedule(start)


@njit(cache=True)
def _run(
    arrival: IntArray, prompt: IntArray, output: IntArray, planned: IntArray, rank: IntArray, M: int
) -> IntArray:
    """Return the starts; requests are in order of arrival, `rank` has a row per order."""
    n = arrival.size
    start = np.full(n, -1, dtype=np.int64)
    running = nothing_running(min(n, M // 2) + 1)  # each holds 2 tokens or more
    trial = nothing_running(min(n, M // 2) + 1)
    waiting = np.empty((3, n), dtype=np.int64)  # W requests in each row, by rank
    left = np.empty((3, n), dtype=np.int64)
    W, m, arrived, head, t = 0, 0, 0, _NOBODY, 0
    while arrived < n or W > 0:
        m = remove_completed(running, m, M, t)
        while arrived < n and arrival[arrived] <= t:
            W = _insert(waiting, W, rank, arrived)
            arrived += 1
            head = _NOBODY
        if W > 0 and (head == _NOBODY or fits(running, m, M, prompt[head], planned[head], t)):
            for row in range(3):
                left[row, :W] = waiting[row, :W]
            m = _scan(left, W, running, m, trial, M, prompt, planned, output, t, start)
            W = _drop_started(waiting, W, start)
            if W > 0:
                head = _choose(waiting, W, trial, M, prompt, planned)[0]
        event = next_completion(running, m)
        if arrived < n:
            event = min(event, int(arrival[arrived]))
        if W > 0:
            wake = earliest_fit(running, m, M, prompt[head], planned[head], t + 1)
            event = min(event, wake)
        t = event
    return start


@njit(cache=True)
def _scan(
    left: IntArray,
    W: int,
    running: Running,
    m: int,
    trial: Running,
    M: int,
    prompt: IntArray,
    planned: IntArray,
    output: IntArray,
    t: int,
    start: IntArray,
) -> int:
    """Start set by set until one does not fit; return the new number of running requests.

    `left` is used up: the requests not yet taken into a set.
    """
    while W > 0:
        for i in _choose(left, W, trial, M, prompt, planned):
            if not fits(running, m, M, prompt[i], planned[i], t):
                return m
            m = add(running, m, M, prompt[i], planned[i], output[i], t)
            start[i] = t
        W = _drop_started(left, W, start)
    return m


@njit(cache=True)
def _choose(
    waiting: IntArray, W: int, trial: Running, M: int, prompt: IntArray, planned: IntArray
) -> IntArray:
    """Return the best set, by output (ties by arrival)."""
    if W <= EXACT_LIMIT:
        return _best_set(waiting[0, :W], M, prompt, planned)
    return _good_set(waiting, W, trial, M, prompt, planned)


@njit(cache=True)
def _best_set(by_output: IntArray, M: int, prompt: IntArray, planned: IntArray) -> IntArray:
    """Least F over all feasible sets, by enumeration; of equals the lowest number.

    Digit j of a set's number stands for the request with the j-th shortest output. Without its
    lowest digit a set is one of lower number; adding the shortest request to that one asks for
    just one more check, at the completion of the shortest, where all are there.
    """
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
        feasible[number] = feasible[rest] and fits_all
        value = outputs[number] / (count[number] * count[number])
        if feasible[number] and value < least:
            best, least = number, value
    chosen = [by_output[j] for j in range(by_output.size) if best >> j & 1]
    return np.array(chosen)


@njit(cache=True)
def _good_set(
    waiting: IntArray, W: int, trial: Running, M: int, prompt: IntArray, planned: IntArray
) -> IntArray:
    """Grow a set in each of the three orders; take the best met on the way."""
    least, best_row, best_count = np.inf, 0, 1
    grown = np.empty((3, W), dtype=np.int64)
    for row in range(3):
        m, total = 0, 0
        for i in waiting[row, :W]:
            if not fits(trial, m, M, prompt[i], planned[i], 0):
                break
            grown[row, m] = i
            m = add(trial, m, M, prompt[i], planned[i], planned[i], 0)
            total += planned[i]
            value = total / (m * m)
            if value < least:
                least, best_row, best_count = value, row, m
        remove_completed(trial, m, M, M)  # empty it: all planned lengths are below M
    chosen = np.sort(grown[best_row, :best_count])
    return chosen[np.argsort(planned[chosen], kind="mergesort")]


@njit(cache=True)
def _insert(waiting: IntArray, W: int, rank: IntArray, i: int) -> int:
    for row in range(3):
        j = W
        while j > 0 and rank[row, waiting[row, j - 1]] > rank[row, i]:
            waiting[row, j] = waiting[row, j - 1]
            j -= 1
        waiting[row, j] = i
    return W + 1


@njit(cache=True)
def _drop_started(waiting: IntArray, W: int, start: IntArray) -> int:
    kept = 0
    for row in range(3):
        kept = 0
        for j in range(W):
            if start[waiting[row, j]] < 0:
                waiting[row, kept] = waiting[row, j]
                kept += 1
    return kept
