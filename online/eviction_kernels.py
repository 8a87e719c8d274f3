"""Policies that know no lengths and evict, event-driven and compiled.

They admit in order of arrival up to a limit, and when the next round would exceed the KV capacity
they evict by a rule: everything, each with probability β, or from the tail. Between events the KV
occupancy ``m·t + base`` of m running requests only grows, so nothing can be admitted, and the next
overflow is known in closed form: the work is per arrival, completion and overflow.
"""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np
from numba import njit

from ..models.instance import Instance, IntArray
from ..models.schedule import Eviction, MixedSchedule
from .termination import cycles, eviction_budget, exceeds_budget, stalls

#: Eviction rules.
CLEAR_ALL, CLEAR_SOME, PREEMPT_TAIL = 0, 1, 2

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
    requests = queue[evicted[:, 0]].tolist()
    times = evicted[:, 1:].tolist()
    runs = [Eviction(i, *times[j]) for j, i in enumerate(requests)]
    return MixedSchedule(final, runs)


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
    from `fresh` up to `arrived`, which have never started.
    """
    n = arrival.size
    start = np.full(n, -1, dtype=np.int64)
    line = np.empty(n, dtype=np.int64)  # the running requests in order of start; first m count
    again = [0]
    again.clear()
    evicted = np.empty((16, 3), dtype=np.int64)
    evictions, since_completion, cleared_at = 0, 0, -1
    m, base, done, fresh, arrived, t = 0, 0, 0, 0, 0, 0
    while True:
        before = m
        m, base = _remove_completed(line, m, base, start, prompt, output, t)
        if m < before:
            done += before - m
            since_completion = 0
        if done == n:
            return start, evicted[:evictions], _DONE, t, 0
        while arrived < n and arrival[arrived] <= t:
            arrived += 1
        wake = _NEVER
        if base + m * (t + 1) > M:
            before = m
            m, base = _select(line, m, base, start, prompt, t, M, rule, beta, rng)
            for i in line[m:before]:
                if evictions == evicted.shape[0]:
                    evicted = np.concatenate((evicted, np.empty_like(evicted)))
                evicted[evictions] = i, start[i], t
                evictions += 1
                heapq.heappush(again, int(i))
            since_completion += before - m
            if since_completion > budget:
                return start, evicted[:evictions], _EXCEEDS_BUDGET, t, 0
            if rule == CLEAR_ALL and arrived == n:
                if cleared_at == done:
                    return start, evicted[:evictions], _CYCLES, t, n - done
                cleared_at = done
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
                line[m] = i
                m += 1
                base += prompt[i] - t
                if token_budget < _NEVER and (len(again) > 0 or fresh < arrived):
                    wake = t + 1
        event = _next_event(line, m, base, start, output, M)
        if arrived < n:
            event = min(event, int(arrival[arrived]))
        event = min(event, wake)
        if event == _NEVER:
            head = again[0] if len(again) > 0 else fresh
            return start, evicted[:evictions], _STALLS, t, head
        t = event


@njit(cache=True)
def _remove_completed(
    line: IntArray, m: int, base: int, start: IntArray, prompt: IntArray, output: IntArray, t: int
) -> tuple[int, int]:
    """Drop what completes at `t`; return the new m and base."""
    kept = 0
    for j in range(m):
        i = line[j]
        if start[i] + output[i] > t:
            line[kept] = i
            kept += 1
        else:
            base -= prompt[i] - start[i]
    return kept, base


@njit(cache=True)
def _next_event(
    line: IntArray, m: int, base: int, start: IntArray, output: IntArray, M: int
) -> int:
    """Next completion, or the boundary before the round that would exceed M."""
    if m == 0:
        return _NEVER
    event = (M - base) // m
    for i in line[:m]:
        event = min(event, int(start[i] + output[i]))
    return event


@njit(cache=True)
def _select(
    line: IntArray,
    m: int,
    base: int,
    start: IntArray,
    prompt: IntArray,
    t: int,
    M: int,
    rule: int,
    beta: float,
    rng: Any,
) -> tuple[int, int]:
    """Put whom the rule evicts at `t` behind the survivors in `line`; return the new m and base."""
    if rule == CLEAR_ALL:
        return 0, 0
    while base + m * (t + 1) > M:
        if rule == PREEMPT_TAIL:
            m -= 1
            base -= prompt[line[m]] - start[line[m]]
        else:
            before = m
            m = _draw(line, m, beta, rng)
            for i in line[m:before]:
                base -= prompt[i] - start[i]
    return m, base


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
