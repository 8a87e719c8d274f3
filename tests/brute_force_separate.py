"""Exhaustive search for separate batching on tiny instances, independent of every solver.

It tries all semi-active batch sequences: each batch starts when the last one ends, or when the
last of its prompts arrives if that is later. No optimum is lost: starting batches as early as
their order allows changes neither compositions nor batch times nor KV at batch ends, and no
objective likes a later completion. Batch times are computed in fractions from the law.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

from batchprophet.models.batch_time import ConstantTime, UnitTime
from batchprophet.models.separate.schedule import Batch, SeparateSchedule


def brute_force_separate(instance, objective="latency"):
    """Optimal value and one optimal schedule.

    Under the reward objective every request may be rejected, and one that is accepted must be
    served to its end, in time (reward) or not (penalty).
    """
    n, gpu = instance.n, instance.gpu
    a, s, o = (column.tolist() for column in (instance.arrival, instance.prompt, instance.output))
    w, r, penalty = (
        [Fraction(repr(x)) for x in column.tolist()]
        for column in (instance.weight, instance.reward, instance.penalty)
    )
    limit = [instance.horizon or 0] * n
    if instance.deadline is not None:
        limit = [min(T, d) for T, d in zip(limit, instance.deadline.tolist(), strict=True)]
    may_reject = objective == "reward"
    join = max if objective == "makespan" else lambda x, y: x + y

    def cost(i, end):
        """What the completion of i at `end` costs; to be minimised."""
        if objective == "latency":
            return end - a[i]
        if objective == "weighted":
            return w[i] * end
        if objective == "tardiness":
            return w[i] * max(0, end - int(instance.deadline[i]))
        if objective == "reward":
            return -r[i] if end <= limit[i] else penalty[i]
        return end

    def batch_time(kind, members, tokens):
        law = gpu.batch_time
        if isinstance(law, UnitTime):
            return 1
        if isinstance(law, ConstantTime):
            return law.prompt if kind == "prompt" else law.token
        c0, c1, c2, c3 = (Fraction(repr(c)) for c in (law.c0, law.c1, law.c2, law.c3))
        if kind == "prompt":
            return math.ceil(1000 * (c0 + c1 * sum(s[i] for i in members)))
        kv = sum(s[i] + tokens[i] for i in members)
        return math.ceil(1000 * (c0 + c2 * len(members) + c3 * kv))

    def fits(kind, members):
        if kind == "token":
            return gpu.token_batch_requests is None or len(members) <= gpu.token_batch_requests
        few = gpu.prompt_batch_requests is None or len(members) <= gpu.prompt_batch_requests
        C_P = gpu.prompt_batch_tokens
        return few and (C_P is None or sum(s[i] for i in members) <= C_P)

    def batches(tokens):
        waiting = [i for i in range(n) if tokens[i] == 0]
        running = [i for i in range(n) if 0 < tokens[i] < o[i]]
        for kind, pool in (("token", running), ("prompt", waiting)):
            for size in range(len(pool), 0, -1):
                for members in combinations(pool, size):
                    if fits(kind, members):
                        yield kind, members

    known = {}

    def best(now, tokens):
        """Least cost of what is not done yet at `now`, and the batches; None if impossible."""
        if (now, tokens) in known:
            return known[now, tokens]
        finished = all(tokens[i] == o[i] or (may_reject and tokens[i] == 0) for i in range(n))
        found = (0, ()) if finished else None
        for kind, members in batches(tokens):
            start = max([now, *(a[i] for i in members)]) if kind == "prompt" else now
            after = tuple(g + (i in members) for i, g in enumerate(tokens))
            held = sum(
                s[i] + after[i] for i in range(n) if after[i] > 0 and tokens[i] < o[i]
            )  # who completes in this batch still holds its KV at its end
            if held > gpu.kv_capacity:
                continue
            end = start + batch_time(kind, members, tokens)
            rest = best(end, after)
            if rest is None:
                continue
            value = rest[0]
            for i in members:
                if after[i] == o[i]:
                    value = join(value, cost(i, end))
            if found is None or value < found[0]:
                found = (value, (Batch(kind, start, members), *rest[1]))
        known[now, tokens] = found
        return found

    value, sequence = best(0, (0,) * n)
    return (-value if may_reject else value), SeparateSchedule(sequence)
