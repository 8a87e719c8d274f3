"""From an encoding to the schedule that it stands for: compiled.

**Prompt batches.** The next one is due when as many token batches as its wait have come since the
last one, or nothing runs. It opens as soon as its least number of requests have arrived, or all
have. The requests that have arrived and fit join in the order of the encoding, up to the batch's
most and up to the first firm request that cannot join: none may overtake that. So if no request is
firm and the most is large, none is left out for which there is room; else KV is kept for others.
While the batch is not due or does not open, token batches go on, or the GPU idles until the next
arrival. Only the first `REACH` requests of the order that are without KV are considered.

**Token batches** serve the most urgent of the running requests, of equally urgent ones those with
the fewest tokens to go (among equals, the one that holds more KV, then the first by number), as
many as B_D allows. Where there is room for all, urgency plays no part.

**KV.** A request joins, and a token job is done, only if the state after it is safe (`running`). So
every encoding has a schedule.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import Instance, IntArray
from ....models.separate.columns import Columns
from ....models.separate.problem import Problem, separate_problem
from ....models.separate.schedule import SeparateSchedule
from ..compiled_instance import prompt_time, token_time
from .encoding import Encoding
from .running import (
    KV,
    REQUESTS,
    Running,
    admit,
    advance,
    complete,
    most_served,
    most_steps,
    place_of,
    urgency_counts,
    urgent_steps,
)

#: What `total_latency` returns for an encoding whose cost exceeds the limit.
REJECTED = 2**62

#: Requests without KV, in the order of the encoding, among which a prompt batch is filled.
REACH = 64

_PROMPT, _TOKEN = 0, 1


class Workspace(NamedTuple):
    """Working space of `total_latency`.

    Attributes
    ----------
    running : Running
        The requests that hold KV.
    following : ndarray of int64, shape (n + 1,)
        The list of positions of the order whose requests have no KV: ``following[m]`` is the first
        one, ``following[x]`` the one after x, and m, the order's length, its end.
    batches : ndarray of int64, shape (1,)
        Prompt batches of the last schedule.
    """

    running: Running
    following: IntArray
    batches: NDArray[np.int64]


def working_space(n: int) -> Workspace:
    """Return space for n requests."""
    who, to_go, held = (np.zeros(n, np.int64) for _ in range(3))
    running = Running(who, to_go, held, np.zeros(2, np.int64))
    return Workspace(running, np.zeros(n + 1, np.int64), np.zeros(1, np.int64))


def schedule_of(instance: Instance, encoding: Encoding) -> SeparateSchedule:
    """Return the schedule of an encoding.

    Parameters
    ----------
    instance : Instance
        The instance; any law, any limits.
    encoding : Encoding
        The encoding, of all requests.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[3, 2])
    >>> for batch in schedule_of(instance, plain_encoding(np.array([0, 1]), 2)).batches:
    ...     print(batch.kind, batch.start, batch.requests)
    prompt 0 (0, 1)
    token 1 (1, 0)
    token 2 (0,)
    """
    problem = separate_problem(instance)
    log = np.zeros(log_size(instance.output), np.int64)
    total_latency(problem, working_space(instance.n), encoding, float(REJECTED), log)
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
def total_latency(
    problem: Problem, space: Workspace, encoding: Encoding, limit: float, log: IntArray
) -> int:
    """Total latency of an encoding's schedule, or `REJECTED` as soon as it exceeds `limit`.

    The batches are written to `log` if it has room for any: its first number is where they end;
    each is its kind, its size and its members.
    """
    space.running.counts[:] = 0
    return latency_from(problem, space, 0, encoding, limit, log)


@njit(cache=True, nogil=True)
def latency_from(
    problem: Problem, space: Workspace, now: int, encoding: Encoding, limit: float, log: IntArray
) -> int:
    """Do the same from a boundary `now` on, at which some requests run: latencies of the rest.

    Waits count from `now`. The state must be safe.
    """
    running, left = space.running, encoding.order.size
    _all_waiting(space.following, left)
    if log.size:
        log[0] = 1
    cost = batch = since = 0
    while left > 0 or running.counts[REQUESTS] > 0:
        most = REJECTED
        if left > 0 and running.counts[REQUESTS] > 0 and since < encoding.wait[batch]:
            most = encoding.wait[batch] - since
        elif left > 0:
            here, coming = _look(problem, encoding.order, space.following, now)
            blocked = False
            if here > 0 and (here >= encoding.least[batch] or coming == REJECTED):
                joined, now = _prompt_batch(problem, space, encoding, batch, now, log)
                if joined > 0:
                    left -= joined
                    batch, since = batch + 1, 0
                    cost += complete(problem, running, now)
                    if cost > limit:
                        return REJECTED
                    continue
                blocked = True
            if running.counts[REQUESTS] == 0:
                now = coming
                continue
            most = _steps_until(problem, now, coming)
            if blocked:
                most = min(most, _while_they_wait(problem, space, encoding, now))
        steps, now = _token_batches(problem, running, encoding.urgency, most, now, log)
        since += steps
        cost += complete(problem, running, now)
        if cost > limit:
            return REJECTED
    space.batches[0] = batch
    return cost


@njit(cache=True, nogil=True)
def _all_waiting(following: IntArray, m: int) -> None:
    for at in range(m):
        following[at] = at + 1
    following[m] = 0


@njit(cache=True, nogil=True)
def _look(problem: Problem, order: IntArray, following: IntArray, now: int) -> tuple[int, int]:
    """Count the requests that have arrived; the next arrival (or `REJECTED`), within reach."""
    here, coming, m = 0, REJECTED, order.size
    at = following[m]
    for _ in range(REACH):
        if at == m:
            break
        a = problem.arrival[order[at]]
        if a <= now:
            here += 1
        else:
            coming = min(coming, a)
        at = following[at]
    return here, coming


@njit(cache=True, nogil=True)
def _steps_until(problem: Problem, now: int, coming: int) -> int:
    """Token batches that start before an arrival; under the affine law at most this many."""
    if coming == REJECTED:
        return REJECTED
    law = problem.law
    if law.per_token_job == 0 and law.per_kv_token == 0:
        return int(-(-(coming - now) // token_time(law, 1, 0)))
    return int(max(1, (coming - now) // token_time(law, problem.B_D, problem.M)))


@njit(cache=True, nogil=True)
def _prompt_batch(
    problem: Problem, space: Workspace, encoding: Encoding, batch: int, now: int, log: IntArray
) -> tuple[int, int]:
    """Do a prompt batch of requests that have arrived and fit; return how many, and its end."""
    order, following, m = encoding.order, space.following, encoding.order.size
    most = min(problem.B_P, encoding.most[batch])
    tokens = joined = 0
    before, at = m, following[m]
    for _ in range(REACH):
        if at == m or joined == most:
            break
        i = order[at]
        if (
            problem.arrival[i] <= now
            and tokens + problem.prompt[i] <= problem.C_P
            and admit(problem, space.running, i)
        ):
            tokens += problem.prompt[i]
            following[before] = following[at]
            if log.size:
                log[log[0] + 2 + joined] = i
            joined += 1
        elif encoding.firm[i] == 1:
            break
        else:
            before = at
        at = following[at]
    if joined == 0:
        return 0, now
    if log.size:
        log[log[0]], log[log[0] + 1] = _PROMPT, joined
        log[0] += 2 + joined
    return joined, now + prompt_time(problem.law, tokens)


@njit(cache=True, nogil=True)
def _while_they_wait(problem: Problem, space: Workspace, encoding: Encoding, now: int) -> int:
    """For how many token batches, if none completes, no request that has arrived may join."""
    running, order, following = space.running, encoding.order, space.following
    if urgency_counts(problem, running, encoding.urgency):
        return 1
    least, m = REJECTED, order.size
    at = following[m]
    for _ in range(REACH):
        if at == m:
            break
        if problem.arrival[order[at]] <= now:
            least = min(least, _while_it_waits(problem, running, order[at]))
        if encoding.firm[order[at]] == 1:
            break
        at = following[at]
    return least


@njit(cache=True, nogil=True)
def _while_it_waits(problem: Problem, running: Running, i: int) -> int:
    """For how many token batches, if none completes, a request that may not join yet may not.

    In the order of the running requests no sum of KV and tokens to go (`running`) falls while the
    first ones of them advance. So it may join at the earliest when another comes before it. Nor is
    there more room for its prompt.
    """
    if running.counts[KV] + problem.prompt[i] + 1 > problem.M:
        return REJECTED
    to_go = problem.output[i] - 1
    for k in range(running.counts[REQUESTS]):
        if running.to_go[k] >= to_go:
            return int(max(1, running.to_go[k] - to_go))
    return REJECTED


@njit(cache=True, nogil=True)
def _token_batches(
    problem: Problem, running: Running, urgency: IntArray, most: int, now: int, log: IntArray
) -> tuple[int, int]:
    """Do at most `most` equal token batches, till one completes; their number, and the end."""
    if urgency_counts(problem, running, urgency):
        members, steps = urgent_steps(problem, running, urgency, most)
        if members.size > 0:
            kv = 0
            for i in members:
                kv += running.held[place_of(running, int(i))]
            return steps, _end(problem, members, kv - members.size * steps, steps, now, log)
        most = 1
    d = most_served(problem, running)
    steps = min(most, most_steps(problem, running, d))
    advance(running, d, steps)
    kv = running.held[:d].sum() - d * steps
    return steps, _end(problem, running.who[:d], kv, steps, now, log)


@njit(cache=True, nogil=True)
def _end(problem: Problem, members: IntArray, kv: int, steps: int, now: int, log: IntArray) -> int:
    """End of `steps` batches of these members, which hold `kv` KV tokens before; log them."""
    law, d = problem.law, members.size
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
def _write(log: IntArray, kind: int, members: IntArray) -> None:
    at = log[0]
    log[at], log[at + 1] = kind, members.size
    log[at + 2 : at + 2 + members.size] = members
    log[0] = at + 2 + members.size
