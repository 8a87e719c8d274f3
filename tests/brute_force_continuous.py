"""Exhaustive search for continuous batching on tiny instances, independent of every solver.

It goes through all semi-active batch sequences in order of a lower bound: each batch starts when
the last one ends, or when the last of its members arrives if that is later. (Starting batches as
early as their order allows changes neither what they hold nor how long they take, and no objective
likes a later completion.) In each batch every request may rest, have its cache dropped, read a
chunk of any size, with its cache dropped just before or not, or get a token job. Batch times are
computed in fractions from the law. Of the ways to one state those are kept that no other beats in
both time and cost; nothing else is left out.
"""

from __future__ import annotations

import heapq
import itertools
import math
from fractions import Fraction

from batchprophet.models.batch_time import UnitTime
from batchprophet.models.continuous.schedule import Batch, ContinuousSchedule


class _Rules:
    """The instance in plain numbers, and what batches a state allows."""

    def __init__(self, instance, objective, *, skipping=True, drops=True):
        self.n, self.gpu, self.objective = instance.n, instance.gpu, objective
        self.a, self.s, self.o = (
            column.tolist() for column in (instance.arrival, instance.prompt, instance.output)
        )
        self.w, self.r, self.penalty = (
            [Fraction(repr(x)) for x in column.tolist()]
            for column in (instance.weight, instance.reward, instance.penalty)
        )
        self.limit = [instance.horizon or 0] * self.n
        if instance.deadline is not None:
            deadline = instance.deadline.tolist()
            self.limit = [min(T, d) for T, d in zip(self.limit, deadline, strict=True)]
        self.due = None if instance.deadline is None else instance.deadline.tolist()
        self.skipping, self.drops = skipping, drops

    def cost(self, i, end):
        """What the completion of i at `end` costs; to be minimised."""
        if self.objective == "latency":
            return end - self.a[i]
        if self.objective == "weighted":
            return self.w[i] * end
        if self.objective == "tardiness":
            return self.w[i] * max(0, end - self.due[i])
        if self.objective == "reward":
            return -self.r[i] if end <= self.limit[i] else self.penalty[i]
        return end

    def join(self, x, y):
        return max(x, y) if self.objective == "makespan" else x + y

    def least(self, now, state):
        """Lower bound on what the rest costs: each takes at least a unit of time per token."""
        rest = 0
        for i, (g, _, _) in enumerate(state):
            if g < self.o[i]:
                end = max(now, self.a[i]) + self.o[i] - g
                least = self.cost(i, end)
                rest = self.join(rest, min(0, least) if self.objective == "reward" else least)
        return rest

    def batch_time(self, p, d, kv):
        law = self.gpu.batch_time
        if isinstance(law, UnitTime):
            return 1
        c0, c1, c2, c3 = (Fraction(repr(c)) for c in (law.c0, law.c1, law.c2, law.c3))
        if d == 0 and law.c0_prompt is not None:
            c0 = Fraction(repr(law.c0_prompt))
        return math.ceil(1000 * (c0 + c1 * p + c2 * d + c3 * kv))

    def choices(self, i, state):
        """(dropped, prompt tokens, token job, state after) of request i in a batch."""
        g, cache, ready = state
        if g == self.o[i]:
            return [(False, 0, 0, state)]
        found = [(False, 0, 0, state)] if self.skipping or not ready else []
        if ready:
            found.append((False, 0, 1, (g + 1, cache + 1, True)))
        for dropped in (False, True):
            if dropped and (cache == 0 or not self.drops):
                continue
            begin = 0 if dropped else cache
            if dropped:
                found.append((True, 0, 0, (g, 0, False)))
            elif ready:
                continue
            left = self.s[i] + g - begin
            for tokens in range(1 if self.gpu.chunked_prefill else left, left + 1):
                last = tokens == left
                found.append((dropped, tokens, 0, (g + last, begin + tokens, last)))
        return found

    def batches(self, now, state):
        """All (start, end, members' choices) that keep the limits; caches before any are freed."""
        block = self.gpu.kv_block
        C, B = self.gpu.batch_tokens, self.gpu.running_requests
        options = [self.choices(i, each) for i, each in enumerate(state)]
        for chosen in itertools.product(*options):
            p = sum(tokens for _, tokens, _, _ in chosen)
            jobs = [i for i, (_, _, job, _) in enumerate(chosen) if job]
            if p + len(jobs) == 0 or (C is not None and p + len(jobs) > C):
                continue
            held = [
                cache for i, (_, _, _, (_, cache, _)) in enumerate(chosen)
                if cache and state[i][0] < self.o[i]
            ]  # fmt: skip
            if B is not None and len(held) > B:
                continue
            if sum(-(-cache // block) for cache in held) > self.gpu.kv_capacity // block:
                continue
            kv = sum(self.s[i] + state[i][0] for i in jobs)
            start = max(now, *(self.a[i] for i, each in enumerate(chosen) if each[1]), 0)
            yield start, start + self.batch_time(p, len(jobs), kv), chosen


def brute_force_continuous(instance, objective="latency", *, skipping=True, drops=True):
    """Optimal value and one optimal schedule.

    Under the reward objective every request may be rejected, and one that is accepted must be
    served to its end, in time (reward) or not (penalty). `skipping` and `drops` say whether
    running requests may rest, and whether caches may be dropped.
    """
    rules = _Rules(instance, objective, skipping=skipping, drops=drops)
    first = ((0, 0, False),) * rules.n
    count = itertools.count()
    heap = [(rules.least(0, first), next(count), 0, 0, first, None)]
    kept = {first: [(0, 0)]}
    best = None
    while heap:
        bound, _, now, cost, state, path = heapq.heappop(heap)
        if best is not None and bound >= best[0]:
            break
        if (now, cost) not in kept[state]:
            continue  # beaten since
        if all(
            g == rules.o[i] or (objective == "reward" and g == 0 and cache == 0)
            for i, (g, cache, _) in enumerate(state)
        ) and (best is None or cost < best[0]):
            best = (cost, path)
        for start, end, chosen in rules.batches(now, state):
            after, value = [], cost
            for i, (_, _, _, (g, cache, ready)) in enumerate(chosen):
                if g == rules.o[i] and state[i][0] < g:
                    value = rules.join(value, rules.cost(i, end))
                after.append((g, 0, False) if g == rules.o[i] else (g, cache, ready))
            after = tuple(after)
            others = kept.setdefault(after, [])
            if any(t <= end and c <= value for t, c in others):
                continue
            bound = rules.join(value, rules.least(end, after))
            if best is not None and bound >= best[0]:
                continue
            others[:] = [(t, c) for t, c in others if not (end <= t and value <= c)]
            others.append((end, value))
            batch = (start, chosen)
            heapq.heappush(heap, (bound, next(count), end, value, after, (path, batch)))
    value, path = best
    return (-value if objective == "reward" else value), _schedule(path)


def _schedule(path):
    batches = []
    while path is not None:
        path, (start, chosen) = path
        batches.append(
            Batch(
                start,
                tuple((i, tokens) for i, (_, tokens, _, _) in enumerate(chosen) if tokens),
                tuple(i for i, (_, _, job, _) in enumerate(chosen) if job),
                tuple(i for i, (dropped, _, _, _) in enumerate(chosen) if dropped),
            )
        )
    return ContinuousSchedule(batches[::-1])
