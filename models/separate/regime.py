"""Separate batching, as `models.regimes` has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..batch_time import AffineTime, ConstantTime
from ..instance import Gpu, Instance, IntArray
from ..objectives import Exact, admission_reward, evaluate
from ..regime import Regime
from .feasibility import check_separate
from .metrics import measure_separate, service_times
from .problem import require_separate, time_alone
from .record import SeparateRecord, from_record, to_record
from .schedule import SeparateSchedule


def _accepted(instance: Instance, schedule: SeparateSchedule) -> IntArray:
    return schedule.accepted()


def _served(instance: Instance, schedule: SeparateSchedule) -> tuple[Instance, SeparateSchedule]:
    served = schedule.accepted()
    if 0 < served.size < instance.n:
        return instance.take(served), schedule.only(served)
    return instance, schedule


def _value(instance: Instance, schedule: SeparateSchedule, objective: str) -> Exact:
    if objective != "reward":
        return evaluate(instance, schedule.completion(instance), objective)
    accepted = schedule.accepted()
    return admission_reward(instance, accepted, _completion(instance, schedule, accepted))


def _completion(instance: Instance, schedule: SeparateSchedule, accepted: IntArray) -> IntArray:
    """Completion of the accepted requests, in their order."""
    if accepted.size == 0:
        return np.zeros(0, dtype=np.int64)
    return schedule.only(accepted).completion(instance.take(accepted))


def _without_evictions(schedule: SeparateSchedule) -> SeparateSchedule:
    return schedule


def _digest(gpu: Gpu) -> dict[str, Any]:
    """B_P, C_P and B_D, null where there is no limit, and the law's name and numbers."""
    law = [gpu.batch_time.name]
    if isinstance(gpu.batch_time, ConstantTime):
        law += [str(gpu.batch_time.prompt), str(gpu.batch_time.token)]
    elif isinstance(gpu.batch_time, AffineTime):
        law += [repr(getattr(gpu.batch_time, c)) for c in ("c0", "c1", "c2", "c3")]
        if gpu.batch_time.c0_prompt is not None:
            law += [repr(gpu.batch_time.c0_prompt)]
    limits = (gpu.prompt_batch_requests, gpu.prompt_batch_tokens, gpu.token_batch_requests)
    return {"batches": [*limits, *law]}


SEPARATE = Regime(
    name="separate",
    summary="a batch is all prompt jobs or all token jobs; batches take the time of the law",
    schedule=SeparateSchedule,
    require=require_separate,
    check=check_separate,
    measure=measure_separate,
    service_times=service_times,
    accepted=_accepted,
    served=_served,
    value=_value,
    without_evictions=_without_evictions,
    takes_limits=True,
    digest=_digest,
    record=SeparateRecord,
    from_record=from_record,
    to_record=to_record,
    time_alone=time_alone,
)
