"""The decisions of a run of mixed batching, each with the best schedule known to continue it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from ...models.instance import Instance, IntArray
from ...models.mixed.schedule import MixedSchedule
from ...solvers.mixed.search.profile import (
    add_run,
    is_within,
    last_round,
    longer,
    nothing_held,
    remove_run,
)
from ...solvers.random_stream import Stream
from ..coupling.best_known import Step
from .hindsight import REHEAT, World


def mixed_steps(
    instance: Instance, run: MixedSchedule, plan: MixedSchedule, effort: int, stream: Stream
) -> list[Step]:
    """Follow a run, and keep a hindsight schedule that continues what it has decided so far.

    As long as the run does what the schedule does, the schedule stays; after a decision that
    differs, the rest is searched again (annealing of `effort` steps, from its order).

    Parameters
    ----------
    instance : Instance
        The instance, all known.
    run : MixedSchedule
        What the policy did.
    plan : MixedSchedule
        A good schedule without evictions.
    effort : int
        Annealing steps per search, ≥ 0.
    stream : Stream
        Randomness of the searches.

    Returns
    -------
    list of Step
        Three kinds of parts: ``wait`` (that no other request started before), ``start``, ``evict``.

    Examples
    --------
    All three fit at once, but the run makes the short ones wait.

    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.random_stream import random_stream
    >>> instance = Instance(gpu=Gpu(kv_capacity=6), arrival=[0] * 3, prompt=[1] * 3,
    ...                     output=[5, 1, 1])
    >>> run, plan = MixedSchedule([0, 5, 5]), MixedSchedule([0, 0, 0])
    >>> [(step.t, step.part, step.best) for step in
    ...  mixed_steps(instance, run, plan, 50, random_stream(0))]
    [(0, 'start', 7), (5, 'wait', 17), (5, 'start', 17)]
    """
    follower = _Follower(instance, plan.start, effort, stream)
    starts: dict[int, list[int]] = defaultdict(list)
    ends: dict[int, list[int]] = defaultdict(list)
    for i, k in enumerate(run.start.tolist()):
        starts[k].append(i)
    for evicted in run.evicted:
        starts[evicted.start].append(evicted.request)
        ends[evicted.end].append(evicted.request)
    steps, now = [], int(instance.arrival.min())
    for t in sorted({*starts, *ends}):
        if t > now:
            steps.append(Step(t, "wait", follower.wait(t)))
        if ends[t]:
            steps.append(Step(t, "evict", follower.evict(t, ends[t])))
        if starts[t]:
            steps.append(Step(t, "start", follower.start(t, starts[t])))
        now = t
    return steps


class _Follower:
    """What has been decided, and a schedule of the rest beside it."""

    def __init__(self, instance: Instance, plan: IntArray, effort: int, stream: Stream) -> None:
        self.instance, self.effort, self.stream = instance, effort, stream
        self.plan = plan.copy()  # of the started: their start
        self.started = np.zeros(instance.n, np.bool_)
        self.release = instance.arrival.copy()
        last = int(plan.max() + instance.output.max())
        self.held = nothing_held(instance, 2 * last + int(instance.output.sum()) + 1)
        self.valid = True

    def wait(self, t: int) -> int | None:
        """Start none before t."""
        self.release = np.maximum(self.release, t)
        return self._value(bool(np.all(self.plan[~self.started] >= t)))

    def evict(self, t: int, requests: Iterable[int]) -> int | None:
        """Give up runs: they hold nothing after round t."""
        s, o = self.instance.prompt, self.instance.output
        for i in requests:
            k = int(self.plan[i])
            self._reach(k + int(o[i]))
            remove_run(self.held, int(s[i]), int(o[i]), k)
            add_run(self.held, int(s[i]), t - k, k)
            self.started[i], self.release[i], self.plan[i] = False, t, t
        return self._value(agreed=False)

    def start(self, t: int, requests: list[int]) -> int | None:
        """Start requests at t."""
        agreed = bool(np.all(self.plan[requests] == t))
        for i in requests:
            s, o = int(self.instance.prompt[i]), int(self.instance.output[i])
            self._reach(t + o)
            add_run(self.held, s, o, t)
            self.started[i], self.plan[i] = True, t
        return self._value(agreed)

    def _reach(self, last: int) -> None:
        """Make the profile long enough."""
        if last > last_round(self.held):
            self.held = longer(self.held, last + 1)

    def _value(self, agreed: bool) -> int | None:
        """Total latency of the plan, searched again unless it agreed; None where none is known."""
        instance, rest = self.instance, np.flatnonzero(~self.started)
        if not is_within(self.held, instance.gpu.kv_capacity):  # a request will have to be evicted
            self.valid = False
            return None
        if rest.size and not (agreed and self.valid):
            columns = (self.release[rest], instance.prompt[rest], instance.output[rest])
            world = World(rest, *columns, self.held, instance.gpu.kv_capacity, rest)
            order = np.argsort(self.plan[rest], kind="stable")
            world.solve(order, self.effort, REHEAT, self.stream)
            self.held, self.plan[rest] = world.fixed, world.start
        self.valid = True
        return int((self.plan + instance.output - instance.arrival).sum())
