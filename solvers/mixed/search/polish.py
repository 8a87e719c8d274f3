"""Local search on start times: what no change of one or two requests can improve.

It needs no code of the schedule as an order, so it reaches what list scheduling cannot.
"""

from __future__ import annotations

from numba import njit

from ....models.instance import IntArray
from .annealing import Part, start_cost
from .profile import NOWHERE, add_run, earliest_start, remove_run


@njit(cache=True, nogil=True)
def left_shift(
    release: IntArray, s: IntArray, o: IntArray, M: int, start: IntArray, held: IntArray
) -> bool:
    """Move requests, by start, to their earliest feasible starts until none moves.

    `start` and its profile `held` are changed; returns whether any moved.
    """
    moved_ever = False
    moved = True
    while moved:
        moved = False
        for i in start.argsort(kind="mergesort"):
            k = _reinsert(release, s, o, M, start, held, i)
            moved = moved or k
        moved_ever = moved_ever or moved
    return moved_ever


@njit(cache=True, nogil=True)
def _reinsert(
    release: IntArray, s: IntArray, o: IntArray, M: int, start: IntArray, held: IntArray, i: int
) -> bool:
    """Move request i to its earliest feasible start; return whether that is another."""
    before = start[i]
    remove_run(held, s[i], o[i], before)
    start[i] = earliest_start(held, M, s[i], o[i], release[i])
    add_run(held, s[i], o[i], start[i])
    return bool(start[i] != before)


@njit(cache=True, nogil=True)
def polish_pairs(part: Part, start: IntArray, held: IntArray, first: int, end: int) -> bool:
    """Take out each pair whose first is among ``first … end − 1``, and put it back as is best.

    The second goes in before the first, each at its earliest feasible start; then the first one or
    two rounds later than that, so that the second may start earlier. A pair stays as it was unless
    the cost of its starts falls. `start` and `held` are changed; returns whether any pair moved.
    """
    release, s, o, M = part.release, part.prompt, part.output, part.M
    n = release.size
    moved = False
    for i in range(first, end):
        for j in range(n):
            if i == j:
                continue
            before_i, before_j = start[i], start[j]
            remove_run(held, s[i], o[i], before_i)
            remove_run(held, s[j], o[j], before_j)
            best_i, best_j = before_i, before_j
            best = start_cost(part, i, before_i) + start_cost(part, j, before_j)
            least_j = start_cost(part, j, release[j])
            k = release[i]
            for _ in range(3):
                new_i = earliest_start(held, M, s[i], o[i], k)
                if new_i == NOWHERE or start_cost(part, i, new_i) + least_j >= best:
                    break
                add_run(held, s[i], o[i], new_i)
                new_j = earliest_start(held, M, s[j], o[j], release[j])
                remove_run(held, s[i], o[i], new_i)
                if new_j != NOWHERE:
                    cost = start_cost(part, i, new_i) + start_cost(part, j, new_j)
                    if cost < best:
                        best, best_i, best_j = cost, new_i, new_j
                k = new_i + 1
            start[i], start[j] = best_i, best_j
            add_run(held, s[i], o[i], best_i)
            add_run(held, s[j], o[j], best_j)
            moved = moved or best_i != before_i or best_j != before_j
    return moved
