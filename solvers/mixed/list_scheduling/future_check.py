"""The future check, compiled: whether a request may start now and never overflow the KV cache.

Between completions the KV occupancy only grows, so it needs checking only at completion rounds
(docs/model/mixed.md §3). The running requests are kept in order of their planned completion
``e_1 ≤ e_2 ≤ …``, those that complete together as one group. A request with ``s`` prompt tokens
started at ``k`` holds ``base + t`` tokens in round ``t``, with ``base = s − k``, so round ``t``
holds ``members·t + Σ base`` tokens, summed over the groups that do not complete before it.

Where plans are exact there are few groups, however many requests run: when the j-th of g ends, at
least j rounds from now, each of the g − j others holds at least j tokens, so ``(g/2)² ≤ M``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import IntArray

_ANY = 2**62


class Running(NamedTuple):
    """The running requests by planned completion; the first `m` entries of each array count.

    Attributes
    ----------
    end : ndarray of int64
        Planned completion round ``e_j``, non-decreasing.
    base : ndarray of int64
        ``Σ (s − start)`` over the group: tokens held in round ``t`` are ``base_j + members_j·t``.
    leave : ndarray of int64
        True completion round, ``≤ e_j``.
    members : ndarray of int64
        Requests in the group.
    base_from, count_from : ndarray of int64
        ``Σ_{l ≥ j} base_l`` and ``Σ_{l ≥ j} members_l`` (entry ``m`` is 0).
    room : ndarray of int64
        ``min_{l < j} (M − occupancy(e_l) − e_l)``: a request that starts at ``t`` and lasts until
        ``e_{j−1}`` or longer fits at ``e_0 … e_{j−1}`` iff ``s ≤ room_j + t``.
    """

    end: IntArray
    base: IntArray
    leave: IntArray
    members: IntArray
    base_from: IntArray
    count_from: IntArray
    room: IntArray


@njit(cache=True)
def nothing_running(size: int) -> Running:
    """Return an empty set of running requests with space for `size`."""
    running = Running(
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.zeros(size + 1, np.int64),
        np.zeros(size + 1, np.int64),
        np.empty(size + 1, np.int64),
    )
    running.room[0] = _ANY
    return running


@njit(cache=True)
def add(running: Running, m: int, M: int, s: int, planned: int, output: int, t: int) -> int:
    """Start a request at `t`; return the new number of groups."""
    end, leave = t + planned, t + output
    j = m
    while j > 0 and running.end[j - 1] > end:
        j -= 1
    if j > 0 and running.end[j - 1] == end and running.leave[j - 1] == leave:
        running.base[j - 1] += s - t
        running.members[j - 1] += 1
        _refresh(running, m, M)
        return m
    for k in range(m, j, -1):
        _move(running, k - 1, k)
    running.end[j] = end
    running.base[j] = s - t
    running.leave[j] = leave
    running.members[j] = 1
    _refresh(running, m + 1, M)
    return m + 1


@njit(cache=True)
def remove_completed(running: Running, m: int, M: int, t: int) -> int:
    """Drop the requests that have left by `t`; return the new number of groups."""
    kept = 0
    for j in range(m):
        if running.leave[j] > t:
            _move(running, j, kept)
            kept += 1
    if kept < m:
        _refresh(running, kept, M)
    return kept


@njit(cache=True)
def _move(running: Running, j: int, k: int) -> None:
    running.end[k] = running.end[j]
    running.base[k] = running.base[j]
    running.leave[k] = running.leave[j]
    running.members[k] = running.members[j]


@njit(cache=True)
def _refresh(running: Running, m: int, M: int) -> None:
    running.base_from[m] = running.count_from[m] = 0
    for j in range(m - 1, -1, -1):
        running.base_from[j] = running.base_from[j + 1] + running.base[j]
        running.count_from[j] = running.count_from[j + 1] + running.members[j]
    for j in range(m):
        occupancy = running.count_from[j] * running.end[j] + running.base_from[j]
        running.room[j + 1] = min(running.room[j], M - occupancy - running.end[j])


@njit(cache=True)
def next_completion(running: Running, m: int) -> int:
    """First round boundary at which a running request leaves (2^62 if none runs)."""
    first = _ANY
    for j in range(m):
        first = min(first, int(running.leave[j]))
    return first


@njit(cache=True)
def _completing_before(running: Running, m: int, t: int) -> int:
    """Count the running requests with planned completion < t, by bisection."""
    low, high = 0, m
    while low < high:
        middle = (low + high) // 2
        if running.end[middle] < t:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def fits(running: Running, m: int, M: int, s: int, planned: int, t: int) -> bool:
    """Say whether a request may start at `t`: the future check, in O(log m).

    Monotone: if (s, planned) does not fit, neither does any (s' ≥ s, planned' ≥ planned), which
    would hold at least as much in the round that overflows.
    """
    end = t + planned
    j = _completing_before(running, m, end)
    if s > running.room[j] + t:
        return False
    return bool(s + planned + running.count_from[j] * end + running.base_from[j] <= M)


@njit(cache=True)
def may_fit_within(
    running: Running, m: int, M: int, s: int, planned: int, first: int, last: int
) -> bool:
    """Necessary condition, monotone as `fits` is, to fit at a boundary of ``first … last``.

    While the running set stays as it is, the first round of the request holds least at `first`,
    and its size at any completion before ``first + planned`` is least if it starts at `last`.
    """
    if s + 1 + running.count_from[0] * (first + 1) + running.base_from[0] > M:
        return False
    return bool(s <= running.room[_completing_before(running, m, first + planned)] + last)


@njit(cache=True)
def earliest_fit(running: Running, m: int, M: int, s: int, planned: int, t: int) -> int:
    """First boundary ≥ t at which a request fits while the running set stays as it is, in O(m).

    Waiting alone may help: a later start is smaller at the others' completions. Let the request
    complete at ``k + planned`` in ``(e_{j−1}, e_j]``. It fits at the completions before its own
    iff ``k ≥ s − room_j``, and at its own iff ``count_from_j·(k + planned) + base_from_j + s +
    planned ≤ M``, an upper limit on k. The first non-empty interval over j = 0 … m is the answer;
    for j = m there is no upper limit (``s + planned ≤ M`` is assumed).
    """
    low: int = t
    for j in range(_completing_before(running, m, t + planned), m):
        low = max(low, int(s - running.room[j]))
        if j > 0:
            low = max(low, int(running.end[j - 1]) - planned + 1)
        alone_until = (M - s - planned - running.base_from[j]) // running.count_from[j]
        if low + planned <= min(running.end[j], alone_until):
            return low
    if m == 0:
        return low
    return max(low, int(s - running.room[m]), int(running.end[m - 1]) - planned + 1)
