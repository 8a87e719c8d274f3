"""Is there a schedule of separate batching of smaller latency than a value? A search by time.

**States.** A left-shifted schedule starts a batch when the last one ends, or when one of its
prompts arrives. At such a time it is described by the tokens of each request: what happens next
depends on nothing else, so of equal states at equal times the one whose complete requests had the
least total latency is kept. From a state every token batch, every prompt batch and waiting for the
next arrival is tried.

**What is dropped.** To what the complete requests and the running ones have cost so far come the
cost to go of the GPU's walk and the prices that the requests have earned or will earn (see
`solvers.separate.bounds.gpu_path_costs` and `gpu_path_lookahead`; nothing here is shared with
them). A state whose sum reaches the value leads to no better schedule. That holds for schedules
that are done by the end of the prices; the cheapest walk with one late request or more must reach
the value itself.

**Equal requests.** Of two requests with equal s and o the one that arrives first never has fewer
tokens: exchanging their names from the first batch on after which it would have changes no total.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ....models.separate.problem import times_alone
from ..clock import Clock
from ..equal_states import States, cheapest_of_equals, require_room
from ..one_by_one import latency_one_by_one
from .walk_prices import WalkPriceProof, table_of

#: Most requests, and the longest output plus one: tokens are counted in bytes.
MOST_REQUESTS, LONGEST = 128, 256

#: Prices and costs beyond this do not add up in 64 bits.
MOST_COST = 2**52

#: Most prices of running requests: requests × outputs × times.
MOST_PRICES = 2**26

#: Room for new states.
ROOM = 2**18

#: What becomes of a state: a token batch, a prompt batch, waiting.
TOKEN, PROMPT, IDLE = 0, 1, 2


class Terms(NamedTuple):
    """The instance, in order of arrival, and what a state's bound is made of.

    Attributes
    ----------
    arrival, prompt, output : ndarray of int64, shape (n,)
        a from the first arrival on, s and o.
    elder : ndarray of int64, shape (n,)
        The last request before i of the same s and o, −1 for none.
    B_P, C_P, B_D, M, prompt_time, token_time, scale : int
        Limits and times; prices are multiples of 1/scale.
    value : ndarray of int64, shape (S + 1, n + 1, K + 1)
        Costs to go of the walk.
    waits : ndarray of int64, shape (n,)
        λ.
    runs : ndarray of int64, shape (n, longest output, S + 1)
        Π of the class of each request after g tokens, ``0 < g < o``, by g and time.
    deposit : ndarray of int64, shape (S + 1,)
        δ.
    """

    arrival: IntArray
    prompt: IntArray
    output: IntArray
    elder: IntArray
    B_P: int
    C_P: int
    B_D: int
    M: int
    prompt_time: int
    token_time: int
    scale: int
    value: NDArray[np.int64]
    waits: IntArray
    runs: NDArray[np.int64]
    deposit: IntArray


class Room(NamedTuple):
    """Arrays that the expansion of one state works in.

    Attributes
    ----------
    who : ndarray of int64, shape (n,)
        Candidates for a batch, the cheapest first.
    gain : ndarray of int64, shape (n + 1,)
        What each adds to the bound.
    total : ndarray of int64, shape (n + 1,)
        Sums of the first gains.
    go : ndarray of int64, shape (n + 1,)
        Least cost to go by how many are in the batch.
    picked : ndarray of int64, shape (n + 1,)
        Positions of those in the batch.
    state : ndarray of uint8, shape (n,)
        The state after it.
    """

    who: IntArray
    gain: IntArray
    total: IntArray
    go: IntArray
    picked: IntArray
    state: States


def least_below(value: int, instance: Instance, walk: WalkPriceProof, clock: Clock) -> int | None:
    """Return the latency of some schedule below `value`, or None if there is none.

    Raises
    ------
    InputError
        If the instance or the prices are too large for the search, or the prices end too early.
    OutOfTime, OutOfMemory
        If the clock runs out, or the states need too much memory.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[2, 1])
    >>> walk = WalkPriceProof(scale=1, end=5, prompt=(2, 1), kv=(0,) * 6, running={})
    >>> least_below(3, instance, walk, Clock(None))
    >>> least_below(4, instance, walk, Clock(None))
    3
    """
    if instance.n > MOST_REQUESTS or int(instance.output.max()) >= LONGEST:
        raise InputError(
            f"proof: exhaustive search is for at most {MOST_REQUESTS} requests with outputs below "
            f"{LONGEST}, found {instance.n} with outputs up to {int(instance.output.max())}"
        )
    walk.require_fit(instance)
    one_by_one = latency_one_by_one(instance.arrival.tolist(), times_alone(instance))
    if one_by_one < value:
        return one_by_one
    order = np.argsort(instance.arrival, kind="stable")
    terms = _terms(instance.take(order), walk.reordered(order.tolist()), value, clock)
    return _search(terms, value, clock)


def _terms(instance: Instance, walk: WalkPriceProof, value: int, clock: Clock) -> Terms:
    n, times, longest = instance.n, len(walk.kv), int(instance.output.max())
    largest = max(
        abs(price) for row in (walk.prompt, walk.kv, *walk.running.values()) for price in row
    )
    if (largest + walk.scale * walk.end) * (n + instance.gpu.kv_capacity) > MOST_COST:
        raise InputError(f"proof: exhaustive search is for costs up to {MOST_COST}, found larger")
    if n * longest * times > MOST_PRICES:
        raise InputError(
            f"proof: exhaustive search is for at most {MOST_PRICES} prices (requests × outputs × "
            f"times), found {n} × {longest} × {times}"
        )
    table = table_of(walk, instance, value, clock)
    runs = np.zeros((n, longest, times), np.int64)
    for i, (s, o) in enumerate(
        zip(instance.prompt.tolist(), instance.output.tolist(), strict=True)
    ):
        for g in range(1, o):
            runs[i, g] = walk.running.get((s + g, o - g), 0)
    kinds = list(zip(instance.prompt.tolist(), instance.output.tolist(), strict=True))
    elder = [max((j for j in range(i) if kinds[j] == kinds[i]), default=-1) for i in range(n)]
    return Terms(
        arrival=instance.arrival - int(instance.arrival.min()),
        prompt=instance.prompt,
        output=instance.output,
        elder=np.array(elder, dtype=np.int64),
        B_P=table.B_P,
        C_P=table.C_P,
        B_D=table.B_D,
        M=instance.gpu.kv_capacity,
        prompt_time=table.prompt_time,
        token_time=table.token_time,
        scale=walk.scale,
        value=table.value,
        waits=np.array(walk.prompt, dtype=np.int64),
        runs=runs,
        deposit=np.array(walk.kv, dtype=np.int64),
    )


def _search(terms: Terms, value: int, clock: Clock) -> int | None:
    """Go from time to time; return the latency of a complete schedule below the value."""
    n, limit = terms.output.size, (value - 1) * terms.scale
    layers: dict[int, list[tuple[States, IntArray]]] = {
        0: [(np.zeros((1, n), np.uint8), np.zeros(1, np.int64))]
    }
    following, costs, kinds = np.empty((ROOM, n), np.uint8), *_columns(ROOM)
    room, found, expired = _room(n), np.array([-1]), clock.expired
    while layers:
        t = min(layers)
        states, paid = cheapest_of_equals(layers.pop(t))
        later = terms.arrival[terms.arrival > t]
        ends = {TOKEN: t + terms.token_time, PROMPT: t + terms.prompt_time}
        if later.size:
            ends[IDLE] = int(later[0])
        reached = 0
        while reached < paid.size:
            clock.check()
            first = reached
            reached, count = _expand(
                terms, t, ends.get(IDLE, -1), states, paid, first, limit,
                following, costs, kinds, room, found, expired,
            )  # fmt: skip
            if expired[0]:
                clock.check()
            if found[0] >= 0:
                return int(found[0])
            if reached == first:  # one state led to more than there is room for
                size = 2 * costs.size
                following, costs, kinds = np.empty((size, n), np.uint8), *_columns(size)
            for kind, end in ends.items():
                chosen = kinds[:count] == kind
                if chosen.any():
                    _add(
                        layers.setdefault(end, []), following[:count][chosen], costs[:count][chosen]
                    )
    return None


def _columns(size: int) -> tuple[IntArray, NDArray[np.int8]]:
    return np.empty(size, np.int64), np.empty(size, np.int8)


def _add(layer: list[tuple[States, IntArray]], states: States, paid: IntArray) -> None:
    """Add states to a layer; keep the cheapest of equal ones now and then."""
    layer.append((states, paid))
    if sum(each.size for _, each in layer[1:]) > max(4 * ROOM, layer[0][1].size):
        layer[:] = [cheapest_of_equals(layer)]
        require_room(layer[0][0])


def _room(n: int) -> Room:
    return Room(
        who=np.zeros(n, np.int64),
        gain=np.zeros(n + 1, np.int64),
        total=np.zeros(n + 1, np.int64),
        go=np.zeros(n + 1, np.int64),
        picked=np.zeros(n + 1, np.int64),
        state=np.zeros(n, np.uint8),
    )


@njit(cache=True, nogil=True)
def _expand(
    terms: Terms,
    t: int,
    next_arrival: int,
    states: States,
    paid: IntArray,
    first: int,
    limit: int,
    following: States,
    costs: IntArray,
    kinds: NDArray[np.int8],
    room: Room,
    found: IntArray,
    expired: IntArray,
) -> tuple[int, int]:
    """Fill `following` with what states ``first, first + 1, …`` of time t lead to.

    Returns the state to go on with, and the number of new states. Stops early where `following` is
    half full, at once with the latency in `found` where a schedule is complete, and once `expired`.
    """
    count = 0
    for position in range(first, paid.size):
        if 2 * count > costs.size:
            return position, count
        before, state = count, states[position]
        for kind in (TOKEN, PROMPT):
            count = _batches(
                terms, t, kind, state, paid[position], limit, following, costs, kinds, count,
                room, found, expired,
            )  # fmt: skip
            if found[0] >= 0 or expired[0]:
                return position, count
        if next_arrival >= 0:
            room.state[:] = state
            count = _keep(
                terms, next_arrival, IDLE, paid[position], limit, following, costs, kinds, count,
                room, found,
            )  # fmt: skip
        if count == costs.size:  # no room for this state: do it again with more
            return position, before
    return paid.size, count


@njit(cache=True, nogil=True)
def _may_be_in(terms: Terms, t: int, kind: int, state: States, i: int) -> bool:
    if kind == TOKEN:
        return bool(0 < state[i] < terms.output[i])
    return bool(state[i] == 0 and terms.arrival[i] <= t)


@njit(cache=True, nogil=True)
def _line_up(
    terms: Terms, t: int, end: int, kind: int, state: States, room: Room
) -> tuple[int, int, int]:
    """List the requests that may be in a batch, and what each adds to the bound at its end.

    Returns how many they are, how much KV is held, and the bound of an empty batch that lasts until
    then, in units of 1/scale, without what is paid for complete requests and the cost to go.
    """
    count = held = base = 0
    for i in range(state.size):
        if state[i] == 0:
            base += terms.waits[i]
        elif state[i] < terms.output[i]:
            held += terms.prompt[i] + state[i]
            base += (end - terms.arrival[i]) * terms.scale - terms.runs[i, state[i], end]
        if not _may_be_in(terms, t, kind, state, i):
            continue
        gain = 0
        if kind == PROMPT:
            gain += (end - terms.arrival[i]) * terms.scale - terms.waits[i]
        else:
            gain += terms.runs[i, state[i], end]
        if state[i] + 1 < terms.output[i]:
            gain -= terms.runs[i, state[i] + 1, end]
            gain += terms.deposit[end] * (1 if kind == TOKEN else terms.prompt[i] + 1)
        elif kind == TOKEN:
            gain -= terms.deposit[end] * (terms.prompt[i] + state[i])
        place = count
        while place > 0 and room.gain[place - 1] > gain:
            room.gain[place], room.who[place] = room.gain[place - 1], room.who[place - 1]
            place -= 1
        room.gain[place], room.who[place] = gain, i
        count += 1
    room.total[0] = 0
    for place in range(count):
        room.total[place + 1] = room.total[place] + room.gain[place]
    return count, held, base - (terms.M - held) * terms.deposit[end]


@njit(cache=True, nogil=True)
def _batches(
    terms: Terms,
    t: int,
    kind: int,
    state: States,
    paid: int,
    limit: int,
    following: States,
    costs: IntArray,
    kinds: NDArray[np.int8],
    count: int,
    room: Room,
    found: IntArray,
    expired: IntArray,
) -> int:
    """Try all batches of a kind that start at t; return the number of new states."""
    end = t + (terms.token_time if kind == TOKEN else terms.prompt_time)
    if end >= terms.deposit.size:
        return count
    candidates, held, base = _line_up(terms, t, end, kind, state, room)
    most = min(candidates, terms.B_D if kind == TOKEN else terms.B_P)
    _least_to_go(terms, end, kind, state, most, room)
    room.state[:] = state
    base += paid * terms.scale
    size = tokens = more = gain = at = 0
    while not expired[0]:
        least = limit + 1
        for j in range(1, min(most - size, candidates - at) + 1):
            least = min(
                least, base + gain + room.total[at + j] - room.total[at] + room.go[size + j]
            )
        if least > limit:
            if size == 0:
                return count
            size -= 1
            at = room.picked[size]
            i = room.who[at]
            room.state[i] -= 1
            tokens -= terms.prompt[i]
            more -= 1 if kind == TOKEN else terms.prompt[i] + 1
            gain -= room.gain[at]
            at += 1
            continue
        i = room.who[at]
        adds = 1 if kind == TOKEN else terms.prompt[i] + 1
        if held + more + adds > terms.M or (
            kind == PROMPT and tokens + terms.prompt[i] > terms.C_P
        ):
            at += 1
            continue
        room.picked[size] = at
        size += 1
        room.state[i] += 1
        tokens += terms.prompt[i]
        more += adds
        gain += room.gain[at]
        at += 1
        if _elders_lead(terms, size, room):
            now_paid = paid
            for k in range(size):
                j = room.who[room.picked[k]]
                if room.state[j] == terms.output[j]:
                    now_paid += end - terms.arrival[j]
            count = _keep(
                terms, end, kind, now_paid, limit, following, costs, kinds, count, room, found
            )
            if found[0] >= 0 or count == costs.size:
                return count
    return count


@njit(cache=True, nogil=True)
def _least_to_go(terms: Terms, end: int, kind: int, state: States, most: int, room: Room) -> None:
    """Fill `go` with the least cost to go after a batch of this many requests."""
    done = running = last = 0
    for i in range(state.size):
        done += state[i] > 0
        running += 0 < state[i] < terms.output[i]
        last += state[i] + 1 == terms.output[i] and state[i] > 0
    for size in range(1, most + 1):
        if kind == PROMPT:
            top = min(running + size, terms.value.shape[2] - 1)
            room.go[size] = terms.value[end, done + size, running : top + 1].min()
        else:
            ending = min(size, last)
            room.go[size] = terms.value[end, done, running - ending : running + 1].min()


@njit(cache=True, nogil=True)
def _elders_lead(terms: Terms, size: int, room: Room) -> bool:
    """Whether no request in the batch has more tokens now than an equal, earlier one."""
    for k in range(size):
        i = room.who[room.picked[k]]
        if terms.elder[i] >= 0 and room.state[i] > room.state[terms.elder[i]]:
            return False
    return True


@njit(cache=True, nogil=True)
def _keep(
    terms: Terms,
    end: int,
    kind: int,
    paid: int,
    limit: int,
    following: States,
    costs: IntArray,
    kinds: NDArray[np.int8],
    count: int,
    room: Room,
    found: IntArray,
) -> int:
    """Keep the state in the room at a time, unless its bound is beyond the limit."""
    state = room.state
    done = running = complete = held = 0
    bound = paid * terms.scale
    for i in range(state.size):
        if state[i] == 0:
            bound += terms.waits[i]
            continue
        done += 1
        if state[i] < terms.output[i]:
            running += 1
            held += terms.prompt[i] + state[i]
            bound += (end - terms.arrival[i]) * terms.scale
            if end < terms.deposit.size:
                bound -= terms.runs[i, state[i], end]
        else:
            complete += 1
    if complete == state.size:
        if paid * terms.scale <= limit:
            found[0] = paid
        return count
    if end >= terms.deposit.size or running >= terms.value.shape[2]:
        return count
    bound += terms.value[end, done, running] - (terms.M - held) * terms.deposit[end]
    if bound > limit or count == costs.size:
        return count
    following[count], costs[count], kinds[count] = state, paid, kind
    return count + 1
