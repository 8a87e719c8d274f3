"""Exhaustive search on tiny instances: independent of every solver of the package.

It walks through the rounds one at a time and tries every set of waiting requests to start at every
boundary; a branch dies as soon as a round holds more than M tokens, has more than B requests or
more than C tokens to process, or it cannot better the best.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations


def brute_force(instance, objective="latency"):
    """Optimal value and one optimal vector of starts; the horizon is the serial one.

    No schedule loses by the horizon: whatever all of an optimal schedule's requests do after the
    last arrival, idle rounds there can be cut out.
    """
    M, n = instance.gpu.kv_capacity, instance.n
    a, s, o = (column.tolist() for column in (instance.arrival, instance.prompt, instance.output))
    w = [Fraction(repr(x)) for x in instance.weight.tolist()]
    r = [Fraction(repr(x)) for x in instance.reward.tolist()]
    limit = [instance.horizon or 0] * n
    if instance.deadline is not None:
        limit = [min(T, d) for T, d in zip(limit, instance.deadline.tolist(), strict=True)]
    end = max(a) + sum(o)

    def cost(i, k):
        """Contribution of a start at k; to be minimised, and never less for a later start."""
        if objective == "latency":
            return k + o[i] - a[i]
        if objective == "weighted":
            return w[i] * (k + o[i])
        if objective == "tardiness":
            return w[i] * max(0, k + o[i] - int(instance.deadline[i]))
        if objective == "reward":
            return -r[i] if k + o[i] <= limit[i] else 0
        return k + o[i]

    join = max if objective == "makespan" else lambda x, y: x + y
    best = [None, None]

    def least(start, t, so_far):
        value = so_far
        for i in range(n):
            if start[i] is None:
                value = join(value, cost(i, max(t, a[i])))
        return value

    def held(start, t):
        return sum(s[i] + t - k for i, k in enumerate(start) if k is not None and k < t <= k + o[i])

    B = instance.gpu.running_requests or n
    C = instance.gpu.batch_tokens or sum(s)

    def within_limits(start, t):
        work = [
            s[i] if t == k + 1 else 1
            for i, k in enumerate(start)
            if k is not None and k < t <= k + o[i]
        ]
        return len(work) <= B and sum(work) <= C

    def go(start, t, so_far):
        if best[0] is not None and least(start, t, so_far) >= best[0]:
            return
        if None not in start:
            last = max(k + o[i] for i, k in enumerate(start))
            if all(held(start, u) <= M for u in range(t + 1, last + 1)):
                best[:] = [so_far, list(start)]
            return
        if t >= end:
            return
        waiting = [i for i in range(n) if start[i] is None and a[i] <= t]
        for size in range(len(waiting), -1, -1):
            for chosen in combinations(waiting, size):
                began = [t if i in chosen else k for i, k in enumerate(start)]
                if held(began, t + 1) <= M and within_limits(began, t + 1):
                    value = so_far
                    for i in chosen:
                        value = join(value, cost(i, t))
                    go(began, t + 1, value)

    go([None] * n, 0, 0)
    value, start = best
    return (-value if objective == "reward" else value), start
