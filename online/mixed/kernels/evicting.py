"""Policies that know no lengths and evict, event-driven and compiled.

They admit in order of arrival up to a limit, and when the next round would exceed the KV capacity
they evict by a rule: everything, each with probability β, or from the tail. Between events the KV
occupancy ``m·t + base`` of m running requests only grows, so nothing can be admitted, and the next
overflow is known in closed form: the work is per arrival, start, completion and eviction, each in
O(log) of how many there are (`CLEAR_SOME` draws for everyone who runs at each overflow).
"""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import Instance, IntArray
from ....models.mixed.schedule import Eviction, MixedSchedule
from ...termination import cycles, eviction_budget, exceeds_budget, stalls

#: Eviction rules.
CLEAR_ALL, CLEAR_SOME, PREEMPT_TAIL = 0, 1, 2

#: Whether each request runs; completions ``(end, request)`` as a heap.
Flags = NDArray[np.bool_]
Ends = list[tuple[int, int]]

_NEVER = 2**62
_DONE, _STALLS, _CYCLES, _EXCEEDS_BUDGET = 0, 1, 2, 3


def run_evicting(
    instance: Instance,
    name: str,
    rng: np.random.Generator,
    *,
    rule: int,
    limit: int,
    beta: float = 1.0,
    max_requests: int | None = None,
    token_budget: int | None = None,
) -> MixedSchedule:
    """Run a whole instance.

    Parameters
    ----------
    instance : Instance
        What is to be scheduled.
    name : str
        The policy, for messages.
    rng : numpy.random.Generator
        For `CLEAR_SOME`.
    rule : int
        `CLEAR_ALL`, `CLEAR_SOME` (each with probability `beta`, under the condition that somebody
        is evicted, until the next round fits) or `PREEMPT_TAIL`.
    limit : int
        KV tokens that the next round may hold for a request to be admitted.
    beta : float
        In (0, 1].
    max_requests, token_budget : int or None
        Most running requests; most tokens in a batch (running count 1, admitted prompts s).

    Raises
    ------
    DoesNotFinish
        If the rule stalls, cycles, or exceeds the budget of evictions without a completion.
    """
    queue = np.argsort(instance.arrival, kind="stable")
    columns = (instance.arrival[queue], instance.prompt[queue], instance.output[queue])
    budget = eviction_budget(instance.n)
    limits = (_bounded(max_requests), _bounded(token_budget))
    M = instance.gpu.kv_capacity
    start, evicted, verdict, t, who = _run(*columns, M, limit, *limits, rule, beta, budget, rng)
    if verdict == _STALLS:
        raise stalls(name, instance.request_id(int(queue[who])), t)
    if verdict == _CYCLES:
        raise cycles(name, who, t)
    if verdict == _EXCEEDS_BUDGET:
        raise exceeds_budget(name, instance.n, t)
    final = np.empty_like(start)
    final[queue] = start
    requests, begin, end = queue[evicted[:, 0]], evicted[:, 1], evicted[:, 2]
    in_order = np.lexsort((requests, begin))
    runs = zip(*(column[in_order].tolist() for column in (requests, begin, end)), strict=True)
    return MixedSchedule(final, list(map(Eviction._make, runs)))


def _bounded(limit: int | None) -> int:
    return _NEVER if limit is None else min(limit, _NEVER)


@njit(cache=True)
def _run(
    arrival: IntArray,
    prompt: IntArray,
    output: IntArray,
    M: int,
    limit: int,
    max_requests: int,
    token_budget: int,
    rule: int,
    beta: float,
    budget: int,
    rng: np.random.Generator,
) -> tuple[IntArray, IntArray, int, int, int]:
    """Return starts, evicted runs (request, start, end), verdict, its round, and whom it concerns.

    Requests are in order of arrival. Who waits: the heap `again` of evicted requests, then those
    from `fresh` up to `arrived`, which have never started. Who runs: `runs`, and in order of start
    `line`, whose entries may be stale: completed requests stay in it until they are met. The heap
    `ends` of completions has stale entries of evicted runs, too.
    """
    n = arrival.size
    start = np.full(n, -1, dtype=np.int64)
    runs = np.zeros(n, dtype=np.bool_)
    line, length = np.empty(n, dtype=np.int64), 0
    again = [0]
    again.clear()
    ends = [(0, 0)]
    ends.clear()
    evicted = np.empty((16, 3), dtype=np.int64)
    evictions, since_completion, cleared_at = 0, 0, -1
    m, base, done, fresh, arrived, t = 0, 0, 0, 0, 0, 0
    while True:
        while len(ends) > 0 and ends[0][0] <= t:
            end, i = heapq.heappop(ends)
            if runs[i] and start[i] + output[i] == end:
                runs[i] = False
                m -= 1
                base -= prompt[i] - start[i]
                done += 1
                since_completion = 0
        if done == n:
            return start, evicted[:evictions], _DONE, t, 0
        while arrived < n and arrival[arrived] <= t:
            arrived += 1
        wake = _NEVER
        if base + m * (t + 1) > M:
            if rule == CLEAR_SOME:
                length = _without_stale(line, length, runs)
            before = length
            m, base, length = _select(
                line, length, runs, m, base, start, prompt, t, M, rule, beta, rng
            )
            gone = 0
            for i in line[length:before]:
                if not runs[i]:
                    continue
                runs[i] = False
                gone += 1
                if evictions == evicted.shape[0]:
                    evicted = np.concatenate((evicted, np.empty_like(evicted)))
                evicted[evictions] = i, start[i], t
                evictions += 1
                heapq.heappush(again, int(i))
            since_completion += gone
            if since_completion > budget:
                return start, evicted[:evictions], _EXCEEDS_BUDGET, t, 0
            if rule == CLEAR_ALL and arrived == n:
                if cleared_at == done:
                    return start, evicted[:evictions], _CYCLES, t, n - done
                cleared_at = done
            if len(ends) > 4 * m + 64:
                ends = _current(ends, runs, start, output)
            wake = t + 1
        else:
            tokens = m
            while len(again) > 0 or fresh < arrived:
                i = again[0] if len(again) > 0 else fresh
                tokens += prompt[i]
                too_large = base + m * (t + 1) + prompt[i] + 1 > limit
                if too_large or m >= max_requests or tokens > token_budget:
                    break
                if len(again) > 0:
                    heapq.heappop(again)
                else:
                    fresh += 1
                start[i] = t
                runs[i] = True
                line[length] = i
                length += 1
                heapq.heappush(ends, (t + int(output[i]), int(i)))
                m += 1
                base += prompt[i] - t
                if token_budget < _NEVER and (len(again) > 0 or fresh < arrived):
                    wake = t + 1
        event = wake
        if m > 0:
            event = min(event, (M - base) // m, _next_end(ends, runs, start, output))
        if arrived < n:
            event = min(event, int(arrival[arrived]))
        if event == _NEVER:
            head = again[0] if len(again) > 0 else fresh
            return start, evicted[:evictions], _STALLS, t, head
        t = event


@njit(cache=True)
def _without_stale(line: IntArray, length: int, runs: Flags) -> int:
    """Drop who does not run any more from the line; return its new length."""
    kept = 0
    for i in line[:length]:
        if runs[i]:
            line[kept] = i
            kept += 1
    return kept


@njit(cache=True)
def _current(ends: Ends, runs: Flags, start: IntArray, output: IntArray) -> Ends:
    """Return the heap without stale entries."""
    kept = [(end, i) for end, i in ends if runs[i] and start[i] + output[i] == end]
    heapq.heapify(kept)
    return kept


@njit(cache=True)
def _next_end(ends: Ends, runs: Flags, start: IntArray, output: IntArray) -> int:
    """Next completion, where somebody runs; stale entries before it are dropped."""
    while True:
        end, i = ends[0]
        if runs[i] and start[i] + output[i] == end:
            return end
        heapq.heappop(ends)


@njit(cache=True)
def _select(
    line: IntArray,
    length: int,
    runs: Flags,
    m: int,
    base: int,
    start: IntArray,
    prompt: IntArray,
    t: int,
    M: int,
    rule: int,
    beta: float,
    rng: Any,
) -> tuple[int, int, int]:
    """Put whom the rule evicts at `t` behind the survivors in `line`.

    Returns the new m and base, and how far the survivors go; what is behind them may be stale.
    """
    if rule == CLEAR_ALL:
        return 0, 0, 0
    while base + m * (t + 1) > M:
        before = length
        length = length - 1 if rule == PREEMPT_TAIL else _draw(line, length, beta, rng)
        for i in line[length:before]:
            if runs[i]:
                m -= 1
                base -= prompt[i] - start[i]
    return m, base, length


@njit(cache=True)
def _draw(line: IntArray, m: int, beta: float, rng: Any) -> int:
    """Move each to the back with probability β, given that somebody is; return how many stay."""
    drawn = np.empty(m, dtype=np.int64)
    kept = 0
    for j in range(m):
        p = beta
        if kept == j:  # nobody drawn so far
            p = beta / -math.expm1((m - j) * math.log1p(-beta))
        if rng.random() < p:
            drawn[j - kept] = line[j]
        else:
            line[kept] = line[j]
            kept += 1
    line[kept:m] = drawn[: m - kept]
    return kept
