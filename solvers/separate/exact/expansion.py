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
followed changes nothing. (So two equal requests with equal tokens are told apart where one is
tied.) Under the affine law there are no rules.

**Dominance** is said in `labels`. Let the label of the chosen schedule be dominated. What follows
it there may follow the other label too, at no larger cost: at the same time everything stays, and
earlier, after the last arrival, everything is shifted. It is left-shifted still, leaves out the
same requests, and what the other label bars was barred here and became free in what follows. So
the search goes on from the other label along a schedule as cheap as the chosen one.
"""

from __future__ import annotations

from numba import njit

from ....models.instance import IntArray
from ....models.separate.problem import Problem
from .labels import (
    AT_LEVEL,
    DOMINATED,
    EXPANDED,
    EXPANSIONS,
    LABELS,
    LEVEL,
    OPEN,
    Labels,
    pop,
    push,
)
from .lookahead import count_rest
from .prompt_batches import add_prompt_batches
from .states import unpack, unpack_ties
from .successors import begin_successor, bound_unchanged, offer
from .token_batches import add_token_batches
from .workspace import (
    BOUND,
    COST,
    HELD,
    LABEL,
    LATENCY,
    LEFT,
    NEVER,
    NEXT_ARRIVAL,
    PEAKS,
    RUNNING,
    TIME,
    TOP,
    WAITING,
    WAITING_PRICE,
    StateSpace,
    Workspace,
)

#: Why `expand` came back.
EXHAUSTED, PAUSED, FULL = 0, 1, 2


@njit(cache=True, nogil=True)
def expand(
    states: StateSpace, space: Workspace, labels: Labels, width: int, expansions: int
) -> int:
    """Expand labels in order of their bounds, or level by level; say why it came back.

    Parameters
    ----------
    states : StateSpace
        What is searched.
    space : Workspace
        Has the limit.
    labels : Labels
        The labels; the first one has been added.
    width : int
        0 to expand labels in order of their bounds. Else labels are expanded in order of time, of
        each time only this many: the search is not exhaustive then.
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
        label = _next_label(labels, space.limit[LATENCY], width)
        if label < 0:
            return EXHAUSTED
        labels.kind[label] = EXPANDED
        labels.size[EXPANSIONS] += 1
        space.counts[TOP] = min(space.limit[LATENCY], labels.bound[label] + states.window)
        space.counts[LEFT] = NEVER
        _unpack_label(states, space, labels, label)
        bound = _bound_here(states, space)
        if bound > labels.bound[label] and width == 0:
            labels.bound[label], labels.kind[label] = bound, OPEN
            push(labels, label)
            continue
        add_token_batches(states, space, labels)
        add_prompt_batches(states, space, labels)
        _idle(states, space, labels)
        if space.counts[LEFT] < space.limit[LATENCY]:
            labels.bound[label], labels.kind[label] = space.counts[LEFT], OPEN
            push(labels, label)
    return PAUSED


@njit(cache=True, nogil=True)
def _next_label(labels: Labels, limit: int, width: int) -> int:
    """Return the next label to expand, or −1; those that are too late for their level are lost."""
    while True:
        label = pop(labels)
        if label < 0:
            return -1
        if labels.kind[label] == DOMINATED:
            continue
        if width == 0:
            return label if labels.bound[label] < limit else -1
        if labels.bound[label] >= limit:
            continue
        if labels.time[label] > labels.size[LEVEL]:
            labels.size[LEVEL], labels.size[AT_LEVEL] = labels.time[label], 0
        labels.size[AT_LEVEL] += 1
        if labels.size[AT_LEVEL] <= width:
            return label


@njit(cache=True, nogil=True)
def _unpack_label(states: StateSpace, space: Workspace, labels: Labels, label: int) -> None:
    """Write a label to the workspace: running requests in order, waiting ones, counts."""
    problem, g, time = states.problem, space.g, labels.time[label]
    unpack(states.packing, labels.state[label], labels.bars[label], g, space.barred)
    running = waiting = held = peaks = 0
    next_arrival = NEVER
    for i in range(g.size):
        if g[i] < problem.output[i]:
            peaks += problem.prompt[i] + problem.output[i]
        if g[i] == 0:
            if problem.arrival[i] <= time:
                space.waiting[waiting] = i
                waiting += 1
            else:
                next_arrival = min(next_arrival, problem.arrival[i])
        elif g[i] < problem.output[i]:
            held += problem.prompt[i] + g[i]
            k = running
            while k > 0 and _goes_first(problem, g, i, space.running[k - 1]):
                space.running[k] = space.running[k - 1]
                k -= 1
            space.running[k] = i
            running += 1
    count_rest(problem, states.lookahead, space.rest, g)
    unpack_ties(problem, g, labels.ties[label], space.tied, space.order)
    space.counts[LABEL], space.counts[TIME] = label, time
    space.counts[COST], space.counts[BOUND] = labels.cost[label], labels.bound[label]
    space.counts[RUNNING], space.counts[WAITING], space.counts[HELD] = running, waiting, held
    space.counts[NEXT_ARRIVAL], space.counts[PEAKS] = next_arrival, peaks


@njit(cache=True, nogil=True)
def _goes_first(problem: Problem, g: IntArray, i: int, j: int) -> bool:
    """Whether i is before j in the order of (tokens to go, KV falling)."""
    r_i, r_j = problem.output[i] - g[i], problem.output[j] - g[j]
    if r_i != r_j:
        return bool(r_i < r_j)
    return bool(problem.prompt[i] + g[i] > problem.prompt[j] + g[j])


@njit(cache=True, nogil=True)
def _bound_here(states: StateSpace, space: Workspace) -> int:
    """Lower bound on Σ completions from the label on, by the tables that there are now."""
    path, waiting = states.lookahead.path, 0
    for i in range(space.g.size if path.kv.size else 0):
        if space.g[i] == 0:
            waiting += path.prompt[i]
    space.counts[WAITING_PRICE] = waiting
    return bound_unchanged(states, space, space.counts[TIME])


@njit(cache=True, nogil=True)
def _idle(states: StateSpace, space: Workspace, labels: Labels) -> None:
    """Wait until the next arrival."""
    end = space.counts[NEXT_ARRIVAL]
    if end == NEVER:
        return
    problem = states.problem
    begin_successor(space)
    gap = end - space.counts[TIME]
    if states.has_rules:
        for k in range(space.counts[RUNNING]):
            if gap >= problem.law.token:
                space.next_barred[space.running[k]] = True
        for k in range(space.counts[WAITING]):
            if gap >= problem.law.prompt:
                space.next_barred[space.waiting[k]] = True
    bound = bound_unchanged(states, space, end)
    offer(states, space, labels, end, space.counts[HELD], bound)
