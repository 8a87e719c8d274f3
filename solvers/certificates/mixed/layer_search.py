"""Is there a schedule of smaller cost than a value? An exhaustive search, round by round.

**What a schedule costs.** With start costs rc_i(k) and slacks σ_t of prices (see
`certified_configurations`) and ``LB = Σ_i min_k rc_i(k) − Σ_t σ_t``, each schedule costs
exactly

    Σ_i cost_i(c_i) = LB + Σ_i (rc_i(k_i) − min rc_i) + Σ_t (σ_t − U_t·C_t),

and all terms are ≥ 0. A schedule of cost below V has an excess over LB of at most V less a step of
the objective less LB, the *budget*.

**Horizon.** Nothing need start after ``a_max + Σ o − o_i`` (`certified_costs`), and a request whose
cost rises for ever starts after T only where that is within the budget. A request whose cost ends
at a fixed one may be left to the end, after everything else, at that cost: it is *left out*. Then
it has no other start from which it would be late.

**States.** At a boundary t a schedule under construction is described by the rounds that each
request has yet to go: none, some, or all of them (it waits). What happens next depends on nothing
else, so of equal states the one of least excess is kept. From a state every set of waiting
requests that fits is started. A state is dropped if its excess so far, plus for each request that
waits the least ``rc_i(k) − min rc_i`` over the k > t at which it fits beside what runs now, or of
being left out, is beyond the budget: what runs now only leaves less room as others join.

**Equal requests.** Let two requests have equal s, o, rate and fixed cost, and let j arrive no
earlier than i and be due no earlier; where there is a fixed cost, at the same time. Then j starts
no earlier than i: exchanging two starts that do changes neither the tokens held nor raises the
cost, since ``cost_i − cost_j`` does not fall with time; of two such requests the one left out is j.
(Each exchange raises Σ rank·start over the order of arrival, so exchanging comes to an end.)

No code is shared with `solvers.mixed.exact`; there states are dropped by more reasons, so the
search here takes longer than the one that found the value.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ....models.objectives import MAXIMISED, Exact, evaluate, value_step
from ..clock import Clock
from ..equal_states import States, cheapest_of_equals, require_room
from ..one_by_one import completions_one_by_one
from .certified_configurations import PricedTypes
from .layer_terms import FAR, Terms, terms_of
from .price_table import PriceTable

#: A state has a byte per request: `WAITING`, or the rounds that it has yet to go.
WAITING = 255

#: Requests that a state may have: sums of n + 1 costs `layer_terms.FAR` fit 64 bits.
MOST_REQUESTS = 128

#: Room for new states.
ROOM = 2**18


class Room(NamedTuple):
    """Arrays that the expansion of one state works in; row d: d requests have been added.

    Attributes
    ----------
    held : ndarray of int64, shape (n + 1, longest output + 1)
        KV tokens held in rounds t + 1, t + 2, …
    state : ndarray of uint8, shape (n + 1, n)
        The state.
    cost : ndarray of int64, shape (n + 1,)
        Excess so far, without the slack of round t + 1.
    least : ndarray of int64, shape (n + 1,)
        Least excess of what may follow if no more are added.
    next_one : ndarray of int64, shape (n + 1,)
        The candidate to be tried next.
    candidate, change : ndarray of int64, shape (n,)
        Requests that may start now, and by how much that changes `least`.
    gain : ndarray of int64, shape (n + 1,)
        Sum of the negative changes from a candidate on.
    """

    held: IntArray
    state: States
    cost: IntArray
    least: IntArray
    next_one: IntArray
    candidate: IntArray
    change: IntArray
    gain: IntArray


def better_than(
    value: int, instance: Instance, table: PriceTable, clock: Clock, objective: str = "latency"
) -> Exact | None:
    """Return the objective of some schedule better than `value`, or None if there is none.

    Parameters
    ----------
    value : int
        V ≥ 0, in steps of the objective.
    instance : Instance
        The instance (mixed batching), of at most `MOST_REQUESTS` requests with outputs below
        `WAITING`.
    table : PriceTable
        Any prices ≥ 0 that keep the costs within 64 bits.
    clock : Clock
        Asked between slices of the work.
    objective : {"latency", "weighted", "tardiness", "reward"}
        The objective.

    Raises
    ------
    InputError
        If the instance or the prices are too large for the search.
    OutOfTime, OutOfMemory
        If the clock runs out, or the states need too much memory.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> table = PriceTable(scale=1, types=(), price=np.zeros((1, 0)))
    >>> better_than(7, instance, table, Clock(None))
    >>> better_than(8, instance, table, Clock(None))
    7
    """
    n, longest = instance.n, int(instance.output.max())
    if n > MOST_REQUESTS or longest >= WAITING:
        raise InputError(
            f"proof: exhaustive search is for at most {MOST_REQUESTS} requests with outputs below "
            f"{WAITING}, found {n} with outputs up to {longest}"
        )
    step = value_step(instance, objective)
    completion = completions_one_by_one(instance.arrival.tolist(), instance.output.tolist())
    one_by_one = evaluate(instance, np.array(completion), objective)
    better = one_by_one > value * step if objective in MAXIMISED else one_by_one < value * step
    if better:
        return one_by_one
    next_better = (value + 1 if objective in MAXIMISED else value - 1) * step
    instance = instance.take(np.argsort(instance.arrival, kind="stable"))
    priced = PricedTypes(
        instance, objective, scale=table.scale, types=table.types, price=table.price
    )
    cost = priced.costs.total(next_better)
    if cost < 0:
        return None
    terms, budget = terms_of(int(cost), instance, priced, clock)
    if terms is None:
        return None
    found = _search(terms, budget, clock)
    return None if found is None else _plain(priced.costs.value(int(cost) - budget + found))


def _plain(value: Exact) -> Exact:
    return int(value) if value == int(value) else value


def _search(terms: Terms, budget: int, clock: Clock) -> int | None:
    """Return the excess of some schedule within the budget, or None if there is none."""
    n = terms.output.size
    states, excess = np.full((1, n), WAITING, dtype=np.uint8), np.zeros(1, dtype=np.int64)
    following, costs = np.empty((ROOM, n), np.uint8), np.empty(ROOM, np.int64)
    room, found = _room(n, int(terms.output.max())), np.array([-1])
    for t in range(terms.start.shape[1] - 1):
        layers = [(np.empty((0, n), np.uint8), np.empty(0, np.int64))]
        kept = reached = 0
        while reached < excess.size:
            clock.check()
            first = reached
            reached, count = _expand(
                terms, t, states, excess, first, budget, following, costs, room, found,
                clock.expired,
            )  # fmt: skip
            if clock.expired[0]:
                clock.check()
            if found[0] >= 0:
                return int(found[0])
            if reached == first:  # one state led to more than there is room for
                following, costs = np.empty((2 * costs.size, n), np.uint8), np.tile(costs, 2)
            layers.append((following[:count].copy(), costs[:count].copy()))
            if sum(each.size for _, each in layers) > 2 * kept + 4 * ROOM:
                layers = [cheapest_of_equals(layers)]
                kept = layers[0][1].size
                require_room(layers[0][0])
        states, excess = cheapest_of_equals(layers)
        if not excess.size:
            return None
    return None


def _room(n: int, longest: int) -> Room:
    return Room(
        held=np.zeros((n + 1, longest + 1), np.int64),
        state=np.zeros((n + 1, n), np.uint8),
        cost=np.zeros(n + 1, np.int64),
        least=np.zeros(n + 1, np.int64),
        next_one=np.zeros(n + 1, np.int64),
        candidate=np.zeros(n, np.int64),
        change=np.zeros(n, np.int64),
        gain=np.zeros(n + 1, np.int64),
    )


@njit(cache=True, nogil=True)
def _expand(
    terms: Terms,
    t: int,
    states: States,
    excess: IntArray,
    first: int,
    budget: int,
    following: States,
    costs: IntArray,
    room: Room,
    found: IntArray,
    expired: IntArray,
) -> tuple[int, int]:
    """Fill `following` with what states ``first, first + 1, …`` of boundary t lead to.

    Returns the state to go on with, and the number of new states. Stops early where `following` is
    half full, at once with the excess in `found` where a schedule is complete, and once `expired`.
    """
    count = 0
    for position in range(first, excess.size):
        if 2 * count > costs.size:
            return position, count
        before = count
        most, depth = _lay_out(terms, t, states[position], excess[position], room), 0
        count = _close(terms, t, depth, budget, following, costs, count, room, found)
        while depth >= 0 and found[0] < 0:
            if expired[0]:
                return position, before
            if count == costs.size:  # no room for this state: do it again with more
                return position, before
            c = room.next_one[depth]
            if c == most:
                depth -= 1
                continue
            room.next_one[depth] = c + 1
            if _may_join(terms, depth, c, budget, room):
                depth += 1
                _join(terms, t, depth, c, room)
                count = _close(terms, t, depth, budget, following, costs, count, room, found)
        if found[0] >= 0:
            break
    return excess.size, count


@njit(cache=True, nogil=True)
def _lay_out(terms: Terms, t: int, state: States, excess: int, room: Room) -> int:
    """Fill row 0 with a state, list the candidates, and return how many there are."""
    room.held[0] = 0
    room.state[0] = state
    room.cost[0] = excess
    room.least[0] = excess + terms.slack[t + 1]
    room.next_one[0] = 0
    most = 0
    for i in range(state.size):
        if state[i] == WAITING:
            room.least[0] += terms.later[i, t + 1]
            if terms.start[i, t] < FAR:
                room.candidate[most] = i
                joining = terms.start[i, t] - terms.later[i, t + 1] - terms.earned[i, t + 1, 0]
                room.change[most] = joining
                most += 1
        elif state[i] > 0:
            done = terms.output[i] - state[i]
            room.least[0] -= terms.earned[i, t + 1, done]
            for u in range(state[i]):
                room.held[0, u] += terms.prompt[i] + done + u + 1
    room.gain[most] = 0
    for c in range(most - 1, -1, -1):
        room.gain[c] = room.gain[c + 1] + min(0, room.change[c])
    return most


@njit(cache=True, nogil=True)
def _may_join(terms: Terms, depth: int, c: int, budget: int, room: Room) -> bool:
    """Whether candidate c fits beside row `depth`, after its elder, and within the budget."""
    if room.least[depth] + room.change[c] + room.gain[c + 1] > budget:
        return False
    i = room.candidate[c]
    elder = terms.elder[i]
    if elder >= 0 and room.state[depth, elder] == WAITING:
        return False
    return _fits(terms, room.held[depth], i, 0)


@njit(cache=True, nogil=True)
def _fits(terms: Terms, held: IntArray, i: int, delay: int) -> bool:
    """Whether request i, started `delay` rounds from now, fits beside what is held."""
    for u in range(delay, min(delay + terms.output[i], held.size)):
        if held[u] > 0 and held[u] + terms.prompt[i] + u - delay + 1 > terms.M:
            return False
    return True


@njit(cache=True, nogil=True)
def _join(terms: Terms, t: int, depth: int, c: int, room: Room) -> None:
    """Fill row `depth`: the row before it, and candidate c started."""
    i = room.candidate[c]
    room.held[depth] = room.held[depth - 1]
    for u in range(terms.output[i]):
        room.held[depth, u] += terms.prompt[i] + u + 1
    room.state[depth] = room.state[depth - 1]
    room.state[depth, i] = terms.output[i]
    room.cost[depth] = room.cost[depth - 1] + terms.start[i, t]
    room.least[depth] = room.least[depth - 1] + room.change[c]
    room.next_one[depth] = c + 1


@njit(cache=True, nogil=True)
def _close(
    terms: Terms,
    t: int,
    depth: int,
    budget: int,
    following: States,
    costs: IntArray,
    count: int,
    room: Room,
    found: IntArray,
) -> int:
    """Start no more and run round t + 1; keep the state if the budget allows."""
    state, held = room.state[depth], room.held[depth]
    cost = room.cost[depth] + terms.slack[t + 1]
    for i in range(state.size):
        if 0 < state[i] < WAITING:
            cost -= terms.earned[i, t + 1, terms.output[i] - state[i]]
    least, waiting = cost, 0
    for i in range(state.size):
        if state[i] == WAITING:
            waiting += t + 1 < terms.gone[i]
            least += _cheapest_fit(terms, held, i, t)
            if least > budget:
                return count
    if waiting == 0:
        total = cost + _slack_to_come(terms, t + 2, state)
        for i in range(state.size):
            if state[i] == WAITING:
                total += terms.left_out[i]
        if total <= budget:
            found[0] = total
        return count
    if count < costs.size:
        for i in range(state.size):
            following[count, i] = state[i] - 1 if 0 < state[i] < WAITING else state[i]
        costs[count] = cost
        count += 1
    return count


@njit(cache=True, nogil=True)
def _cheapest_fit(terms: Terms, held: IntArray, i: int, t: int) -> int:
    """Least cost of request i over the starts after t that fit beside what is held, or left out."""
    least, k = terms.left_out[i], t + 1
    while terms.later[i, k] < least:
        if terms.start[i, k] < least and _fits(terms, held, i, k - t):
            least = terms.start[i, k]
        k += 1
    return int(least)


@njit(cache=True, nogil=True)
def _slack_to_come(terms: Terms, first: int, state: States) -> int:
    """Slack of the rounds from `first` on if no more requests start."""
    total = 0
    for t in range(first, terms.slack.size):
        total += terms.slack[t]
    for i in range(state.size):
        if state[i] == WAITING:
            continue
        done = terms.output[i] - state[i]
        for u in range(1, state[i]):
            if first + u - 1 < terms.slack.size:
                total -= terms.earned[i, first + u - 1, done + u]
    return total
