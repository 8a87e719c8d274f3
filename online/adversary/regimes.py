"""What differs from regime to regime when a worst case is judged and written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from ...models.continuous.record import ContinuousRecord, from_record, to_record
from ...models.continuous.schedule import ContinuousSchedule
from ...models.errors import InputError
from ...models.files.gpu import gpu_record, read_gpu
from ...models.instance import Gpu, Instance
from ...models.mixed.schedule import MixedSchedule
from ...models.separate.schedule import Batch, SeparateSchedule
from ...solvers.certificates.strict import array, integer, integers, shown
from ..continuous.judge import judge_continuous
from ..judged import Judged
from ..mixed.judge import judge
from ..separate.judge import judge_separate
from ..separate.rerun import Rerun as SeparateRerun


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessRecord:
    """What a witness of a regime has in its file, beside what all have.

    Attributes
    ----------
    keys : tuple of str
        Its keys.
    gpu_to, gpu_of : callable
        From a GPU to its entries, and from a record to the GPU.
    schedule_to, schedule_of : callable
        From a hindsight schedule to its entries, and from a record and the instance to it.
    rerun : type, optional
        What reads the proof of a bound that is a search to run again: a class with ``kind``,
        ``from_record`` and ``bound(instance, schedule)``.
    """

    keys: tuple[str, ...]
    gpu_to: Callable[[Gpu], dict[str, Any]]
    gpu_of: Callable[[dict[str, Any]], Gpu]
    schedule_to: Callable[[Any], dict[str, Any]]
    schedule_of: Callable[[dict[str, Any], Instance], Any]
    rerun: Any = None


def _capacity_to(gpu: Gpu) -> dict[str, Any]:
    return {"kv_capacity": int(gpu.kv_capacity)}


def _capacity_of(record: dict[str, Any]) -> Gpu:
    return Gpu(kv_capacity=integer("kv_capacity", record["kv_capacity"], low=2))


def _gpu_to(gpu: Gpu) -> dict[str, Any]:
    return {"gpu": gpu_record(gpu)}


def _gpu_of(record: dict[str, Any]) -> Gpu:
    return read_gpu("gpu", record["gpu"])


def _starts_to(schedule: MixedSchedule) -> dict[str, Any]:
    return {"hindsight_start": schedule.start.tolist()}


def _starts_of(record: dict[str, Any], instance: Instance) -> MixedSchedule:
    start = integers("hindsight_start", record["hindsight_start"], low=0)
    if len(start) != instance.n:
        raise InputError(f"hindsight_start: expected {instance.n} starts, found {len(start)}")
    return MixedSchedule(np.array(start, dtype=np.int64))


def _batches_to(schedule: SeparateSchedule) -> dict[str, Any]:
    return {"hindsight_batches": [[b.kind, b.start, list(b.requests)] for b in schedule.batches]}


def _batches_of(record: dict[str, Any], instance: Instance) -> SeparateSchedule:
    batches = []
    for j, row in enumerate(array("hindsight_batches", record["hindsight_batches"])):
        place = f"hindsight_batches[{j}]"
        parts = array(place, row)
        if len(parts) != 3 or parts[0] not in ("prompt", "token"):
            raise InputError(f"{place}: expected kind, start and requests, found {shown(row)}")
        members = tuple(integers(f"{place}[2]", parts[2], low=0))
        if max(members, default=0) >= instance.n:
            raise InputError(f"{place}[2]: expected requests below {instance.n}")
        batches.append(Batch(parts[0], integer(f"{place}[1]", parts[1], low=0), members))
    return SeparateSchedule(batches)


def _records_to(schedule: ContinuousSchedule) -> dict[str, Any]:
    return {"hindsight_batches": to_record(schedule)["batches"]}


def _records_of(record: dict[str, Any], instance: Instance) -> ContinuousSchedule:
    try:
        batches = msgspec.convert({"batches": record["hindsight_batches"]}, ContinuousRecord)
    except msgspec.ValidationError as error:
        raise InputError(f"hindsight_batches: {error}") from error
    return from_record("hindsight_batches", batches, instance)


#: What a witness has in its file, by regime.
RECORDS = {
    "mixed": WitnessRecord(
        keys=("kv_capacity", "hindsight_start"),
        gpu_to=_capacity_to,
        gpu_of=_capacity_of,
        schedule_to=_starts_to,
        schedule_of=_starts_of,
    ),
    "separate": WitnessRecord(
        keys=("model", "gpu", "hindsight_batches"),
        gpu_to=_gpu_to,
        gpu_of=_gpu_of,
        schedule_to=_batches_to,
        schedule_of=_batches_of,
        rerun=SeparateRerun,
    ),
    "continuous": WitnessRecord(
        keys=("model", "gpu", "hindsight_batches"),
        gpu_to=_gpu_to,
        gpu_of=_gpu_of,
        schedule_to=_records_to,
        schedule_of=_records_of,
    ),
}

#: Who finds cost and optimum of a policy: ``judge(instance, policy, seed=…, above=…)``, by regime.
JUDGES: dict[str, Callable[..., Judged | None]] = {
    "mixed": judge,
    "separate": judge_separate,
    "continuous": judge_continuous,
}
