"""From the variables of a formulation to a schedule of separate batching."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ...instance import Instance
from ..schedule import Batch, Kind, SeparateSchedule, columns_of

if TYPE_CHECKING:
    import pyomo.environ as pyo

Value = Callable[[object], float]


def decode(
    instance: Instance, model: pyo.ConcreteModel, value: Value, *, as_placed: bool = False
) -> SeparateSchedule:
    """Read the schedule off a solution of any of the formulations.

    The batches are placed as early as their order allows (`horizon`), which is never worse than
    where the model has them; so the schedule is the model's, or better.

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
    batches = {
        "time-expanded": _of_time_expanded, "stages": _of_stages, "classes": _of_classes,
        "batch-sequence": _of_sequence,
    }[model.formulation](instance, model, value)  # fmt: skip
    if as_placed:
        return SeparateSchedule(batches)
    return left_shifted(instance, [(batch.kind, batch.requests) for batch in batches])


def left_shifted(
    instance: Instance, batches: Iterable[tuple[Kind, tuple[int, ...]]]
) -> SeparateSchedule:
    """Place batches one after another, each as early as their order and the arrivals allow.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 5], prompt=[3, 1], output=[2, 1])
    >>> order = [("prompt", (0,)), ("token", (0,)), ("prompt", (1,))]
    >>> [batch.start for batch in left_shifted(instance, order).batches]
    [0, 1, 5]
    """
    return SeparateSchedule.left_shifted(instance, columns_of(batches))


def _of_time_expanded(instance: Instance, model: pyo.ConcreteModel, value: Value) -> list[Batch]:
    found: dict[tuple[int, Kind], list[int]] = {}
    kinds: tuple[tuple[Kind, pyo.Var], ...] = (("prompt", model.x), ("token", model.y))
    for kind, jobs in kinds:
        for (i, t), job in jobs.items():
            if value(job) > 0.5:
                found.setdefault((t, kind), []).append(i)
    return [Batch(kind, t, tuple(sorted(members))) for (t, kind), members in sorted(found.items())]


def _of_stages(instance: Instance, model: pyo.ConcreteModel, value: Value) -> list[Batch]:
    """Give the flows names: prompts by arrival, then those in the stage, by arrival."""
    stages = {(j, 0): list(members) for j, members in enumerate(model.members)}
    jobs: dict[tuple[int, Kind], list[tuple[int, int, int]]] = {}
    for (j, g, t), leaving in model.q.items():
        count = round(value(leaving))
        if count:
            jobs.setdefault((t, "token" if g else "prompt"), []).append((j, g, count))
    batches: list[Batch] = []
    for (t, kind), parts in sorted(jobs.items()):
        moves = []
        for j, g, count in parts:
            moves.append((j, g + 1, stages[j, g][:count]))
            del stages[j, g][:count]
        for j, g, members in moves:
            stages.setdefault((j, g), []).extend(members)
        everyone = sorted(i for _, _, members in moves for i in members)
        batches.append(Batch(kind, t, tuple(everyone)))
    return batches


def _of_classes(instance: Instance, model: pyo.ConcreteModel, value: Value) -> list[Batch]:
    """Give the token jobs names: first in the class, first served."""
    batches: dict[tuple[int, Kind], list[int]] = {}
    for (i, t), x in model.x.items():
        if value(x) > 0.5:
            batches.setdefault((t, "prompt"), []).append(i)
    jobs: dict[int, list[tuple[int, int]]] = {}
    for (c, t), y in model.y.items():
        if round(value(y)):
            jobs.setdefault(t, []).append((c, round(value(y))))
    inside: dict[int, list[int]] = {c: [] for c in range(len(model.classes))}
    for t in sorted({*jobs, *(t for t, _ in batches)}):
        for i in batches.get((t, "prompt"), []):
            if i in model.entry:
                inside[model.entry[i]].append(i)
        moves = []
        for c, count in jobs.get(t, []):
            moves.append((model.classes[c].following, inside[c][:count]))
            del inside[c][:count]
        for following, members in moves:
            batches.setdefault((t, "token"), []).extend(members)
            if following is not None:
                inside[following].extend(members)
    return [
        Batch(kind, t, tuple(sorted(members))) for (t, kind), members in sorted(batches.items())
    ]


def _of_sequence(instance: Instance, model: pyo.ConcreteModel, value: Value) -> list[Batch]:
    batches: list[Batch] = []
    kinds: tuple[tuple[Kind, pyo.Var], ...] = (("prompt", model.x), ("token", model.y))
    for b in model.BATCHES:
        for kind, jobs in kinds:
            members = tuple(i for i in model.REQUESTS if value(jobs[i, b]) > 0.5)
            if members:
                batches.append(Batch(kind, round(value(model.S[b])), members))
    return batches
