"""From a schedule to the values of the formulation's variables."""

from __future__ import annotations

import pyomo.environ as pyo

from ...completion_goal import set_completion_goal
from ...instance import Instance
from ...objectives import MAXIMISED, latest_completion
from ..schedule import Batch, ContinuousSchedule
from .from_variables import left_shifted


def set_start(
    instance: Instance, model: pyo.ConcreteModel, schedule: ContinuousSchedule, objective: str
) -> bool:
    """Give the variables the values of a schedule, or of a better one, as a warm start.

    Batches are placed as early as their order allows; for the reward what is late is left out.

    Parameters
    ----------
    instance : Instance
        The instance that the model was built from.
    model : ConcreteModel
        A model of `formulation.build_model`.
    schedule : ContinuousSchedule
        A feasible schedule.
    objective : str
        That of the model.

    Returns
    -------
    bool
        Whether the model has a place for each batch. If not, no value is set.
    """
    batches = schedule.batches
    if objective in MAXIMISED:
        batches = _in_time(instance, schedule)
    return set_values(instance, model, left_shifted(instance, batches))


def set_values(instance: Instance, model: pyo.ConcreteModel, schedule: ContinuousSchedule) -> bool:
    """Give the variables the values of a schedule as it is.

    Parameters
    ----------
    instance, model
        As in `set_start`.
    schedule : ContinuousSchedule
        A feasible schedule.

    Returns
    -------
    bool
        Whether the model has a place for each batch. If not, no value is set.
    """
    served = set(schedule.accepted().tolist())
    if len(schedule.batches) > len(model.BATCHES) or not served <= set(model.REQUESTS):
        return False
    for variable in model.component_data_objects(pyo.Var):
        variable.set_value(0, skip_validation=True)
    _set_batches(instance, model, schedule)
    _set_requests(instance, model, schedule)
    return True


def _in_time(instance: Instance, schedule: ContinuousSchedule) -> tuple[Batch, ...]:
    """Leave out every request that is late; the others end no later without it."""
    completion = schedule.timeline(instance).completion
    kept = (completion >= 0) & (completion <= latest_completion(instance))
    return tuple(
        Batch(
            batch.start,
            tuple((i, p) for i, p in batch.prefill if kept[i]),
            tuple(i for i in batch.decode if kept[i]),
            tuple(i for i in batch.preempt if kept[i]),
        )
        for batch in schedule.batches
    )


def _set_batches(
    instance: Instance, model: pyo.ConcreteModel, schedule: ContinuousSchedule
) -> None:
    """Set what belongs to places: u, v, S and D; unused ones stand at the end."""
    time = schedule.timeline(instance)
    end = int(time.end.max(initial=0))
    for b in model.BATCHES:
        used = b < time.start.size
        model.u[b].set_value(int(used))
        model.v[b].set_value(int(used and time.jobs[b] > 0))
        model.S[b].set_value(int(time.start[b]) if used else end)
        model.D[b].set_value(int(time.end[b] - time.start[b]) if used else 0)


def _set_requests(
    instance: Instance, model: pyo.ConcreteModel, schedule: ContinuousSchedule
) -> None:
    """Set what belongs to requests, place by place, and their completions."""
    completion = schedule.timeline(instance).completion.tolist()
    batches, s, o = schedule.batches, instance.prompt.tolist(), instance.output.tolist()
    for i in model.REQUESTS:
        tokens = cache = ready = 0
        for b in model.BATCHES:
            batch = batches[b] if b < len(batches) else Batch(0)
            read, job, drop = dict(batch.prefill).get(i, 0), i in batch.decode, i in batch.preempt
            freed = cache if drop or tokens == o[i] else 0
            if job and hasattr(model, "r"):
                model.r[i, b].set_value(s[i] + tokens)
            cache += read + job - freed
            ready = 0 if drop else ready
            last = read > 0 and cache == s[i] + tokens
            tokens += job or last
            ready = 1 if last else ready
            values = {
                "x": read > 0, "y": job, "d": drop, "p": read, "K": cache, "f": freed, "e": last,
                "z": tokens == o[i], "G": tokens, "R": ready, "h": cache > 0,
                "n": -(-cache // instance.gpu.kv_block),
            }  # fmt: skip
            for name, value in values.items():
                if hasattr(model, name):
                    getattr(model, name)[i, b].set_value(int(value))
        if hasattr(model, "A"):
            model.A[i].set_value(int(completion[i] >= 0))
    set_completion_goal(model, instance, dict(enumerate(completion)))
