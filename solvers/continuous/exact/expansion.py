"""Expansion of the exhaustive search: all batches that may follow a state.

Each batch begins when the last one ends, or waits for an arrival and holds a request that arrives
then. In it a request rests, gets a token job, reads a chunk, has its cache dropped, or has it
dropped and reads a chunk (`options`). Which of these batches are left out, and why, is for `rules`.
"""

from __future__ import annotations

from numba import njit

from ....models.instance import IntArray
from .bound import least_cost
from .labels import BEST, EXPANSIONS, HEAP, LABELS, Labels, pop, push, slot_of
from .options import list_options, next_batch
from .potentials import Potentials
from .rules import next_begin, state_after
from .states import tokens_of
from .workspace import (
    AREA,
    ARRIVAL,
    ARRIVED,
    AT,
    BLOCKS,
    BLOCKS_LIMIT,
    CODE,
    DIVISOR,
    DROPPED,
    KV,
    MAKESPAN,
    MOVES,
    NEVER,
    OUTPUT,
    PARTS,
    PER_JOB,
    PER_KV,
    PER_PROMPT,
    PROMPT,
    PROMPT_BATCH,
    SEATS,
    SEATS_LIMIT,
    TOKEN_BATCH,
    TURN,
    WEIGHT,
    D,
    P,
    Workspace,
)

#: How `expand` ends: no label is left that counts, no room is left, it was stopped, or all
#: expansions are done.
EXHAUSTED, FULL, STOPPED, PAUSED = range(4)

#: Of a label: all batches after it are added, or as of `expand`.
DONE = PAUSED


@njit(cache=True, nogil=True)
def expand(tables: Potentials, here: Workspace, labels: Labels, limit: IntArray, steps: int) -> int:
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
        ended = expand_one(tables, here, labels, limit, label)
        if ended != DONE:
            push(labels, label)
            return ended
        labels.size[EXPANSIONS] += 1
    return PAUSED


@njit(cache=True, nogil=True)
def expand_some(
    tables: Potentials, here: Workspace, labels: Labels, limit: IntArray, chosen: IntArray
) -> int:
    """Expand chosen labels that wait and count, in this order; return how many are dealt with."""
    for at in range(chosen.size):
        label = chosen[at]
        if not labels.waits[label] or labels.bound[label] >= limit[0]:
            continue
        if expand_one(tables, here, labels, limit, label) != DONE:
            return at
        labels.waits[label] = False
        labels.size[EXPANSIONS] += 1
    return int(chosen.size)


@njit(cache=True, nogil=True)
def expand_one(
    tables: Potentials, here: Workspace, labels: Labels, limit: IntArray, label: int
) -> int:
    """Add all batches after a label: now, and at each arrival to come; say how it ended."""
    for i in range(here.before.size):
        here.before[i] = labels.state[label, i]
    _take_turns(here.request, here.rest, here.before)
    begin = labels.time[label]
    while begin < NEVER:
        ended = _all_batches(tables, here, labels, limit, label, begin)
        if ended != DONE:
            return ended
        later = NEVER
        for i in range(here.before.size):
            if begin < here.request[i, ARRIVAL] < later and here.before[i] == 0:
                later = here.request[i, ARRIVAL]
        begin = later
    return DONE


@njit(cache=True)
def _take_turns(request: IntArray, rest: IntArray, state: IntArray) -> None:
    """Order the requests by area, so that the bound finds all its rows nearly in order."""
    for x in range(1, state.size):
        i = request[x, TURN]
        area = rest[AREA, i, tokens_of(state[i])]
        at = x
        while at > 0:
            k = request[at - 1, TURN]
            if rest[AREA, k, tokens_of(state[k])] <= area:
                break
            request[at, TURN] = k
            at -= 1
        request[at, TURN] = i


@njit(cache=True)
def _all_batches(
    tables: Potentials, here: Workspace, labels: Labels, limit: IntArray, label: int, begin: int
) -> int:
    """Add all batches that begin at a time after a label; say how it ended."""
    fact, request, rest, space = here.fact, here.request, here.rest, here.space
    options, sums, before, after = here.options, here.sums, here.before, here.after
    job, read, charge, stop = tables.job, tables.read, tables.charge, here.stop
    paid, waited = labels.cost[label], begin > labels.time[label]
    if waited and limit[0] <= least_cost(
        fact, request, rest, job, read, charge, before, begin, paid, space
    ):
        return DONE
    list_options(fact, request, options, before, begin)
    request[0, AT] = -1
    place, last = 0, before.size - 1
    while next_batch(fact, request, options, sums, before, stop, place):
        place = last
        if stop[0]:
            break
        end, cost, complete = _run(fact, request, options, sums, before, after, begin, waited)
        if end < 0:
            continue
        bound = cost = end * complete if fact[MAKESPAN] else cost + paid
        if not complete:
            soon = end
            if sums[last + 1, PARTS] and fact[MOVES]:
                soon = next_begin(fact, request, after, end)
                if soon == NEVER:
                    continue
            bound = least_cost(fact, request, rest, job, read, charge, after, soon, cost, space)
        if bound >= limit[0]:
            continue
        if labels.size[LABELS] + 1 >= labels.time.size:
            return FULL
        new = _keep(fact, request, labels, after, end, cost)
        if new < 0:
            continue
        labels.bound[new] = bound
        labels.parent[new] = label
        labels.drops[new] = sums[last + 1, DROPPED]
        if complete:
            limit[0] = cost
            labels.size[BEST] = new
        else:
            push(labels, new)
    return STOPPED if stop[0] else DONE


@njit(cache=True)
def _run(
    fact: IntArray,
    request: IntArray,
    options: IntArray,
    sums: IntArray,
    before: IntArray,
    after: IntArray,
    begin: int,
    waited: bool,
) -> tuple[int, int, bool]:
    """Fill in the states after a batch; return its end, its completions' cost, if all are complete.

    The end is −1 if a rule leaves the batch out.
    """
    n = before.size
    p, d, arrived = sums[n, P], sums[n, D], sums[n, ARRIVED]
    if p + d == 0 or (waited and arrived != begin):
        return -1, 0, False
    work = fact[TOKEN_BATCH] if d > 0 else fact[PROMPT_BATCH]
    work += fact[PER_PROMPT] * p + fact[PER_JOB] * d + fact[PER_KV] * sums[n, KV]
    if fact[DIVISOR] > 1:
        work = -(-work // fact[DIVISOR])
    end = begin + work
    free = (fact[BLOCKS_LIMIT] - sums[n, BLOCKS], fact[SEATS_LIMIT] - sums[n, SEATS])
    cost = 0
    complete = True
    for i in range(n):
        state, output = before[i], request[i, OUTPUT]
        whole = request[i, PROMPT] + tokens_of(state)
        option = options[i, request[i, AT], CODE]
        new = state_after(fact, whole, output, state, option, (p, d), begin - arrived, free)
        if new < 0:
            return -1, 0, False
        if tokens_of(new) < output:
            complete = False
        elif new != state:
            cost += request[i, WEIGHT] * end
        after[i] = new
    return end, cost, complete


@njit(cache=True)
def _keep(
    fact: IntArray, request: IntArray, labels: Labels, state: IntArray, end: int, cost: int
) -> int:
    """Make a label, unless another of its state is as good; drop those that it is as good as.

    As good is one that is no later and costs no more; better is one that is later, but costs less
    by more than all that is not complete can lose by the delay.
    """
    rest = 0
    for i in range(state.size):
        if tokens_of(state[i]) < request[i, OUTPUT]:
            rest += request[i, WEIGHT]
    slot = slot_of(labels, state)
    other = labels.table[slot]
    while other >= 0:
        t, c = labels.time[other], labels.cost[other]
        if t <= end and c <= cost:
            return -1
        if not fact[MAKESPAN] and t > end and c + rest * (t - end) < cost:
            return -1
        other = labels.following[other]
    other = labels.table[slot]
    while other >= 0:
        t, c = labels.time[other], labels.cost[other]
        worse = end <= t and cost <= c
        if not fact[MAKESPAN] and end > t and cost + rest * (end - t) < c:
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
