"""Continuous batching, as `models.regimes` has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..batch_time import AffineTime
from ..durations import batch_durations
from ..instance import Gpu, Instance, IntArray
from ..objectives import Exact, admission_reward, evaluate
from ..regime import Regime, Shown
from .feasibility import check_continuous
from .metrics import MILLISECOND, measure_continuous, service_times
from .problem import require_continuous, times_alone
from .record import ContinuousRecord, from_record, to_record
from .schedule import ContinuousSchedule


def _accepted(instance: Instance, schedule: ContinuousSchedule) -> IntArray:
    return schedule.accepted()


def _served(
    instance: Instance, schedule: ContinuousSchedule
) -> tuple[Instance, ContinuousSchedule]:
    served = schedule.accepted()
    if 0 < served.size < instance.n:
        return instance.take(served), schedule.only(served)
    return instance, schedule


def _value(instance: Instance, schedule: ContinuousSchedule, objective: str) -> Exact:
    if objective != "reward":
        return evaluate(instance, schedule.completion(instance), objective)
    accepted = schedule.accepted()
    if accepted.size == 0:
        return admission_reward(instance, accepted, np.zeros(0, dtype=np.int64))
    completion = schedule.only(accepted).completion(instance.take(accepted))
    return admission_reward(instance, accepted, completion)


def _as_it_is(schedule: ContinuousSchedule) -> ContinuousSchedule:
    """Preempted requests keep the tokens that they emitted, so that no run is in vain."""
    return schedule


def _digest(gpu: Gpu) -> dict[str, Any]:
    """B, C, the block, whether prompts are read in chunks, and the law's name and numbers."""
    law = [gpu.batch_time.name]
    if isinstance(gpu.batch_time, AffineTime):
        numbers = (getattr(gpu.batch_time, c) for c in ("c0", "c1", "c2", "c3", "c0_prompt"))
        law += [repr(number) for number in numbers]
    limits = (gpu.running_requests, gpu.batch_tokens, gpu.kv_block, gpu.chunked_prefill)
    return {"continuous": [*limits, *law]}


def _shown_in(instance: Instance) -> Shown:
    affine = isinstance(instance.gpu.batch_time, AffineTime)
    return Shown("ms", MILLISECOND) if affine else Shown("rounds")


def _time_alone(instance: Instance) -> IntArray:
    return times_alone(instance, batch_durations(instance))


CONTINUOUS = Regime(
    name="continuous",
    summary="a batch is prompt chunks and token jobs, with measured batch times and preemption",
    schedule=ContinuousSchedule,
    require=require_continuous,
    check=check_continuous,
    measure=measure_continuous,
    service_times=service_times,
    accepted=_accepted,
    served=_served,
    value=_value,
    without_evictions=_as_it_is,
    takes_limits=True,
    digest=_digest,
    record=ContinuousRecord,
    from_record=from_record,
    to_record=to_record,
    time_alone=_time_alone,
    shown_in=_shown_in,
)
