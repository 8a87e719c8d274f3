"""The heaviest configuration: which feasible multiset of types weighs most, compiled.

A *configuration* is a multiset of types that is feasible from one round on. Taken by falling
rounds to go, adding an item (w, r) as member number c to items of total size W keeps it feasible
iff ``W + w + c·r ≤ M`` (the KV tokens in the round in which it completes; those before it run at
least as long). So the heaviest is found by a dynamic program over items with state (c, W).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray

_NO = np.int64(-1)


class Workspace(NamedTuple):
    """Arrays that the dynamic program uses again and again.

    Attributes
    ----------
    weight, tail : ndarray of int64, shape (M // 2 + 2, M + 1)
        Largest weight of c items of total size W (−1: none), and the record that made it.
    widest : ndarray of int64, shape (M // 2 + 2,)
        Largest total size reached with c items.
    item, before : ndarray of int64
        Records: an item, and the record of the items before it (record 0: no items).
    useful : ndarray of int64, shape (K,)
        Items that no other dominates, by rising rounds to go.
    best_up_to : ndarray of int64, shape (M + 1,)
        Largest weight among the items seen with at most this size.
    chosen : ndarray of int64, shape (M // 2 + 2,)
        The heaviest configuration.
    """

    weight: IntArray
    tail: IntArray
    widest: IntArray
    item: IntArray
    before: IntArray
    useful: IntArray
    best_up_to: IntArray
    chosen: IntArray


@njit(cache=True, nogil=True)
def workspace(K: int, M: int) -> Workspace:
    """Allocate for K types and capacity M."""
    members = M // 2 + 2
    # A record is made when an item improves a state, so at most once per item and state.
    records = min(K * members * (M + 1) + 1, 1 << 22)
    return Workspace(
        np.empty((members, M + 1), np.int64),
        np.zeros((members, M + 1), np.int64),
        np.zeros(members, np.int64),
        np.empty(records, np.int64),
        np.empty(records, np.int64),
        np.empty(K, np.int64),
        np.empty(M + 1, np.int64),
        np.empty(members, np.int64),
    )


@njit(cache=True, nogil=True)
def heaviest_configuration(
    price: NDArray[np.int64], size: IntArray, to_go: IntArray, M: int, work: Workspace
) -> tuple[int, int]:
    """Weight of the heaviest configuration, and its number of members.

    Parameters
    ----------
    price : ndarray of int64, shape (K,)
        Weight of each type, ≥ 0.
    size, to_go : ndarray of int64, shape (K,)
        The types, by falling rounds to go.
    M : int
        KV capacity.
    work : Workspace
        Its first entries of `chosen` hold the members afterwards.

    Returns
    -------
    weight, members : int
        The largest ``Σ price`` over all configurations, exact; how many members it has.
    """
    useful = _undominated(price, size, to_go, M, work)
    most = M // 2
    work.weight[0, :] = _NO
    work.weight[0, 0] = 0
    work.widest[0] = 0
    deepest, records = 0, 1
    heaviest, record = np.int64(0), np.int64(0)
    for position in range(useful - 1, -1, -1):
        q = work.useful[position]
        w, r, u = size[q], to_go[q], price[q]
        c = 0
        while c <= deepest and c < most:
            room = min(M - (c + 1) * r - w, work.widest[c])
            if room < 0:
                break
            if c == deepest:
                work.weight[c + 1, :] = _NO
                work.widest[c + 1] = -1
            for W in range(room + 1):
                if work.weight[c, W] == _NO or work.weight[c, W] + u <= work.weight[c + 1, W + w]:
                    continue
                total = work.weight[c, W] + u
                work.weight[c + 1, W + w] = total
                work.item[records] = q
                work.before[records] = work.tail[c, W] if c > 0 else 0
                work.tail[c + 1, W + w] = records
                work.widest[c + 1] = max(work.widest[c + 1], W + w)
                if total > heaviest:
                    heaviest, record = total, np.int64(records)
                records += 1
            if c == deepest:
                if work.widest[c + 1] < 0:
                    break
                deepest += 1
            c += 1
    members = 0
    while record > 0:
        work.chosen[members] = work.item[record]
        members += 1
        record = work.before[record]
    return int(heaviest), members


@njit(cache=True, nogil=True)
def _undominated(
    price: NDArray[np.int64], size: IntArray, to_go: IntArray, M: int, work: Workspace
) -> int:
    """Collect the types worth looking at; return how many.

    A type is useless if another is no larger, has no more rounds to go and weighs no less: put in
    its place, it keeps a configuration feasible.
    """
    work.best_up_to[:] = 0
    count, end = 0, price.size
    while end > 0:
        begin = end - 1
        while begin > 0 and to_go[begin - 1] == to_go[end - 1]:
            begin -= 1
        for q in range(begin, end):
            if price[q] > work.best_up_to[size[q]]:
                work.useful[count] = q
                count += 1
                w = size[q]
                while w <= M and work.best_up_to[w] < price[q]:
                    work.best_up_to[w] = price[q]
                    w += 1
        end = begin
    return count
