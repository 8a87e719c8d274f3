"""Simulated annealing over list orders with delays, compiled; only what a move changes is redone.

A schedule is coded as an order and a delay per request: in this order each request is placed at
its earliest feasible start ≥ release + delay beside those already placed (serial list scheduling).
Without delays some optima have no code: a later start is smaller at the others' completions, so
M = 12, s = [1, 1, 1, 1, 2, 1], o = [3, 1, 10, 4, 8, 4], all at 0, has optimum 44 but no order
below 45.

A request that could only start where its cost has reached the end of its rise, a fixed one, is left
out: it may follow after everything else, and takes no room before (`LEFT_OUT`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ...random_stream import Stream, below, uniform
from .profile import NOWHERE, add_run, earliest_start

#: Every how many positions of the order the KV profile is kept.
STRIDE = 4

#: What `decode` returns for a code that is rejected.
REJECTED = 2**62

#: Start of a request that is left out, to be placed after all others.
LEFT_OUT = -2

#: A decode is given up where it is this many temperatures behind what may still be accepted.
_HOPELESS = 8.0

#: Share of the moves that go anywhere in the order; the others prefer near positions.
_ANYWHERE = 0.5


class Part(NamedTuple):
    """What is to be ordered: some requests, beside runs that are fixed.

    Attributes
    ----------
    release, prompt, output : ndarray of int64, shape (m,)
        Earliest start, s and o of each request.
    weight : ndarray of int64, shape (m,)
        Cost of one round of later start, ≥ 0, from `free` on.
    fixed : ndarray of int64, shape (H + 1,) or (3, H + 1)
        Profile of the fixed runs; no run may end after round H.
    M : int
        KV capacity.
    free : ndarray of int64, shape (m,)
        Last start that costs nothing.
    lump : ndarray of int64, shape (m,)
        ≥ 0: what any later start costs besides.
    """

    release: IntArray
    prompt: IntArray
    output: IntArray
    weight: IntArray
    fixed: IntArray
    M: int
    free: IntArray
    lump: IntArray


def waiting_part(
    release: IntArray,
    prompt: IntArray,
    output: IntArray,
    weight: IntArray,
    fixed: IntArray,
    M: int,
) -> Part:
    """Return a part in which each round after its release costs a request its weight."""
    return Part(release, prompt, output, weight, fixed, M, release, 0 * release)


@njit(cache=True, nogil=True)
def start_cost(part: Part, i: int, k: int) -> int:
    """Cost of a start at k, or of leaving it out."""
    if k == LEFT_OUT:
        left_out: int = part.lump[i]
        return left_out
    late = k - part.free[i]
    cost: int = part.lump[i] + part.weight[i] * late
    return cost if late > 0 else 0


class Walk(NamedTuple):
    """Where the annealing stands: everything that it needs to go on later.

    Attributes
    ----------
    order, delay : ndarray of int64, shape (m,)
        The code.
    start : ndarray of int64, shape (m,)
        Its schedule.
    fresh : ndarray of int64, shape (m,)
        Starts of the candidate, from the first changed position on.
    best : ndarray of int64, shape (m,)
        The best schedule seen.
    cost : ndarray of int64, shape (2,)
        Σ of the starts' costs of `start` and of `best`.
    kept : ndarray of int64, shape (⌈m / STRIDE⌉, H + 1) or (⌈m / STRIDE⌉, 3, H + 1)
        Entry c: the profile of the fixed runs and the first ``c · STRIDE`` of the order.
    valid : ndarray of int64, shape (1,)
        Rows of `kept` up to this one belong to the present order.
    held : ndarray of int64, shape (H + 1,) or (3, H + 1)
        The profile of the candidate.
    """

    order: IntArray
    delay: IntArray
    start: IntArray
    fresh: IntArray
    best: IntArray
    cost: IntArray
    kept: NDArray[np.int64]
    valid: IntArray
    held: IntArray


def begin(part: Part, order: IntArray, delay: IntArray | None = None) -> Walk | None:
    """Return a walk that stands at a code; None where its schedule passes round H."""
    m = part.release.size
    rows = (m + STRIDE - 1) // STRIDE
    walk = Walk(
        order=order.astype(np.int64),
        delay=np.zeros(m, np.int64) if delay is None else delay.astype(np.int64),
        start=np.zeros(m, np.int64),
        fresh=np.zeros(m, np.int64),
        best=np.zeros(m, np.int64),
        cost=np.zeros(2, np.int64),
        kept=np.repeat(part.fixed[np.newaxis], rows, axis=0),
        valid=np.zeros(1, np.int64),
        held=part.fixed.copy(),
    )
    walk.start[:] = part.release
    walk.cost[:] = sum(start_cost(part, i, part.release[i]) for i in range(m))
    cost = decode(part, walk, 0, m, float(REJECTED), float(REJECTED))
    if cost == REJECTED:
        return None
    walk.start[:] = walk.best[:] = walk.fresh
    walk.cost[:] = cost
    return walk


@njit(cache=True, nogil=True)
def decode(part: Part, walk: Walk, first: int, last: int, limit: float, hopeless: float) -> int:
    """Cost of the code, whose positions outside ``first … last`` are those of ``walk.start``.

    Returns `REJECTED` if the cost exceeds `limit`, a run would pass round H, or the requests
    placed cost `hopeless` more than they did (a guess: the rest seldom makes up for it).
    """
    order, start, fresh = walk.order, walk.start, walk.fresh
    held = _profile_before(part, walk, first)
    cost: int = walk.cost[0]
    unchanged = True
    for position in range(first, order.size):
        i = order[position]
        k = earliest_start(
            held, part.M, part.prompt[i], part.output[i], part.release[i] + walk.delay[i]
        )
        if part.weight[i] == 0 and (k == NOWHERE or k > part.free[i]):
            k = LEFT_OUT
        if k == NOWHERE:
            return REJECTED
        fresh[i] = k
        cost += start_cost(part, i, k) - start_cost(part, i, start[i])
        unchanged = unchanged and k == start[i]
        if position >= last:
            if unchanged:
                fresh[order[position:]] = start[order[position:]]
                return cost
            if cost > hopeless:
                return REJECTED
        if k != LEFT_OUT:
            add_run(held, part.prompt[i], part.output[i], k)
    return cost if cost <= limit else REJECTED


@njit(cache=True, nogil=True)
def _profile_before(part: Part, walk: Walk, position: int) -> IntArray:
    """Return ``walk.held``, set to the profile of the order up to a position (not included)."""
    row = position // STRIDE
    for c in range(walk.valid[0], row):
        walk.kept[c + 1] = walk.kept[c]
        _add_runs(part, walk, walk.kept[c + 1], c * STRIDE, (c + 1) * STRIDE)
    walk.valid[0] = max(walk.valid[0], row)
    walk.held[:] = walk.kept[row]
    _add_runs(part, walk, walk.held, row * STRIDE, position)
    return walk.held


@njit(cache=True, nogil=True)
def _add_runs(part: Part, walk: Walk, held: IntArray, first: int, end: int) -> None:
    for i in walk.order[first:end]:
        if walk.start[i] != LEFT_OUT:
            add_run(held, part.prompt[i], part.output[i], walk.start[i])


@njit(cache=True, nogil=True)
def anneal(
    part: Part,
    walk: Walk,
    stream: Stream,
    steps: tuple[int, int, int],
    heat: tuple[float, float],
    delays: float,
) -> None:
    """Go on with a walk, from step ``steps[0]`` to before ``steps[1]`` of ``steps[2]`` in all.

    The temperature falls geometrically from ``heat[0]`` to ``heat[1]`` over all steps. A candidate
    is accepted iff its cost is at most the present one plus temperature × an exponential variable
    (Metropolis' rule, drawn first so that a decode can stop early). A share `delays` of the moves
    change a delay; the others insert or swap in the order.
    """
    now, end, total = steps
    for step in range(now, end):
        temperature = heat[0] * (heat[1] / heat[0]) ** (step / total)
        limit = walk.cost[0] - temperature * np.log(1.0 - uniform(stream))
        if uniform(stream) < delays:
            _try_delay(part, walk, stream, limit, temperature)
        else:
            _try_order(part, walk, stream, limit, temperature)


@njit(cache=True, nogil=True)
def _try_delay(part: Part, walk: Walk, stream: Stream, limit: float, temperature: float) -> None:
    """Drop a request's delay, or let it start a few rounds later than now."""
    position = below(stream, walk.order.size)
    i = walk.order[position]
    before = walk.delay[i]
    if before > 0 and uniform(stream) < 0.7:
        walk.delay[i] = 0
    else:
        walk.delay[i] = max(0, walk.start[i] - part.release[i]) + 1 + below(stream, 4)
    if not _accepted(part, walk, position, position, limit, temperature):
        walk.delay[i] = before


@njit(cache=True, nogil=True)
def _try_order(part: Part, walk: Walk, stream: Stream, limit: float, temperature: float) -> None:
    """Insert a request elsewhere in the order, or swap two."""
    m = walk.order.size
    if m < 2:
        return
    i = below(stream, m)
    if uniform(stream) < _ANYWHERE:
        j = below(stream, m)
    else:
        u = uniform(stream)
        distance = 1 + int(u * u * u * (m - 1))
        j = i + distance if uniform(stream) < 0.5 else i - distance
        if j < 0 or j >= m:
            j = i + i - j
    if j < 0 or j >= m or j == i:
        return
    insert = uniform(stream) < 0.5
    if insert:
        _insert(walk.order, i, j)
    else:
        walk.order[i], walk.order[j] = walk.order[j], walk.order[i]
    if not _accepted(part, walk, min(i, j), max(i, j), limit, temperature):
        if insert:
            _insert(walk.order, j, i)
        else:
            walk.order[i], walk.order[j] = walk.order[j], walk.order[i]


@njit(cache=True, nogil=True)
def _insert(order: IntArray, i: int, j: int) -> None:
    """Move what is at position i to position j."""
    moved = order[i]
    if i < j:
        order[i:j] = order[i + 1 : j + 1].copy()
    else:
        order[j + 1 : i + 1] = order[j:i].copy()
    order[j] = moved


@njit(cache=True, nogil=True)
def _accepted(
    part: Part, walk: Walk, first: int, last: int, limit: float, temperature: float
) -> bool:
    """Decode the candidate; move the walk there if its cost is within the limit."""
    # The profile before `first` is that of the present order: a move changes nothing before it.
    cost = decode(part, walk, first, last, limit, limit + _HOPELESS * temperature)
    if cost == REJECTED:
        return False
    for i in walk.order[first:]:
        walk.start[i] = walk.fresh[i]
    walk.valid[0] = min(walk.valid[0], first // STRIDE)
    walk.cost[0] = cost
    if cost < walk.cost[1]:
        walk.cost[1] = cost
        walk.best[:] = walk.start
    return True
