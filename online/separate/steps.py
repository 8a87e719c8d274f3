"""The decisions of a run of separate batching, each with the best schedule known to continue it."""

from __future__ import annotations

import numpy as np

from ...models.instance import Instance
from ...models.separate.schedule import Batch, SeparateSchedule
from ...solvers.random_stream import Stream
from ...solvers.separate.compiled_instance import machine_of
from ...solvers.separate.search.encoding import Encoding
from ...solvers.separate.search.list_encodings import after_batch, encoding_of, first_encodings
from ..coupling.best_known import Step
from .hindsight import REHEAT, in_order, make_world


def separate_steps(
    instance: Instance, run: SeparateSchedule, plan: SeparateSchedule, effort: int, stream: Stream
) -> list[Step]:
    """Follow a run, and keep a hindsight schedule that continues what it has decided so far.

    As long as the run does what the schedule does, the schedule stays; after a batch that raises
    its total latency, the rest is searched again (list schedules, then `effort` annealing steps).
    The plan itself counts as long as the run does as it does, whether or not a code stands for it.

    Parameters
    ----------
    instance : Instance
        The instance, all known.
    run : SeparateSchedule
        What the policy did.
    plan : SeparateSchedule
        A good schedule.
    effort : int
        Annealing steps per search, ≥ 0.
    stream : Stream
        Randomness of the searches.

    Returns
    -------
    list of Step
        Three kinds of parts: ``wait`` (the GPU idles), ``prompt``, ``token``.

    Examples
    --------
    A prompt batch for the second alone keeps the first from its last token.

    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.online.separate.simulator import simulate_separate
    >>> from batchprophet.solvers.random_stream import random_stream
    >>> gpu = Gpu(kv_capacity=40)
    >>> instance = Instance(gpu=gpu, arrival=[0, 1], prompt=[3, 2], output=[2, 9])
    >>> run, plan = (simulate_separate(instance, p) for p in ("prefill-first", "decode-first"))
    >>> [(step.part, step.best) for step in
    ...  separate_steps(instance, run, plan, 50, random_stream(0))][:3]
    [('prompt', 12), ('prompt', 12), ('token', 12)]
    """
    follower = _Follower(instance, encoding_of(instance, plan), effort, stream)
    total = int((plan.completion(instance) - instance.arrival).sum())
    steps, now, as_planned = [], int(instance.arrival.min()), True
    planned = iter(plan.batches)
    for batch, end in zip(run.batches, run.ends(instance).tolist(), strict=True):
        of_plan = next(planned, None)
        if batch.start > now:
            as_planned = as_planned and of_plan is not None and of_plan.start >= batch.start
            best = follower.wait(batch.start)
            steps.append(Step(now, "wait", min(best, total) if as_planned else best))
        as_planned = as_planned and of_plan is not None and _are_equal(batch, of_plan)
        best = follower.run(batch, end)
        steps.append(Step(batch.start, batch.kind, min(best, total) if as_planned else best))
        now = end
    return steps


def _are_equal(one: Batch, other: Batch) -> bool:
    same = (one.kind, one.start) == (other.kind, other.start)
    return same and {*one.requests} == {*other.requests}


class _Follower:
    """What has been decided, and a schedule of the rest."""

    def __init__(self, instance: Instance, code: Encoding, effort: int, stream: Stream) -> None:
        self.instance, self.machine = instance, machine_of(instance)
        self.effort, self.stream = effort, stream
        self.tokens = np.zeros(instance.n, np.int64)
        self.code = code
        self.done = 0  # latencies of those who are complete
        self.best = -1  # nothing is known yet

    def wait(self, until: int) -> int:
        """Let the GPU idle."""
        return self._value(until, self.code)

    def run(self, batch: Batch, end: int) -> int:
        """Run a batch to its end."""
        members = list(batch.requests)
        self.tokens[members] += 1
        complete = [i for i in members if self.tokens[i] == self.instance.output[i]]
        self.done += sum(end - int(self.instance.arrival[i]) for i in complete)
        return self._value(end, after_batch(self.code, batch.kind, members))

    def _value(self, now: int, code: Encoding) -> int:
        """Total latency of the best known continuation from a boundary on."""
        s, g = self.instance.prompt, self.tokens
        runs = np.flatnonzero((g > 0) & (g < self.instance.output))
        running = in_order(runs, self.instance.output[runs] - g[runs], s[runs] + g[runs])
        world = make_world(self.machine, running, now)
        world.try_codes(iter([code]))
        if self.done + world.cost != self.best and code.order.size:
            world.try_codes(c for _, c in first_encodings(self.machine, np.sort(code.order), now))
            world.solve(self.effort, REHEAT, self.stream)
        self.code, self.best = world.code, self.done + world.cost
        return self.best
