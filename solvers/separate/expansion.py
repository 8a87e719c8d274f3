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

(b) *Order of token jobs.* If a full token batch serves j but not i, who has fewer tokens to go, or
as many and not less KV, then the peak of j is larger: ``s_j + o_j > s_i + o_i``. Of requests that
are alike in both, the first by number goes first.

*Proof.* Take the cheapest schedules, of these the ones with the least sum of the starts of all
jobs, and of these one whose token batches, one after another, serve the first requests in the order
of (tokens to go, KV falling, number), compared as sorted lists.
If (a) is violated, i's next job could have been moved to the batch, or to a batch of its own in the
idle time: at batch ends from there to where the job was, KV is larger by x, which fits; from there
on nothing changes, or a batch that has become empty is left out. No completion is later, and the sum
of starts is smaller. (If it is not i's last job, its other jobs stay where they are, in order.)
If (b) is violated, i comes before j in that order and ``s_j + o_j ≤ s_i + o_i``. Let U be the
batches from there on that serve exactly one of them, C those that serve both. Give i the first
``r_i − |C|`` of U and j the others. The later one completes no later than before, and the first one
to complete had all of C and at least ``r_i − |C|`` of U by then, since ``r_i ≤ r_j``: i is complete
by then now. Until i is complete the two hold together what they held. Then until the first one
completed before, they hold less. After that only one is left, as before: j, with ``s_j + g_j``; if
it was j before, nothing changes, and if it was i, with tokens to go as many as j has now, it held
``s_i + o_i`` less these, and j holds ``s_j + o_j`` less these: no more. The starts' sum does not
grow. The batch serves i instead of j, which comes first in the order, and those before it are the
same. Each contradicts the choice. ∎

Names of equal requests may be exchanged on the way (`states`): which of two equal states is
followed changes nothing. Under the affine law there are no rules.

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

from ...models.instance import IntArray
from .labels import DOMINATED, EXPANDED, Labels, add_label, is_dominated, pop
from .lookahead import Lookahead, bound_on_completions
from .machine import Machine, prompt_time, token_time
from .states import Packing, name_in_order, pack, unpack

#: Why `expand` came back.
EXHAUSTED, PAUSED, FULL = 0, 1, 2

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
    """

    machine: Machine
    packing: Packing
    lookahead: Lookahead
    has_rules: bool
    last_arrival: int


class Here(NamedTuple):
    """The label that is being expanded, and room for one that follows it.

    Attributes
    ----------
    g, next_g : ndarray of int64, shape (n,)
        Tokens of each request, here and after.
    barred, next_barred : ndarray of bool, shape (n,)
        Who is barred.
    running, waiting : ndarray of int64, shape (n,)
        The running requests in the order of rule (b); those that have arrived and wait.
    picked : ndarray of int64, shape (n,)
        Positions in `waiting` of the prompts of a batch.
    state, bars : ndarray of uint64
        Packed.
    count : ndarray of int64, shape (5,)
        Running, waiting, KV tokens held, the next arrival, Σ peaks of the incomplete.
    order : ndarray of int64, shape (n,)
        Working space.
    """

    g: IntArray
    next_g: IntArray
    barred: NDArray[np.bool_]
    next_barred: NDArray[np.bool_]
    running: IntArray
    waiting: IntArray
    picked: IntArray
    state: NDArray[np.uint64]
    bars: NDArray[np.uint64]
    count: IntArray
    order: IntArray


@njit(cache=True, nogil=True)
def expand(
    search: Search, here: Here, labels: Labels, limit: IntArray, expansions: int, reserve: int
) -> int:
    """Expand labels in order of their bounds; say why it came back.

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
    expansions : int
        Labels to expand at most.
    reserve : int
        Comes back when there is no longer room for so many labels.

    Returns
    -------
    int
        `EXHAUSTED` if no label below the limit is open, `FULL` or `PAUSED`.
    """
    for _ in range(expansions):
        if labels.size[0] + reserve > labels.time.size:
            return FULL
        label = pop(labels)
        while label >= 0 and labels.kind[label] == DOMINATED:
            label = pop(labels)
        if label < 0 or labels.bound[label] >= limit[0]:
            return EXHAUSTED
        labels.kind[label] = EXPANDED
        _look_around(search, here, labels, label)
        _token_batches(search, here, labels, limit, label)
        _prompt_batches(search, here, labels, limit, label)
        _idle(search, here, labels, limit, label)
    return PAUSED


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
    here.count[0], here.count[1], here.count[2] = running, waiting, held
    here.count[3], here.count[4] = next_arrival, peaks


@njit(cache=True, nogil=True)
def _goes_first(machine: Machine, g: IntArray, i: int, j: int) -> bool:
    """Whether i is before j in the order of (tokens to go, KV falling)."""
    r_i, r_j = machine.output[i] - g[i], machine.output[j] - g[j]
    if r_i != r_j:
        return r_i < r_j
    return machine.prompt[i] + g[i] > machine.prompt[j] + g[j]


@njit(cache=True, nogil=True)
def _begin(here: Here) -> None:
    here.next_g[:] = here.g
    here.next_barred[:] = here.barred


@njit(cache=True, nogil=True)
def _token_batches(search: Search, here: Here, labels: Labels, limit: IntArray, label: int) -> None:
    """Token batches of all sets of running requests that the rules allow."""
    machine = search.machine
    m = here.count[0]
    for members in range(1, 1 << m):
        size, kv, allowed = 0, 0, True
        for k in range(m):
            if members >> k & 1:
                i = here.running[k]
                size += 1
                kv += machine.prompt[i] + here.g[i]
                if here.barred[i]:
                    allowed = False
                    break
        if not allowed or size > machine.B_D or here.count[2] + size > machine.M:
            continue
        if search.has_rules and size == machine.B_D and not _in_order(search, here, members):
            continue
        _begin(here)
        held = here.count[2] + size
        for k in range(m):
            i = here.running[k]
            if members >> k & 1:
                here.next_g[i] += 1
            elif search.has_rules and size < machine.B_D:
                here.next_barred[i] = True
        end = labels.time[label] + token_time(machine.law, size, kv)
        _offer(search, here, labels, limit, label, end, held)


@njit(cache=True, nogil=True)
def _in_order(search: Search, here: Here, members: int) -> bool:
    """Whether a full token batch obeys rule (b)."""
    largest_left_out = -1
    for k in range(here.count[0]):
        peak = search.machine.prompt[here.running[k]] + search.machine.output[here.running[k]]
        if not members >> k & 1:
            largest_left_out = max(largest_left_out, peak)
        elif peak <= largest_left_out:
            return False
    return True


@njit(cache=True, nogil=True)
def _prompt_batches(
    search: Search, here: Here, labels: Labels, limit: IntArray, label: int
) -> None:
    """Prompt batches of all sets of waiting requests within B_P, C_P and KV, depth first."""
    machine = search.machine
    w, picked = here.count[1], here.picked
    depth, tokens, at = 0, 0, 0
    while True:
        if at == w or depth == machine.B_P:
            if depth == 0:
                return
            depth -= 1
            at = picked[depth]
            tokens -= machine.prompt[here.waiting[at]]
            at += 1
            continue
        i = here.waiting[at]
        if (
            here.barred[i]
            or tokens + machine.prompt[i] > machine.C_P
            or here.count[2] + tokens + machine.prompt[i] + depth + 1 > machine.M
            or _has_equal_before(machine, here, depth, at)
        ):
            at += 1
            continue
        picked[depth] = at
        depth += 1
        tokens += machine.prompt[i]
        _prompt_batch(search, here, labels, limit, label, depth, tokens)
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
) -> None:
    machine = search.machine
    _begin(here)
    for k in range(size):
        here.next_g[here.waiting[here.picked[k]]] = 1
    if search.has_rules and size < machine.B_P:
        for k in range(here.count[1]):
            i = here.waiting[k]
            if here.next_g[i] == 0 and tokens + machine.prompt[i] <= machine.C_P:
                here.next_barred[i] = True
    end = labels.time[label] + prompt_time(machine.law, tokens)
    _offer(search, here, labels, limit, label, end, here.count[2] + tokens + size)


@njit(cache=True, nogil=True)
def _idle(search: Search, here: Here, labels: Labels, limit: IntArray, label: int) -> None:
    """Wait until the next arrival."""
    end = here.count[3]
    if end == NEVER:
        return
    machine = search.machine
    _begin(here)
    gap = end - labels.time[label]
    if search.has_rules:
        for k in range(here.count[0]):
            if gap >= machine.law.token:
                here.next_barred[here.running[k]] = True
        for k in range(here.count[1]):
            if gap >= machine.law.prompt:
                here.next_barred[here.waiting[k]] = True
    _offer(search, here, labels, limit, label, end, here.count[2])


@njit(cache=True, nogil=True)
def _offer(
    search: Search,
    here: Here,
    labels: Labels,
    limit: IntArray,
    label: int,
    end: int,
    held: int,
) -> None:
    """Add what follows a label, unless it is unsafe, useless, dominated or too expensive.

    `held` is the KV at the end of the batch, before the complete ones free theirs.
    """
    machine, g = search.machine, here.next_g
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
            limit[0], limit[1] = cost, labels.size[0]
            pack(search.packing, g, here.next_barred, here.state, here.bars)
            add_label(labels, here.state, here.bars, end, cost, cost, label)
        return
    if not _is_safe(search, here):
        return
    bound = max(labels.bound[label], bound_on_completions(machine, search.lookahead, g, end, cost))
    if bound >= limit[0]:
        return
    name_in_order(search.packing, g, here.next_barred)
    pack(search.packing, g, here.next_barred, here.state, here.bars)
    from_when = search.last_arrival
    if not is_dominated(labels, here.state, here.bars, end, cost, from_when):
        add_label(labels, here.state, here.bars, end, cost, bound, label)


@njit(cache=True, nogil=True)
def _may_be_freed(search: Search, here: Here, i: int, more: int) -> bool:
    """Whether the KV of all the others can ever be so large that i's next job would not fit."""
    machine, g = search.machine, here.next_g
    now = 0 if g[i] == 0 else machine.prompt[i] + g[i]
    peaks = here.count[4] - machine.prompt[i] - machine.output[i]
    return peaks + now + more > machine.M


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
