"""From the nodes of a layer to those of the next: every set that may start, compiled.

**What a node remembers** (`Tracking`). Of what runs at a boundary, the `named` requests with most
rounds to go are known by name, the next `timed` by their rounds to go. The order by rounds to go
never changes while requests run, so what was once forgotten ends before everything that is tracked,
and with fewer running than tracked nothing is hidden. Besides, for some requests a bit tells
whether they were started.

**Why it is a relaxation.** Take any schedule and forget, boundary by boundary, what a node does not
remember: this is a path. A start costs its start cost, a round its slack: the heaviest
configuration less what the running requests earn (see `exact.excess`). What is hidden is taken to
earn the most that fits beside the named requests, with the rounds to go that are known (`fillers`),
so the path costs at most the excess of the schedule. KV capacity is exact for what is named. On
other paths a request may be started twice or never, but not again while it is named. So with
multipliers v, Σ v + the cheapest path under costs less v_i per start of i is at most the excess of
every schedule.

**What is left out.** A start of which nothing is tracked costs something and leads to the same
node: while no multiplier is positive such arcs are never needed. With everything named nothing is
hidden, and multipliers may be of any sign. Of equal requests, the one that arrives later starts no
earlier, where both are remembered: exchanging two starts that do changes neither occupancy nor
total.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ...state_table import Words, find
from ..exact.excess import FAR, Excess
from .fillers import NONE, Fillers, row_of
from .graph import Arcs, Nodes, Starts, insert, with_request
from .tracking import Known, Tracking, pack

#: Costs in the graph are in units of 2^COARSER of the excess's units.
COARSER = np.int64(4)

NO_ROOM, DONE, DOMINATED = 0, 1, 2

_ONE = np.uint64(1)
_8 = np.uint64(8)
_BYTE = np.uint64(255)
_ITEM = np.uint64(0xFFFF)


class Boundary(NamedTuple):
    """What all nodes of a boundary have in common.

    Attributes
    ----------
    excess : Excess
        The terms of the excess.
    t : int
        The boundary.
    track : Tracking
        What a node remembers.
    allowed : ndarray of bool, shape (n,)
        Whether a request may start here.
    multiplier : ndarray of int64, shape (n,)
        What a start of a request costs less.
    fillers : Fillers
        What hidden requests may earn in the next round.
    known : Known
        The next layer of a coarser graph; its `ahead` is empty if there is none.
    coarse : Tracking
        What a node of that graph remembers.
    limit : int
        Paths that cost more are of no interest.
    """

    excess: Excess
    t: int
    track: Tracking
    allowed: NDArray[np.bool_]
    multiplier: IntArray
    fillers: Fillers
    known: Known
    coarse: Tracking
    limit: int


class Found(NamedTuple):
    """Where arcs, their heads and their sets of starts are added."""

    arcs: Arcs
    following: Nodes
    starts: Starts


class Workspace(NamedTuple):
    """Arrays that the expansion of a node works in; row d: after d requests were started."""

    held: IntArray
    rounds: IntArray
    item: IntArray
    to_go: IntArray
    running_count: IntArray
    cost: IntArray
    starts: IntArray
    following: IntArray
    candidate: IntArray
    change: IntArray
    gain: IntArray
    running: NDArray[np.bool_]
    item_after: IntArray
    to_go_after: IntArray
    key: Words
    coarse_key: Words
    visited: Words
    hidden: IntArray
    times: IntArray
    times_after: IntArray


def workspace(excess: Excess) -> Workspace:
    """Allocate for an instance."""
    n, longest = excess.output.size, int(excess.output.max())
    rows = n + 1

    def ints(*shape: int) -> IntArray:
        return np.zeros(shape, np.int64)

    def words() -> Words:
        return np.zeros(n + n // 64 + 9, np.uint64)

    return Workspace(
        held=ints(rows, longest + 1),
        rounds=ints(rows),
        item=ints(rows, rows),
        to_go=ints(rows, rows),
        running_count=ints(rows),
        cost=ints(rows),
        starts=ints(rows),
        following=ints(rows),
        candidate=ints(n),
        change=ints(n),
        gain=ints(rows),
        running=np.zeros(n, np.bool_),
        item_after=ints(rows),
        to_go_after=ints(rows),
        key=words(),
        coarse_key=words(),
        visited=words(),
        hidden=ints(8),
        times=ints(8),
        times_after=ints(8),
    )


@njit(cache=True, nogil=True)
def expand(at: Boundary, nodes: Nodes, begin: int, end: int, found: Found, work: Workspace) -> int:
    """Expand nodes `begin … end − 1` of the layer.

    Returns
    -------
    int
        `end`, or the node at which some array had no room: call again from there with more.
    """
    arcs = found.arcs
    for position in range(begin, end):
        arcs.first[position] = arcs.present[0]
        if not _expand_node(at, nodes.key[position], nodes.cost[position], found, work):
            arcs.present[0] = arcs.first[position]
            return position
    arcs.first[end] = arcs.present[0]
    return end


@njit(cache=True, nogil=True)
def _fits(held: IntArray, rounds: int, s: int, o: int, M: int) -> bool:
    """Whether (s, o) started now keeps within M beside what holds KV tokens in these rounds."""
    for u in range(min(rounds, o)):  # noqa: SIM110 - faster compiled
        if held[u] + s + u + 1 > M:
            return False
    return True


@njit(cache=True, nogil=True)
def _expand_node(at: Boundary, key: Words, paid: int, found: Found, work: Workspace) -> bool:
    """Start all sets that may start, depth first; False without room."""
    excess, track, starts, M = at.excess, at.track, found.starts, at.excess.M
    n = excess.output.size
    # unpack
    timed = 0
    while timed < track.timed:
        left = np.int64((key[track.items - 1] >> np.uint64(8 * timed)) & _BYTE)
        if left == 0:
            break
        work.hidden[timed] = left
        timed += 1
    count = 0
    work.held[0, :] = 0
    work.running[:] = False
    rounds = 0
    for place in range(track.named):
        code = (key[place >> 2] >> np.uint64(16 * (place & 3))) & _ITEM
        left = np.int64(code & _BYTE)
        if left == 0:
            break
        who = np.int64(code >> _8)
        work.item[0, count], work.to_go[0, count] = who, left
        count += 1
        work.running[who] = True
        if left > rounds:
            rounds = int(left)
        size = excess.prompt[who] + excess.output[who] - left + 1
        for u in range(left):
            work.held[0, u] += size + u
    work.running_count[0], work.rounds[0] = count, rounds
    for word in range(track.items, track.words):
        work.visited[word - track.items] = key[word]
    # candidates
    candidates = 0
    for i in range(n):
        if not at.allowed[i] or work.running[i]:
            continue
        bit = int(track.bit[i])
        if bit >= 0:
            if (work.visited[bit >> 6] >> np.uint64(bit & 63)) & _ONE:
                continue
            # of equal requests the earlier starts no later: at once, or it must have started
            twin = excess.earlier_twin[i]
            if twin >= 0 and track.bit[twin] >= 0 and not at.allowed[twin]:
                other = track.bit[twin]
                if not (work.visited[other >> 6] >> np.uint64(other & 63)) & _ONE:
                    continue
        s, o = excess.prompt[i], excess.output[i]
        if _fits(work.held[0], rounds, s, o, M):
            work.candidate[candidates] = i
            work.change[candidates] = (excess.start[i, at.t] >> COARSER) - at.multiplier[i]
            candidates += 1
    work.gain[candidates] = 0
    for c in range(candidates - 1, -1, -1):
        work.gain[c] = work.gain[c + 1] + min(0, work.change[c])
    # all sets, depth first
    work.cost[0], work.starts[0], work.following[0] = 0, 0, 0
    depth = int(np.int64(0))  # no literal: what is called with one is compiled once more
    if _arrive(at, depth, timed, paid, found, work) == NO_ROOM:
        return False
    while depth >= 0:
        c = work.following[depth]
        if c == candidates:
            depth -= 1
            continue
        work.following[depth] = c + 1
        i = work.candidate[c]
        cost = work.cost[depth] + work.change[c]
        if paid + cost + work.gain[c + 1] + at.known.least > at.limit:
            continue
        s, o = excess.prompt[i], excess.output[i]
        rounds = work.rounds[depth]
        if not _fits(work.held[depth], rounds, s, o, M):
            continue
        below = depth + 1
        for u in range(max(rounds, o)):
            held = work.held[depth, u] if u < rounds else 0
            work.held[below, u] = held + (s + u + 1 if u < o else 0)
        work.rounds[below] = max(rounds, o)
        held_items = work.running_count[depth]
        place = 0
        while place < held_items and (
            work.to_go[depth, place] > o
            or (work.to_go[depth, place] == o and work.item[depth, place] < i)
        ):
            work.item[below, place] = work.item[depth, place]
            work.to_go[below, place] = work.to_go[depth, place]
            place += 1
        work.item[below, place], work.to_go[below, place] = i, o
        for rest in range(place, held_items):
            work.item[below, rest + 1] = work.item[depth, rest]
            work.to_go[below, rest + 1] = work.to_go[depth, rest]
        work.running_count[below] = held_items + 1
        work.cost[below] = cost
        work.following[below] = c + 1
        child = with_request(starts, work.starts[depth], i)
        if child < 0:
            return False
        work.starts[below] = child
        depth = below
        outcome = _arrive(at, depth, timed, paid, found, work)
        if outcome == NO_ROOM:
            return False
        if outcome == DOMINATED:
            depth -= 1
    return True


@njit(cache=True, nogil=True)
def _arrive(at: Boundary, depth: int, timed: int, paid: int, found: Found, work: Workspace) -> int:
    """Run round t + 1 with the items of row `depth`; add the arc."""
    excess, track, known, limit = at.excess, at.track, at.known, at.limit
    fillers, starts, arcs = at.fillers, found.starts, found.arcs
    if paid + work.cost[depth] + known.least > limit:
        return DONE
    count = work.running_count[depth]
    earned = np.int64(0)
    kept = min(count, track.named)
    if count > kept:
        # a start of which nothing would be tracked costs something and changes nothing
        above = work.starts[depth]
        for _ in range(depth):
            i = starts.request[above]
            above = starts.parent[above]
            place = 0
            while work.item[depth, place] != i:
                place += 1
            if place >= kept:
                rank = place
                while rank - place < timed and work.hidden[rank - place] >= excess.output[i]:
                    rank += 1
                if rank >= track.named + track.timed:
                    return DOMINATED
    # rounds to go of those not named
    times = 0
    rest, other = kept, 0
    while times < track.timed and (rest < count or other < timed):
        if other < timed and (rest == count or work.hidden[other] >= work.to_go[depth, rest]):
            work.times[times] = work.hidden[other]
            other += 1
        else:
            work.times[times] = work.to_go[depth, rest]
            rest += 1
        times += 1
    size = np.int64(0)
    for place in range(kept):
        i = work.item[depth, place]
        age = excess.output[i] - work.to_go[depth, place]
        earned += excess.earned[i, at.t + 1, age]
        size += excess.prompt[i] + age + 1
    if track.timed == 0 and track.hiding and kept == track.named:
        earned += fillers.free[work.to_go[depth, kept - 1] - 1, kept, size]
    if times > 0:
        row = row_of(fillers, work.times, times, kept, times == track.timed)
        if row < 0:
            return NO_ROOM
        filled = fillers.row[row, size]
        if filled == NONE:
            return DONE
        earned += filled
    cost = work.cost[depth]
    slack = (excess.slack[at.t + 1] - earned) >> COARSER
    if paid + cost + slack + known.least > limit:
        return DONE
    # what runs on
    after = timed_after = int(np.int64(0))
    for place in range(kept):
        left = work.to_go[depth, place] - 1
        if left == 0:
            break
        work.item_after[after], work.to_go_after[after] = work.item[depth, place], left
        after += 1
    for place in range(times):
        if work.times[place] == 1:
            break
        work.times_after[place] = work.times[place] - 1
        timed_after += 1
    _flip_visits(track, depth, starts, work)
    ahead = _cost_to_go(work, track, at.coarse, known, after, timed_after)
    near = paid + cost + slack + ahead <= limit
    if near:
        pack(
            track,
            work.item_after,
            work.to_go_after,
            after,
            work.times_after,
            timed_after,
            work.visited,
            track.bit,
            work.key,
        )
    _flip_visits(track, depth, starts, work)
    if not near:
        return DONE
    head = insert(found.following, work.key[: track.words], paid + cost + slack)
    number = arcs.present[0]
    if head < 0 or number == arcs.head.size:
        return NO_ROOM
    arcs.head[number] = head
    arcs.starts[number] = work.starts[depth]
    # cost without multipliers
    above = work.starts[depth]
    base = slack
    for _ in range(depth):
        base += excess.start[starts.request[above], at.t] >> COARSER
        above = starts.parent[above]
    arcs.cost[number] = base
    arcs.present[0] += 1
    return DONE


@njit(cache=True, nogil=True)
def _cost_to_go(
    work: Workspace, track: Tracking, coarse: Tracking, known: Known, after: int, timed_after: int
) -> int:
    """Least cost to go from what runs on, by the coarser graph; very large if it has no such."""
    if known.ahead.size == 0:
        return 0
    pack(
        coarse,
        work.item_after,
        work.to_go_after,
        after,
        work.times_after,
        timed_after,
        work.visited,
        track.bit,
        work.coarse_key,
    )
    place = find(known.key, known.slot, work.coarse_key[: coarse.words])
    return FAR if place < 0 else known.ahead[place]


@njit(cache=True, nogil=True)
def _flip_visits(track: Tracking, depth: int, starts: Starts, work: Workspace) -> None:
    """Flip the bits of the remembered requests that start in row `depth`."""
    if track.words == track.items:
        return
    above = work.starts[depth]
    for _ in range(depth):
        bit = track.bit[starts.request[above]]
        above = starts.parent[above]
        if bit >= 0:
            work.visited[bit >> 6] ^= _ONE << np.uint64(bit & 63)
