"""What the compiled search of states works with: the state space, and arrays that it writes to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ....models.separate.problem import Problem
from ..bounds.gpu_path_costs import SCALE
from .gpu_path_lookahead import Plan, empty_plan
from .lookahead import Lookahead, Rest, empty_rest
from .states import MOST_NAMED, Packing

#: Slots of `Workspace.counts`: of the label that is expanded, its number, time, Σ completions so
#: far and bound; how many requests run and wait, the KV tokens held, the next arrival, Σ peaks of
#: the incomplete, Σ of the path's prices over the requests whose prompt is not done; the bound from
#: which on successors are left for later, and the least bound of those that are.
LABEL, TIME, COST, BOUND, RUNNING, WAITING, HELD = range(7)
NEXT_ARRIVAL, PEAKS, WAITING_PRICE, TOP, LEFT = range(7, 12)

#: Slots of `Workspace.limit`.
LATENCY, LAST_LABEL = 0, 1

#: A path's bound that says nothing.
UNKNOWN = -(2**60)

#: A time that never comes.
NEVER = 2**62


class StateSpace(NamedTuple):
    """What is searched, and what bounds the cost to go.

    Attributes
    ----------
    problem : Problem
        The problem, requests sorted.
    packing : Packing
        How states are packed.
    lookahead : Lookahead
        What bounds the cost to go.
    has_rules : bool
        Whether batch times do not depend on what batches hold, so that the rules hold.
    last_arrival : int
        When the last request arrives.
    window : int
        Successors are added at once if their bound exceeds the label's by less than this; the label
        stays open for the rest.
    """

    problem: Problem
    packing: Packing
    lookahead: Lookahead
    has_rules: bool
    last_arrival: int
    window: int


class Workspace(NamedTuple):
    """The label that is being expanded, and room for a successor.

    Attributes
    ----------
    g, next_g : ndarray of int64, shape (n,)
        Tokens of each request, before and after the batch.
    barred, next_barred : ndarray of bool, shape (n,)
        Which requests are barred.
    tied, next_tied : ndarray of uint64, shape (n,)
        The requests that each one is tied to, as bits; shape (0,) where ties are not kept.
    behind, equal, bound_to : ndarray of int64, shape (n,)
        Of each running request, by positions in `running` as bits: those that must not overtake it
        without tying it, those that must not at all, and those that it is tied to.
    running, waiting : ndarray of int64, shape (n,)
        The running requests in order of (tokens to go, KV falling, number); those that have
        arrived and wait.
    picked : ndarray of int64, shape (n,)
        Positions in `running` or `waiting` of the jobs of a batch.
    state, bars : ndarray of uint64
        Packed.
    counts : ndarray of int64, shape (12,)
        By slots: see the module.
    limit : ndarray of int64, shape (2,)
        Labels whose bound reaches ``limit[LATENCY]``, in Σ completions, are dropped. A complete
        schedule below it lowers it, and its label is put into ``limit[LAST_LABEL]``.
    order : ndarray of int64, shape (n,)
        Working space.
    rest : Rest
        What the costs to go of the label depend on, changed and changed back.
    plan : Plan
        What the jobs of a batch add to the path's bound.
    most : int
        Most requests in any batch.
    """

    g: IntArray
    next_g: IntArray
    barred: NDArray[np.bool_]
    next_barred: NDArray[np.bool_]
    tied: NDArray[np.uint64]
    next_tied: NDArray[np.uint64]
    behind: IntArray
    equal: IntArray
    bound_to: IntArray
    running: IntArray
    waiting: IntArray
    picked: IntArray
    state: NDArray[np.uint64]
    bars: NDArray[np.uint64]
    counts: IntArray
    limit: IntArray
    order: IntArray
    rest: Rest
    plan: Plan
    most: int


def empty_workspace(problem: Problem, packing: Packing, most: int, latency: int) -> Workspace:
    """Return a workspace for batches of up to `most` requests; `latency` is the first limit."""
    n = problem.prompt.size
    g, next_g, behind, equal, bound_to, running, waiting, picked, order = np.zeros((9, n), np.int64)
    barred, next_barred = np.zeros((2, n), np.bool_)
    tied, next_tied = np.zeros((2, n if n <= MOST_NAMED else 0), np.uint64)
    return Workspace(
        g=g,
        next_g=next_g,
        barred=barred,
        next_barred=next_barred,
        tied=tied,
        next_tied=next_tied,
        behind=behind,
        equal=equal,
        bound_to=bound_to,
        running=running,
        waiting=waiting,
        picked=picked,
        state=np.zeros(packing.words, np.uint64),
        bars=np.zeros(packing.bar_words, np.uint64),
        counts=np.zeros(12, np.int64),
        limit=np.array([latency, -1], dtype=np.int64),
        order=order,
        rest=empty_rest(problem),
        plan=empty_plan(n, min(n, most)),
        most=min(n, most),
    )


@njit(cache=True, nogil=True)
def is_left(counts: IntArray, cost: int) -> bool:
    """Whether the path's bound, in units of 1/`SCALE`, leaves something for a later expansion."""
    if cost <= (counts[TOP] - 1) * SCALE:
        return False
    counts[LEFT] = min(counts[LEFT], -(-cost // SCALE))
    return True
