"""The combinatorial bounds recomputed: slowly, plainly, in integers without limit.

The proofs are those of `bounds.kv_area` and `bounds.fluid_machine`: a machine of speed M that may
preempt has work ``p_i = Σ_{j=1..o_i} (s_i + j)`` for request i from its arrival on, and every
schedule is one of its schedules with the same completions. A limit on a round is such a machine,
too: of speed B with works o_i, or of speed C with works ``s_i + o_i − 1`` (`SEATS`, `TOKENS`). No
code is shared with them. Times are in units of 1/M rounds, in which the machine has speed 1.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType

from ....models.errors import InputError
from ....models.instance import NO_DEADLINE, FloatArray, Instance
from ....models.objectives import Exact, due_times, latest_completion

#: Means are rounded down to multiples of 1 / GRID.
GRID = 2**80

#: What a machine stands for.
KV_AREA, SEATS, TOKENS = "KV area", "running requests", "token budget"


def value_at_arrival(instance: Instance, objective: str) -> Exact:
    """Value if every request started at its arrival, which no schedule improves on.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> value_at_arrival(instance, "latency"), value_at_arrival(instance, "makespan")
    (6, 4)
    """
    a: list[int] = instance.arrival.tolist()
    o: list[int] = instance.output.tolist()
    if objective == "latency":
        return sum(o)
    end = [arrival + output for arrival, output in zip(a, o, strict=True)]
    if objective == "makespan":
        return max(end)
    if objective == "weighted":
        return sum(
            (w * c for w, c in zip(_decimals(instance.weight), end, strict=True)), Fraction()
        )
    if objective == "tardiness":
        rows = zip(_decimals(instance.weight), end, due_times(instance).tolist(), strict=True)
        return sum((w * max(0, c - d) for w, c, d in rows), Fraction())
    latest = latest_completion(instance).tolist()
    earned = zip(_decimals(instance.reward), end, latest, strict=True)
    return sum((r for r, c, last in earned if c <= last), Fraction())


def shortest_remaining_first(instance: Instance, of: str = KV_AREA) -> Exact:
    """Least total latency of the machine: at any time it works on what has least work left.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=5), arrival=[0, 0], prompt=[1, 3], output=[4, 2])
    >>> shortest_remaining_first(instance)  # completions 9/5 and 23/5
    Fraction(32, 5)
    """
    M, jobs = _speed(instance, of), _jobs(instance, of)
    left = [p for _, p, _ in jobs]
    done = _run(jobs, lambda i: left[i], left)
    return Fraction(sum(pieces[-1][1] for pieces in done) - sum(a for a, _, _ in jobs), M)


def mean_busy_times(
    instance: Instance, weights: list[Fraction] | None = None, of: str = KV_AREA
) -> Exact:
    """Least ``Σ w_i·(c_i − a_i)`` by mean busy times B_i: ``c_i = B_i + o_i − μ_i``.

    ``Σ w_i·B_i`` is least if the machine always works on what weighs most per unit of work,
    w_i/p_i. All w_i are 1 by default.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=5), arrival=[0, 0], prompt=[1, 3], output=[4, 2])
    >>> round(float(mean_busy_times(instance)), 3)
    6.687
    """
    M, jobs = _speed(instance, of), _jobs(instance, of)
    s, o = instance.prompt.tolist(), instance.output.tolist()
    w = weights or [Fraction(1)] * instance.n
    falling = sorted(range(instance.n), key=lambda i: w[i] / jobs[i][1], reverse=True)
    rank = {i: position for position, i in enumerate(falling)}
    done = _run(jobs, rank.__getitem__, [p for _, p, _ in jobs])
    unit = math.lcm(*(weight.denominator for weight in w))
    total = 0
    for i, (a, p, _) in enumerate(jobs):
        # 2·M·Σ over the pieces of its work of (middle − arrival), and 2·p·(o − μ):
        busy = sum((end - begin) * (begin + end - 2 * a) for begin, end in done[i])
        rest = _RESTS[of](s[i], o[i])
        total += int(unit * w[i]) * (GRID * (busy + M * rest) // (2 * p * M))
    return Fraction(total, GRID * unit)


def _rest(s: int, o: int) -> int:
    """``2·p·(o − μ) = Σ_{j=1..o} (2·(o − j) + 1)·(s + j)``, in closed form.

    Examples
    --------
    >>> _rest(3, 2), 3 * 4 + 1 * 5
    (17, 17)
    """
    return s * o * o + o * (o + 1) * (2 * o + 1) // 6


#: The same of each machine, Σ_{j=1..o} (2·(o − j) + 1)·w_j with works w_j of 1, and of s and 1.
_RESTS: Mapping[str, Callable[[int, int], int]] = MappingProxyType(
    {
        KV_AREA: _rest,
        SEATS: lambda s, o: o * o,
        TOKENS: lambda s, o: s * (2 * o - 1) + (o - 1) ** 2,
    }
)


def weighted_mean_busy_times(instance: Instance, of: str = KV_AREA) -> Exact:
    """Least ``Σ w_i·c_i`` of the machine by mean busy times."""
    w = _decimals(instance.weight)
    at_arrival = sum((x * a for x, a in zip(w, instance.arrival.tolist(), strict=True)), Fraction())
    return at_arrival + mean_busy_times(instance, w, of)


def tardy_mean_busy_times(instance: Instance, of: str = KV_AREA) -> Exact:
    """Least ``Σ w_i·(c_i − d_i)`` of the machine over the requests with a deadline, or 0 if more.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=5), arrival=[0, 0], prompt=[1, 3], output=[4, 2], deadline=[3, 2]
    ... )
    >>> round(float(tardy_mean_busy_times(instance)), 3)
    1.687
    """
    due = due_times(instance).tolist()
    pairs = zip(_decimals(instance.weight), due, strict=True)
    w = [Fraction() if d == NO_DEADLINE else x for x, d in pairs]
    rows = zip(w, instance.arrival.tolist(), due, strict=True)
    slack = sum((x * (d - a) for x, a, d in rows if x), Fraction())
    return max(Fraction(), mean_busy_times(instance, w, of) - slack)


def latest_end(instance: Instance, of: str = KV_AREA) -> Exact:
    """Least makespan of the machine: what arrives from a on is done from a on, M a round.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=5), arrival=[0, 3], prompt=[1, 3], output=[4, 2])
    >>> latest_end(instance)
    Fraction(24, 5)
    """
    now = 0
    for a, p, _ in sorted(_jobs(instance, of)):
        now = max(now, a) + p
    return Fraction(now, _speed(instance, of))


def knapsack(instance: Instance, of: str = KV_AREA) -> Exact:
    """Most reward of what fits, in parts, the token-rounds between first arrival and last deadline.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=5)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[1, 3], output=[4, 2], horizon=4)
    >>> knapsack(instance)
    Fraction(25, 14)
    """
    a, o = instance.arrival.tolist(), instance.output.tolist()
    r, last = _decimals(instance.reward), latest_completion(instance).tolist()
    able = [i for i in range(instance.n) if a[i] + o[i] <= last[i]]
    if not able:
        return 0
    p = [work for _, work, _ in _jobs(instance, of)]
    room = _speed(instance, of) * (max(last[i] for i in able) - min(a[i] for i in able))
    total = Fraction()
    for i in sorted(able, key=lambda i: r[i] / p[i], reverse=True):
        packed = min(room, p[i])
        total += r[i] * packed / p[i]
        room -= packed
    return total


def _decimals(values: FloatArray) -> list[Fraction]:
    """Return coefficients as the decimals that they print as, as the objectives take them."""
    return [Fraction(repr(x)) for x in values.tolist()]


def _speed(instance: Instance, of: str) -> int:
    """Return what a round has; a limit that the instance does not have proves nothing."""
    gpu = instance.gpu
    found = {KV_AREA: gpu.kv_capacity, SEATS: gpu.running_requests, TOKENS: gpu.batch_tokens}[of]
    if found is None:
        field = "running_requests" if of == SEATS else "batch_tokens"
        raise InputError(f"proof.name: expected an instance with gpu.{field}, found none there")
    return found


def _jobs(instance: Instance, of: str) -> list[tuple[int, int, int]]:
    """Release date, work and number of each request."""
    speed = _speed(instance, of)
    rows = zip(
        instance.arrival.tolist(), instance.prompt.tolist(), instance.output.tolist(), strict=True
    )
    return [(speed * a, _WORKS[of](s, o), i) for i, (a, s, o) in enumerate(rows)]


#: Work of a request of s prompt and o output tokens, on each machine.
_WORKS: Mapping[str, Callable[[int, int], int]] = MappingProxyType(
    {
        KV_AREA: lambda s, o: s * o + o * (o + 1) // 2,
        SEATS: lambda s, o: o,
        TOKENS: lambda s, o: s + o - 1,
    }
)


def _run(
    jobs: list[tuple[int, int, int]], priority: Callable[[int], int], left: list[int]
) -> list[list[tuple[int, int]]]:
    """Let the machine work on the available job of smallest priority; return when it is on each.

    `left` holds the work that remains; `priority` is asked anew whenever a job is put back.
    """
    pieces: list[list[tuple[int, int]]] = [[] for _ in jobs]
    coming = sorted(jobs, reverse=True)
    available: list[tuple[int, int]] = []
    now = 0
    while coming or available:
        if not available:
            now = max(now, coming[-1][0])
        while coming and coming[-1][0] <= now:
            i = coming.pop()[2]
            heapq.heappush(available, (priority(i), i))
        _, i = heapq.heappop(available)
        end = now + left[i]
        if coming:
            end = min(end, coming[-1][0])
        pieces[i].append((now, end))
        left[i] -= end - now
        now = end
        if left[i]:
            heapq.heappush(available, (priority(i), i))
    return pieces
