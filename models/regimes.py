"""Schedules of either regime, and what they are worth."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from .instance import Instance, IntArray
from .mixed.schedule import MixedSchedule
from .objectives import Exact, admission_reward, evaluate
from .separate.schedule import SeparateSchedule

#: A schedule of mixed or of separate batching; `model` tells which.
Schedule = MixedSchedule | SeparateSchedule

#: The regime of what is generic in it.
ScheduleType = TypeVar("ScheduleType", bound=Schedule)


def schedule_value(instance: Instance, schedule: Schedule, objective: str = "latency") -> Exact:
    """Value of a feasible schedule under a named objective, in exact arithmetic.

    Under the reward objective a request in no batch of a separate schedule counts as rejected, and
    one that is served counts as accepted: it pays its penalty if it is late
    (`objectives.admission_reward`). Mixed schedules serve everybody and pay no penalties.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedule : MixedSchedule or SeparateSchedule
        A feasible schedule of it.
    objective : {"latency", "weighted", "makespan", "reward"}
        The objective.

    Raises
    ------
    InputError
        If the objective is unknown, or "reward" and the instance has no horizon.
    ValueError
        If the objective is not the reward and a request is not served, or a request is served in
        part.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[1, 2], reward=[5, 2],
    ...     horizon=4,
    ... )
    >>> schedule_value(instance, SeparateSchedule([Batch("prompt", 0, (0,))]), "reward")
    5
    """
    if objective == "reward" and isinstance(schedule, SeparateSchedule):
        accepted = schedule.accepted()
        return admission_reward(instance, accepted, _completion(instance, schedule, accepted))
    return evaluate(instance, schedule.completion(instance), objective)


def _completion(instance: Instance, schedule: SeparateSchedule, accepted: IntArray) -> IntArray:
    """Completion of the accepted requests, in their order."""
    if accepted.size == 0:
        return np.zeros(0, dtype=np.int64)
    return schedule.only(accepted).completion(instance.take(accepted))
