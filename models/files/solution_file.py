"""Solutions, and schedules from elsewhere, as JSON."""

from __future__ import annotations

import os
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union

import msgspec

from ..claims import Claims
from ..instance import Instance
from ..regime import Schedule
from ..regimes import REGIMES, regime_of
from ..shown import alternatives
from ..strict import Strict
from .reading import VERSION, read_record

SOLUTION_FORMAT = "batchprophet-solution"


class _Solution(Strict, kw_only=True):
    """A solution, or a schedule from elsewhere: only `model` and `schedule` are needed."""

    format: Literal["batchprophet-solution"] = "batchprophet-solution"
    version: Literal[1] = 1
    instance: str | None = None
    objective_name: str | None = None
    objective: float | None = None
    lower_bound: float | None = None
    upper_bound: float | None = None
    status: str | None = None
    certified: bool | None = None
    gap: float | None = None
    speed_equivalent_gap: float | None = None
    method: str | None = None
    seconds: float | None = None
    extension: dict[str, Any] | None = None
    provenance: dict[str, Any] | None = None


@cache
def _records(models: tuple[str, ...]) -> Any:
    """One record per regime: the key "model" tells them apart."""
    made = [
        msgspec.defstruct(
            "Solution",
            [("schedule", REGIMES[model].record)],
            bases=(_Solution,),
            tag=model,
            tag_field="model",
            kw_only=True,
        )
        for model in models
    ]
    return Union[tuple(made)]  # noqa: UP007 (as many as there are)


def solution_record(instance: str, schedule: Schedule, **facts: Any) -> dict[str, Any]:
    """Return a schedule of a named instance, and facts about it, as a solution file has them."""
    return {
        "format": SOLUTION_FORMAT,
        "version": VERSION,
        "instance": instance,
        "model": schedule.model,
        **facts,
        "schedule": schedule_record(schedule),
    }


def read_schedule(path: str | os.PathLike[str], instance: Instance) -> Schedule:
    """Read the schedule in a solution file, or in a schedule file from elsewhere.

    What the schedule violates is for the checker; here it need only be one of this instance.

    Parameters
    ----------
    path : path-like
        A file with at least ``model`` and ``schedule``.
    instance : Instance
        The instance that it schedules.

    Returns
    -------
    MixedSchedule or SeparateSchedule
        As the file's ``model`` says.

    Raises
    ------
    InputError
        If the file cannot be read as such, or has another number of requests.
    """
    return read_solution_file(path, instance)[0]


def read_solution_file(path: str | os.PathLike[str], instance: Instance) -> tuple[Schedule, Claims]:
    """Read the schedule in a solution file, and what the file says of it.

    Raises
    ------
    InputError
        As in `read_schedule`.
    """
    models = tuple(REGIMES)
    known = {"model": alternatives(models)}
    record = read_record(Path(path), _records(models), SOLUTION_FORMAT, known)
    tag: str = type(record).__struct_config__.tag
    schedule: Schedule = REGIMES[tag].from_record(str(path), record.schedule, instance)
    said = {field.name: getattr(record, field.name) for field in fields(Claims)}
    return schedule, Claims(**said)


def schedule_record(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as the object that stands under ``"schedule"`` in files.

    Examples
    --------
    >>> from batchprophet.models.separate.schedule import Batch, SeparateSchedule
    >>> schedule_record(SeparateSchedule([Batch("prompt", 0, (0, 2))]))
    {'batches': [{'kind': 'prompt', 'start': 0, 'requests': [0, 2]}]}
    """
    return regime_of(schedule).to_record(schedule)
