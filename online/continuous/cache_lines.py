"""Caches as lines over coming batches: what simulated continuations have in common, compiled.

A request that decodes holds base + e tokens after batch e, until its last batch. One that still
reads its prompt has a line from the batch in which it will have read it.
"""

from __future__ import annotations

from numba import njit

from ...models.instance import IntArray


@njit(cache=True, nogil=True)
def plan_line(
    i: int,
    s: IntArray,
    o: IntArray,
    tokens: IntArray,
    unread: IntArray,
    base: IntArray,
    last: IntArray,
    batch: int,
    per: int,
) -> None:
    """Plan the line of a request that still reads, and its completion."""
    reads = batch + -(-unread[i] // per)
    base[i] = s[i] + tokens[i] - reads
    last[i] = reads + o[i] - tokens[i] - 1


@njit(cache=True, nogil=True)
def sort_by_completion(active: IntArray, k: int, last: IntArray) -> None:
    """Sort active requests by completion; they nearly are."""
    for place in range(1, k):
        i, at = active[place], place
        while at > 0 and last[active[at - 1]] > last[i]:
            active[at] = active[at - 1]
            at -= 1
        active[at] = i


@njit(cache=True, nogil=True)
def waits(
    active: IntArray, k: int, last: IntArray, base: IntArray, kv: int, block: int, batch: int
) -> int:
    """Return how many batches the last of `k` requests has to wait for, at the least; 0 if none.

    With the others, sorted, it must fit at all their completions. At one where it does not, each
    batch that it waits makes its cache smaller by a token.
    """
    newcomer = active[k - 1]
    alive, held, counted = 0, 0, False
    for place in range(k - 2, -2, -1):
        if not counted and (place < 0 or last[newcomer] >= last[active[place]]):
            counted = True
            alive += 1
            held += base[newcomer]
            over = held + alive * last[newcomer] + alive * (block - 1) // 2 - kv
            if over > 0:
                return int(max(1, min(over, last[newcomer] - batch)))
        if place >= 0:
            i = active[place]
            alive += 1
            held += base[i]
            over = held + alive * last[i] + alive * (block - 1) // 2 - kv
            if over > 0:
                return int(max(1, min(over, last[i] - batch)))
    return 0


@njit(cache=True, nogil=True, inline="always")
def read_prompts(
    reading: IntArray,
    r: int,
    room: int,
    s: IntArray,
    o: IntArray,
    tokens: IntArray,
    unread: IntArray,
    base: IntArray,
    last: IntArray,
    batch: int,
) -> tuple[int, int]:
    """Read prompts in turn in a batch with so much room; return what was read, and who reads on."""
    read = kept = 0
    for place in range(r):
        i = reading[place]
        chunk = min(room, unread[i])
        room -= chunk
        read += chunk
        unread[i] -= chunk
        if unread[i] > 0:
            reading[kept] = i
            kept += 1
        else:
            base[i], last[i] = s[i] + tokens[i] - batch, batch + o[i] - tokens[i] - 1
    return read, kept


@njit(cache=True, nogil=True, inline="always")
def held_by_ready(active: IntArray, k: int, unread: IntArray, base: IntArray) -> int:
    """Return the sum of the bases of active requests that decode."""
    held = 0
    for place in range(k):
        if unread[active[place]] == 0:
            held += base[active[place]]
    return held


@njit(cache=True, nogil=True, inline="always")
def leave(
    active: IntArray,
    k: int,
    unread: IntArray,
    last: IntArray,
    batch: int,
    arrival: IntArray,
    now: int,
) -> tuple[int, int]:
    """Let those go whose last batch this is; return how many stay, and the others' latencies."""
    kept = total = 0
    for place in range(k):
        i = active[place]
        if unread[i] == 0 and last[i] <= batch:
            total += now - arrival[i]
        else:
            active[kept] = i
            kept += 1
    return kept, total
