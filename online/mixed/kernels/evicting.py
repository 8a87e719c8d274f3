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
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import Gpu, Instance, IntArray
from ....models.mixed.schedule import Eviction, MixedSchedule
from ...termination import cycles, eviction_budget, exceeds_budget, stalls

#: Eviction rules.
CLEAR_ALL, CLEAR_SOME, PREEMPT_TAIL = 0, 1, 2

#: A time or limit that is never reached.
NEVER = 2**62

#: Whether each request runs; completions ``(end, request)`` as a heap.
Flags = NDArray[np.bool_]
Ends = list[tuple[int, int]]

_DONE, _STALLS, _CYCLES, _EXCEEDS_BUDGET = 0, 1, 2, 3


class EvictionRule(NamedTuple):
    """What tells one policy from another.

    Attributes
    ----------
    kind : int
        `CLEAR_ALL`, `CLEAR_SOME` (each with probability `beta`, under the condition that at least
        one is evicted, until the next round fits) or `PREEMPT_TAIL`.
    limit : int
        KV tokens that the next round may hold for a request to be admitted.
    beta : float
        In (0, 1].
    max_requests, token_budget : int
        Most running requests; most tokens in a batch (running count 1, admitted prompts s).
    """

    kind: int
    limit: int
    beta: float = 1.0
    max_requests: int = NEVER
    token_budget: int = NEVER

    def within(self, gpu: Gpu) -> EvictionRule:
        """Return the rule under the limits on a round that a GPU has as well.

        Examples
        --------
        >>> from batchprophet.models.instance import Gpu
        >>> EvictionRule(PREEMPT_TAIL, 9).within(Gpu(kv_capacity=9, running_requests=2))[3]
        2
        """
        B, C = gpu.running_requests, gpu.batch_tokens
        return self._replace(
            max_requests=self.max_requests if B is None else min(self.max_requests, B),
            token_budget=self.token_budget if C is None else min(self.token_budget, C),
        )


class _Requests(NamedTuple):
    """Columns of the requests, by arrival."""

    arrival: IntArray
    prompt: IntArray
    output: IntArray


class _Running(NamedTuple):
    """Running requests in order of start (entries may be stale), whether each runs, its start."""

    line: IntArray
    runs: Flags
    start: IntArray


def run_evicting(
    instance: Instance, name: str, rng: np.random.Generator, rule: EvictionRule
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
    rule : EvictionRule
        The policy.

    Raises
    ------
    DoesNotFinish
        If the rule stalls, cycles, or exceeds the budget of evictions without a completion.
    """
    queue = np.argsort(instance.arrival, kind="stable")
    requests = _Requests(instance.arrival[queue], instance.prompt[queue], instance.output[queue])
    M, budget = instance.gpu.kv_capacity, eviction_budget(instance.n)
    start, evicted, verdict, t, who = _run(requests, M, rule, budget, rng)
    if verdict == _STALLS:
        raise stalls(name, instance.request_id(int(queue[who])), t)
    if verdict == _CYCLES:
        raise cycles(name, who, t)
    if verdict == _EXCEEDS_BUDGET:
        raise exceeds_budget(name, instance.n, t)
    final = np.empty_like(start)
    final[queue] = start
    index, begin, end = queue[evicted[:, 0]], evicted[:, 1], evicted[:, 2]
    in_order = np.lexsort((index, begin))
    runs = zip(*(column[in_order].tolist() for column in (index, begin, end)), strict=True)
    return MixedSchedule(final, list(map(Eviction._make, runs)))


@njit(cache=True)
def _run(
    requests: _Requests, M: int, rule: EvictionRule, budget: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray, int, int, int]:
    """Return starts, evicted runs (request, start, end), verdict, its round, and whom it concerns.

    Requests are in order of arrival. Who waits: the heap `again` of evicted requests, then those
    from `fresh` up to `arrived`, which have never started. Who runs: `runs`, and in order of start
    `line`, whose entries may be stale: completed requests stay in it until they are met. The heap
    `ends` of completions has stale entries of evicted runs, too.
    """
    arrival, prompt, output = requests
    n, length = arrival.size, 0
    start = np.full(n, -1, dtype=np.int64)
    runs = np.zeros(n, dtype=np.bool_)
    line = np.empty(n, dtype=np.int64)
    running = _Running(line, runs, start)
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
        wake = NEVER
        if base + m * (t + 1) > M:
            if rule.kind == CLEAR_SOME:
                length = _without_stale(line, length, runs)
            before = length
            m, base, length = _select(running, length, m, base, prompt, t, M, rule, rng)
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
            if rule.kind == CLEAR_ALL and arrived == n:
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
                too_large = base + m * (t + 1) + prompt[i] + 1 > rule.limit
                if too_large or m >= rule.max_requests or tokens > rule.token_budget:
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
                if rule.token_budget < NEVER and (len(again) > 0 or fresh < arrived):
                    wake = t + 1
        event = wake
        if m > 0:
            event = min(event, (M - base) // m, _next_end(ends, runs, start, output))
        if arrived < n:
            event = min(event, int(arrival[arrived]))
        if event == NEVER:
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
    """Next completion, where a request runs; stale entries before it are dropped."""
    while True:
        end, i = ends[0]
        if runs[i] and start[i] + output[i] == end:
            return end
        heapq.heappop(ends)


@njit(cache=True)
def _select(
    running: _Running,
    length: int,
    m: int,
    base: int,
    prompt: IntArray,
    t: int,
    M: int,
    rule: EvictionRule,
    rng: Any,
) -> tuple[int, int, int]:
    """Put what the rule evicts at `t` behind the survivors in the line.

    Returns the new m and base, and how far the survivors go; what is behind them may be stale.
    """
    if rule.kind == CLEAR_ALL:
        return 0, 0, 0
    line, runs, start = running
    while base + m * (t + 1) > M:
        before = length
        length = length - 1 if rule.kind == PREEMPT_TAIL else _draw(line, length, rule.beta, rng)
        for i in line[length:before]:
            if runs[i]:
                m -= 1
                base -= prompt[i] - start[i]
    return m, base, length


@njit(cache=True)
def _draw(line: IntArray, m: int, beta: float, rng: Any) -> int:
    """Move each to the back with probability β, given that one is; return how many stay."""
    drawn = np.empty(m, dtype=np.int64)
    kept = 0
    for j in range(m):
        p = beta
        if kept == j:  # none drawn so far
            p = beta / -math.expm1((m - j) * math.log1p(-beta))
        if rng.random() < p:
            drawn[j - kept] = line[j]
        else:
            line[kept] = line[j]
            kept += 1
    line[kept:m] = drawn[: m - kept]
    return kept
