"""A schedule of continuous batching as it stands in files."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from ..errors import InputError
from ..instance import Instance
from ..strict import Strict
from .schedule import Batch, ContinuousSchedule


class BatchRecord(Strict):
    """One batch; lists may be left out where they are empty."""

    start: int
    prefill: list[tuple[int, int]] = msgspec.field(default_factory=list)
    decode: list[int] = msgspec.field(default_factory=list)
    preempt: list[int] = msgspec.field(default_factory=list)


class ContinuousRecord(Strict):
    """The batches, in any order."""

    batches: list[BatchRecord]


#: Requests of a schedule whose instance is not at hand, at most.
MOST_REQUESTS = 2**31 - 1


def from_record(
    where: str, record: ContinuousRecord, instance: Instance | None
) -> ContinuousSchedule:
    """Return the schedule of a record; `where` it stands is for errors.

    Without an instance the checker has to refuse requests that it does not have.

    Raises
    ------
    InputError
        If it is none of this instance.
    """
    most = MOST_REQUESTS if instance is None else instance.n - 1
    whose = "" if instance is None else f" of {instance.name!r}"
    for position, batch in enumerate(record.batches):
        place = f"{where}: schedule.batches[{position}]"
        if abs(batch.start) >= 2**62:
            raise InputError(f"{place}.start: expected a time below 2^62, found {batch.start}")
        for key, members in (
            ("prefill", [i for i, _ in batch.prefill]),
            ("decode", batch.decode),
            ("preempt", batch.preempt),
        ):
            for k, i in enumerate(members):
                if not 0 <= i <= most:
                    raise InputError(
                        f"{place}.{key}[{k}]: expected a request from 0 to {most}{whose}, found {i}"
                    )
        for k, (_, tokens) in enumerate(batch.prefill):
            if not 1 <= tokens < 2**62:
                raise InputError(
                    f"{place}.prefill[{k}]: expected at least 1 token, below 2^62, found {tokens}"
                )
    return ContinuousSchedule(
        Batch(
            batch.start,
            tuple((i, tokens) for i, tokens in batch.prefill),
            tuple(batch.decode),
            tuple(batch.preempt),
        )
        for batch in record.batches
    )


def to_record(schedule: ContinuousSchedule) -> dict[str, Any]:
    """Return what stands under ``"schedule"`` in files.

    Examples
    --------
    >>> to_record(ContinuousSchedule([Batch(0, prefill=((0, 3),)), Batch(1, decode=(0,))]))
    {'batches': [{'start': 0, 'prefill': [[0, 3]]}, {'start': 1, 'decode': [0]}]}
    """
    columns = schedule.columns
    chunks = np.column_stack([columns.chunk_of, columns.chunk_tokens]).tolist()
    lists = (
        ("prefill", chunks, columns.chunks),
        ("decode", columns.job_of.tolist(), columns.jobs),
        ("preempt", columns.drop_of.tolist(), columns.drops),
    )
    records: list[dict[str, Any]] = [{"start": start} for start in columns.start.tolist()]
    for key, members, sizes in lists:
        ends = np.cumsum(sizes).tolist()
        for record, first, end in zip(records, [0, *ends], ends, strict=False):
            if first < end:
                record[key] = members[first:end]
    return {"batches": records}
