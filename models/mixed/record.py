"""A schedule of mixed batching as it stands in files."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from ..errors import InputError
from ..instance import Instance
from ..strict import Strict
from .schedule import Eviction, MixedSchedule


class EvictedRecord(Strict):
    """An aborted run."""

    request: int
    start: int
    end: int


class MixedRecord(Strict):
    """Starts in the instance's order, and the aborted runs."""

    start: list[int]
    evicted: list[EvictedRecord] = msgspec.field(default_factory=list)


def from_record(where: str, record: MixedRecord, instance: Instance) -> MixedSchedule:
    """Return the schedule of a record; `where` it stands is for errors.

    Raises
    ------
    InputError
        If it is none of this instance.
    """
    starts = record.start
    if len(starts) != instance.n:
        raise InputError(
            f"{where}: schedule.start: expected {instance.n} starts, one per request of "
            f"{instance.name!r}, found {len(starts)}"
        )
    for i, start in enumerate(starts):
        if abs(start) >= 2**62:
            raise InputError(
                f"{where}: schedule.start[{i}]: expected a round below 2^62, found {start}"
            )
    evicted = [Eviction(run.request, run.start, run.end) for run in record.evicted]
    return MixedSchedule(np.array(starts, dtype=np.int64), evicted)


def to_record(schedule: MixedSchedule) -> dict[str, Any]:
    """Return what stands under ``"schedule"`` in files."""
    record: dict[str, Any] = {"start": schedule.start.tolist()}
    if schedule.evicted:
        record["evicted"] = [
            {"request": run.request, "start": run.start, "end": run.end} for run in schedule.evicted
        ]
    return record
