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

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import IntArray
from .problem import Problem
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

#: Options of a request in a batch: rest, token job, drop; from here on chunks, and drop and chunk.
REST, TOKEN, DROP = 0, 1, 2
CHUNKS, DROP_AND_CHUNKS = 2**15, 2**16

#: Later than any time.
NEVER = 2**62


class Workspace(NamedTuple):
    """Arrays of one search.

    Attributes
    ----------
    options : ndarray of int64, shape (n, most options)
        What each request may do in the batch.
    available, at : ndarray of int64, shape (n,)
        How many options it has, and the number of the one that is tried.
    sums : ndarray of int64, shape (n + 1, 7)
        Of the requests before each: prompt tokens, token jobs, KV tokens read, blocks, seats, and
        chunks that do not complete a prompt; and how many tokens the batch must have for them.
    least : ndarray of int64, shape (n,)
        How many tokens the batch must have for each to rest, or to go on with a half-read prompt.
    most : ndarray of int64, shape (n + 1,)
        Most tokens of each and of those after it.
    before, after : ndarray of int64, shape (n,)
        The state before and after.
    space : ndarray of int64, shape (6, n)
        For the bound.
    """

    options: IntArray
    available: IntArray
    at: IntArray
    sums: IntArray
    least: IntArray
    most: IntArray
    before: IntArray
    after: IntArray
    space: IntArray


def workspace(problem: Problem) -> Workspace:
    """Return the arrays that a search of a problem needs."""
    n = problem.prompt.size
    most = 2 * int((problem.prompt + problem.output).max()) + 3
    return Workspace(
        options=np.zeros((n, most), dtype=np.int64),
        available=np.zeros(n, dtype=np.int64),
        at=np.zeros(n, dtype=np.int64),
        sums=np.zeros((n + 1, 7), dtype=np.int64),
        least=np.zeros(n, dtype=np.int64),
        most=np.zeros(n + 1, dtype=np.int64),
        before=np.zeros(n, dtype=np.int64),
        after=np.zeros(n, dtype=np.int64),
        space=np.zeros((6, n), dtype=np.int64),
    )


@njit(cache=True)
def next_begin(problem: Problem, state: IntArray, end: int) -> int:
    """Earliest begin of the batch after a chunk that did not complete its prompt."""
    law = problem.law
    work = law.per_prompt_token // law.divisor
    most = again = 0
    begin = NEVER
    for i in range(problem.prompt.size):
        g = tokens_of(state[i])
        if g == problem.output[i]:
            continue
        if state[i] == 0 and problem.arrival[i] > end - work:
            begin = min(begin, max(end, problem.arrival[i]))
        if state[i] == 0 and problem.arrival[i] > end:
            continue
        if not flags_of(state[i]) & READY:
            most += problem.prompt[i] + g - cache_of(state[i])
            continue
        most += 1
        if problem.drops and not (problem.jobs_cheapest and problem.block == 1):
            most += problem.prompt[i] + g
        elif problem.drops:  # a single prompt may be read again in part
            again = max(again, problem.prompt[i] + g - 1)
    most += again
    return end if problem.scarce and most >= problem.tokens else begin


@njit(cache=True)
def state_after(
    problem: Problem, here: Workspace, i: int, since: int, free: tuple[int, int]
) -> int:
    """Return a request's state after the batch; −1 if a rule leaves the batch out.

    The batch begins `since` units after the latest arrival of a member that it begins; `free`
    blocks and seats are left at its end.
    """
    state: int = here.before[i]
    option = here.options[i, here.at[i]]
    g, cache, flags = tokens_of(state), cache_of(state), flags_of(state)
    p, d = here.sums[problem.prompt.size, 0], here.sums[problem.prompt.size, 1]
    law = problem.law
    if option == TOKEN:
        flags = READY
        leaves = law.prompt <= law.token or d > 1 or p == 0
        if problem.moves and leaves:
            flags |= JOB
        g += 1
        return state_of(g, 0, 0) if g == problem.output[i] else state_of(g, cache + 1, flags)
    if option == REST:
        if cache == 0 and flags & UNJUSTIFIED:
            return _justified(problem, i, g, 0, flags, free)
        if cache == 0 or g == problem.output[i]:
            return state
        return _skipping(problem, here, i, since, free)
    if option == DROP:
        return _justified(problem, i, g, 0, UNJUSTIFIED * problem.jobs_cheapest, free)
    # A chunk.
    if option >= DROP_AND_CHUNKS:
        read = option - DROP_AND_CHUNKS
        cache, flags = 0, UNJUSTIFIED * problem.jobs_cheapest
    else:
        read = option - CHUNKS
        if cache > 0 and problem.moves and p + d < problem.tokens:
            held_up = flags & HELD_UP or since < law.per_prompt_token // law.divisor
            if not held_up:
                return -1
    cache += read
    if cache == problem.prompt[i] + g:
        bare = problem.moves and not _in_advance(problem, i, g, since)
        if flags & UNJUSTIFIED and not flags & IN_ADVANCE and (read == cache or bare):
            return -1
        g += 1
        if g == problem.output[i]:
            return state_of(g, 0, 0)
        return state_of(g, cache, READY | CHUNK * problem.moves)
    flags &= UNJUSTIFIED | IN_ADVANCE
    if flags and cache > read and _in_advance(problem, i, g, since):
        flags |= IN_ADVANCE
    return _justified(problem, i, g, cache, flags, free)


@njit(cache=True)
def _in_advance(problem: Problem, i: int, g: int, since: int) -> bool:
    """Whether the batch is held up, so that what was read before it may have used idle time."""
    work: int = problem.law.per_prompt_token * (problem.prompt[i] + g)
    return since < work // problem.law.divisor


@njit(cache=True)
def _justified(
    problem: Problem, i: int, g: int, cache: int, flags: int, free: tuple[int, int]
) -> int:
    """Take the flag off if the batch could not have kept the cache that was dropped."""
    if flags & UNJUSTIFIED:
        block = problem.block
        kept = problem.prompt[i] + g - 1
        more = (kept + block - 1) // block - (cache + block - 1) // block
        if more > free[0] or (cache == 0 and free[1] < 1):
            flags &= ~(UNJUSTIFIED | IN_ADVANCE)
    return state_of(g, cache, flags)


@njit(cache=True)
def _skipping(problem: Problem, here: Workspace, i: int, since: int, free: tuple[int, int]) -> int:
    """Return the state of a request that holds a cache and rests; −1 if it had better not."""
    state = here.before[i]
    g, cache, flags = tokens_of(state), cache_of(state), flags_of(state)
    law, last = problem.law, problem.prompt.size
    p, d = here.sums[last, 0], here.sums[last, 1]
    if problem.moves and (not flags & READY or flags & (CHUNK | JOB)):
        amount, work = 1, law.per_prompt_token
        joins = True
        if flags & JOB:
            work = law.per_token_job + law.per_kv_token * (problem.prompt[i] + g - 1)
            joins = d > 0 or law.token <= law.prompt
        elif flags & READY and not problem.chunked:
            amount, work = cache, law.per_prompt_token * cache
        if flags & HELD_UP or since < work // law.divisor:
            flags |= HELD_UP
        elif joins and p + d + amount <= problem.tokens:
            return -1
    if flags & READY:
        flags |= SKIPPED
    elif flags & UNJUSTIFIED and _in_advance(problem, i, g, since):
        flags |= IN_ADVANCE
    return _justified(problem, i, g, cache, flags, free)
