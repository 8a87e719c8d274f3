"""From a schedule to the values of a formulation's variables."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import pyomo.environ as pyo

from ...completion_goal import set_completion_goal
from ...instance import Instance
from ...objectives import MAXIMISED, latest_completion
from ..schedule import Batch, SeparateSchedule
from .classes import completions as class_completions
from .classes import jobs_entering
from .from_variables import left_shifted
from .stages import completions, entering_stage
from .tidy import tidied


def set_start(
    instance: Instance, model: pyo.ConcreteModel, schedule: SeparateSchedule, objective: str
) -> bool:
    """Give the variables the values of a schedule, or of a better one, as a warm start.

    The schedule is made to obey the rules of the strengthened models first (`tidy`); for the reward
    what is late is left out of it.

    Parameters
    ----------
    instance : Instance
        The instance that the model was built from.
    model : ConcreteModel
        A model of `formulation.build_model`.
    schedule : SeparateSchedule
        A feasible schedule.
    objective : str
        That of the model.

    Returns
    -------
    bool
        Whether the model offers all its jobs. If not, no value is set.
    """
    if objective in MAXIMISED:
        schedule = _in_time(instance, schedule)
    return set_values(instance, model, tidied(instance, schedule, objective))


def set_values(instance: Instance, model: pyo.ConcreteModel, schedule: SeparateSchedule) -> bool:
    """Give the variables the values of a schedule as it is.

    Parameters
    ----------
    instance, model
        As in `set_start`.
    schedule : SeparateSchedule
        A feasible schedule.

    Returns
    -------
    bool
        Whether the model offers all its jobs. If not, no value is set.
    """
    placed = schedule.batches
    setters = {
        "time-expanded": _set_time_expanded, "stages": _set_stages, "classes": _set_classes,
        "batch-sequence": _set_sequence,
    }  # fmt: skip
    return setters[model.formulation](instance, model, placed)


def _in_time(instance: Instance, schedule: SeparateSchedule) -> SeparateSchedule:
    """Drop every request that is late; the others end no later without it."""
    accepted = schedule.accepted()
    completion = dict.fromkeys(accepted.tolist(), 0)
    for batch, end in zip(schedule.batches, schedule.ends(instance).tolist(), strict=True):
        completion |= dict.fromkeys(batch.requests, end)
    limit = latest_completion(instance).tolist()
    kept = {i for i, end in completion.items() if end <= limit[i]}
    batches = [
        (batch.kind, tuple(i for i in batch.requests if i in kept)) for batch in schedule.batches
    ]
    return left_shifted(instance, [(kind, members) for kind, members in batches if members])


def _clear(model: pyo.ConcreteModel) -> None:
    for variable in model.component_data_objects(pyo.Var):
        if not variable.fixed:
            variable.set_value(0, skip_validation=True)


def _set_walk(model: pyo.ConcreteModel, placed: tuple[Batch, ...]) -> bool:
    """Set u, v and w: the batches, and the waits between them and after the last."""
    if any(batch.start not in (model.u if _prompt(batch) else model.v) for batch in placed):
        return False
    _clear(model)
    starts = {batch.start: batch for batch in placed}
    t, end = model.NODES.first(), model.NODES.last()
    while t < end:
        if t in starts:
            (model.u if _prompt(starts[t]) else model.v)[t].set_value(1)
            t += model.tau_P if _prompt(starts[t]) else model.tau_D
        elif model.any_start and t in model.RESTS and t > max(starts, default=-1):
            model.r[t].set_value(1)
            t = end
        else:
            model.w[t].set_value(1)
            t = model.wait_ends[t]
    return True


def _prompt(batch: Batch) -> bool:
    """Whether it is a prompt batch."""
    return batch.kind == "prompt"


def _set_time_expanded(
    instance: Instance, model: pyo.ConcreteModel, placed: tuple[Batch, ...]
) -> bool:
    jobs = [(model.x if _prompt(batch) else model.y, i, batch) for batch in placed
            for i in batch.requests]  # fmt: skip
    if any((i, batch.start) not in variable for variable, i, batch in jobs):
        return False
    if not _set_walk(model, placed):
        return False
    done: dict[int, int] = {}
    for variable, i, batch in jobs:
        variable[i, batch.start].set_value(1)
        done[i] = batch.start + (model.tau_P if _prompt(batch) else model.tau_D)
    _accumulate(model.x, model.X)
    _accumulate(model.y, model.Y)
    for (i, t), z in model.z.items():
        z.set_value(int(i in done and done[i] <= t))
    return True


def _accumulate(jobs: pyo.Var, so_far: pyo.Var) -> None:
    """Set the sums X or Y over the times of each request."""
    total: dict[int, int] = {}
    for i, t in sorted(jobs):
        total[i] = total.get(i, 0) + jobs[i, t].value
        so_far[i, t].set_value(total[i])


def _set_stages(instance: Instance, model: pyo.ConcreteModel, placed: tuple[Batch, ...]) -> bool:
    flows = _flows(instance, model, placed)
    if flows is None or not flows.keys() <= set(model.JOBS) or not _set_walk(model, placed):
        return False
    for job, count in flows.items():
        model.q[job].set_value(count)
    for (j, g), times in model.job_times.items():
        stay, before = 0, None
        for t in times if g else []:
            stay += sum(job.value for job in entering_stage(model, j, g, before, t))
            stay -= model.q[j, g, t].value
            model.N[j, g, t].set_value(stay)
            before = t
    if hasattr(model, "m"):
        _set_kv(model)
    return True


def _flows(
    instance: Instance, model: pyo.ConcreteModel, placed: tuple[Batch, ...]
) -> dict[tuple[int, int, int], int] | None:
    """How many leave each stage when; None if a request is served that the model does not offer."""
    of_type = {i: j for j, members in enumerate(model.members) for i in members}
    tokens = [0] * instance.n
    flows: dict[tuple[int, int, int], int] = {}
    for batch in placed:
        for i in batch.requests:
            if i not in of_type:
                return None
            job = (of_type[i], tokens[i], batch.start)
            flows[job] = flows.get(job, 0) + 1
            tokens[i] += 1
    return flows


def _set_kv(model: pyo.ConcreteModel) -> None:
    times = list(model.BATCH_STARTS)
    change = dict.fromkeys(times, 0)
    for (j, g, t), job in model.q.items():
        change[t] += job.value * (1 if g else model.s[j] + 1)
    freed = [(model.s[j] + model.o[j], end, job) for j, end, job in completions(model)]
    _accumulate_kv(model, change, freed)


def _accumulate_kv(
    model: pyo.ConcreteModel, change: dict[int, int], freed: list[tuple[int, int, Any]]
) -> None:
    """Set m from what each time adds, and from the peaks that (peak, end, job) free."""
    times = list(change)
    for peak, end, job in freed:
        position = bisect_right(times, end - 1)
        if position < len(times):
            change[times[position]] -= job.value * peak
    held = 0
    for t in times:
        held += change[t]
        model.m[t].set_value(held)


def _set_classes(instance: Instance, model: pyo.ConcreteModel, placed: tuple[Batch, ...]) -> bool:
    flows: dict[tuple[int, int], int] = {}
    prompts: list[tuple[int, int]] = []
    inside: dict[int, int] = {}
    for batch in placed:
        for i in batch.requests:
            if _prompt(batch):
                prompts.append((i, batch.start))
                if i in model.entry:
                    inside[i] = model.entry[i]
            else:
                c = inside[i]
                flows[c, batch.start] = flows.get((c, batch.start), 0) + 1
                following = model.classes[c].following
                if following is not None:
                    inside[i] = following
    if not set(prompts) <= set(model.PROMPT_JOBS) or not flows.keys() <= set(model.TOKEN_JOBS):
        return False
    if not _set_walk(model, placed):
        return False
    for job in prompts:
        model.x[job].set_value(1)
    for token_job, count in flows.items():
        model.y[token_job].set_value(count)
    entering = jobs_entering(model)
    for c, times in enumerate(model.class_times):
        stay = 0
        for t in times:
            stay += sum(job.value for job in entering.get((c, t), [])) - model.y[c, t].value
            model.N[c, t].set_value(stay)
    if hasattr(model, "m"):
        _set_kv_of_classes(instance, model)
    return True


def _set_kv_of_classes(instance: Instance, model: pyo.ConcreteModel) -> None:
    times = list(model.BATCH_STARTS)
    change = dict.fromkeys(times, 0)
    for (i, t), x in model.x.items():
        change[t] += x.value * (int(instance.prompt[i]) + 1)
    for (_, t), y in model.y.items():
        change[t] += y.value
    freed = [(peak, end, job) for peak, _, end, job in class_completions(model, instance)]
    _accumulate_kv(model, change, freed)


def _set_sequence(instance: Instance, model: pyo.ConcreteModel, placed: tuple[Batch, ...]) -> bool:
    served = {i for batch in placed for i in batch.requests}
    if len(placed) > len(model.BATCHES) or not served <= set(model.REQUESTS):
        return False
    schedule = SeparateSchedule(placed)
    ends = schedule.ends(instance).tolist()
    done = {i: end for batch, end in zip(placed, ends, strict=True) for i in batch.requests}
    if any(end > model.latest[i] for i, end in done.items()):
        return False
    _clear(model)
    for b, batch in enumerate(placed):
        (model.u if _prompt(batch) else model.v)[b].set_value(1)
        for i in batch.requests:
            (model.x if _prompt(batch) else model.y)[i, b].set_value(1)
    _accumulate(model.x, model.X)
    _accumulate(model.y, model.Y)
    _set_times(instance, model, placed, ends)
    for (i, b), z in model.z.items():
        z.set_value(int(model.X[i, b].value + model.Y[i, b].value == instance.output[i]))
    set_completion_goal(model, instance, done)
    return True


def _set_times(
    instance: Instance, model: pyo.ConcreteModel, placed: tuple[Batch, ...], ends: list[int]
) -> None:
    """Set S, D and h; places that are not used start when the last batch ends."""
    for b in model.BATCHES:
        used = b < len(placed)
        model.S[b].set_value(placed[b].start if used else ends[-1] if ends else 0)
        model.D[b].set_value(ends[b] - placed[b].start if used else 0)
    if hasattr(model, "h"):
        for (i, b), h in model.h.items():
            if model.y[i, b].value:
                emitted = model.X[i, b - 1].value + model.Y[i, b - 1].value
                h.set_value(int(instance.prompt[i]) + emitted)
