"""From the binaries of a formulation to a schedule, and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyomo.environ as pyo

from ...instance import Instance, IntArray
from ..schedule import MixedSchedule


def decode(
    instance: Instance,
    model: pyo.ConcreteModel,
    value: Callable[[object], float],
    *,
    as_placed: bool = False,
) -> MixedSchedule:
    """Read the schedule off a solution of the model.

    A request that the model leaves out (reward objective) is appended: one after the other, once
    everything else is done. So every request has a start and the schedule is feasible.

    Parameters
    ----------
    instance : Instance
        The instance that the model was built from.
    model : ConcreteModel
        A model of `formulation.build_model`.
    value : callable
        Gives the value of a variable; within 1/2 of an integer for the binaries.
    as_placed : bool
        Whether what is left out is appended after the last round of the model instead: no
        constraint of the model speaks of these rounds.
    """
    start = np.full(instance.n, -1, dtype=np.int64)
    for (i, t), x in model.x.items():
        if value(x) > 0.5:
            start[i] = t
    after = len(model.ROUNDS) if as_placed else 0
    return MixedSchedule(_append_left_out(instance, start, after))


def _append_left_out(instance: Instance, start: IntArray, after: int) -> IntArray:
    taken = start >= 0
    end = int((start + instance.output)[taken].max(initial=after))
    for i in np.flatnonzero(~taken):
        start[i] = max(end, int(instance.arrival[i]))
        end = int(start[i] + instance.output[i])
    return start


def set_start(instance: Instance, model: pyo.ConcreteModel, schedule: MixedSchedule) -> bool:
    """Give the variables the values of a schedule, as a warm start.

    Returns
    -------
    bool
        Whether the model offers all its starts (for the reward: what is late is left out). If
        not, no value is set.
    """
    start = schedule.start.tolist()
    optional = model.goal.sense == pyo.maximize
    offered = [(i, k) in model.STARTS for i, k in enumerate(start)]
    if not optional and not all(offered):
        return False
    for x in model.x.values():
        x.set_value(0, skip_validation=True)
    runs = [(i, k) for i, k in enumerate(start) if offered[i]]
    for i, k in runs:
        model.x[i, k].set_value(1)
    if hasattr(model, "A"):
        _set_running_sums(instance, model, runs)
    if hasattr(model, "C"):
        model.C.set_value(int(schedule.completion(instance).max()))
    return True


def _set_running_sums(
    instance: Instance, model: pyo.ConcreteModel, runs: list[tuple[int, int]]
) -> None:
    last = len(model.ROUNDS)
    size, tokens = np.zeros(last + 1, dtype=np.int64), np.zeros(last + 1, dtype=np.int64)
    for i, k in runs:
        s, o = int(instance.prompt[i]), int(instance.output[i])
        size[k + 1 : k + o + 1] += 1
        tokens[k + 1 : k + o + 1] += np.arange(s + 1, s + o + 1)
    for t in model.ROUNDS:
        model.A[t].set_value(int(size[t]))
        model.m[t].set_value(int(tokens[t]))
