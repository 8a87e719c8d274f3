"""Which batches the exhaustive search leaves out, and what a request's state is after a batch.

Some batches are left out, since some optimal schedule does without them. Take an
optimal schedule with the fewest drops, then with its work as late as possible: with the smallest
sum, over the items of work, of the batches that come after them.

**Useless work.** A half-read prompt is not dropped: without its chunks no batch is longer, none
holds more, and there is a drop less. A cache is dropped right after its last use.

**Drops** (where a token job is the cheapest way to a token). Say a cache of h tokens is dropped
before batch x and read again, until batch r. If none of the batches x … r − 1 needs the memory or
the seat, keep it and put a token job in the place of the last chunk: a drop less. If it was read in
one chunk, no batch gets longer. If in several, none ends later where work moves freely and no batch
after the first of them is held up.

**Lateness** (where work moves freely, `problem`). Say a request has an item of work w in batch b,
and its next one in r, with no drop between. Move the item, or one of the tokens of a chunk, to a
batch q, b < q ≤ r, where there is room for it (for q = r: from chunk to chunk). Caches at the ends
of batches are no larger, and the batches b + 1 … q begin w earlier, unless one of them waits for a
member's arrival or would have to; if none does, no batch ends later. So the request skips a batch q
only if the batch has no room, or a batch up to it is held up: it begins less than w after the
arrival of a member. A batch that goes on with a half-read prompt is full, or one up to it is held
up. (If prompt batches have an intercept of their own, a token job neither leaves a batch that gets
longer without it nor joins one that gets longer by more than w.)

**One chunk that does not complete its prompt.** Say i and k have such chunks in batch b, and i's
prompt is complete no later than k's, in batch r. Let i read one more token in b and k one less, and
the other way round in r: no batch changes its time, and the caches together hold the same (so they
must not be in blocks). In the end one of both has no such chunk in b.

**What must follow a half-read prompt.** By lateness the batch after a chunk that does not complete
its prompt is full or held up. If all that has arrived cannot fill it, it begins at an arrival at
least: the bound counts from there.

**Twins.** Of two requests that differ in their arrivals only, neither begun before a batch that
both may be in, the earlier one is begun first.
"""

from __future__ import annotations

from numba import njit

from ....models.instance import IntArray
from .states import (
    CHUNK,
    HELD_UP,
    IN_ADVANCE,
    JOB,
    READY,
    SKIPPED,
    UNJUSTIFIED,
    cache_of,
    flags_of,
    state_of,
    tokens_of,
)
from .workspace import (
    ARRIVAL,
    BLOCK,
    CHEAPEST,
    CHUNKED,
    CHUNKS,
    DIVISOR,
    DROP,
    DROP_AND_CHUNKS,
    DROPS,
    MOVES,
    NEVER,
    OUTPUT,
    PER_JOB,
    PER_KV,
    PER_PROMPT,
    PROMPT,
    PROMPT_BATCH,
    REST,
    SCARCE,
    TOKEN,
    TOKEN_BATCH,
    TOKENS_LIMIT,
)


@njit(cache=True)
def next_begin(fact: IntArray, request: IntArray, state: IntArray, end: int) -> int:
    """Earliest begin of the batch after a chunk that did not complete its prompt."""
    work = fact[PER_PROMPT] // fact[DIVISOR]
    most = again = 0
    begin = NEVER
    for i in range(state.size):
        g, arrival = tokens_of(state[i]), request[i, ARRIVAL]
        if g == request[i, OUTPUT]:
            continue
        if state[i] == 0 and arrival > end - work:
            begin = min(begin, max(end, arrival))
        if state[i] == 0 and arrival > end:
            continue
        if not flags_of(state[i]) & READY:
            most += request[i, PROMPT] + g - cache_of(state[i])
            continue
        most += 1
        if fact[DROPS] and not (fact[CHEAPEST] and fact[BLOCK] == 1):
            most += request[i, PROMPT] + g
        elif fact[DROPS]:  # a single prompt may be read again in part
            again = max(again, request[i, PROMPT] + g - 1)
    most += again
    return end if fact[SCARCE] and most >= fact[TOKENS_LIMIT] else begin


@njit(cache=True)
def state_after(
    fact: IntArray,
    whole: int,
    output: int,
    state: int,
    option: int,
    tokens: tuple[int, int],
    since: int,
    free: tuple[int, int],
) -> int:
    """Return a request's state after a batch; −1 if a rule leaves the batch out.

    `whole` is the cache that its next token needs, `tokens` the prompt tokens and the token jobs of
    the batch. The batch begins `since` units after the latest arrival of a member that it begins;
    `free` blocks and seats are left at its end.
    """
    g, cache, flags = tokens_of(state), cache_of(state), flags_of(state)
    p, d = tokens
    if option == TOKEN:
        flags = READY
        leaves = fact[PROMPT_BATCH] <= fact[TOKEN_BATCH] or d > 1 or p == 0
        if fact[MOVES] and leaves:
            flags |= JOB
        g += 1
        return state_of(g, 0, 0) if g == output else state_of(g, cache + 1, flags)
    if option == REST:
        if cache == 0 and flags & UNJUSTIFIED:
            return _justified(fact, whole, g, 0, flags, free)
        if cache == 0 or g == output:
            return state
        return _skipping(fact, whole, state, tokens, since, free)
    if option == DROP:
        return _justified(fact, whole, g, 0, UNJUSTIFIED * fact[CHEAPEST], free)
    # A chunk.
    in_advance = since < fact[PER_PROMPT] * whole // fact[DIVISOR]
    if option >= DROP_AND_CHUNKS:
        read = option - DROP_AND_CHUNKS
        cache, flags = 0, UNJUSTIFIED * fact[CHEAPEST]
    else:
        read = option - CHUNKS
        if cache > 0 and fact[MOVES] and p + d < fact[TOKENS_LIMIT]:
            held_up = flags & HELD_UP or since < fact[PER_PROMPT] // fact[DIVISOR]
            if not held_up:
                return -1
    cache += read
    if cache == whole:
        bare = fact[MOVES] and not in_advance
        if flags & UNJUSTIFIED and not flags & IN_ADVANCE and (read == cache or bare):
            return -1
        g += 1
        if g == output:
            return state_of(g, 0, 0)
        return state_of(g, cache, READY | CHUNK * fact[MOVES])
    flags &= UNJUSTIFIED | IN_ADVANCE
    if flags and cache > read and in_advance:
        flags |= IN_ADVANCE
    return _justified(fact, whole, g, cache, flags, free)


@njit(cache=True)
def _justified(
    fact: IntArray, whole: int, g: int, cache: int, flags: int, free: tuple[int, int]
) -> int:
    """Take the flag off if the batch could not have kept the cache that was dropped."""
    if flags & UNJUSTIFIED:
        block = fact[BLOCK]
        more = (whole + block - 2) // block - (cache + block - 1) // block
        if more > free[0] or (cache == 0 and free[1] < 1):
            flags &= ~(UNJUSTIFIED | IN_ADVANCE)
    return state_of(g, cache, flags)


@njit(cache=True)
def _skipping(
    fact: IntArray,
    whole: int,
    state: int,
    tokens: tuple[int, int],
    since: int,
    free: tuple[int, int],
) -> int:
    """Return the state of a request that holds a cache and rests; −1 if it had better not."""
    g, cache, flags = tokens_of(state), cache_of(state), flags_of(state)
    p, d = tokens
    if fact[MOVES] and (not flags & READY or flags & (CHUNK | JOB)):
        amount, work = 1, fact[PER_PROMPT]
        joins = True
        if flags & JOB:
            work = fact[PER_JOB] + fact[PER_KV] * (whole - 1)
            joins = d > 0 or fact[TOKEN_BATCH] <= fact[PROMPT_BATCH]
        elif flags & READY and not fact[CHUNKED]:
            amount, work = cache, fact[PER_PROMPT] * cache
        if flags & HELD_UP or since < work // fact[DIVISOR]:
            flags |= HELD_UP
        elif joins and p + d + amount <= fact[TOKENS_LIMIT]:
            return -1
    if flags & READY:
        flags |= SKIPPED
    elif flags & UNJUSTIFIED and since < fact[PER_PROMPT] * whole // fact[DIVISOR]:
        flags |= IN_ADVANCE
    return _justified(fact, whole, g, cache, flags, free)
