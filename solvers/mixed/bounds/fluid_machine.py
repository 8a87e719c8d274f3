"""The fluid relaxation: one machine of speed M, works p_i, release dates a_i, preemption.

In a feasible schedule request i holds ``s_i + j`` KV tokens in its j-th round. Let a machine work
on i at that rate throughout the round: in every round it works at most at rate M, it has done
``p_i = Σ_{j=1..o_i} (s_i + j)`` (the KV area) exactly at the completion c_i, and nothing before
a_i. So every schedule is a schedule of this machine with the same completions, and whatever is
least over all schedules of the machine is a lower bound.

Times are measured in units of 1/M rounds, in which the machine has speed 1: all are integers.

Limits on a round are such machines as well (`Resource`): with at most B requests in a round, each
takes a seat for o_i rounds; with at most C tokens in a round, request i takes s_i in its first and
one in each other. The machine of the KV capacity looks at neither: leaving limits out leaves a
relaxation, so that its bounds stay valid under them.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import FloatArray, Instance, IntArray

_LIMIT = 2**62


class Resource(NamedTuple):
    """What a round has of something, and what each request takes of it.

    Attributes
    ----------
    speed : int
        Units in a round.
    work : ndarray of int64, shape (n,)
        p: units that a request takes in all its rounds together.
    after : ndarray of float64, shape (n,)
        Time from the mean of when it takes them, a round's at its middle, to its completion.
    """

    speed: int
    work: IntArray
    after: FloatArray


def kv_memory(instance: Instance) -> Resource:
    """KV tokens: ``s_i + j`` in the j-th round, M in all."""
    s, o = instance.prompt.astype(np.float64), instance.output.astype(np.float64)
    # o − μ = Σ_j (o − j + ½)(s + j)/p, and Σ_j (o − j + ½) = o²/2, Σ_j (o − j + ½)·j as below.
    after = (s * o * o / 2 + o * (o + 1) * (2 * o + 1) / 12) / instance.volume
    return Resource(instance.gpu.kv_capacity, instance.volume, after)


def seats(instance: Instance) -> Resource:
    """Seats: one in each round, B in all; the instance must have that limit."""
    B = instance.gpu.running_requests
    assert B is not None
    return Resource(B, instance.output, instance.output / 2)


def tokens(instance: Instance) -> Resource:
    """Tokens: s_i in the first round and one in each other, C in all; there must be that limit."""
    C = instance.gpu.batch_tokens
    assert C is not None
    s, o = instance.prompt.astype(np.float64), instance.output.astype(np.float64)
    work = instance.prompt + instance.output - 1
    return Resource(C, work, (s * (o - 0.5) + (o - 1) * (o - 1) / 2) / work)


def scaled_works(
    instance: Instance, resource: Resource | None = None
) -> tuple[IntArray, IntArray, int]:
    """Release dates and works in units of 1/speed rounds, and the speed, within 64 bits.

    The resource is the KV memory by default. The releases count from the first arrival. If
    ``M·(a_max − a_min) + Σ p`` does not fit, works
    are halved and rounded down and the speed is halved and rounded up until it does: less work on
    a faster machine is a relaxation, so bounds stay valid.

    Returns
    -------
    release : ndarray of int64, shape (n,)
    work : ndarray of int64, shape (n,)
    speed : int
    """
    span = int(instance.arrival.max() - instance.arrival.min())
    most, works, _ = kv_memory(instance) if resource is None else resource
    speed, shift = most, 0
    total = sum(works.tolist())
    while speed * (span + 1) + (total >> shift) >= _LIMIT:
        shift += 1
        speed = -(-most >> shift)
    release = (instance.arrival - instance.arrival.min()) * speed
    return release, works >> shift, speed


@njit(cache=True)
def preemptive_schedule(
    release: IntArray, work: IntArray, priority: FloatArray, shortest_remaining: bool
) -> tuple[IntArray, FloatArray]:
    """Run the machine on the available work of highest priority, preempting at releases.

    Parameters
    ----------
    release, work : ndarray of int64, shape (n,)
        In units in which the machine has speed 1.
    priority : ndarray of float64, shape (n,)
        Lower first. Not looked at with `shortest_remaining`.
    shortest_remaining : bool
        Let the priority be the remaining work (SRPT).

    Returns
    -------
    completion : ndarray of int64, shape (n,)
        Completion times.
    mean_busy : ndarray of float64, shape (n,)
        Mean time at which the machine works on i, from its release (0 for works of 0): every
        operation is on non-negative numbers, at most 2n + 6 of them follow each other, so the
        relative error is below ``(2n + 8)·2^−53``.
    """
    n = release.size
    completion = np.zeros(n, np.int64)
    moment = np.zeros(n, np.float64)
    remaining = work.copy()
    order = np.argsort(release, kind="mergesort")
    available = [(0.0, np.int64(0), np.int64(0))]
    available.pop()
    arrived, now = 0, np.int64(0)
    while arrived < n or len(available) > 0:
        if len(available) == 0:
            now = max(now, release[order[arrived]])
        while arrived < n and release[order[arrived]] <= now:
            i = order[arrived]
            # Ties and works beyond 2^53 are settled by the integer in second place.
            key = 0.0 if shortest_remaining else priority[i]
            heapq.heappush(available, (key, remaining[i], i))
            arrived += 1
        key, _, i = available[0]
        end = now + remaining[i]
        if arrived < n:
            end = min(end, release[order[arrived]])
        done = end - now
        moment[i] += float(done) * float((now - release[i]) + (end - release[i]))
        remaining[i] -= done
        now = end
        if remaining[i] == 0:
            completion[i] = now
            heapq.heappop(available)
        else:
            heapq.heapreplace(available, (key, remaining[i], i))
    mean_busy = np.zeros(n, np.float64)
    for i in range(n):
        if work[i] > 0:
            mean_busy[i] = moment[i] / (2.0 * float(work[i]))
    return completion, mean_busy
