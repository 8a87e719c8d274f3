r"""What may follow a state: batches and idle times that some optimal schedule has.

**States.** A schedule is left-shifted: a batch starts when the last one ends, or at the arrival of
one of its prompts. So from a state at time t follow: a token batch at t, a prompt batch at t, or
waiting until the next arrival. A state must be *safe*: those that hold KV can be finished one
after another, by increasing tokens to go (else they can never all be finished).

**Rules** for the unit and the constant law, where batches take the same time whatever they hold:

(a) *Barred requests.* If a batch leaves out a request that has arrived and for which there is room
(a place, and prompt tokens), or the GPU idles long enough for a batch of it alone, then it is
*barred*: its next job comes only after the end of a batch, this one or a later one, at which its x
more KV tokens (x = 1 for a token job, ``s + 1`` for a prompt job) would not have fitted.

(b) *Order of token jobs.* Let the running requests be in order of (tokens to go, KV falling,
number). If a token batch serves j but not i, who comes before j, and j's peak is no larger, ``s_j +
o_j ≤ s_i + o_i``, then i is *tied* to j from there on: every batch that serves i serves j. So j
must have at least as many tokens to go as i after it.

*Proof.* Take the cheapest schedules, of these the ones with the least sum of the starts of all
jobs, and of these the one whose first token batch serves the first requests in that order
(compared as sorted lists), then whose second one does, and so on.
If it violates (a), i's next job could have been moved to the batch, or to a batch of its own in the
idle time: at batch ends from there to where the job was, KV is larger by x, which fits; from there
on nothing changes, or a batch that has become empty is left out. No completion is later, and the
sum of starts is smaller. (If it is not i's last job, its other jobs stay where they are, in order.)
If it violates (b), let U be the batches from there on that serve exactly one of i and j, the first
one j, and C those that serve both; ``|C| < r_i``. Give i the first ``r_i − |C|`` of U and j the
others. The later one completes no later than before; the first one to complete had all of C and at
least ``r_i − |C|`` of U by then, since ``r_i ≤ r_j``: i is complete by then now. Until i is
complete the two hold together what they held; then, until the first one completed before, less.
After that one is left, as before. If it was j before, nothing changes. If it was i, with as many
tokens to go as j has now, it held ``s_i + o_i`` less these, and j holds no more. The sum of starts
stays; the batch serves i instead of j, which comes first in the order, and those before it are the
same. Each contradicts the choice. ∎

Two requests with as many tokens to go and as much KV are alike: exchanging all their jobs to come
changes nothing but the lists, so of them the first by number is served first.

Names of equal requests may be exchanged on the way (`states`): which of two equal states is
followed changes nothing. (So two equal requests with equal tokens are told apart where somebody is
tied.) Under the affine law there are no rules.

**Dominance** is said in `labels`. Let the label of the chosen schedule be dominated. What follows
it there may follow the other label too, at no larger cost: at the same time everything stays, and
earlier, after the last arrival, everything is shifted. It is left-shifted still, leaves out the
same requests, and whoever the other label bars was barred here and became free in what follows. So
the search goes on from the other label along a schedule as cheap as the chosen one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ..bounds.walk_costs import SCALE
from ..compiled_instance import Machine, prompt_time, token_time
from .labels import (
    AT_LEVEL,
    DOMINATED,
    EXPANDED,
    EXPANSIONS,
    LABELS,
    LEVEL,
    OPEN,
    Labels,
    add_label,
    is_dominated,
    pop,
    push,
)
from .lookahead import (
    Lookahead,
    Rest,
    bound_alone,
    bound_by_profiles,
    count_prompt,
    count_rest,
    count_token,
)
from .states import Packing, name_in_order, pack, pack_ties, unpack, unpack_ties
from .walk_lookahead import Plan, look_ahead

#: Why `expand` came back.
EXHAUSTED, PAUSED, FULL = 0, 1, 2

#: Positions in `Here.counts`.
TOP, LEFT, WAITING_PRICE = range(5, 8)

#: A walk's bound that says nothing.
UNKNOWN = -(2**60)

#: A time that never comes.
NEVER = 2**62


class Search(NamedTuple):
    """What the compiled search works with.

    Attributes
    ----------
    machine : Machine
        The machine, requests sorted.
    packing : Packing
        How states are packed.
    lookahead : Lookahead
        What bounds the cost to go.
    has_rules : bool
        Whether batch times do not depend on what batches hold, so that the rules hold.
    last_arrival : int
        When the last request arrives.
    window : int
        How far the bounds of what is added at once may be above that of the label it follows; the
        label stays open for the rest.
    """

    machine: Machine
    packing: Packing
    lookahead: Lookahead
    has_rules: bool
    last_arrival: int
    window: int


class Here(NamedTuple):
    """The label that is being expanded, and room for one that follows it.

    Attributes
    ----------
    g, next_g : ndarray of int64, shape (n,)
        Tokens of each request, here and after.
    barred, next_barred : ndarray of bool, shape (n,)
        Who is barred.
    tied, next_tied : ndarray of uint64, shape (n,)
        Whom each request is tied to, as bits; shape (0,) where ties are not kept.
    behind, equal, bound_to : ndarray of int64, shape (n,)
        Of each running request, by positions in `running` as bits: who must not overtake it without
        tying it, who must not at all, and whom it is tied to.
    running, waiting : ndarray of int64, shape (n,)
        The running requests in order of (tokens to go, KV falling, number); those that have
        arrived and wait.
    picked : ndarray of int64, shape (n,)
        Positions in `waiting` of the prompts of a batch.
    state, bars : ndarray of uint64
        Packed.
    counts : ndarray of int64, shape (8,)
        Running, waiting, KV tokens held, the next arrival, Σ peaks of the incomplete; `TOP`, the
        bound from which on what follows is left for later, and `LEFT`, the least bound of that;
        `WAITING_PRICE`, Σ of the walk's prices over those whose prompt is not done.
    order : ndarray of int64, shape (n,)
        Working space.
    rest : Rest
        What the costs to go of the label depend on, changed and changed back.
    plan : Plan
        What the jobs of a batch add to the walk's bound.
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
    order: IntArray
    rest: Rest
    plan: Plan
    most: int


@njit(cache=True, nogil=True)
def expand(
    search: Search,
    here: Here,
    labels: Labels,
    limit: IntArray,
    width: int,
    expansions: int,
) -> int:
    """Expand labels in order of their bounds, or level by level; say why it came back.

    Parameters
    ----------
    search : Search
        What is searched.
    here : Here
        Working space.
    labels : Labels
        The labels; the first one has been added.
    limit : ndarray of int64, shape (2,)
        Labels whose bound reaches ``limit[0]`` are dropped. A complete schedule below it lowers it,
        and its label is put into ``limit[1]``.
    width : int
        0 to expand labels in order of their bounds. Else labels are expanded in order of time, of
        each time only so many: the search is not exhaustive then.
    expansions : int
        Labels to expand at most.

    Returns
    -------
    int
        `EXHAUSTED` if no label below the limit is open, `FULL` if there is no room for more, or
        `PAUSED`.
    """
    for _ in range(expansions):
        if labels.size[LABELS] == labels.time.size:
            return FULL
        label = _next_label(labels, limit, width)
        if label < 0:
            return EXHAUSTED
        labels.kind[label] = EXPANDED
        labels.size[EXPANSIONS] += 1
        here.counts[TOP] = min(limit[0], labels.bound[label] + search.window)
        here.counts[LEFT] = NEVER
        _look_around(search, here, labels, label)
        bound = _bound_here(search, here, labels, label)
        if bound > labels.bound[label] and width == 0:
            labels.bound[label], labels.kind[label] = bound, OPEN
            push(labels, label)
            continue
        _token_batches(search, here, labels, limit, label)
        _prompt_batches(search, here, labels, limit, label)
        _idle(search, here, labels, limit, label)
        if here.counts[LEFT] < limit[0]:
            labels.bound[label], labels.kind[label] = here.counts[LEFT], OPEN
            push(labels, label)
    return PAUSED


@njit(cache=True, nogil=True)
def _next_label(labels: Labels, limit: IntArray, width: int) -> int:
    """Return the next label to expand, or −1; those that are too late for their level are lost."""
    while True:
        label = pop(labels)
        if label < 0:
            return -1
        if labels.kind[label] == DOMINATED:
            continue
        if width == 0:
            return label if labels.bound[label] < limit[0] else -1
        if labels.bound[label] >= limit[0]:
            continue
        if labels.time[label] > labels.size[LEVEL]:
            labels.size[LEVEL], labels.size[AT_LEVEL] = labels.time[label], 0
        labels.size[AT_LEVEL] += 1
        if labels.size[AT_LEVEL] <= width:
            return label


@njit(cache=True, nogil=True)
def _look_around(search: Search, here: Here, labels: Labels, label: int) -> None:
    """Unpack a label: who runs, in order, who waits, what is held, when somebody arrives."""
    machine, g = search.machine, here.g
    unpack(search.packing, labels.state[label], labels.bars[label], g, here.barred)
    running = waiting = held = peaks = 0
    next_arrival = NEVER
    for i in range(g.size):
        if g[i] < machine.output[i]:
            peaks += machine.prompt[i] + machine.output[i]
        if g[i] == 0:
            if machine.arrival[i] <= labels.time[label]:
                here.waiting[waiting] = i
                waiting += 1
            else:
                next_arrival = min(next_arrival, machine.arrival[i])
        elif g[i] < machine.output[i]:
            held += machine.prompt[i] + g[i]
            k = running
            while k > 0 and _goes_first(machine, g, i, here.running[k - 1]):
                here.running[k] = here.running[k - 1]
                k -= 1
            here.running[k] = i
            running += 1
    count_rest(machine, search.lookahead, here.rest, g)
    unpack_ties(machine, g, labels.ties[label], here.tied, here.order)
    here.counts[0], here.counts[1], here.counts[2] = running, waiting, held
    here.counts[3], here.counts[4] = next_arrival, peaks


@njit(cache=True, nogil=True)
def _goes_first(machine: Machine, g: IntArray, i: int, j: int) -> bool:
    """Whether i is before j in the order of (tokens to go, KV falling)."""
    r_i, r_j = machine.output[i] - g[i], machine.output[j] - g[j]
    if r_i != r_j:
        return bool(r_i < r_j)
    return bool(machine.prompt[i] + g[i] > machine.prompt[j] + g[j])


@njit(cache=True, nogil=True)
def _begin(here: Here) -> None:
    here.next_g[:] = here.g
    here.next_barred[:] = here.barred
    here.next_tied[:] = here.tied


@njit(cache=True, nogil=True)
def _bound_here(search: Search, here: Here, labels: Labels, label: int) -> int:
    """Lower bound on Σ completions from the label on, by the tables that there are now."""
    walk, time, waiting = search.lookahead.walk, labels.time[label], 0
    for i in range(here.g.size if walk.kv.size else 0):
        if here.g[i] == 0:
            waiting += walk.prompt[i]
    here.counts[WAITING_PRICE] = waiting
    return _bound_unchanged(search, here, labels, label, time)


@njit(cache=True, nogil=True)
def _bound_unchanged(search: Search, here: Here, labels: Labels, label: int, time: int) -> int:
    """Lower bound on Σ completions if nothing is done until a time; 0 where no table reaches."""
    walk, rest, bound = search.lookahead.walk, here.rest, 0
    common = _in_common(search, here, labels, label, time)
    if common > UNKNOWN:
        cost = common + walk.value[time - walk.first, rest.counts[0], rest.counts[1]]
        bound = -(-cost // SCALE)
    if search.lookahead.has_tables:
        cost = labels.cost[label]
        by_profiles = bound_by_profiles(search.machine, search.lookahead, rest, time, cost)
        bound = max(bound, by_profiles)
    return int(bound)


@njit(cache=True, nogil=True)
def _in_common(search: Search, here: Here, labels: Labels, label: int, end: int) -> int:
    """What the walk's bound on Σ completions at a time is made of, whatever a batch does till then.

    In units of 1/`SCALE`, without the cost to go; `UNKNOWN` where no table reaches.
    """
    walk = search.lookahead.walk
    at = end - walk.first
    if at >= walk.kv.size:
        return UNKNOWN
    cost = (labels.cost[label] + here.rest.counts[1] * end + here.rest.sums[0]) * SCALE
    cost += here.counts[WAITING_PRICE] - (search.machine.M - here.counts[2]) * walk.kv[at]
    for k in range(here.counts[0]):
        i = here.running[k]
        cost -= walk.running[walk.stage[i, here.g[i]], at]
    return int(cost)


@njit(cache=True, nogil=True)
def _is_left(counts: IntArray, cost: int) -> bool:
    """Whether the walk's bound, in units of 1/`SCALE`, leaves something for a later expansion."""
    if cost <= (counts[TOP] - 1) * SCALE:
        return False
    counts[LEFT] = min(counts[LEFT], -(-cost // SCALE))
    return True


@njit(cache=True, nogil=True)
def _plan_tokens(search: Search, here: Here, common: int, end: int) -> int:
    """Prepare the bounds of token batches; return how many requests would complete in one."""
    machine, walk, plan = search.machine, search.lookahead.walk, here.plan
    at, m, ending = end - walk.first, here.counts[0], 0
    plan.gain[:m] = 0
    plan.value[:] = 0
    for k in range(m):
        i, g = here.running[k], here.g[here.running[k]]
        ending += g + 1 == machine.output[i]
        if common == UNKNOWN:
            continue
        plan.gain[k] = walk.running[walk.stage[i, g], at]
        if g + 1 < machine.output[i]:
            plan.gain[k] += walk.kv[at] - walk.running[walk.stage[i, g + 1], at]
        else:
            plan.gain[k] -= (machine.prompt[i] + g) * walk.kv[at]
    most = min(m, machine.B_D)
    look_ahead(plan, m, most, False)
    if common > UNKNOWN:
        for c in range(min(ending, most) + 1):
            plan.value[c] = walk.value[at, here.rest.counts[0], m - c]
    return ending


@njit(cache=True, nogil=True)
def _token_batches(search: Search, here: Here, labels: Labels, limit: IntArray, label: int) -> None:
    """Token batches of all sets of running requests that the rules allow, depth first."""
    machine, plan, picked = search.machine, here.plan, here.picked
    m, barred = here.counts[0], _compare_running(search, here)
    end = labels.time[label] + token_time(machine.law, 1, 0)
    common = _in_common(search, here, labels, label, end)
    ending = _plan_tokens(search, here, common, end)
    most = min(m, machine.B_D)
    cheapest = plan.value[: min(ending, most) + 1].min()
    size, at, members, kv, total, complete = 0, 0, 0, 0, common, 0
    while True:
        to_go = cheapest if at < ending else plan.value[complete]
        if at == m or size == most or _is_left(here.counts, total + plan.least[at, size] + to_go):
            if size == 0:
                return
            size -= 1
            at = picked[size]
            i = here.running[at]
            members ^= 1 << at
            kv -= machine.prompt[i] + here.g[i]
            total -= plan.gain[at]
            complete -= at < ending
            at += 1
            continue
        i = here.running[at]
        if (
            barred >> at & 1
            or here.counts[2] + size + 1 > machine.M
            or (search.has_rules and here.equal[at] & ~members)
        ):
            at += 1
            continue
        picked[size] = at
        size += 1
        members |= 1 << at
        kv += machine.prompt[i] + here.g[i]
        total += plan.gain[at]
        complete += at < ending
        cost = total + plan.value[complete]
        if not _is_left(here.counts, cost):
            _token_batch(search, here, labels, limit, label, members, size, kv, -(-cost // SCALE))
        at += 1


@njit(cache=True, nogil=True)
def _token_batch(
    search: Search,
    here: Here,
    labels: Labels,
    limit: IntArray,
    label: int,
    members: int,
    size: int,
    kv: int,
    bound: int,
) -> None:
    machine = search.machine
    if search.has_rules and not _ties_are_kept(here, members):
        return
    end = labels.time[label] + token_time(machine.law, size, kv)
    bound = max(bound, _bound_of_tokens(search, here, labels, label, members, end))
    if bound >= limit[0]:
        return
    _begin(here)
    for k in range(here.counts[0]):
        i = here.running[k]
        if members >> k & 1:
            here.next_g[i] += 1
        elif search.has_rules and size < machine.B_D:
            here.next_barred[i] = True
    if search.has_rules and not _tie(search, here, members):
        return
    _offer(search, here, labels, limit, label, end, here.counts[2] + size, bound)


@njit(cache=True, nogil=True)
def _bound_of_tokens(
    search: Search, here: Here, labels: Labels, label: int, members: int, end: int
) -> int:
    """Lower bound on Σ completions after a token batch; 0 without tables."""
    if not search.lookahead.has_tables:
        return 0
    machine, cost = search.machine, labels.cost[label]
    for k in range(here.counts[0]):
        if members >> k & 1:
            to_go = machine.output[here.running[k]] - here.g[here.running[k]]
            count_token(here.rest, to_go, 1)
            if to_go == 1:
                cost += end
    bound = bound_by_profiles(machine, search.lookahead, here.rest, end, cost)
    for k in range(here.counts[0]):
        if members >> k & 1:
            to_go = machine.output[here.running[k]] - here.g[here.running[k]]
            count_token(here.rest, to_go, -1)
    return bound


@njit(cache=True, nogil=True)
def _compare_running(search: Search, here: Here) -> int:
    """Fill `behind`, `equal` and `bound_to`; return who is barred, as bits."""
    machine = search.machine
    m, barred = here.counts[0], 0
    here.equal[:m] = 0
    nobody_tied = True
    for k in range(m):
        i = here.running[k]
        if here.barred[i]:
            barred |= 1 << k
        here.behind[k] = here.bound_to[k] = 0
        if here.tied.size and here.tied[i] != np.uint64(0):
            nobody_tied = False
            for other in range(m):
                if here.tied[i] >> np.uint64(here.running[other]) & np.uint64(1):
                    here.bound_to[k] |= 1 << other
    for k in range(m):
        i = here.running[k]
        peak, to_go = machine.prompt[i] + machine.output[i], machine.output[i] - here.g[i]
        for other in range(k + 1, m):
            j = here.running[other]
            if machine.prompt[j] + machine.output[j] > peak:
                continue
            if machine.output[j] - here.g[j] > to_go:
                here.behind[k] |= 1 << other
            elif machine.prompt[j] + machine.output[j] < peak or (
                not here.barred[i] and (nobody_tied or machine.output[i] != machine.output[j])
            ):
                here.equal[other] |= 1 << k
    return barred


@njit(cache=True, nogil=True)
def _ties_are_kept(here: Here, members: int) -> bool:
    """Whether all are served whom members are tied to."""
    for k in range(here.counts[0]):
        if members >> k & 1 and here.bound_to[k] & ~members:
            return False
    return True


@njit(cache=True, nogil=True)
def _tie(search: Search, here: Here, members: int) -> bool:
    """Tie those who are overtaken; whether all who are tied can still be served with the others."""
    if here.tied.size == 0:
        return True
    machine = search.machine
    for k in range(here.counts[0]):
        i = here.running[k]
        others = here.bound_to[k]
        if not members >> k & 1:
            others |= here.behind[k] & members
        to_go = machine.output[i] - here.next_g[i]
        if others == 0 or to_go == 0:
            here.next_tied[i] = 0
            continue
        size = 1
        for other in range(here.counts[0]):
            if others >> other & 1:
                j = here.running[other]
                size += 1
                if machine.output[j] - here.next_g[j] < to_go:
                    return False
                here.next_tied[i] |= np.uint64(1) << np.uint64(j)
        if size > machine.B_D:
            return False
    return True


@njit(cache=True, nogil=True)
def _plan_prompts(search: Search, here: Here, common: int, end: int) -> None:
    """Prepare the bounds of prompt batches."""
    machine, walk, plan = search.machine, search.lookahead.walk, here.plan
    at, k, waiting = end - walk.first, here.counts[0], here.counts[1]
    most = min(waiting, machine.B_P, here.most)
    plan.gain[:waiting] = 0
    plan.value[:] = 0
    for position in range(waiting if common > UNKNOWN else 0):
        i = here.waiting[position]
        gain = (end - machine.arrival[i]) * SCALE - walk.prompt[i]
        if machine.output[i] > 1:
            gain += (machine.prompt[i] + 1) * walk.kv[at]
            gain -= walk.running[walk.stage[i, 1], at]
        plan.gain[position] = gain
    for j in range(1, most + 1 if common > UNKNOWN else 1):
        value = walk.value[at, here.rest.counts[0] + j]
        plan.value[j] = value[k : k + j + 1].min()
    look_ahead(plan, waiting, most, True)


@njit(cache=True, nogil=True)
def _prompt_batches(
    search: Search, here: Here, labels: Labels, limit: IntArray, label: int
) -> None:
    """Prompt batches of all sets of waiting requests within B_P, C_P and KV, depth first."""
    machine, walk, plan = search.machine, search.lookahead.walk, here.plan
    w, picked = here.counts[1], here.picked
    most = min(w, machine.B_P, here.most)
    end = labels.time[label] + prompt_time(machine.law, 0)
    common = _in_common(search, here, labels, label, end)
    _plan_prompts(search, here, common, end)
    free, done, running = machine.M - here.counts[2], here.rest.counts[0], here.counts[0]
    waiting, barred, counts = here.waiting, here.barred, here.counts
    depth, tokens, at, complete, total = 0, 0, 0, 0, common
    while True:
        if at == w or depth == most or _is_left(counts, total + plan.least[at, depth]):
            if depth == 0:
                return
            depth -= 1
            at = picked[depth]
            i = waiting[at]
            tokens -= machine.prompt[i]
            complete -= machine.output[i] == 1
            total -= plan.gain[at]
            if search.lookahead.has_tables:
                count_prompt(machine, search.lookahead, here.rest, i, -1)
            at += 1
            continue
        i = waiting[at]
        if (
            barred[i]
            or tokens + machine.prompt[i] > machine.C_P
            or tokens + machine.prompt[i] + depth + 1 > free
            or _has_equal_before(machine, here, depth, at)
        ):
            at += 1
            continue
        picked[depth] = at
        depth += 1
        tokens += machine.prompt[i]
        complete += machine.output[i] == 1
        total += plan.gain[at]
        if search.lookahead.has_tables:
            count_prompt(machine, search.lookahead, here.rest, i, 1)
        cost = total
        if common > UNKNOWN:
            after = running + depth - complete
            cost += walk.value[end - walk.first, done + depth, after]
        if not _is_left(counts, cost):
            bound, over = -(-cost // SCALE), labels.time[label] + prompt_time(machine.law, tokens)
            if search.lookahead.has_tables:
                completions = labels.cost[label] + complete * over
                by_profiles = bound_by_profiles(
                    machine, search.lookahead, here.rest, over, completions
                )
                bound = max(bound, by_profiles)
            if bound < limit[0]:
                _prompt_batch(search, here, labels, limit, label, depth, tokens, over, bound)
        at += 1


@njit(cache=True, nogil=True)
def _has_equal_before(machine: Machine, here: Here, depth: int, at: int) -> bool:
    """Whether an equal request that waits, is not barred and comes before has not been picked."""
    if at == 0 or (depth > 0 and here.picked[depth - 1] == at - 1):
        return False
    i, j = here.waiting[at], here.waiting[at - 1]
    return (
        machine.prompt[i] == machine.prompt[j]
        and machine.output[i] == machine.output[j]
        and not here.barred[j]
    )


@njit(cache=True, nogil=True)
def _prompt_batch(
    search: Search,
    here: Here,
    labels: Labels,
    limit: IntArray,
    label: int,
    size: int,
    tokens: int,
    end: int,
    bound: int,
) -> None:
    machine = search.machine
    _begin(here)
    for k in range(size):
        here.next_g[here.waiting[here.picked[k]]] = 1
    if search.has_rules and size < machine.B_P:
        for k in range(here.counts[1]):
            i = here.waiting[k]
            if here.next_g[i] == 0 and tokens + machine.prompt[i] <= machine.C_P:
                here.next_barred[i] = True
    _offer(search, here, labels, limit, label, end, here.counts[2] + tokens + size, bound)


@njit(cache=True, nogil=True)
def _idle(search: Search, here: Here, labels: Labels, limit: IntArray, label: int) -> None:
    """Wait until the next arrival."""
    end = here.counts[3]
    if end == NEVER:
        return
    machine = search.machine
    _begin(here)
    gap = end - labels.time[label]
    if search.has_rules:
        for k in range(here.counts[0]):
            if gap >= machine.law.token:
                here.next_barred[here.running[k]] = True
        for k in range(here.counts[1]):
            if gap >= machine.law.prompt:
                here.next_barred[here.waiting[k]] = True
    bound = _bound_unchanged(search, here, labels, label, end)
    _offer(search, here, labels, limit, label, end, here.counts[2], bound)


@njit(cache=True, nogil=True)
def _offer(
    search: Search,
    here: Here,
    labels: Labels,
    limit: IntArray,
    label: int,
    end: int,
    held: int,
    bound: int,
) -> None:
    """Add what follows a label, unless it is unsafe, useless, dominated or too expensive.

    `held` is the KV at the end of the batch, before the complete ones free theirs, `bound` the
    lower bound on Σ completions by costs to go.
    """
    machine, g = search.machine, here.next_g
    if labels.size[LABELS] == labels.time.size:  # the label is expanded again when there is room
        here.counts[LEFT] = min(labels.bound[label], limit[0] - 1)
        return
    cost, complete = labels.cost[label], True
    for i in range(g.size):
        if g[i] == machine.output[i]:
            if here.g[i] < g[i]:
                cost += end
            here.next_barred[i] = False
        else:
            complete = False
            more = machine.prompt[i] + 1 if g[i] == 0 else 1
            if held + more > machine.M:
                here.next_barred[i] = False
            elif here.next_barred[i] and not _may_be_freed(search, here, i, more):
                return
    if complete:
        if cost < limit[0]:
            limit[0], limit[1] = cost, labels.size[LABELS]
            pack(search.packing, g, here.next_barred, here.state, here.bars)
            nothing = np.uint64(0)
            add_label(labels, here.state, here.bars, nothing, end, cost, cost, label)
        return
    if not search.lookahead.has_tables:
        bound = max(bound, cost + bound_alone(machine, search.lookahead, g, end))
    bound = max(labels.bound[label], bound)
    if bound >= min(limit[0], here.counts[TOP]):
        here.counts[LEFT] = min(here.counts[LEFT], bound)
        return
    if not _is_safe(search, here):
        return
    name_in_order(search.packing, g, here.next_barred, here.next_tied)
    pack(search.packing, g, here.next_barred, here.state, here.bars)
    ties = pack_ties(machine, g, here.next_tied, here.order)
    if not is_dominated(labels, here.state, here.bars, ties, end, cost, search.last_arrival):
        add_label(labels, here.state, here.bars, ties, end, cost, bound, label)


@njit(cache=True, nogil=True)
def _may_be_freed(search: Search, here: Here, i: int, more: int) -> bool:
    """Whether the KV of all the others can ever be so large that i's next job would not fit."""
    machine, g = search.machine, here.next_g
    now = 0 if g[i] == 0 else machine.prompt[i] + g[i]
    peaks = here.counts[4] - machine.prompt[i] - machine.output[i]
    return bool(peaks + now + more > machine.M)


@njit(cache=True, nogil=True)
def _is_safe(search: Search, here: Here) -> bool:
    """Whether all that hold KV can finish, one after another by tokens to go."""
    machine, g, order = search.machine, here.next_g, here.order
    m = held = 0
    for i in range(g.size):
        if 0 < g[i] < machine.output[i]:
            held += machine.prompt[i] + g[i]
            k = m
            while (
                k > 0 and machine.output[order[k - 1]] - g[order[k - 1]] > machine.output[i] - g[i]
            ):
                order[k] = order[k - 1]
                k -= 1
            order[k] = i
            m += 1
    for k in range(m):
        i = order[k]
        if held + machine.output[i] - g[i] > machine.M:
            return False
        held -= machine.prompt[i] + g[i]
    return True
