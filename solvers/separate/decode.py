"""From a code, an order and waits, to the schedule that it stands for: compiled.

**The code.** An order of the requests, and a number per position of the order. Prompt jobs are done
in this order. A position with number −1 joins the prompt batch of the position before it if it
can; else, and at numbers w ≥ 0, it opens a batch of its own, which comes after at least w token
batches since the last prompt batch, or when nothing runs any more. Until the request that opens the
next batch has arrived, token batches go on.

**Token batches** serve the running requests with the fewest tokens to go (among equals, the one
that holds more KV), as many as B_D allows.

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

from ...models.instance import Instance, IntArray
from ...models.separate.decode import left_shifted
from ...models.separate.schedule import Kind, SeparateSchedule
from .machine import Machine, machine_of, prompt_time, token_time

#: What `decode` returns for a code whose cost exceeds the limit.
REJECTED = 2**62

_PROMPT, _TOKEN = 0, 1


class Running(NamedTuple):
    """The requests that hold KV, by (tokens to go, KV held falling): working space of `decode`.

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


def working_space(n: int) -> Running:
    """Return space for n requests."""
    who, to_go, held = (np.zeros(n, np.int64) for _ in range(3))
    return Running(who, to_go, held, np.zeros(2, np.int64))


def schedule_of(instance: Instance, order: IntArray, wait: IntArray) -> SeparateSchedule:
    """Return the schedule of a code.

    Parameters
    ----------
    instance : Instance
        The instance; any law, any limits.
    order, wait : ndarray of int64, shape (n,)
        The code: a permutation of the requests, and −1 or a number of token batches per position.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[3, 2])
    >>> for batch in schedule_of(instance, np.array([0, 1]), np.array([0, 1])).batches:
    ...     print(batch.kind, batch.start, batch.requests)
    prompt 0 (0,)
    token 1 (0,)
    prompt 2 (1,)
    token 3 (0, 1)
    """
    machine = machine_of(instance)
    log = np.zeros(_log_size(instance), np.int64)
    decode(machine, working_space(instance.n), order, wait, float(REJECTED), log)
    return left_shifted(instance, _batches(log))


def _log_size(instance: Instance) -> int:
    """Enough for all batches one job each, with two numbers per batch."""
    return 3 * (instance.n + int(instance.output.sum())) + 1


def _batches(log: IntArray) -> list[tuple[Kind, tuple[int, ...]]]:
    end, at, entries = int(log[0]), 1, log.tolist()
    batches: list[tuple[Kind, tuple[int, ...]]] = []
    while at < end:
        kind, size = entries[at : at + 2]
        members = tuple(entries[at + 2 : at + 2 + size])
        batches.append(("prompt" if kind == _PROMPT else "token", members))
        at += 2 + size
    return batches


@njit(cache=True, nogil=True)
def decode(
    machine: Machine,
    running: Running,
    order: IntArray,
    wait: IntArray,
    limit: float,
    log: IntArray,
) -> int:
    """Total latency of a code's schedule, or `REJECTED` as soon as it exceeds `limit`.

    The batches are written to `log` if it has room for any: its first number is where they end;
    each is its kind, its size and its members.
    """
    running.counts[:] = 0
    return decode_from(machine, running, 0, order, wait, limit, log)


@njit(cache=True, nogil=True)
def decode_from(
    machine: Machine,
    running: Running,
    now: int,
    order: IntArray,
    wait: IntArray,
    limit: float,
    log: IntArray,
) -> int:
    """Do the same from a boundary `now` on, at which some requests run: latencies of the rest.

    The code is of those who do not hold KV yet. Waits count from `now`. The state must be safe.
    """
    n = order.size
    if log.size:
        log[0] = 1
    cost = position = since = 0
    while position < n or running.counts[0] > 0:
        m = running.counts[0]
        opens = position < n and (
            m == 0 or (since >= wait[position] and machine.arrival[order[position]] <= now)
        )
        most = _most_repeats(machine, position, order, wait, since, now)
        if opens:
            end, now = _prompt_batch(machine, running, order, wait, position, now, log)
            if end > position:
                position, since = end, 0
                cost += _complete(machine, running, now)
                if cost > limit:
                    return REJECTED
                continue
            most = _while_it_waits(machine, running, order[position])
        steps, now = _token_batches(machine, running, most, now, log)
        since += steps
        cost += _complete(machine, running, now)
        if cost > limit:
            return REJECTED
    return cost


@njit(cache=True, nogil=True)
def _most_repeats(
    machine: Machine, position: int, order: IntArray, wait: IntArray, since: int, now: int
) -> int:
    """How many token batches come at least before the next prompt batch, as far as is known."""
    if position == order.size:
        return REJECTED
    most = max(1, wait[position] - since)
    gap = machine.arrival[order[position]] - now
    if gap > 0 and machine.law.per_token_job == 0 and machine.law.per_kv_token == 0:
        most = max(most, -(-gap // token_time(machine.law, 1, 0)))
    return int(most)


@njit(cache=True, nogil=True)
def _prompt_batch(
    machine: Machine,
    running: Running,
    order: IntArray,
    wait: IntArray,
    position: int,
    now: int,
    log: IntArray,
) -> tuple[int, int]:
    """Do the prompt batch that begins at a position; return the next position, and its end."""
    start, tokens, first = now, 0, position
    while position < order.size and position - first < machine.B_P:
        i = order[position]
        if position > first and wait[position] >= 0:
            break
        if tokens + machine.prompt[i] > machine.C_P or not _admit(machine, running, i):
            break
        start = max(start, machine.arrival[i])
        tokens += machine.prompt[i]
        position += 1
    if position == first:
        return first, now
    if log.size:
        _write(log, _PROMPT, order[first:position])
    return position, start + prompt_time(machine.law, tokens)


@njit(cache=True, nogil=True)
def _admit(machine: Machine, running: Running, i: int) -> bool:
    """Add a request to those that run if that is safe; say whether it is."""
    to_go, held = machine.output[i] - 1, machine.prompt[i] + 1
    if running.counts[1] + held > machine.M:
        return False
    m = running.counts[0]
    at = m
    while at > 0 and (
        running.to_go[at - 1] > to_go
        or (running.to_go[at - 1] == to_go and running.held[at - 1] < held)
    ):
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
def _while_it_waits(machine: Machine, running: Running, i: int) -> int:
    """For how many token batches, if nobody completes, a request that may not join yet may not.

    In the order of those that run nobody's sum of KV and tokens to go (`_is_safe`) falls as a first
    part of them advances. So it may join at the earliest when somebody else comes before it.
    """
    to_go = machine.output[i] - 1
    for k in range(running.counts[0]):
        if running.to_go[k] >= to_go:
            return int(max(1, running.to_go[k] - to_go))
    return REJECTED


@njit(cache=True, nogil=True)
def _token_batches(
    machine: Machine, running: Running, most: int, now: int, log: IntArray
) -> tuple[int, int]:
    """Do at most so many equal token batches, till one completes; their number, and the end."""
    law = machine.law
    d = _most_served(machine, running)
    steps = min(most, _most_steps(machine, running, d))
    _advance(running, 0, d, steps)
    if law.per_kv_token == 0:
        now += steps * token_time(law, d, 0)
    else:
        kv = running.held[:d].sum() - d * steps
        for step in range(steps):
            now += token_time(law, d, kv + d * step)
    if log.size:
        for _ in range(steps):
            _write(log, _TOKEN, running.who[:d])
    return steps, now


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
