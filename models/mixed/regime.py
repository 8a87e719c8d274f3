"""Mixed batching, as `models.regimes` has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..instance import Gpu, Instance, IntArray
from ..objectives import Exact, evaluate
from ..regime import Regime
from ..violation import Violation
from .feasibility import check_mixed
from .metrics import measure, service_times
from .problem import require_mixed
from .record import MixedRecord, from_record, to_record
from .schedule import MixedSchedule


def _check(
    instance: Instance, schedule: MixedSchedule, *, allow_rejected: bool = False
) -> list[Violation]:
    """Check as `check_mixed`: every request has a start, so none is rejected."""
    return check_mixed(instance, schedule)


def _accepted(instance: Instance, schedule: MixedSchedule) -> IntArray:
    return np.arange(instance.n)


def _served(instance: Instance, schedule: MixedSchedule) -> tuple[Instance, MixedSchedule]:
    return instance, schedule


def _value(instance: Instance, schedule: MixedSchedule, objective: str) -> Exact:
    return evaluate(instance, schedule.completion(instance), objective)


def _without_evictions(schedule: MixedSchedule) -> MixedSchedule:
    return MixedSchedule(schedule.start)


def _digest(gpu: Gpu) -> dict[str, Any]:
    """B and C, where one is set: a bound that uses them is none for a GPU without."""
    if gpu.running_requests is None and gpu.batch_tokens is None:
        return {}
    return {"mixed": [gpu.running_requests, gpu.batch_tokens]}


def _time_alone(instance: Instance) -> IntArray:
    return instance.output


MIXED = Regime(
    name="mixed",
    summary="a batch has prompt and token jobs; each round takes the same time",
    schedule=MixedSchedule,
    require=require_mixed,
    check=_check,
    measure=measure,
    service_times=service_times,
    accepted=_accepted,
    served=_served,
    value=_value,
    without_evictions=_without_evictions,
    takes_limits=False,
    digest=_digest,
    record=MixedRecord,
    from_record=from_record,
    to_record=to_record,
    time_alone=_time_alone,
)
