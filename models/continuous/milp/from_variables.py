"""From the variables of the formulation to a schedule of continuous batching."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ...durations import batch_durations
from ...instance import Instance
from ..schedule import Batch, ContinuousSchedule

if TYPE_CHECKING:
    import pyomo.environ as pyo

Value = Callable[[object], float]


def decode(
    instance: Instance, model: pyo.ConcreteModel, value: Value, *, as_placed: bool = False
) -> ContinuousSchedule:
    """Read the schedule off a solution.

    What no rule of the model forbids and no objective rewards is left out: chunks of requests that
    are complete or rejected, drops of caches that hold nothing. The batches are placed as early as
    their order allows. So the schedule is the model's, or better.

    Parameters
    ----------
    instance : Instance
        The instance that the model was built from.
    model : ConcreteModel
        A model of `formulation.build_model`.
    value : callable
        Gives the value of a variable; within 1/2 of an integer for the integer ones.
    as_placed : bool
        Whether batches start where the model has them instead: for a model with constraints that
        an earlier start may violate.
    """
    last, o = model.BATCHES.last(), instance.output.tolist()
    served = [i for i in model.REQUESTS if round(value(model.G[i, last])) == o[i]]
    tokens, cache = dict.fromkeys(served, 0), dict.fromkeys(served, 0)
    batches = []
    for b in model.BATCHES:
        chunks, jobs, drops = [], [], []
        for i in served:
            if tokens[i] == o[i]:
                continue
            if cache[i] and value(model.d[i, b]) > 0.5:
                drops.append(i)
                cache[i] = 0
            read, job = round(value(model.p[i, b])), value(model.y[i, b]) > 0.5
            if read:
                chunks.append((i, read))
            if job:
                jobs.append(i)
            cache[i] += read + job
            tokens[i] += job or value(model.e[i, b]) > 0.5
        start = round(value(model.S[b])) if as_placed else 0
        batches.append(Batch(start, tuple(chunks), tuple(jobs), tuple(drops)))
    return (
        ContinuousSchedule(_with_items(batches)) if as_placed else left_shifted(instance, batches)
    )


def _with_items(batches: Iterable[Batch]) -> list[Batch]:
    """Leave out batches without items; what they drop is dropped before the next one."""
    kept: list[Batch] = []
    dropped: tuple[int, ...] = ()
    for batch in batches:
        dropped += batch.preempt
        if batch.prefill or batch.decode:
            kept.append(Batch(batch.start, batch.prefill, batch.decode, dropped))
            dropped = ()
    return kept


def left_shifted(instance: Instance, batches: Iterable[Batch]) -> ContinuousSchedule:
    """Place batches one after another, each as early as their order and the arrivals allow.

    A batch without items is left out; what it drops is dropped before the next one.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 5], prompt=[3, 1], output=[2, 1])
    >>> order = [Batch(0, prefill=((0, 3),)), Batch(0, decode=(0,)), Batch(0, prefill=((1, 1),))]
    >>> [batch.start for batch in left_shifted(instance, order).batches]
    [0, 1, 5]
    """
    law = batch_durations(instance)
    a, s, o = (x.tolist() for x in (instance.arrival, instance.prompt, instance.output))
    emitted, cache = [0] * instance.n, [0] * instance.n
    now = 0
    placed: list[Batch] = []
    for batch in _with_items(batches):
        for i in batch.preempt:
            cache[i] = 0
        start = max([now, *(a[i] for i, _ in batch.prefill)])
        kv = sum(s[i] + emitted[i] for i in batch.decode)
        now = start + law.batch(sum(p for _, p in batch.prefill), len(batch.decode), kv)
        placed.append(Batch(start, batch.prefill, batch.decode, batch.preempt))
        for i, read in batch.prefill:
            cache[i] += read
            emitted[i] += cache[i] == s[i] + emitted[i]
        for i in batch.decode:
            cache[i] += 1
            emitted[i] += 1
        cache = [0 if g == x else c for c, g, x in zip(cache, emitted, o, strict=True)]
    return ContinuousSchedule(placed)
