"""From a code to the schedule that it stands for: compiled.

**The code.** An order of the requests that have no KV yet; three numbers per prompt batch, its
wait, the least number of requests that it waits for and the most that it holds; two per request,
its urgency and whether it is firm.

**Prompt batches.** The next one is due when as many token batches as its wait have come since the
last one, or nothing runs. It opens as soon as so many requests as its least number have arrived, or
all have. Into it go, in the order of the code, those that have arrived and fit, up to the most and
to the first firm request that cannot join: nobody overtakes it. So if nobody is firm and the most
is large, nobody is left out for whom there is room; else KV is kept for others. While it is not due
or does not open, token batches go on, or the GPU idles until the next arrival. Only the first
`REACH` requests of the order that are without KV are looked at.

**Token batches** serve the most urgent of the requests that run, of equally urgent ones those with
the fewest tokens to go (among equals, the one that holds more KV, then the first by number), as
many as B_D allows. Where there is room for all, urgency plays no part.

**KV.** A request joins, and a token job is done, only if the state after it is safe: the requests
that hold KV can then be finished one after another in order of their tokens to go, which is so if
and only if they can be finished at all (a request holds its KV to its end: nobody is aborted). In a
safe state the one with the fewest tokens to go can always get its next token, so every code has a
schedule.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import Instance, IntArray
from ....models.separate.columns import Columns
from ....models.separate.schedule import SeparateSchedule
from ..compiled_instance import Machine, machine_of, prompt_time, token_time

#: What `decode` returns for a code whose cost exceeds the limit.
REJECTED = 2**62

#: Requests without KV, in the order of the code, among which a prompt batch is filled.
REACH = 64

#: Urgencies are 0 … MOST_URGENT.
MOST_URGENT = 2

_PROMPT, _TOKEN = 0, 1


class Code(NamedTuple):
    """A schedule as orders and rules: see the module.

    Attributes
    ----------
    order : ndarray of int64, shape (m,)
        The requests without KV.
    wait, least, most : ndarray of int64, shape (m,)
        Of each prompt batch: token batches before it, arrivals that it waits for, and the most
        requests that it holds, ≥ 1.
    urgency : ndarray of int64, shape (n,)
        Of each request, also of those that run, 0 … `MOST_URGENT`.
    firm : ndarray of int64, shape (n,)
        1 for those whom nobody overtakes, 0 for others.
    """

    order: IntArray
    wait: IntArray
    least: IntArray
    most: IntArray
    urgency: IntArray
    firm: IntArray

    def copied(self) -> Code:
        """Return a copy with arrays of its own."""
        return Code(*(column.copy() for column in self))


class Running(NamedTuple):
    """The requests that hold KV, by (tokens to go, KV held falling, number).

    Attributes
    ----------
    who, to_go, held : ndarray of int64, shape (n,)
        Request, tokens to go, KV tokens held; the first ``counts[0]`` entries are used.
    counts : ndarray of int64, shape (2,)
        Requests that run, and the KV tokens that they hold together.
    """

    who: IntArray
    to_go: IntArray
    held: IntArray
    counts: IntArray


class Space(NamedTuple):
    """Working space of `decode`.

    Attributes
    ----------
    running : Running
        Who holds KV.
    following : ndarray of int64, shape (n + 1,)
        The list of positions of the order whose requests have no KV: ``following[m]`` is the first
        one, ``following[x]`` the one after x, and m, the order's length, its end.
    batches : ndarray of int64, shape (1,)
        Prompt batches of the last schedule.
    """

    running: Running
    following: IntArray
    batches: NDArray[np.int64]


def working_space(n: int) -> Space:
    """Return space for n requests."""
    who, to_go, held = (np.zeros(n, np.int64) for _ in range(3))
    running = Running(who, to_go, held, np.zeros(2, np.int64))
    return Space(running, np.zeros(n + 1, np.int64), np.zeros(1, np.int64))


def plain_code(order: IntArray, n: int, wait: int = 0, least: int = 1, firm: int = 0) -> Code:
    """Return a code with the same numbers for all batches, as full as they get; nobody is urgent.

    Parameters
    ----------
    order : ndarray of int64, shape (m,)
        The requests without KV.
    n : int
        All requests.
    wait, least : int
        Of each batch.
    firm : int
        Of each request.
    """
    m = order.size
    return Code(
        order.astype(np.int64),
        np.full(m, wait, np.int64),
        np.full(m, least, np.int64),
        np.full(m, n, np.int64),
        np.zeros(n, np.int64),
        np.full(n, firm, np.int64),
    )


def schedule_of(instance: Instance, code: Code) -> SeparateSchedule:
    """Return the schedule of a code.

    Parameters
    ----------
    instance : Instance
        The instance; any law, any limits.
    code : Code
        The code, of all requests.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[3, 2])
    >>> for batch in schedule_of(instance, plain_code(np.array([0, 1]), 2)).batches:
    ...     print(batch.kind, batch.start, batch.requests)
    prompt 0 (0, 1)
    token 1 (1, 0)
    token 2 (0,)
    """
    machine = machine_of(instance)
    log = np.zeros(log_size(instance.output), np.int64)
    decode(machine, working_space(instance.n), code, float(REJECTED), log)
    return SeparateSchedule.left_shifted(instance, _columns(log))


def log_size(output: IntArray) -> int:
    """Enough for all batches one job each, with two numbers per batch."""
    return 3 * (output.size + int(output.sum())) + 1


def _columns(log: IntArray) -> Columns:
    """What the log says, batch by batch."""
    kind, size, member = np.empty((3, int(log[0])), np.int64)
    batches, jobs = _read(log, kind, size, member)
    return Columns(kind[:batches] == _PROMPT, size[:batches].copy(), member[:jobs].copy())


@njit(cache=True, nogil=True)
def _read(log: IntArray, kind: IntArray, size: IntArray, member: IntArray) -> tuple[int, int]:
    """Write kinds, sizes and members from the log to columns; return how many batches and jobs."""
    at, batches, jobs = 1, 0, 0
    while at < log[0]:
        d = log[at + 1]
        kind[batches], size[batches] = log[at], d
        for k in range(d):
            member[jobs + k] = log[at + 2 + k]
        batches, jobs, at = batches + 1, jobs + d, at + 2 + d
    return batches, jobs


@njit(cache=True, nogil=True)
def decode(machine: Machine, space: Space, code: Code, limit: float, log: IntArray) -> int:
    """Total latency of a code's schedule, or `REJECTED` as soon as it exceeds `limit`.

    The batches are written to `log` if it has room for any: its first number is where they end;
    each is its kind, its size and its members.
    """
    space.running.counts[:] = 0
    return decode_from(machine, space, 0, code, limit, log)


@njit(cache=True, nogil=True)
def decode_from(
    machine: Machine, space: Space, now: int, code: Code, limit: float, log: IntArray
) -> int:
    """Do the same from a boundary `now` on, at which some requests run: latencies of the rest.

    Waits count from `now`. The state must be safe.
    """
    running, left = space.running, code.order.size
    _nobody_placed(space.following, left)
    if log.size:
        log[0] = 1
    cost = batch = since = 0
    while left > 0 or running.counts[0] > 0:
        most = REJECTED
        if left > 0 and running.counts[0] > 0 and since < code.wait[batch]:
            most = code.wait[batch] - since
        elif left > 0:
            here, coming = _look(machine, code.order, space.following, now)
            blocked = False
            if here > 0 and (here >= code.least[batch] or coming == REJECTED):
                joined, now = _prompt_batch(machine, space, code, batch, now, log)
                if joined > 0:
                    left -= joined
                    batch, since = batch + 1, 0
                    cost += _complete(machine, running, now)
                    if cost > limit:
                        return REJECTED
                    continue
                blocked = True
            if running.counts[0] == 0:
                now = coming
                continue
            most = _steps_until(machine, now, coming)
            if blocked:
                most = min(most, _while_they_wait(machine, space, code, now))
        steps, now = _token_batches(machine, running, code.urgency, most, now, log)
        since += steps
        cost += _complete(machine, running, now)
        if cost > limit:
            return REJECTED
    space.batches[0] = batch
    return cost


@njit(cache=True, nogil=True)
def _nobody_placed(following: IntArray, m: int) -> None:
    for at in range(m):
        following[at] = at + 1
    following[m] = 0


@njit(cache=True, nogil=True)
def _look(machine: Machine, order: IntArray, following: IntArray, now: int) -> tuple[int, int]:
    """Count who has arrived, and find the next arrival (or `REJECTED`), within reach."""
    here, coming, m = 0, REJECTED, order.size
    at = following[m]
    for _ in range(REACH):
        if at == m:
            break
        a = machine.arrival[order[at]]
        if a <= now:
            here += 1
        else:
            coming = min(coming, a)
        at = following[at]
    return here, coming


@njit(cache=True, nogil=True)
def _steps_until(machine: Machine, now: int, coming: int) -> int:
    """Token batches that start before an arrival; under the affine law at most so many."""
    if coming == REJECTED:
        return REJECTED
    law = machine.law
    if law.per_token_job == 0 and law.per_kv_token == 0:
        return int(-(-(coming - now) // token_time(law, 1, 0)))
    return int(max(1, (coming - now) // token_time(law, machine.B_D, machine.M)))


@njit(cache=True, nogil=True)
def _prompt_batch(
    machine: Machine, space: Space, code: Code, batch: int, now: int, log: IntArray
) -> tuple[int, int]:
    """Do a prompt batch of those who have arrived and fit; return how many, and its end."""
    order, following, m = code.order, space.following, code.order.size
    most = min(machine.B_P, code.most[batch])
    tokens = joined = 0
    before, at = m, following[m]
    for _ in range(REACH):
        if at == m or joined == most:
            break
        i = order[at]
        if (
            machine.arrival[i] <= now
            and tokens + machine.prompt[i] <= machine.C_P
            and _admit(machine, space.running, i)
        ):
            tokens += machine.prompt[i]
            following[before] = following[at]
            if log.size:
                log[log[0] + 2 + joined] = i
            joined += 1
        elif code.firm[i] == 1:
            break
        else:
            before = at
        at = following[at]
    if joined == 0:
        return 0, now
    if log.size:
        log[log[0]], log[log[0] + 1] = _PROMPT, joined
        log[0] += 2 + joined
    return joined, now + prompt_time(machine.law, tokens)


@njit(cache=True, nogil=True)
def _admit(machine: Machine, running: Running, i: int) -> bool:
    """Add a request to those that run if that is safe; say whether it is."""
    to_go, held = machine.output[i] - 1, machine.prompt[i] + 1
    if running.counts[1] + held > machine.M:
        return False
    m = running.counts[0]
    at = m
    while at > 0 and _is_before(i, to_go, held, running, at - 1):
        _copy(running, at - 1, at)
        at -= 1
    running.who[at], running.to_go[at], running.held[at] = i, to_go, held
    running.counts[0] += 1
    running.counts[1] += held
    if _is_safe(machine, running):
        return True
    running.counts[0] = m
    running.counts[1] -= held
    for k in range(at, m):
        _copy(running, k + 1, k)
    return False


@njit(cache=True, nogil=True)
def _is_before(i: int, to_go: int, held: int, running: Running, at: int) -> bool:
    """Whether a request comes before the one at a place."""
    if to_go != running.to_go[at]:
        return bool(to_go < running.to_go[at])
    if held != running.held[at]:
        return bool(held > running.held[at])
    return bool(i < running.who[at])


@njit(cache=True, nogil=True)
def _copy(running: Running, source: int, target: int) -> None:
    running.who[target] = running.who[source]
    running.to_go[target] = running.to_go[source]
    running.held[target] = running.held[source]


@njit(cache=True, nogil=True)
def _is_safe(machine: Machine, running: Running) -> bool:
    """Whether all can finish one after another in their order, within the KV capacity."""
    total = running.counts[1]
    if total > machine.M:
        return False
    for k in range(running.counts[0]):
        if total + running.to_go[k] > machine.M:
            return False
        total -= running.held[k]
    return True


@njit(cache=True, nogil=True)
def _while_they_wait(machine: Machine, space: Space, code: Code, now: int) -> int:
    """For how many token batches, if nobody completes, nobody who has arrived may join."""
    running, order, following = space.running, code.order, space.following
    if _urgency_counts(machine, running, code.urgency):
        return 1
    least, m = REJECTED, order.size
    at = following[m]
    for _ in range(REACH):
        if at == m:
            break
        if machine.arrival[order[at]] <= now:
            least = min(least, _while_it_waits(machine, running, order[at]))
        if code.firm[order[at]] == 1:
            break
        at = following[at]
    return least


@njit(cache=True, nogil=True)
def _while_it_waits(machine: Machine, running: Running, i: int) -> int:
    """For how many token batches, if nobody completes, a request that may not join yet may not.

    In the order of those that run nobody's sum of KV and tokens to go (`_is_safe`) falls as a first
    part of them advances. So it may join at the earliest when somebody else comes before it. Nor is
    there more room for its prompt.
    """
    if running.counts[1] + machine.prompt[i] + 1 > machine.M:
        return REJECTED
    to_go = machine.output[i] - 1
    for k in range(running.counts[0]):
        if running.to_go[k] >= to_go:
            return int(max(1, running.to_go[k] - to_go))
    return REJECTED


@njit(cache=True, nogil=True)
def _urgency_counts(machine: Machine, running: Running, urgency: IntArray) -> bool:
    """Whether there is no room for all in a token batch, and they are not equally urgent."""
    m = running.counts[0]
    if m > machine.B_D:
        for k in range(1, m):
            if urgency[running.who[k]] != urgency[running.who[0]]:
                return True
    return False


@njit(cache=True, nogil=True)
def _token_batches(
    machine: Machine, running: Running, urgency: IntArray, most: int, now: int, log: IntArray
) -> tuple[int, int]:
    """Do at most so many equal token batches, till one completes; their number, and the end."""
    if _urgency_counts(machine, running, urgency):
        members, steps = _urgent_steps(machine, running, urgency, most)
        if members.size > 0:
            kv = 0
            for i in members:
                kv += running.held[_place(running, int(i))]
            return steps, _end(machine, members, kv - members.size * steps, steps, now, log)
        most = 1
    d = _most_served(machine, running)
    steps = min(most, _most_steps(machine, running, d))
    _advance(running, 0, d, steps)
    kv = running.held[:d].sum() - d * steps
    return steps, _end(machine, running.who[:d], kv, steps, now, log)


@njit(cache=True, nogil=True)
def _end(machine: Machine, members: IntArray, kv: int, steps: int, now: int, log: IntArray) -> int:
    """End of so many batches of these members, who hold `kv` KV tokens before; write them down."""
    law, d = machine.law, members.size
    if law.per_kv_token == 0:
        now += steps * token_time(law, d, 0)
    else:
        for step in range(steps):
            now += token_time(law, d, kv + d * step)
    if log.size:
        for _ in range(steps):
            _write(log, _TOKEN, members)
    return now


@njit(cache=True, nogil=True)
def _urgent_steps(
    machine: Machine, running: Running, urgency: IntArray, most: int
) -> tuple[IntArray, int]:
    """Advance the most urgent that may be; who they are, and by how many tokens each.

    They go on being those as long as nobody of them is done, since they come closer to their ends.
    For more than one token each that must be safe whoever comes first: with what the one with the
    most tokens to go still needs on top of all KV.
    """
    who = running.who[: running.counts[0]].copy()
    members = np.empty(machine.B_D, np.int64)
    count, refused = 0, False
    for level in range(MOST_URGENT, -1, -1):
        for i in who:
            if urgency[i] == level and count < machine.B_D:
                if _advance_one(machine, running, int(i)):
                    members[count] = i
                    count += 1
                else:
                    refused = True
    members = members[:count]
    if refused or count == 0:
        return members, 1
    spare = machine.M - running.counts[1] - running.to_go[running.counts[0] - 1]
    more = min(most - 1, spare // count)
    for i in members:
        more = min(more, running.to_go[_place(running, int(i))])
    if more <= 0:
        return members, 1
    for i in members:
        _move_up(running, _place(running, int(i)), more)
    return members, 1 + more


@njit(cache=True, nogil=True)
def _advance_one(machine: Machine, running: Running, i: int) -> bool:
    """Give a request a token if that is safe; say whether it is."""
    at = _move_up(running, _place(running, i), 1)
    if _is_safe(machine, running):
        return True
    to_go, held, m = running.to_go[at] + 1, running.held[at] - 1, running.counts[0]
    while at + 1 < m and not _is_before(i, to_go, held, running, at + 1):
        _copy(running, at + 1, at)
        at += 1
    running.who[at], running.to_go[at], running.held[at] = i, to_go, held
    running.counts[1] -= 1
    return False


@njit(cache=True, nogil=True)
def _move_up(running: Running, at: int, steps: int) -> int:
    """Advance the request at a place, and put it where it belongs; return its new place."""
    i, to_go, held = running.who[at], running.to_go[at] - steps, running.held[at] + steps
    while at > 0 and _is_before(i, to_go, held, running, at - 1):
        _copy(running, at - 1, at)
        at -= 1
    running.who[at], running.to_go[at], running.held[at] = i, to_go, held
    running.counts[1] += steps
    return at


@njit(cache=True, nogil=True)
def _place(running: Running, i: int) -> int:
    """Place of a request that runs."""
    at = 0
    while running.who[at] != i:
        at += 1
    return at


@njit(cache=True, nogil=True)
def _most_served(machine: Machine, running: Running) -> int:
    """How many of the first ones can get a token each such that the state stays safe, ≥ 1.

    A token for each of the first d raises the sum of KV and tokens to go of the k-th of them, which
    is counted in `_is_safe`, by d − k: those from it on hold d − k + 1 more, and it has one less to
    go. Others' sums stay.
    """
    d = min(running.counts[0], machine.B_D)
    total = running.counts[1]
    for k in range(running.counts[0]):
        if k >= d:
            break
        d = min(d, k + 1 + machine.M - total - running.to_go[k])
        total -= running.held[k]
    return int(d)


@njit(cache=True, nogil=True)
def _most_steps(machine: Machine, running: Running, d: int) -> int:
    """How many token batches of the first d stay safe, till one completes (see `_most_served`).

    As sums never fall, nobody else can be served meanwhile who cannot be at first.
    """
    steps = running.to_go[0]
    total = running.counts[1]
    for k in range(d - 1):
        steps = min(steps, (machine.M - total - running.to_go[k]) // (d - 1 - k))
        total -= running.held[k]
    return int(steps)


@njit(cache=True, nogil=True)
def _advance(running: Running, first: int, end: int, steps: int) -> None:
    for k in range(first, end):
        running.to_go[k] -= steps
        running.held[k] += steps
    running.counts[1] += (end - first) * steps


@njit(cache=True, nogil=True)
def _complete(machine: Machine, running: Running, now: int) -> int:
    """Take out those that are complete at `now`, the first ones; return their latencies' sum."""
    done = latency = 0
    m = running.counts[0]
    while done < m and running.to_go[done] == 0:
        latency += now - machine.arrival[running.who[done]]
        running.counts[1] -= running.held[done]
        done += 1
    if done:
        for k in range(done, m):
            _copy(running, k, k - done)
        running.counts[0] = m - done
    return latency


@njit(cache=True, nogil=True)
def _write(log: IntArray, kind: int, members: IntArray) -> None:
    at = log[0]
    log[at], log[at + 1] = kind, members.size
    log[at + 2 : at + 2 + members.size] = members
    log[0] = at + 2 + members.size
