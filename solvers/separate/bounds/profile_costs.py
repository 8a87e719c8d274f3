r"""Costs to go of a relaxation that remembers how many run with how many tokens to go, not who.

For the unit and the constant law. **The relaxation** of what is left to do at a time t:

- KV is not limited.
- Of the requests that run, only the profile c is known (`profiles`): it determines what they cost.
- Of the prompts, only the number q of those done is known. A prompt batch holds different requests
  that have arrived, within B_P and C_P, and q stays within the number of arrivals; but a request
  may be in several batches, and another in none. For that each has a price λ_i, which a batch
  earns. In the end ``q = n``, so a schedule that has every request in one batch earns Σ λ_i.

What is to be minimised is, of the prompts to come, the time from the arrival to the end of the
prompt batch less λ_i, and of each running request the time until completion. With V(t, q, c) its
minimum, a schedule that has done G (latencies of the completed, and time since arrival of those who
run) by time t costs at least ``G + V(t, q, c) + Σ λ_i`` over those whose prompt is not done.

**Rules.** The minimum over continuations that do every job of the real requests once is attained by
one in which no batch leaves out a request that runs (a token batch), or has arrived and waits (a
prompt batch), and for which there is room. *Proof.* Of the cheapest ones take one with the least
sum of the starts of all jobs. If a batch has room for another request, move the last token job, or
the prompt job, there: without KV nothing forbids it, the sum of starts falls, no completion is
later. ∎
So the real continuation costs at least the minimum over relaxed ones that obey this as far as the
relaxation can see: token batches have min(B_D, running) members, any of them, and a batch of
fewer than B_P prompts, with others waiting (q and the batch together are less than the arrivals),
is so full that the longest prompt that has arrived might not fit.

**Long profiles.** A profile c with more than `Profiles.most` requests is replaced by one without
the longest request, plus ``max(r, K)`` token batches, where r is what that one has to go and K is
⌈Σ tokens to go / B_D⌉. *Proof.* Let x be the one of c that completes last in a cheapest
continuation, with r_x to go: it completes after at least max(r_x, K) token batches, and the others
cost at least the minimum without x. Leaving out x instead of the longest leaves the longest in
place of x, whose completion is later than if it had only r_x to go, by r − r_x token batches or
more: the minimum without x is at least that without the longest, plus r − r_x. And ``r − r_x +
max(r_x, K) ≥ max(r, K)``. ∎

**After the last arrival** nothing changes but the time: ``V(t, q, c) = V(T, q, c) + (t − T)·(n −
q)`` for t ≥ T = max a, since each of the n − q prompts to come is t − T later. So tables end at T,
where costs are computed by increasing n − q and tokens to go: every batch lowers one of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ....models.separate.problem import Problem
from .profiles import INDEX_BITS, Profiles
from .prompt_choices import IMPOSSIBLE, cheapest_batches, cheapest_members

#: Prices and costs to go are in units of 1/SCALE of a time unit.
SCALE = 1000

_INDEX = (1 << INDEX_BITS) - 1


class CostTable(NamedTuple):
    """Costs to go V(t, q, c) under prices, in units of 1/`SCALE`.

    Attributes
    ----------
    first, last : int
        First time of the table, and the last arrival.
    price : ndarray of int64, shape (n,)
        λ of each request, in units of 1/`SCALE`.
    row : ndarray of int64, shape (last − first + 2,)
        ``row[t − first] + q`` is the row of (t, q); q goes from 0 to the arrivals up to t.
    value : ndarray of int64, shape (rows, P)
        V by row and profile; `IMPOSSIBLE` where nothing can follow.
    """

    first: int
    last: int
    price: IntArray
    row: IntArray
    value: NDArray[np.int64]


def empty_table(problem: Problem, profiles: Profiles, first: int) -> CostTable:
    """Return a table from a time on for costs under prices of 0, not yet computed."""
    last = int(problem.arrival.max())
    first = min(first, last)
    arrived = np.searchsorted(np.sort(problem.arrival), np.arange(first, last + 1), side="right")
    row = np.concatenate([[0], np.cumsum(arrived + 1)]).astype(np.int64)
    return CostTable(
        first=first,
        last=last,
        price=np.zeros(problem.arrival.size, np.int64),
        row=row,
        value=np.full((int(row[-1]), profiles.running.size), IMPOSSIBLE),
    )


@njit(cache=True, nogil=True)
def compute_costs(problem: Problem, profiles: Profiles, kind: IntArray, table: CostTable) -> None:
    """Compute all costs to go under the prices, from the last time to the first."""
    n = problem.arrival.size
    K = profiles.choice.shape[0]
    cheapest = np.empty((2, K), np.int64)
    size = np.empty(K, np.int64)
    for k in range(K):
        size[k] = profiles.choice[k].sum()
    cost = np.empty(n, np.int64)
    may = np.empty(n, np.bool_)
    for t in range(table.last, table.first - 1, -1):
        for i in range(n):
            may[i] = problem.arrival[i] <= t
            cost[i] = (t + problem.law.prompt - problem.arrival[i]) * SCALE - table.price[i]
        cheapest_batches(problem, profiles.choice, kind, cost, may, cheapest)
        _costs_at(problem, profiles, table, t, size, cheapest)


@njit(cache=True, nogil=True)
def _costs_at(
    problem: Problem,
    profiles: Profiles,
    table: CostTable,
    t: int,
    size: IntArray,
    cheapest: NDArray[np.int64],
) -> None:
    """Compute the costs to go at one time."""
    n, P = problem.arrival.size, profiles.running.size
    tau_P, tau_D = problem.law.prompt, problem.law.token
    here = table.row[t - table.first]
    arrived = table.row[t - table.first + 1] - here - 1
    value, running = table.value, profiles.running
    value[here : here + arrived + 1, :] = IMPOSSIBLE
    at_end = t == table.last
    unit = tau_D * SCALE
    # At the last arrival costs follow from those with larger q: q is the outer loop there.
    for q_high in range(arrived, -1, -1):
        q_low = q_high if at_end else 0
        for k in range(1, size.size):
            after, late = _row_after(table, t + tau_P)
            for q in range(q_low, min(q_high, arrived - size[k]) + 1):
                full = size[k] == problem.B_P or q + size[k] == arrived
                price = cheapest[0 if full else 1, k]
                if price == IMPOSSIBLE:
                    continue
                price += late * (n - q - size[k]) * SCALE
                best, then = value[here + q], value[after + q + size[k]]
                packed = profiles.after_prompts[k]
                for p in range(P):
                    cost = (
                        price + then[packed[p] & _INDEX] + np.int64(packed[p] >> INDEX_BITS) * unit
                    )
                    if cost < best[p]:
                        best[p] = cost
        for q in range(q_low, q_high + 1):
            best = value[here + q]
            for p in range(P):
                if best[p] < IMPOSSIBLE:
                    best[p] += running[p] * tau_P * SCALE
            if q == n:
                best[0] = 0
            _token_batches_at(problem, profiles, table, t, q, best)
            if not at_end:
                _idle_at(profiles, table, t, q, best, tau_D > 1)
        if not at_end:
            break


@njit(cache=True, nogil=True)
def _token_batches_at(
    problem: Problem, profiles: Profiles, table: CostTable, t: int, q: int, best: IntArray
) -> None:
    """Better the costs at (t, q) by those of a token batch; profiles are in order of tokens."""
    n, tau_D = problem.arrival.size, problem.law.token
    after, late = _row_after(table, t + tau_D)
    then = table.value[after + q]
    for p in range(profiles.running.size):
        least = IMPOSSIBLE
        for k in range(profiles.first_after[p], profiles.first_after[p + 1]):
            least = min(least, then[profiles.after_token_batch[k]])
        if least < IMPOSSIBLE:
            least += (late * (n - q) + profiles.running[p] * tau_D) * SCALE
            best[p] = min(best[p], least)


@njit(cache=True, nogil=True)
def _idle_at(
    profiles: Profiles, table: CostTable, t: int, q: int, best: IntArray, running_too: bool
) -> None:
    """Better the costs at (t, q) by those of waiting, of running requests too if that may help."""
    then = table.value[table.row[t + 1 - table.first] + q]
    for p in range(profiles.running.size):
        if (p == 0 or running_too) and then[p] < IMPOSSIBLE:
            best[p] = min(best[p], then[p] + profiles.running[p] * SCALE)


@njit(cache=True, nogil=True)
def _row_after(table: CostTable, t: int) -> tuple[int, int]:
    """Row of (t, 0), or of the last time, and how much later t is."""
    late = max(0, t - table.last)
    return table.row[t - late - table.first], late


@njit(cache=True, nogil=True)
def follow(
    problem: Problem,
    profiles: Profiles,
    kind: IntArray,
    table: CostTable,
    begin: tuple[int, int, int],
    visits: IntArray,
) -> None:
    """Count in how many prompt batches each request is on a cheapest relaxed schedule.

    It begins at a time, with a number of prompts done and a profile.
    """
    n = problem.arrival.size
    K = profiles.choice.shape[0]
    cheapest = np.empty((2, K), np.int64)
    cost = np.empty(n, np.int64)
    may = np.empty(n, np.bool_)
    members = np.empty(problem.B_P, np.int64)
    tau_P, tau_D = problem.law.prompt, problem.law.token
    visits[:] = 0
    t, q, p = begin
    while q < n or p > 0:
        at = min(t, table.last)
        row = table.row[at - table.first]
        value = table.value[row + q, p]
        arrived = table.row[at - table.first + 1] - table.row[at - table.first] - 1
        after, later = _row_after(table, at + tau_D)
        least = value - (later * (n - q) + profiles.running[p] * tau_D) * SCALE
        served = False
        for k in range(profiles.first_after[p], profiles.first_after[p + 1]):
            if table.value[after + q, profiles.after_token_batch[k]] == least:
                t, p, served = t + tau_D, profiles.after_token_batch[k], True
                break
        if served:
            continue
        if at < table.last:
            then = table.value[table.row[at + 1 - table.first] + q, p]
            if value == then + profiles.running[p] * SCALE:
                t += 1
                continue
        for i in range(n):
            may[i] = problem.arrival[i] <= at
            cost[i] = (at + tau_P - problem.arrival[i]) * SCALE - table.price[i]
        cheapest_batches(problem, profiles.choice, kind, cost, may, cheapest)
        after, later = _row_after(table, at + tau_P)
        for k in range(1, K):
            size = profiles.choice[k].sum()
            if q + size > arrived:
                continue
            full = size == problem.B_P or q + size == arrived
            price = cheapest[0 if full else 1, k]
            if price == IMPOSSIBLE:
                continue
            packed = profiles.after_prompts[k, p]
            then = table.value[after + q + size, packed & _INDEX]
            total = price + then + np.int64(packed >> INDEX_BITS) * tau_D * SCALE
            total += (later * (n - q - size) + profiles.running[p] * tau_P) * SCALE
            if total == value:
                count = cheapest_members(
                    problem, profiles.choice[k], kind, cost, may, price, members
                )
                for x in range(count):
                    visits[members[x]] += 1
                t, q, p = t + tau_P, q + size, packed & _INDEX
                break
