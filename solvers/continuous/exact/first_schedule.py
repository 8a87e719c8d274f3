"""A first schedule for the exhaustive search: lists without preemption, the best of some orders."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....models.continuous.problem import Limits, limits
from ....models.continuous.schedule import Batch, ContinuousSchedule
from ....models.durations import batch_durations
from ....models.instance import Instance
from ....models.objectives import Exact, evaluate
from ...limits import Budget


def first_schedule(
    instance: Instance, objective: str, budget: Budget | None = None
) -> tuple[ContinuousSchedule, Exact]:
    """Return the best list schedule over some orders and caps on running requests, and its value.

    Once a budget is spent, it is the best so far.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[4, 3], output=[3, 3])
    >>> first_schedule(instance, "latency")[1]
    8
    """
    best: tuple[ContinuousSchedule, Exact] | None = None
    most = min(instance.n, limits(instance).running, limits(instance).tokens)
    for order in _orders(instance):
        for cap in range(1, most + 1):
            if best is not None and budget is not None and budget.is_spent:
                break
            schedule = _ListRule(instance, order, cap).run()
            value = evaluate(instance, schedule.completion(instance), objective)
            if best is None or value < best[1]:
                best = schedule, value
    assert best is not None
    return best


def _orders(instance: Instance) -> Iterator[list[int]]:
    """Orders by arrival, size, output, prompt and work over weight."""
    s, o, w = instance.prompt, instance.output, instance.weight
    size = s + o
    for key in (instance.arrival, size, o, s, s * o + o * o, size / np.maximum(w, 1e-9)):
        yield np.argsort(key, kind="stable").tolist()


class _ListRule:
    """Running requests get a token each; then prompts are read in order where the peaks fit."""

    def __init__(self, instance: Instance, order: list[int], cap: int) -> None:
        self._instance, self._order, self._cap = instance, order, cap
        self._limits: Limits = limits(instance)
        self._left = instance.prompt.tolist()
        self._tokens = [0] * instance.n
        self._running: list[int] = []

    def run(self) -> ContinuousSchedule:
        """Make the batches until all requests are complete."""
        law, a = batch_durations(self._instance), self._instance.arrival.tolist()
        s, o = self._instance.prompt.tolist(), self._instance.output.tolist()
        now, batches = 0, []
        while any(g < x for g, x in zip(self._tokens, o, strict=True)):
            jobs = tuple(i for i in self._running if self._left[i] == 0)
            chunks = tuple(self._chunks(now, self._limits.tokens - len(jobs)))
            if not jobs and not chunks:
                now = min(a[i] for i in self._order if self._tokens[i] == 0 and a[i] > now)
                continue
            batches.append(Batch(now, chunks, jobs))
            kv = sum(s[i] + self._tokens[i] for i in jobs)
            now += law.batch(sum(p for _, p in chunks), len(jobs), kv)
            for i, p in chunks:
                self._left[i] -= p
            for i in (*jobs, *(i for i, _ in chunks if self._left[i] == 0)):
                self._tokens[i] += 1
            self._running = [i for i in self._running if self._tokens[i] < o[i]]
        return ContinuousSchedule(batches)

    def _chunks(self, now: int, room: int) -> Iterator[tuple[int, int]]:
        """Prompt chunks that fit the batch: of half-read prompts, then of those to begin."""
        for i in self._running:
            p = min(room, self._left[i])
            if p > 0:
                room -= p
                yield i, p
        for i in self._order:
            if self._tokens[i] or i in self._running or self._instance.arrival[i] > now:
                continue
            p = min(room, self._left[i])
            whole = p == self._left[i]
            if p == 0 or not (whole or self._limits.chunked) or len(self._running) >= self._cap:
                continue
            if self._fits(i, whole=whole):
                self._running.append(i)
                room -= p
                yield i, p

    def _fits(self, new: int, *, whole: bool) -> bool:
        """Whether all caches fit until they are freed, if each running request goes on.

        That is sure only where no prompt is half read; else the peaks must fit together.
        """
        s, o, size = self._instance.prompt, self._instance.output, self._limits.block
        members = [*self._running, new]
        peaks = sum(-(-int(s[i] + o[i] - 1) // size) for i in members)
        if peaks <= self._limits.blocks:
            return True
        unread = {i for i in self._running if self._left[i] > 0}
        began = {i for i in self._running if self._tokens[i] == 0}
        if not whole or unread - began or not self._limits.tokens >= len(members):
            return False
        if any(0 < self._left[i] < int(s[i]) for i in self._running):
            return False
        for step in range(1, int(o[members].max()) + 1):
            held = 0
            for i in members:
                g = self._tokens[i] + step
                if g <= o[i]:
                    held += -(-int(s[i] + g - 1) // size)
            if held > self._limits.blocks:
                return False
        return True
