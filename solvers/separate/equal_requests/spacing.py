"""Annealing over the spacings of equal requests, and which share a prompt batch.

Requests begin their token jobs in order of arrival, as in the normal form of `patterns`: request j
with a *gap* of token batches after j − 1 at least, and then as soon as KV and B_D allow. It is
*first* if a prompt batch begins with it, which runs just before its first token batch; the requests
up to the next first share it, and wait until they begin. Gaps longer than J are as good as J:
nothing runs then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ...random_stream import Stream, below, random_stream, uniform
from .patterns import Rules
from .tables import Times

#: Steps between two looks at the clock; temperatures at the first and last step, in shares of the
#: mean latency.
AT_ONCE, HEAT = 2_000, (0.03, 0.003)


class Spacing(NamedTuple):
    """Starts of token jobs, in token batches before them, and who is first in a prompt batch.

    Attributes
    ----------
    gap : ndarray of int64, shape (n,)
        Token batches after the request before, at least.
    first : ndarray of bool, shape (n,)
        Whether a prompt batch begins with the request; the first request is.
    """

    gap: IntArray
    first: NDArray[np.bool_]


def spacing_of(steps: IntArray, batches: int, jobs: int) -> Spacing:
    """Return the spacing of a path on a grid.

    Examples
    --------
    >>> spacing = spacing_of(np.array([2, -1, 0, -1, -1, 1]), 3, 5)
    >>> spacing.gap.tolist(), spacing.first.tolist()
    ([0, 3, 5], [True, False, True])
    """
    starts = np.flatnonzero(steps >= 0)
    blocks = np.cumsum(steps < 0)[starts]
    return Spacing(np.minimum(np.diff(blocks, prepend=0) * batches, jobs), steps[starts] > 0)


def starts_of(spacing: Spacing, rules: Rules) -> IntArray:
    """Return the starts of the token jobs, in token batches.

    Examples
    --------
    Two fit only if the second begins two batches later.

    >>> rules = Rules(2, 4, 10, together=2, running=2)
    >>> spacing = Spacing(np.array([0, 0]), np.array([True, True]))
    >>> starts_of(spacing, rules).tolist()
    [0, 2]
    """
    start = np.zeros(spacing.gap.size, np.int64)
    _place(spacing, rules, start)
    return start


@njit(cache=True, nogil=True)
def _place(spacing: Spacing, rules: Rules, start: IntArray) -> bool:
    """Fill the starts; False if a prompt batch has too many."""
    n, w, J = start.size, rules.s + 1, rules.o - 1
    low, end = 0, 0
    for j in range(n):
        if spacing.first[j]:
            end = j + 1
            while end < n and not spacing.first[end]:
                end += 1
            if end - j > rules.together:
                return False
        k = start[j - 1] + min(spacing.gap[j], J) if j > 0 else 0
        waiting = (end - j - 1) * w
        while True:
            while low < j and start[low] + J <= k:
                low += 1
            if _fits(start, low, j, k, waiting, rules, w, J):
                break
            if low == j:  # alone it does not fit beside those that wait
                return False
            k += 1
        start[j] = k
    return True


@njit(cache=True, nogil=True)
def _fits(
    start: IntArray, low: int, j: int, k: int, waiting: int, rules: Rules, w: int, J: int
) -> bool:
    """Whether j may begin after k token batches beside those from `low` on, and who waits."""
    if j - low + 1 > rules.running:
        return False
    starts = 0
    for i in range(j, low - 1, -1):
        own = k if i == j else start[i]
        starts += own
        if (j - i + 1) * (w + J + own) - starts + waiting > rules.M:
            return False
    return True


@njit(cache=True, nogil=True)
def sum_of_completions(spacing: Spacing, start: IntArray, J: int, times: Times) -> int:
    """Sum of the completions, each batch as early as the ones before and arrivals allow."""
    n, done, total = start.size, 0, np.int64(0)
    ahead = times.arrival[0]  # time less the token batches so far
    for j in range(n):
        if not spacing.first[j]:
            continue
        while done < j and start[done] + J <= start[j]:
            total += ahead + times.token * (start[done] + J)
            done += 1
        end = j + 1
        while end < n and not spacing.first[end]:
            end += 1
        now = ahead + times.token * start[j]
        ahead += max(now, times.arrival[end - 1]) + times.prompt - now
    for i in range(done, n):
        total += ahead + times.token * (start[i] + J)
    return int(total)


def improve(
    spacing: Spacing,
    rules: Rules,
    times: Times,
    *,
    steps: int,
    seed: int,
    stop: Callable[[], bool],
) -> Spacing:
    """Anneal from a spacing; return the best one found.

    Parameters
    ----------
    spacing : Spacing
        Where to begin.
    rules, times : Rules and Times
        The instance.
    steps : int
        Changes that are tried, at most.
    seed : int
        Of the random stream.
    stop : callable
        Asked now and then; True ends the search.

    Examples
    --------
    >>> rules, times = Rules(2, 4, 10, together=2, running=2), Times(3, 1, np.array([0, 0]))
    >>> apart = Spacing(np.array([0, 3]), np.array([True, True]))
    >>> better = improve(apart, rules, times, steps=500, seed=0, stop=lambda: False)
    >>> sum_of_completions(apart, starts_of(apart, rules), 3, times)
    18
    >>> sum_of_completions(better, starts_of(better, rules), 3, times)
    14
    """
    state = [Spacing(spacing.gap.copy(), spacing.first.copy()) for _ in range(3)]
    current, trial, best = state
    start, stream = starts_of(spacing, rules), random_stream(seed)
    J = rules.o - 1
    value = sum_of_completions(spacing, start, J, times)
    values = np.array([value, value], np.int64)
    scale = (value - int(times.arrival.sum())) / start.size
    for now in range(0, steps, AT_ONCE):
        if stop():
            break
        heat = scale * HEAT[0] * (HEAT[1] / HEAT[0]) ** (now / steps)
        _anneal(current, trial, best, start, rules, times, stream, values, heat, AT_ONCE)
    return best


@njit(cache=True, nogil=True)
def _anneal(
    current: Spacing,
    trial: Spacing,
    best: Spacing,
    start: IntArray,
    rules: Rules,
    times: Times,
    stream: Stream,
    values: IntArray,
    heat: float,
    steps: int,
) -> None:
    """Try some changes; ``values`` are those of the current and of the best spacing."""
    J = rules.o - 1
    for _ in range(steps):
        trial.gap[:], trial.first[:] = current.gap, current.first
        _change(trial, J, stream)
        if not _place(trial, rules, start):
            continue
        value = sum_of_completions(trial, start, J, times)
        worse = value - values[0]
        if worse > 0 and uniform(stream) >= np.exp(-worse / heat):
            continue
        current.gap[:], current.first[:] = trial.gap, trial.first
        values[0] = value
        if value < values[1]:
            values[1] = value
            best.gap[:], best.first[:] = trial.gap, trial.first


@njit(cache=True, nogil=True)
def _change(spacing: Spacing, J: int, stream: Stream) -> None:
    """Change a gap, two neighbours, who is first, or copy a stretch from elsewhere."""
    n = spacing.gap.size
    kind, j = below(stream, 8), below(stream, n)
    by = 1 + below(stream, 3)
    if kind < 2:
        spacing.gap[j] = min(J, spacing.gap[j] + by)
    elif kind < 4:
        spacing.gap[j] = max(0, spacing.gap[j] - by)
    elif kind == 4 and j + 1 < n:
        by = min(by, spacing.gap[j + 1], J - spacing.gap[j])
        spacing.gap[j] += by
        spacing.gap[j + 1] -= by
    elif kind == 5 and j > 0:
        spacing.first[j] = not spacing.first[j]
    elif kind == 6 and j > 0 and j + 1 < n:
        spacing.first[j], spacing.first[j + 1] = spacing.first[j + 1], spacing.first[j]
    elif kind == 7:
        other = below(stream, n)
        for i in range(min(1 + below(stream, 12), n - j, n - other)):
            spacing.gap[j + i] = spacing.gap[other + i]
            spacing.first[j + i] = spacing.first[other + i]
        spacing.first[0] = True
