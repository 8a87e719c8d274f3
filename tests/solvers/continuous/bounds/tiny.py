"""Tiny instances of continuous batching and their optima, by a search that shares no code."""

from __future__ import annotations

import heapq
import itertools
from fractions import Fraction

import numpy as np

from batchprophet.models.batch_time import AffineTime, UnitTime
from batchprophet.models.instance import Gpu, Instance


def tiny(seed):
    """Up to 3 requests, any limits, laws with c1 below and above c2, own intercepts of prompts."""
    rng = np.random.default_rng([41, seed])
    n = int(rng.choice([1, 2, 2, 3]))
    s, o = rng.integers(1, 5 - (n > 2), n), rng.integers(1, 5 - (n > 1) - (n > 2), n)
    peak = s + o
    unit = 1000 if rng.random() < 0.7 else 4000
    c = rng.integers([2, 0, 0, 0], [9, 4, 5, 3]) / unit
    own = int(rng.integers(1, 12)) / unit if rng.random() < 0.3 else None
    law = AffineTime(c0=c[0], c1=c[1], c2=c[2], c3=c[3], c0_prompt=own)
    block = int(rng.choice([1, 1, 2, 3]))
    whole = bool(rng.random() < 0.4)
    tokens = int(rng.integers(s.max() if whole else 1, 8)) if rng.random() < 0.5 else None
    least = -(-int(peak.max()) // block) * block
    gpu = Gpu(
        kv_capacity=int(rng.integers(least, max(least, int(peak.sum())) + 1)),
        running_requests=int(rng.integers(1, n + 1)) if rng.random() < 0.4 else None,
        batch_tokens=tokens,
        kv_block=block,
        chunked_prefill=not whole,
        batch_time=UnitTime() if rng.random() < 0.2 else law,
    )
    last = int(rng.choice([0, 3, 12]))
    return Instance(gpu=gpu, arrival=rng.integers(0, last + 1, n), prompt=s, output=o)


def optimum(instance, weight=None):
    """Least weighted latency: A* over tokens emitted, caches, times, and costs that none beats."""
    gpu, n = instance.gpu, instance.n
    weight = [1] * n if weight is None else weight
    a, s, o = (x.tolist() for x in (instance.arrival, instance.prompt, instance.output))
    law = gpu.batch_time
    if isinstance(law, UnitTime):
        own, c0, c1, c2, c3 = 1, 1, 0, 0, 0
    else:
        own = law.c0 if law.c0_prompt is None else law.c0_prompt
        own, c0, c1, c2, c3 = (
            Fraction(repr(float(x))) * 1000 for x in (own, law.c0, law.c1, law.c2, law.c3)
        )

    def choices(i, g, cache, ready):
        """What may be done with a request: chunk, job, and (g, cache, ready) after it."""
        yield 0, 0, (g, cache, ready)
        if g == o[i]:
            return
        if cache:
            yield 0, 0, (g, 0, False)
        if ready:
            yield 0, 1, (g + 1, cache + 1, True)
        for had in {0, 0 if ready else cache}:
            left = s[i] + g - had
            for p in range(1, left + 1) if gpu.chunked_prefill else [left]:
                yield p, 0, (g + (p == left), had + p, p == left)

    first = ((0, 0, False),) * n
    heap, kept = [(0, 0, min(a), first)], {}
    while heap:
        _, cost, t, state = heapq.heappop(heap)
        others = kept.setdefault(state, [])
        if any(then <= t and paid <= cost for then, paid in others):
            continue
        others.append((t, cost))
        if all(g == o[i] for i, (g, _, _) in enumerate(state)):
            return cost
        options = [list(choices(i, *state[i])) for i in range(n)]
        for picked in itertools.product(*options):
            p, d = sum(x[0] for x in picked), sum(x[1] for x in picked)
            if p + d == 0 or p + d > (gpu.batch_tokens or 99):
                continue
            held = [x[2][1] for x in picked]
            blocks = sum(-(-x // gpu.kv_block) for x in held)
            if blocks > gpu.kv_capacity // gpu.kv_block:
                continue
            if sum(x > 0 for x in held) > (gpu.running_requests or n):
                continue
            kv = sum(s[i] + state[i][0] for i in range(n) if picked[i][1])
            start = max([t, *(a[i] for i in range(n) if picked[i][0] + picked[i][1])])
            end = start - (-((c0 if d else own) + c1 * p + c2 * d + c3 * kv) // 1)
            after = tuple(
                (g, 0, False) if g == o[i] else (g, cache, ready)
                for i, (_, _, (g, cache, ready)) in enumerate(picked)
            )
            done = [i for i in range(n) if after[i][0] == o[i] > state[i][0]]
            total = cost + sum(weight[i] * (int(end) - a[i]) for i in done)
            rest = sum(  # a unit of time per token at least
                weight[i] * (max(int(end), a[i]) + o[i] - g - a[i])
                for i, (g, _, _) in enumerate(after)
                if g < o[i]
            )
            if not any(then <= end and paid <= total for then, paid in kept.get(after, ())):
                heapq.heappush(heap, (total + rest, total, int(end), after))
    raise AssertionError("no schedule")
