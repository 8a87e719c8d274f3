"""Drop states that another makes needless, compiled.

Let two states at boundary t have the same requests waiting, or let the first have started one
more, j. Let the first have in every round to come no more KV tokens held by what runs, and a total
cost of those started that is not larger; where j counts, larger by at most ``cost_j(t + o_j)``.
Then whatever way on from the second is open to the first, without j: there is at least as much
room in every round. The schedule so made is no worse, since in the second one j starts at t or
later, or is left out. So some best schedule does without the second. Where two states make each
other needless, the first in the order of (cost, place) stays; so what is left out for one that is
left out too is made needless by one that stays: the relation is transitive, and goes down in the
number of waiting requests or in this order.

The rule that of equal requests the one that arrives later starts no earlier is kept: whether a
state obeys it depends on what waits only, and a way on that does not is no worse after exchanging
starts of equals.

The excess of a state is the cost of those started less their least start costs, up to a term that
depends on t only, plus what the running requests will still pay; so costs are compared by the
excess less these payments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ...state_table import Words
from .excess import Excess
from .layer import WAITING, Layer

#: A state is compared with at most this many of a group, the cheapest.
MOST_COMPARED = 500

_BYTE = np.uint64(255)
_ONE = np.uint64(1)


class Sorted(NamedTuple):
    """The states of a boundary, laid out and in groups with the same waiting requests.

    Attributes
    ----------
    held : ndarray of int32, shape (count, longest output)
        KV tokens that what runs will hold in rounds t + 1, t + 2, ….
    paid : ndarray of int64, shape (count,)
        Excess less what the running requests will still pay.
    order : ndarray of int64, shape (count,)
        The states by groups, within a group by `paid`.
    waits : ndarray of uint64, shape (groups,)
        One bit per request that waits, rising.
    first : ndarray of int64, shape (groups + 1,)
        Where in `order` each group begins.
    """

    held: NDArray[np.int32]
    paid: IntArray
    order: IntArray
    waits: Words
    first: IntArray


def bytes_when_sorted(excess: Excess) -> int:
    """Memory of `Sorted` per state, and of what it takes to sort them."""
    longest: int = excess.earned.shape[2]
    return 4 * longest + 40


def in_groups(excess: Excess, t: int, layer: Layer) -> Sorted:
    """Lay out the states of boundary t, and sort them."""
    count = int(layer.present[0])
    held = np.zeros((count, excess.earned.shape[2]), np.int32)
    paid, waits = layer.excess[:count].copy(), np.zeros(count, np.uint64)
    _lay_out(excess, t, layer.state, held, paid, waits)
    order = np.lexsort((paid, waits))
    in_order = waits[order]
    begins = np.ones(count, np.bool_)
    begins[1:] = in_order[1:] != in_order[:-1]
    first = np.flatnonzero(begins)
    return Sorted(held, paid, order, in_order[first], np.append(first, count))


@njit(cache=True, nogil=True)
def _lay_out(
    excess: Excess,
    t: int,
    states: Words,
    held: NDArray[np.int32],
    paid: IntArray,
    waits: Words,
) -> None:
    for position in range(paid.size):
        for i in range(excess.output.size):
            left = np.int64((states[position, i >> 3] >> np.uint64(8 * (i & 7))) & _BYTE)
            if left == WAITING:
                waits[position] |= _ONE << np.uint64(i)
                continue
            age = excess.output[i] - left
            for u in range(left):
                held[position, u] += excess.prompt[i] + age + u + 1
                if t + 1 + u < excess.earned.shape[1]:
                    paid[position] -= excess.earned[i, t + 1 + u, age + u]


@njit(cache=True, nogil=True)
def mark_needless(
    excess: Excess,
    t: int,
    groups: Sorted,
    first: int,
    end: int,
    work: int,
    needless: NDArray[np.bool_],
) -> int:
    """Compare the states of groups, about `work` states, with their own and with richer groups.

    Parameters
    ----------
    excess : Excess
        The terms of the excess.
    t : int
        The boundary.
    groups : Sorted
        See `in_groups`.
    first, end : int
        Group to begin at, and the one to end before.
    work : int
        States to look at.
    needless : ndarray of bool, shape (count,)
        Is set where another state will do.

    Returns
    -------
    int
        Group to go on from.
    """
    group, enough = first, groups.first[first] + work
    nothing = int(np.int64(0))  # no literal: what is called with one is compiled once more
    while group < end and groups.first[group] < enough:
        _compare(groups, group, group, nothing, needless)
        waiting = groups.waits[group]
        for j in range(excess.output.size):
            if waiting >> np.uint64(j) & _ONE:
                richer = _group(groups.waits, waiting ^ (_ONE << np.uint64(j)))
                if richer >= 0:
                    _compare(groups, group, richer, excess.owed[j, t], needless)
        group += 1
    return group


@njit(cache=True, nogil=True)
def _group(waits: Words, wanted: np.uint64) -> int:
    """Place of a group, −1 if there is none."""
    low, high = 0, waits.size
    while low < high:
        middle = (low + high) // 2
        if waits[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < waits.size and waits[low] == wanted else -1


@njit(cache=True, nogil=True)
def _compare(
    groups: Sorted, group: int, other: int, allowed: int, needless: NDArray[np.bool_]
) -> None:
    """Mark states of a group for which one of the other will do that costs no more, but `allowed`.

    Within a group only those before a state in the order count.
    """
    begin = groups.first[other]
    for place in range(groups.first[group], groups.first[group + 1]):
        position = groups.order[place]
        if needless[position]:
            continue
        end = place if group == other else groups.first[other + 1]
        for cheaper in groups.order[begin : min(end, begin + MOST_COMPARED)]:
            if groups.paid[cheaper] > groups.paid[position] + allowed:
                break
            if _nowhere_more(groups.held[cheaper], groups.held[position]):
                needless[position] = True
                break


@njit(cache=True, nogil=True)
def _nowhere_more(first: NDArray[np.int32], second: NDArray[np.int32]) -> bool:
    for u in range(first.size):  # noqa: SIM110 - faster compiled
        if first[u] > second[u]:
            return False
    return True
