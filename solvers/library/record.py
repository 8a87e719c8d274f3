"""What is known of an instance of the library: schedule, bound, proof, and who found them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zstandard

from ...models.continuous.record import ContinuousRecord, from_record
from ...models.continuous.regime import CONTINUOUS
from ...models.continuous.schedule import ContinuousSchedule
from ...models.disk import read_input, write_atomically
from ...models.errors import InputError
from ...models.files.solution_file import schedule_record
from ...models.mixed.schedule import MixedSchedule
from ...models.regime import Schedule
from ...models.separate.schedule import Batch, SeparateSchedule
from ...models.strict import refuse_repeated_keys
from ..certificates.certificate import Certificate
from ..certificates.strict import (
    array,
    integer,
    integers,
    require_keys,
    require_object,
    shown,
    text,
)

FORMAT = "batchprophet-library-record"
VERSION = 2

_KEYS = ("format", "version", "value", "bound", "schedule_by", "bound_by", "schedule", "proof")

#: What version 2 has beside: who submitted to version 1 did not say it.
_MORE_KEYS = ("schedule_made", "bound_made", "quick")

#: A record has at most this many bytes when it is unpacked.
MOST_BYTES = 2**28


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """When and with what a schedule or a bound was found.

    Attributes
    ----------
    date : str
        The day, as 2026-11-28; "" where it is not known.
    version : str
        The version of this package; "" where it is not known.
    how : str
        The command, or what stands for it.
    """

    date: str = ""
    version: str = ""
    how: str = ""

    @classmethod
    def now(cls, how: str) -> Made:
        """Return today, this version, and how."""
        return cls(date=date.today().isoformat(), version=version("batchprophet"), how=how)

    def to_record(self) -> dict[str, str]:
        """Return it as a plain record."""
        return {"date": self.date, "version": self.version, "how": self.how}

    @classmethod
    def from_record(cls, place: str, value: object) -> Made:
        """Read it from a record of `to_record`."""
        record = require_object(place, value)
        require_keys(f"{place}.", record, ("date", "version", "how"))
        return cls(**{key: text(f"{place}.{key}", record[key]) for key in record})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The best known schedule of an instance and the best bound, with its proof.

    Attributes
    ----------
    value : int
        Total latency of the schedule: ``optimum ≤ value``.
    bound : int
        ``bound ≤ optimum``.
    schedule : MixedSchedule, SeparateSchedule or ContinuousSchedule
        The schedule.
    proof : Certificate
        From which the bound can be recomputed.
    quick : Certificate or None
        Where that takes long, a smaller bound whose proof is verified quickly.
    schedule_by, bound_by : str
        The methods that found them, or who submitted them.
    schedule_made, bound_made : Made
        When and with what.
    """

    value: int
    bound: int
    schedule: Schedule
    proof: Certificate
    schedule_by: str
    bound_by: str
    quick: Certificate | None = None
    schedule_made: Made = Made()
    bound_made: Made = Made()

    @property
    def optimal(self) -> bool:
        """Whether schedule and bound meet."""
        return self.value == self.bound

    @property
    def gap(self) -> float:
        """``(value − bound) / value``."""
        return (self.value - self.bound) / self.value

    def to_record(self) -> dict[str, Any]:
        """Return the record as the object that is written to its file."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "value": self.value,
            "bound": self.bound,
            "schedule_by": self.schedule_by,
            "bound_by": self.bound_by,
            "schedule_made": self.schedule_made.to_record(),
            "bound_made": self.bound_made.to_record(),
            "schedule": schedule_record(self.schedule),
            "proof": self.proof.to_record(),
            "quick": None if self.quick is None else self.quick.to_record(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Record:
        """Read a record from an object of `to_record`, and refuse anything else."""
        first = record.get("version") == 1 and not isinstance(record["version"], (bool, float))
        require_keys("", record, _KEYS if first else (*_KEYS, *_MORE_KEYS))
        for key, expected in (("format", FORMAT), ("version", 1 if first else VERSION)):
            if record[key] != expected or isinstance(record[key], (bool, float)):
                raise InputError(f"{key}: expected {expected!r}, found {shown(record[key])}")
        certificate = Certificate.from_record(require_object("proof", record["proof"]))
        more: dict[str, Any] = {}
        if not first:
            for key in ("schedule_made", "bound_made"):
                more[key] = Made.from_record(key, record[key])
            if record["quick"] is not None:
                more["quick"] = Certificate.from_record(require_object("quick", record["quick"]))
        return cls(
            value=integer("value", record["value"], low=1),
            bound=integer("bound", record["bound"], low=0),
            schedule=_schedule(require_object("schedule", record["schedule"]), certificate.model),
            proof=certificate,
            schedule_by=text("schedule_by", record["schedule_by"]),
            bound_by=text("bound_by", record["bound_by"]),
            **more,
        )


def write_record(record: Record, path: str | os.PathLike[str]) -> None:
    """Write a record, packed, atomically; the same record gives the same bytes."""
    content = json.dumps(record.to_record(), separators=(",", ":")).encode()
    write_atomically(path, zstandard.ZstdCompressor(level=19).compress(content))


def read_record(path: str | os.PathLike[str]) -> Record:
    """Read a record's file.

    Raises
    ------
    InputError
        If it cannot be read, is not packed JSON, or is no record; the message starts with the
        file's name.
    """
    name = Path(path).name
    packed = read_input(path, most=MOST_BYTES)
    try:
        content = zstandard.ZstdDecompressor().decompress(packed, max_output_size=MOST_BYTES)
        document = json.loads(content, object_pairs_hook=refuse_repeated_keys)
        return Record.from_record(require_object("record", document))
    except zstandard.ZstdError as error:
        raise InputError(f"{name}: damaged, cannot be unpacked ({error})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not valid JSON ({error})") from error
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _schedule(record: Mapping[str, Any], model: str) -> Schedule:
    """Read a schedule; separate and continuous ones differ as their certificates' regimes do."""
    if model == CONTINUOUS.name:
        return _continuous(record)
    if "start" in record:
        require_keys("schedule.", record, ("start",))
        start = integers("schedule.start", record["start"], low=0)
        return MixedSchedule(np.array(start, dtype=np.int64))
    require_keys("schedule.", record, ("batches",))
    return SeparateSchedule(
        _batch(f"schedule.batches[{b}]", each)
        for b, each in enumerate(array("schedule.batches", record["batches"]))
    )


def _continuous(record: Mapping[str, Any]) -> ContinuousSchedule:
    try:
        read = msgspec.convert(dict(record), ContinuousRecord)
    except msgspec.ValidationError as error:
        raise InputError(f"schedule: {error}") from error
    return from_record("schedule", read, None)


def _batch(place: str, value: object) -> Batch:
    record = require_object(place, value)
    require_keys(f"{place}.", record, ("kind", "start", "requests"))
    kind = record["kind"]
    if kind != "prompt" and kind != "token":
        raise InputError(f"{place}.kind: expected prompt or token, found {shown(kind)}")
    start = integer(f"{place}.start", record["start"], low=0)
    members = integers(f"{place}.requests", record["requests"], low=0)
    return Batch("prompt" if kind == "prompt" else "token", start, tuple(members))
