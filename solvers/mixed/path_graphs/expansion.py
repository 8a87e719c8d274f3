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
from ..exact.excess import FAR, Excess
from .fillers import NONE, Fillers, row_of
from .graph import Arcs, Ints32, Nodes, Starts, Words, find, insert, with_request

#: Costs in the graph are in units of 2^COARSER of the excess's units.
COARSER = np.int64(4)

NO_ROOM, DONE, DOMINATED = 0, 1, 2

_ONE = np.uint64(1)
_16 = np.uint64(16)
_8 = np.uint64(8)
_BYTE = np.uint64(255)
_ITEM = np.uint64(0xFFFF)


class Tracking(NamedTuple):
    """What a node remembers.

    Attributes
    ----------
    named : int
        Running requests tracked by name, those with most rounds to go.
    timed : int
        The next so many, of which only the rounds to go are tracked, at most 6.
    hiding : bool
        Whether others may run beside these; with False, `named` must be enough for all that can.
    bit : ndarray of int64, shape (n,)
        Which bit tells whether the request was started, −1 for none.
    items, words : int
        Words for tracked requests, and all words.
    """

    named: int
    timed: int
    hiding: bool
    bit: IntArray
    items: int
    words: int


class Known(NamedTuple):
    """The nodes of a layer of a coarser graph, their costs to go, and the least of these."""

    key: Words
    slot: Ints32
    ahead: IntArray
    least: int


class Desk(NamedTuple):
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


def tracking(n: int, named: int, timed: int, *, hiding: bool, remembered: list[int]) -> Tracking:
    """Return what a node remembers that tracks so many requests and these visits."""
    bit = np.full(n, -1, np.int64)
    bit[remembered] = np.arange(len(remembered))
    items = -(-named // 4) + (timed > 0)
    return Tracking(named, timed, hiding, bit, items, items + -(-len(remembered) // 64))


def desk(excess: Excess) -> Desk:
    """Allocate for an instance."""
    n, longest = excess.output.size, int(excess.output.max())
    rows = n + 1

    def ints(*shape: int) -> IntArray:
        return np.zeros(shape, np.int64)

    def words() -> Words:
        return np.zeros(n + n // 64 + 9, np.uint64)

    return Desk(
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
def pack(
    tracking: Tracking,
    item: IntArray,
    to_go: IntArray,
    count: int,
    times: IntArray,
    timed: int,
    visited: Words,
    bits: IntArray,
    key: Words,
) -> None:
    """Write the key of the items and times, sorted; `visited` has the bits of a finer tracking."""
    key[: tracking.words] = 0
    kept = min(count, tracking.named)
    for place in range(kept):
        code = (np.uint64(item[place]) << _8) | np.uint64(to_go[place])
        key[place >> 2] |= code << np.uint64(16 * (place & 3))
    word = tracking.items - 1
    place = 0
    for rest in range(kept, count):
        if place == tracking.timed:
            break
        key[word] |= np.uint64(to_go[rest]) << np.uint64(8 * place)
        place += 1
    for rest in range(timed):
        if place == tracking.timed:
            break
        key[word] |= np.uint64(times[rest]) << np.uint64(8 * place)
        place += 1
    if tracking.words > tracking.items:
        for i in range(bits.size):
            mine, theirs = tracking.bit[i], bits[i]
            if mine >= 0 and (visited[theirs >> 6] >> np.uint64(theirs & 63)) & _ONE:
                key[tracking.items + (mine >> 6)] |= _ONE << np.uint64(mine & 63)


@njit(cache=True, nogil=True)
def expand(
    excess: Excess,
    t: int,
    track: Tracking,
    nodes: Nodes,
    begin: int,
    end: int,
    allowed: NDArray[np.bool_],
    multiplier: IntArray,
    fillers: Fillers,
    known: Known,
    coarse: Tracking,
    limit: int,
    arcs: Arcs,
    following: Nodes,
    starts: Starts,
    room: Desk,
) -> int:
    """Expand nodes `begin … end − 1` of the layer at boundary t.

    Returns
    -------
    int
        `end`, or the node at which some array had no room: call again from there with more.
    """
    for position in range(begin, end):
        arcs.first[position] = arcs.present[0]
        if not _expand_node(
            excess,
            t,
            track,
            nodes.key[position],
            nodes.cost[position],
            allowed,
            multiplier,
            fillers,
            known,
            coarse,
            limit,
            arcs,
            following,
            starts,
            room,
        ):
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
def _expand_node(
    excess: Excess,
    t: int,
    track: Tracking,
    key: Words,
    paid: int,
    allowed: NDArray[np.bool_],
    multiplier: IntArray,
    fillers: Fillers,
    known: Known,
    coarse: Tracking,
    limit: int,
    arcs: Arcs,
    following: Nodes,
    starts: Starts,
    room: Desk,
) -> bool:
    M = excess.M
    n = excess.output.size
    # unpack
    timed = 0
    while timed < track.timed:
        left = np.int64((key[track.items - 1] >> np.uint64(8 * timed)) & _BYTE)
        if left == 0:
            break
        room.hidden[timed] = left
        timed += 1
    count = 0
    room.held[0, :] = 0
    room.running[:] = False
    rounds = 0
    for place in range(track.named):
        code = (key[place >> 2] >> np.uint64(16 * (place & 3))) & _ITEM
        left = np.int64(code & _BYTE)
        if left == 0:
            break
        who = np.int64(code >> _8)
        room.item[0, count], room.to_go[0, count] = who, left
        count += 1
        room.running[who] = True
        if left > rounds:
            rounds = int(left)
        size = excess.prompt[who] + excess.output[who] - left + 1
        for u in range(left):
            room.held[0, u] += size + u
    room.running_count[0], room.rounds[0] = count, rounds
    for word in range(track.items, track.words):
        room.visited[word - track.items] = key[word]
    # candidates
    candidates = 0
    for i in range(n):
        if not allowed[i] or room.running[i]:
            continue
        bit = int(track.bit[i])
        if bit >= 0:
            if (room.visited[bit >> 6] >> np.uint64(bit & 63)) & _ONE:
                continue
            # of equal requests the earlier starts no later: at once, or it must have started
            twin = excess.earlier_twin[i]
            if twin >= 0 and track.bit[twin] >= 0 and not allowed[twin]:
                other = track.bit[twin]
                if not (room.visited[other >> 6] >> np.uint64(other & 63)) & _ONE:
                    continue
        s, o = excess.prompt[i], excess.output[i]
        if _fits(room.held[0], rounds, s, o, M):
            room.candidate[candidates] = i
            room.change[candidates] = (excess.start[i, t] >> COARSER) - multiplier[i]
            candidates += 1
    room.gain[candidates] = 0
    for c in range(candidates - 1, -1, -1):
        room.gain[c] = room.gain[c + 1] + min(0, room.change[c])
    # all sets, depth first
    room.cost[0], room.starts[0], room.following[0] = 0, 0, 0
    depth = int(np.int64(0))  # no literal: what is called with one is compiled once more
    if (
        _arrive(
            excess,
            t,
            track,
            depth,
            timed,
            paid,
            fillers,
            known,
            coarse,
            limit,
            arcs,
            following,
            starts,
            room,
        )
        == NO_ROOM
    ):
        return False
    while depth >= 0:
        c = room.following[depth]
        if c == candidates:
            depth -= 1
            continue
        room.following[depth] = c + 1
        i = room.candidate[c]
        cost = room.cost[depth] + room.change[c]
        if paid + cost + room.gain[c + 1] + known.least > limit:
            continue
        s, o = excess.prompt[i], excess.output[i]
        rounds = room.rounds[depth]
        if not _fits(room.held[depth], rounds, s, o, M):
            continue
        below = depth + 1
        for u in range(max(rounds, o)):
            held = room.held[depth, u] if u < rounds else 0
            room.held[below, u] = held + (s + u + 1 if u < o else 0)
        room.rounds[below] = max(rounds, o)
        held_items = room.running_count[depth]
        place = 0
        while place < held_items and (
            room.to_go[depth, place] > o
            or (room.to_go[depth, place] == o and room.item[depth, place] < i)
        ):
            room.item[below, place] = room.item[depth, place]
            room.to_go[below, place] = room.to_go[depth, place]
            place += 1
        room.item[below, place], room.to_go[below, place] = i, o
        for rest in range(place, held_items):
            room.item[below, rest + 1] = room.item[depth, rest]
            room.to_go[below, rest + 1] = room.to_go[depth, rest]
        room.running_count[below] = held_items + 1
        room.cost[below] = cost
        room.following[below] = c + 1
        child = with_request(starts, room.starts[depth], i)
        if child < 0:
            return False
        room.starts[below] = child
        depth = below
        outcome = _arrive(
            excess,
            t,
            track,
            depth,
            timed,
            paid,
            fillers,
            known,
            coarse,
            limit,
            arcs,
            following,
            starts,
            room,
        )
        if outcome == NO_ROOM:
            return False
        if outcome == DOMINATED:
            depth -= 1
    return True


@njit(cache=True, nogil=True)
def _arrive(
    excess: Excess,
    t: int,
    track: Tracking,
    depth: int,
    timed: int,
    paid: int,
    fillers: Fillers,
    known: Known,
    coarse: Tracking,
    limit: int,
    arcs: Arcs,
    following: Nodes,
    starts: Starts,
    room: Desk,
) -> int:
    """Run round t + 1 with the items of row `depth`; add the arc. False without room."""
    if paid + room.cost[depth] + known.least > limit:
        return DONE
    count = room.running_count[depth]
    earned = np.int64(0)
    kept = min(count, track.named)
    if count > kept:
        # a start of which nothing would be tracked costs something and changes nothing
        above = room.starts[depth]
        for _ in range(depth):
            i = starts.request[above]
            above = starts.parent[above]
            place = 0
            while room.item[depth, place] != i:
                place += 1
            if place >= kept:
                rank = place
                while rank - place < timed and room.hidden[rank - place] >= excess.output[i]:
                    rank += 1
                if rank >= track.named + track.timed:
                    return DOMINATED
    # rounds to go of those not named
    times = 0
    rest, other = kept, 0
    while times < track.timed and (rest < count or other < timed):
        if other < timed and (rest == count or room.hidden[other] >= room.to_go[depth, rest]):
            room.times[times] = room.hidden[other]
            other += 1
        else:
            room.times[times] = room.to_go[depth, rest]
            rest += 1
        times += 1
    size = np.int64(0)
    for place in range(kept):
        i = room.item[depth, place]
        age = excess.output[i] - room.to_go[depth, place]
        earned += excess.earned[i, t + 1, age]
        size += excess.prompt[i] + age + 1
    if track.timed == 0 and track.hiding and kept == track.named:
        earned += fillers.free[room.to_go[depth, kept - 1] - 1, kept, size]
    if times > 0:
        row = row_of(fillers, room.times, times, kept, times == track.timed)
        if row < 0:
            return NO_ROOM
        filled = fillers.row[row, size]
        if filled == NONE:
            return DONE
        earned += filled
    cost = room.cost[depth]
    slack = (excess.slack[t + 1] - earned) >> COARSER
    if paid + cost + slack + known.least > limit:
        return DONE
    # what runs on
    after = timed_after = int(np.int64(0))
    for place in range(kept):
        left = room.to_go[depth, place] - 1
        if left == 0:
            break
        room.item_after[after], room.to_go_after[after] = room.item[depth, place], left
        after += 1
    for place in range(times):
        if room.times[place] == 1:
            break
        room.times_after[place] = room.times[place] - 1
        timed_after += 1
    _flip_visits(track, depth, starts, room)
    ahead = _cost_to_go(room, track, coarse, known, after, timed_after)
    near = paid + cost + slack + ahead <= limit
    if near:
        pack(
            track,
            room.item_after,
            room.to_go_after,
            after,
            room.times_after,
            timed_after,
            room.visited,
            track.bit,
            room.key,
        )
    _flip_visits(track, depth, starts, room)
    if not near:
        return DONE
    head = insert(following, room.key[: track.words], paid + cost + slack)
    number = arcs.present[0]
    if head < 0 or number == arcs.head.size:
        return NO_ROOM
    arcs.head[number] = head
    arcs.starts[number] = room.starts[depth]
    # cost without multipliers
    above = room.starts[depth]
    base = slack
    for _ in range(depth):
        base += excess.start[starts.request[above], t] >> COARSER
        above = starts.parent[above]
    arcs.cost[number] = base
    arcs.present[0] += 1
    return DONE


@njit(cache=True, nogil=True)
def _cost_to_go(
    room: Desk, track: Tracking, coarse: Tracking, known: Known, after: int, timed_after: int
) -> int:
    """Least cost to go from what runs on, by the coarser graph; very large if it has no such."""
    if known.ahead.size == 0:
        return 0
    pack(
        coarse,
        room.item_after,
        room.to_go_after,
        after,
        room.times_after,
        timed_after,
        room.visited,
        track.bit,
        room.coarse_key,
    )
    place = find(known.key, known.slot, room.coarse_key[: coarse.words])
    return FAR if place < 0 else known.ahead[place]


@njit(cache=True, nogil=True)
def _flip_visits(track: Tracking, depth: int, starts: Starts, room: Desk) -> None:
    """Flip the bits of the remembered requests that start in row `depth`."""
    if track.words == track.items:
        return
    above = room.starts[depth]
    for _ in range(depth):
        bit = track.bit[starts.request[above]]
        above = starts.parent[above]
        if bit >= 0:
            room.visited[bit >> 6] ^= _ONE << np.uint64(bit & 63)
