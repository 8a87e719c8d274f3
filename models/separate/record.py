"""A schedule of separate batching as it stands in files."""

from __future__ import annotations

from typing import Any, Literal

from ..errors import InputError
from ..instance import Instance
from ..strict import Strict
from .schedule import Batch, SeparateSchedule


class BatchRecord(Strict):
    """One batch."""

    kind: Literal["prompt", "token"]
    start: int
    requests: list[int]


class SeparateRecord(Strict):
    """The batches, in any order."""

    batches: list[BatchRecord]


def from_record(where: str, record: SeparateRecord, instance: Instance) -> SeparateSchedule:
    """Return the schedule of a record; `where` it stands is for errors.

    Raises
    ------
    InputError
        If it is none of this instance.
    """
    for position, batch in enumerate(record.batches):
        place = f"{where}: schedule.batches[{position}]"
        if abs(batch.start) >= 2**62:
            raise InputError(f"{place}.start: expected a time below 2^62, found {batch.start}")
        for k, i in enumerate(batch.requests):
            if not 0 <= i < instance.n:
                raise InputError(
                    f"{place}.requests[{k}]: expected a request from 0 to {instance.n - 1} "
                    f"of {instance.name!r}, found {i}"
                )
    return SeparateSchedule(
        Batch(batch.kind, batch.start, tuple(batch.requests)) for batch in record.batches
    )


def to_record(schedule: SeparateSchedule) -> dict[str, Any]:
    """Return what stands under ``"schedule"`` in files."""
    return {
        "batches": [
            {"kind": batch.kind, "start": batch.start, "requests": list(batch.requests)}
            for batch in schedule.batches
        ]
    }
