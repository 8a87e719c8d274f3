"""Expansion of the exhaustive search: all batches that may follow a state.

Each batch begins when the last one ends, or waits for an arrival and holds a request that arrives
then. In it a request rests, gets a token job, reads a chunk, has its cache dropped, or has it
dropped and reads a chunk. Which of these batches are left out, and why, is for `rules`.
"""

from __future__ import annotations

from numba import njit

from ....models.instance import IntArray
from .bound import least_cost
from .labels import BEST, EXPANSIONS, HEAP, LABELS, Labels, pop, push, slot_of
from .potentials import Potentials
from .problem import Problem
from .rules import (
    CHUNKS,
    DROP,
    DROP_AND_CHUNKS,
    NEVER,
    REST,
    TOKEN,
    Workspace,
    next_begin,
    state_after,
)
from .states import CHUNK, HELD_UP, JOB, READY, SKIPPED, cache_of, flags_of, tokens_of

#: How `expand` ends: no label is left that counts, no room is left, or all expansions are done.
EXHAUSTED, FULL, PAUSED = range(3)


@njit(cache=True, nogil=True)
def expand(
    problem: Problem,
    tables: Potentials,
    here: Workspace,
    labels: Labels,
    limit: IntArray,
    steps: int,
) -> int:
    """Expand labels in order of their bounds; say how it ended.

    `limit` holds the cost that a schedule must stay below, and gets that of each better one.
    """
    for _ in range(steps):
        while labels.size[HEAP] > 0 and not labels.waits[labels.heap[0]]:
            pop(labels)
        if labels.size[HEAP] == 0 or labels.bound[labels.heap[0]] >= limit[0]:
            return EXHAUSTED
        label = pop(labels)
        labels.waits[label] = False
        if not expand_one(problem, tables, here, labels, limit, label):
            push(labels, label)
            return FULL
        labels.size[EXPANSIONS] += 1
    return PAUSED


@njit(cache=True, nogil=True)
def expand_some(
    problem: Problem,
    tables: Potentials,
    here: Workspace,
    labels: Labels,
    limit: IntArray,
    chosen: IntArray,
) -> int:
    """Expand chosen labels that wait and count, in this order; return how many are dealt with."""
    for at in range(chosen.size):
        label = chosen[at]
        if not labels.waits[label] or labels.bound[label] >= limit[0]:
            continue
        if not expand_one(problem, tables, here, labels, limit, label):
            return at
        labels.waits[label] = False
        labels.size[EXPANSIONS] += 1
    return int(chosen.size)


@njit(cache=True, nogil=True)
def expand_one(
    problem: Problem,
    tables: Potentials,
    here: Workspace,
    labels: Labels,
    limit: IntArray,
    label: int,
) -> bool:
    """Add all batches after a label: now, and at each arrival to come. False: no room is left."""
    n = problem.prompt.size
    here.before[:] = labels.state[label]
    time = labels.time[label]
    if not _all_batches(problem, tables, here, labels, limit, label, time, False):
        return False
    last = time
    while True:
        begin = NEVER
        for i in range(n):
            if last < problem.arrival[i] < begin and here.before[i] == 0:
                begin = problem.arrival[i]
        if begin == NEVER:
            return True
        if not _all_batches(problem, tables, here, labels, limit, label, begin, True):
            return False
        last = begin


@njit(cache=True)
def _all_batches(
    problem: Problem,
    tables: Potentials,
    here: Workspace,
    labels: Labels,
    limit: IntArray,
    label: int,
    begin: int,
    waited: bool,
) -> bool:
    """Add all batches that begin at a time after a label."""
    n = problem.prompt.size
    if waited:
        cost = labels.cost[label]
        if least_cost(problem, tables, here.before, begin, cost, here.space) >= limit[0]:
            return True
    _list_all(problem, here, begin)
    i = 0
    here.at[0] = -1
    while i >= 0:
        here.at[i] += 1
        if here.at[i] == here.available[i]:
            i -= 1
            continue
        if not _try_option(problem, here, i, begin):
            continue
        if i + 1 < n:
            i += 1
            here.at[i] = -1
            continue
        if labels.size[LABELS] + 1 >= labels.time.size:
            return False
        _add_batch(problem, tables, here, labels, limit, label, begin, waited)
    return True


@njit(cache=True)
def _list_all(problem: Problem, here: Workspace, begin: int) -> None:
    """List what each request may do in a batch that begins at a time, and what that adds at most.

    `since` is the least time since the arrival of a member that the batch begins.
    """
    n = problem.prompt.size
    since, unread, jobs, most_kept = NEVER, 0, 0, 0
    to_come, all_begun, rest_blocks, rest = False, True, 0, 0
    for i in range(n):
        state = here.before[i]
        g = tokens_of(state)
        if g == problem.output[i]:
            continue
        rest += 1
        peak = problem.prompt[i] + problem.output[i] - 1
        rest_blocks += (peak + problem.block - 1) // problem.block
        if state == 0:
            all_begun = False
            if problem.arrival[i] > begin:
                to_come = True
                continue
            since = min(since, begin - problem.arrival[i])
        if flags_of(state) & READY:
            jobs += 1
            most_kept = max(most_kept, problem.prompt[i] + g - 1)
        else:
            unread += problem.prompt[i] + g - cache_of(state)
    needless = all_begun and rest_blocks <= problem.blocks and rest <= problem.seats
    drops = problem.drops and not (problem.jobs_cheapest and needless)
    if drops and problem.block > 1:
        most_kept *= n
    fills = unread + jobs + most_kept * drops > problem.tokens
    parts = problem.chunked and (not problem.moves or to_come or (problem.scarce and fills))
    for i in range(n):
        _list_options(problem, here, i, begin, parts, drops)
        here.least[i] = _least_beside(problem, here.before[i], i, since)
    here.most[n] = 0
    for i in range(n - 1, -1, -1):
        most = 0
        for at in range(here.available[i]):
            option = here.options[i, at]
            amount = 1 if option == TOKEN else 0
            if option >= DROP_AND_CHUNKS:
                amount = option - DROP_AND_CHUNKS
            elif option >= CHUNKS:
                amount = option - CHUNKS
            most = max(most, amount)
        here.most[i] = here.most[i + 1] + most


@njit(cache=True)
def _least_beside(problem: Problem, state: int, i: int, since: int) -> int:
    """Tokens that a batch must have for a request that holds a cache to rest in it (`rules`)."""
    flags, law = flags_of(state), problem.law
    if cache_of(state) == 0 or not problem.moves or flags & HELD_UP:
        return 0
    if law.token > law.prompt or (flags & READY and not flags & (CHUNK | JOB)):
        return 0
    amount, work = 1, law.per_prompt_token
    if flags & JOB:
        work = law.per_token_job + law.per_kv_token * (problem.prompt[i] + tokens_of(state) - 1)
    elif flags & READY and not problem.chunked:
        amount, work = cache_of(state), law.per_prompt_token * cache_of(state)
    return 0 if since < work // law.divisor else problem.tokens - amount + 1


@njit(cache=True)
def _list_options(
    problem: Problem, here: Workspace, i: int, begin: int, parts: bool, drops: bool
) -> None:
    """List what request i may do in a batch that begins at a time."""
    state = here.before[i]
    g, cache, flags = tokens_of(state), cache_of(state), flags_of(state)
    options = here.options[i]
    options[0] = REST
    count = 1
    if g == problem.output[i] or (state == 0 and problem.arrival[i] > begin):
        here.available[i] = count
        return
    whole = problem.prompt[i] + g
    if not flags & READY:
        least = 1 if parts else whole - cache
        for p in range(least, min(problem.tokens, whole - cache) + 1):
            options[count] = CHUNKS + p
            count += 1
        here.available[i] = count
        return
    options[count] = TOKEN
    count += 1
    if drops and not flags & SKIPPED:
        options[count] = DROP
        count += 1
        # with the drop rule the last chunk waits for a batch that needs what is freed
        most = whole - 1 if problem.jobs_cheapest else whole
        for p in range(1 if parts else whole, min(problem.tokens, most) + 1):
            options[count] = DROP_AND_CHUNKS + p
            count += 1
    here.available[i] = count


@njit(cache=True)
def _try_option(problem: Problem, here: Workspace, i: int, begin: int) -> bool:
    """Add a request's option to the sums; False if a limit is exceeded already."""
    option = here.options[i, here.at[i]]
    state = here.before[i]
    cache = cache_of(state)
    p, d, kv, blocks, seats, parts, least = here.sums[i]
    if option == TOKEN:
        d += 1
        kv += problem.prompt[i] + tokens_of(state)
        cache += 1
    elif option >= CHUNKS:
        twin = problem.twin[i]
        if state == 0 and twin >= 0 and _comes_first(problem, here, twin, i, begin):
            return False
        if option >= DROP_AND_CHUNKS:
            option, cache = option - DROP_AND_CHUNKS, 0
        elif cache > 0:
            option -= CHUNKS
            least = max(least, here.least[i])
        else:
            option -= CHUNKS
        p += option
        cache += option
        parts += cache < problem.prompt[i] + tokens_of(state)
    elif option == DROP:
        cache = 0
    else:
        least = max(least, here.least[i])
    blocks += (cache + problem.block - 1) // problem.block
    seats += cache > 0
    if p + d > problem.tokens or blocks > problem.blocks or seats > problem.seats:
        return False
    if (parts > 1 and problem.block == 1) or p + d + here.most[i + 1] < least:
        return False
    sums = here.sums[i + 1]
    sums[0], sums[1], sums[2], sums[3], sums[4] = p, d, kv, blocks, seats
    sums[5], sums[6] = parts, least
    return True


@njit(cache=True)
def _comes_first(problem: Problem, here: Workspace, twin: int, i: int, begin: int) -> bool:
    """Whether the twin before i is to be begun first, and rests."""
    rests: bool = (
        here.before[twin] == 0
        and problem.arrival[twin] <= begin
        and problem.arrival[i] <= begin
        and here.options[twin, here.at[twin]] == REST
    )
    return rests


@njit(cache=True)
def _add_batch(
    problem: Problem,
    tables: Potentials,
    here: Workspace,
    labels: Labels,
    limit: IntArray,
    label: int,
    begin: int,
    waited: bool,
) -> None:
    """Add the label after the batch of the options tried, unless a rule leaves it out."""
    n, law = problem.prompt.size, problem.law
    p, d, kv, blocks, seats, parts, _ = here.sums[n]
    if p + d == 0:
        return
    arrival, drops = -NEVER, 0
    for i in range(n):
        option = here.options[i, here.at[i]]
        if here.before[i] == 0 and option >= CHUNKS:
            arrival = max(arrival, problem.arrival[i])
        if option == DROP or option >= DROP_AND_CHUNKS:
            drops |= 1 << i
    if waited and arrival != begin:
        return
    work = law.token if d > 0 else law.prompt
    work += law.per_prompt_token * p + law.per_token_job * d + law.per_kv_token * kv
    end = begin - (-work // law.divisor)
    free = (problem.blocks - blocks, problem.seats - seats)
    cost = labels.cost[label]
    complete = True
    for i in range(n):
        after = state_after(problem, here, i, begin - arrival, free)
        if after < 0:
            return
        if tokens_of(after) < problem.output[i]:
            complete = False
        elif after != here.before[i]:
            cost += problem.weight[i] * end
        here.after[i] = after
    if problem.makespan:
        cost = end if complete else 0
    bound = cost
    if not complete:
        soon = next_begin(problem, here.after, end) if parts and problem.moves else end
        if soon == NEVER:
            return
        bound = least_cost(problem, tables, here.after, soon, cost, here.space)
    if bound >= limit[0]:
        return
    new = _keep(problem, labels, here.after, end, cost)
    if new < 0:
        return
    labels.bound[new] = bound
    labels.parent[new] = label
    labels.drops[new] = drops
    if complete:
        limit[0] = cost
        labels.size[BEST] = new
    else:
        push(labels, new)


@njit(cache=True)
def _keep(problem: Problem, labels: Labels, state: IntArray, end: int, cost: int) -> int:
    """Make a label, unless another of its state is as good; drop those that it is as good as.

    As good is one that is no later and costs no more; better is one that is later, but costs less
    by more than all that is not complete can lose by the delay.
    """
    rest = 0
    for i in range(state.size):
        if tokens_of(state[i]) < problem.output[i]:
            rest += problem.weight[i]
    slot = slot_of(labels, state)
    other = labels.table[slot]
    while other >= 0:
        t, c = labels.time[other], labels.cost[other]
        if t <= end and c <= cost:
            return -1
        if not problem.makespan and t > end and c + rest * (t - end) < cost:
            return -1
        other = labels.following[other]
    other = labels.table[slot]
    while other >= 0:
        t, c = labels.time[other], labels.cost[other]
        worse = end <= t and cost <= c
        if not problem.makespan and end > t and cost + rest * (end - t) < c:
            worse = True
        if worse:
            labels.waits[other] = False
        other = labels.following[other]
    new: int = labels.size[LABELS]
    labels.size[LABELS] += 1
    labels.state[new] = state
    labels.time[new] = end
    labels.cost[new] = cost
    labels.following[new] = labels.table[slot]
    labels.table[slot] = new
    return new
