"""The future check, compiled: whether a request may start now and never overflow the KV cache.

Between completions the KV occupancy only grows, so it needs checking only at completion rounds
(docs/model.md §2). The running requests are kept in order of their planned completion
``e_1 ≤ e_2 ≤ …``. A request with ``s`` prompt tokens started at ``k`` holds ``base + t`` tokens in
round ``t``, with ``base = s − k``, so round ``t`` holds ``(m − j)·t + Σ_{l ≥ j} base_l`` tokens if
``j`` of the ``m`` running requests complete before it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ..models.instance import IntArray

_ANY = 2**62


class Running(NamedTuple):
    """The running requests by planned completion; the first `m` entries of each array count.

    Attributes
    ----------
    end : ndarray of int64
        Planned completion round ``e_j``, non-decreasing.
    base : ndarray of int64
        ``s_j − start_j``: tokens held in round ``t`` are ``base_j + t``.
    leave : ndarray of int64
        True completion round, ``≤ e_j``.
    base_from : ndarray of int64
        ``Σ_{l ≥ j} base_l`` (entry ``m`` is 0).
    room : ndarray of int64
        ``min_{l < j} (M − occupancy(e_l) − e_l)``: a request that starts at ``t`` and lasts until
        ``e_{j−1}`` or longer fits at ``e_0 … e_{j−1}`` iff ``s ≤ room_j + t``.
    """

    end: IntArray
    base: IntArray
    leave: IntArray
    base_from: IntArray
    room: IntArray


@njit(cache=True)
def nothing_running(size: int) -> Running:
    """Return an empty set of running requests with space for `size`."""
    running = Running(
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.zeros(size + 1, np.int64),
        np.empty(size + 1, np.int64),
    )
    running.room[0] = _ANY
    return running


@njit(cache=True)
def add(running: Running, m: int, M: int, s: int, planned: int, output: int, t: int) -> int:
    """Start a request at `t`; return the new number of running requests."""
    j = m
    while j > 0 and running.end[j - 1] > t + planned:
        running.end[j] = running.end[j - 1]
        running.base[j] = running.base[j - 1]
        running.leave[j] = running.leave[j - 1]
        j -= 1
    running.end[j] = t + planned
    running.base[j] = s - t
    running.leave[j] = t + output
    _refresh(running, m + 1, M)
    return m + 1


@njit(cache=True)
def remove_completed(running: Running, m: int, M: int, t: int) -> int:
    """Drop the requests that have left by `t`; return the new number of running requests."""
    kept = 0
    for j in range(m):
        if running.leave[j] > t:
            running.end[kept] = running.end[j]
            running.base[kept] = running.base[j]
            running.leave[kept] = running.leave[j]
            kept += 1
    if kept < m:
        _refresh(running, kept, M)
    return kept


@njit(cache=True)
def _refresh(running: Running, m: int, M: int) -> None:
    running.base_from[m] = 0
    for j in range(m - 1, -1, -1):
        running.base_from[j] = running.base_from[j + 1] + running.base[j]
    for j in range(m):
        occupancy = (m - j) * running.end[j] + running.base_from[j]
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
    return bool(s + planned + (m - j) * end + running.base_from[j] <= M)


@njit(cache=True)
def may_fit_within(
    running: Running, m: int, M: int, s: int, planned: int, first: int, last: int
) -> bool:
    """Necessary condition, monotone as `fits` is, to fit at a boundary of ``first … last``.

    While the running set stays as it is, the first round of the request holds least at `first`,
    and its size at any completion before ``first + planned`` is least if it starts at `last`.
    """
    if s + 1 + m * (first + 1) + running.base_from[0] > M:
        return False
    return bool(s <= running.room[_completing_before(running, m, first + planned)] + last)


@njit(cache=True)
def earliest_fit(running: Running, m: int, M: int, s: int, planned: int, t: int) -> int:
    """First boundary ≥ t at which a request fits while the running set stays as it is, in O(m).

    Waiting alone may help: a later start is smaller at the others' completions. Let the request
    complete at ``k + planned`` in ``(e_{j−1}, e_j]``. It fits at the completions before its own
    iff ``k ≥ s − room_j``, and at its own iff ``(m − j)·(k + planned) + base_from_j + s + planned
    ≤ M``, an upper limit on k. The first non-empty interval over j = 0 … m is the answer; for
    j = m there is no upper limit (``s + planned ≤ M`` is assumed).
    """
    low: int = t
    for j in range(_completing_before(running, m, t + planned), m):
        low = max(low, int(s - running.room[j]))
        if j > 0:
            low = max(low, int(running.end[j - 1]) - planned + 1)
        alone_until = (M - s - planned - running.base_from[j]) // (m - j)
        if low + planned <= min(running.end[j], alone_until):
            return low
    if m == 0:
        return low
    return max(low, int(s - running.room[m]), int(running.end[m - 1]) - planned + 1)
