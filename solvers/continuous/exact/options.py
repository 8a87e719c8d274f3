"""What each request may do in a batch, and the batches that are made of it, one by one."""

from __future__ import annotations

from numba import njit

from ....models.instance import IntArray
from .states import CHUNK, HELD_UP, JOB, READY, SKIPPED, cache_of, flags_of, tokens_of
from .workspace import (
    ARRIVAL,
    ARRIVED,
    AT,
    BEGINS,
    BLOCK,
    BLOCKS,
    BLOCKS_LIMIT,
    CHEAPEST,
    CHUNKED,
    CHUNKS,
    CODE,
    COUNT,
    DIVISOR,
    DROP,
    DROP_AND_CHUNKS,
    DROPPED,
    DROPS,
    KV,
    LEAST,
    MOST,
    MOVES,
    NEVER,
    OUTPUT,
    PARTS,
    PER_JOB,
    PER_KV,
    PER_PROMPT,
    PROMPT,
    PROMPT_BATCH,
    REST,
    SCARCE,
    SEATS,
    SEATS_LIMIT,
    TOKEN,
    TOKEN_BATCH,
    TOKENS_LIMIT,
    TWIN,
    D,
    P,
)


@njit(cache=True)
def list_options(
    fact: IntArray, request: IntArray, options: IntArray, before: IntArray, begin: int
) -> None:
    """List what each request may do in a batch that begins at a time, and what that adds.

    `since` is the least time since the arrival of a member that the batch begins.
    """
    n = before.size
    since, unread, jobs, most_kept = NEVER, 0, 0, 0
    to_come, all_begun, rest_blocks, rest = False, True, 0, 0
    for i in range(n):
        state = before[i]
        g = tokens_of(state)
        if g == request[i, OUTPUT]:
            continue
        rest += 1
        peak = request[i, PROMPT] + request[i, OUTPUT] - 1
        rest_blocks += (peak + fact[BLOCK] - 1) // fact[BLOCK]
        if state == 0:
            all_begun = False
            if request[i, ARRIVAL] > begin:
                to_come = True
                continue
            since = min(since, begin - request[i, ARRIVAL])
        if flags_of(state) & READY:
            jobs += 1
            most_kept = max(most_kept, request[i, PROMPT] + g - 1)
        else:
            unread += request[i, PROMPT] + g - cache_of(state)
    needless = all_begun and rest_blocks <= fact[BLOCKS_LIMIT] and rest <= fact[SEATS_LIMIT]
    drops = fact[DROPS] and not (fact[CHEAPEST] and needless)
    if drops and fact[BLOCK] > 1:
        most_kept *= n
    fills = unread + jobs + most_kept * drops > fact[TOKENS_LIMIT]
    parts = fact[CHUNKED] and (not fact[MOVES] or to_come or (fact[SCARCE] and fills))
    request[n, MOST] = 0
    for i in range(n - 1, -1, -1):
        least = _least_beside(fact, request, before[i], i, since)
        _options_of(fact, request, options, before[i], i, begin, least, (parts, drops))
        most = 0
        for at in range(request[i, COUNT]):
            most = max(most, options[i, at, P] + options[i, at, D])
        request[i, MOST] = request[i + 1, MOST] + most


@njit(cache=True)
def _least_beside(fact: IntArray, request: IntArray, state: int, i: int, since: int) -> int:
    """Tokens that a batch must have for a request that holds a cache to rest in it (`rules`)."""
    flags = flags_of(state)
    if cache_of(state) == 0 or not fact[MOVES] or flags & HELD_UP:
        return 0
    if fact[TOKEN_BATCH] > fact[PROMPT_BATCH] or (flags & READY and not flags & (CHUNK | JOB)):
        return 0
    amount, work = 1, fact[PER_PROMPT]
    if flags & JOB:
        work = fact[PER_JOB] + fact[PER_KV] * (request[i, PROMPT] + tokens_of(state) - 1)
    elif flags & READY and not fact[CHUNKED]:
        amount, work = cache_of(state), fact[PER_PROMPT] * cache_of(state)
    return 0 if since < work // fact[DIVISOR] else int(fact[TOKENS_LIMIT] - amount + 1)


@njit(cache=True)
def _options_of(
    fact: IntArray,
    request: IntArray,
    options: IntArray,
    state: int,
    i: int,
    begin: int,
    least: int,
    allowed: tuple[bool, bool],
) -> None:
    """List what request i may do in a batch that begins at a time.

    `allowed` says whether prompts may be read in parts, and whether caches may be dropped.
    """
    g, cache, flags = tokens_of(state), cache_of(state), flags_of(state)
    parts, drops = allowed
    _add(fact, options, i, 0, REST, cache)
    options[i, 0, LEAST] = least
    request[i, COUNT] = 1
    if g == request[i, OUTPUT] or (state == 0 and request[i, ARRIVAL] > begin):
        options[i, 0, LEAST] = 0
        return
    whole = request[i, PROMPT] + g
    count = 1
    if not flags & READY:
        first = 1 if parts else whole - cache
        for p in range(first, min(fact[TOKENS_LIMIT], whole - cache) + 1):
            _add(fact, options, i, count, CHUNKS + p, cache + p)
            options[i, count, P] = p
            options[i, count, PARTS] = p < whole - cache
            if cache > 0:
                options[i, count, LEAST] = least
            if state == 0:
                options[i, count, ARRIVED] = request[i, ARRIVAL]
                options[i, count, BEGINS] = request[i, TWIN] >= 0
            count += 1
        request[i, COUNT] = count
        return
    _add(fact, options, i, count, TOKEN, cache + 1)
    options[i, count, D] = 1
    options[i, count, KV] = whole
    count += 1
    if drops and not flags & SKIPPED:
        _add(fact, options, i, count, DROP, 0)
        options[i, count, DROPPED] = 1 << i
        count += 1
        # with the drop rule the last chunk waits for a batch that needs what is freed
        most = whole - 1 if fact[CHEAPEST] else whole
        for p in range(1 if parts else whole, min(fact[TOKENS_LIMIT], most) + 1):
            _add(fact, options, i, count, DROP_AND_CHUNKS + p, p)
            options[i, count, P] = p
            options[i, count, PARTS] = p < whole
            options[i, count, DROPPED] = 1 << i
            count += 1
    request[i, COUNT] = count


@njit(cache=True)
def _add(fact: IntArray, options: IntArray, i: int, at: int, code: int, cache: int) -> None:
    """Put down an option after which a request holds a cache."""
    for column in range(options.shape[2]):
        options[i, at, column] = 0
    options[i, at, CODE] = code
    options[i, at, ARRIVED] = -NEVER
    options[i, at, BLOCKS] = (cache + fact[BLOCK] - 1) // fact[BLOCK]
    options[i, at, SEATS] = cache > 0


@njit(cache=True)
def next_batch(
    fact: IntArray,
    request: IntArray,
    options: IntArray,
    sums: IntArray,
    before: IntArray,
    stop: IntArray,
    i: int,
) -> bool:
    """Go on to the next batch that keeps the limits; False if there is none, or at a stop.

    `i` is 0, with `AT` of the first request −1, for the first batch, and then the last request.
    """
    n = before.size
    tokens, blocks, seats = fact[TOKENS_LIMIT], fact[BLOCKS_LIMIT], fact[SEATS_LIMIT]
    while True:
        at = request[i, AT] + 1
        request[i, AT] = at
        if at == request[i, COUNT]:
            i -= 1
            if i < 0 or stop[0]:
                return False
            continue
        p, d = sums[i, P] + options[i, at, P], sums[i, D] + options[i, at, D]
        b, held = sums[i, BLOCKS] + options[i, at, BLOCKS], sums[i, SEATS] + options[i, at, SEATS]
        parts = sums[i, PARTS] + options[i, at, PARTS]
        least = max(sums[i, LEAST], options[i, at, LEAST])
        if p + d > tokens or b > blocks or held > seats or (parts > 1 and fact[BLOCK] == 1):
            continue
        if p + d + request[i + 1, MOST] < least:
            continue
        if options[i, at, BEGINS]:  # a twin that could be begun is begun first
            twin = request[i, TWIN]
            if before[twin] == 0 and options[twin, request[twin, AT], CODE] == REST:
                continue
        sums[i + 1, P], sums[i + 1, D], sums[i + 1, BLOCKS], sums[i + 1, SEATS] = p, d, b, held
        sums[i + 1, PARTS], sums[i + 1, LEAST] = parts, least
        sums[i + 1, KV] = sums[i, KV] + options[i, at, KV]
        sums[i + 1, ARRIVED] = max(sums[i, ARRIVED], options[i, at, ARRIVED])
        sums[i + 1, DROPPED] = sums[i, DROPPED] | options[i, at, DROPPED]
        if i + 1 == n:
            return True
        i += 1
        request[i, AT] = -1
