"""The rows of a comparison: verified, kept in a CSV file, checked against each other.

A row holds its schedule, so whatever is printed can be verified again from the file alone: the
checker accepts the schedule, its value is the incumbent, and no lower bound is above any incumbent
of the same instance and regime, whichever methods they come from.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from batchprophet.models import (
    InputError,
    Instance,
    Schedule,
    check,
    escape,
    schedule_value,
    unescape,
    write_atomically,
    write_csv,
)
from batchprophet.models.files import schedule_record
from batchprophet.models.mixed import MixedSchedule
from batchprophet.models.separate import Batch, SeparateSchedule

#: Statuses of a row without a result.
OVERRUN, OUT_OF_MEMORY, CRASHED, CONTRADICTION = (
    "overrun",
    "out of memory",
    "crashed",
    "contradiction",
)

# A separate schedule of thousands of batches is longer than the default limit on a field.
csv.field_size_limit(2**31 - 1)

#: Failures of the code, not results: they are run again, and the command ends with exit code 1.
DEFECTS = (CRASHED, CONTRADICTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One method on one instance.

    Attributes
    ----------
    instance, n, M : str, int, int
        Name, requests and KV capacity of the instance.
    model : str
        The regime: "mixed" or "separate".
    method : str
        A name of `methods.METHODS`.
    incumbent : int or None
        Total latency of the best schedule, in the time unit of the batch times; None where
        `status` says why.
    lower_bound : int or None
        Proved lower bound on the optimum; None if the method has proved nothing.
    status : str
        "optimal" (incumbent and bound are equal), "feasible", or a failure.
    seconds : float
        Wall-clock time for building and solving, without the warm-up.
    cpu_seconds : float or None
        CPU time over all threads, without the warm-up.
    peak_mib : float or None
        Peak memory of the process in MiB.
    time_limit, threads, windows : float, int, str
        How it was run; `windows` is "plain" or "tight" (`methods.Case.tight_windows`).
    warm_start : int
        Total latency of the schedule that the method began with.
    account : str
        What the method says it did, or what went wrong.
    version, date : str
        Version of the code, day of the run.
    fingerprint : str
        Of the data of the instance.
    schedule : MixedSchedule or SeparateSchedule or None
        The best schedule; None where there is none. In the file it is JSON, as in a solution file.
    """

    instance: str
    n: int
    M: int
    model: str
    method: str
    incumbent: int | None
    lower_bound: int | None
    status: str
    seconds: float
    cpu_seconds: float | None
    peak_mib: float | None
    time_limit: float
    threads: int
    windows: str
    warm_start: int
    account: str
    version: str
    date: str
    fingerprint: str
    schedule: Schedule | None

    @property
    def gap(self) -> float | None:
        """``(incumbent − bound) / incumbent``; None without one of them."""
        if self.incumbent is None or self.lower_bound is None:
            return None
        return (self.incumbent - self.lower_bound) / self.incumbent  # latencies are ≥ 1

    @property
    def key(self) -> tuple[object, ...]:
        """What it is a measurement of: rows with the same key are not measured twice."""
        return (self.fingerprint, self.method, self.time_limit, self.threads, self.windows)


def fingerprint(instance: Instance) -> str:
    """Fingerprint of what matters to a schedule: the GPU, arrivals, prompts, outputs."""
    gpu = instance.gpu
    limits = (gpu.prompt_batch_requests, gpu.prompt_batch_tokens, gpu.token_batch_requests)
    digest = hashlib.sha256(f"{gpu.kv_capacity} {limits} {gpu.batch_time}".encode())
    for column in (instance.arrival, instance.prompt, instance.output):
        digest.update(column.astype("<i8").tobytes())
    return digest.hexdigest()[:16]


def violations(row: Row, instance: Instance) -> list[str]:
    """List what is wrong in a row by itself; an empty list means verified."""
    where = f"{row.instance}, {row.method}"
    if row.status in DEFECTS:
        return [f"{where}: {row.account}"]
    if row.incumbent is None:
        return []
    if row.schedule is None or row.schedule.model != row.model:
        return [f"{where}: expected a {row.model} schedule"]
    found = [f"{where}: {violation.message}" for violation in check(instance, row.schedule)]
    if not found:
        value = schedule_value(instance, row.schedule)
        if value != row.incumbent:
            found.append(f"{where}: the schedule is worth {value}, not {row.incumbent}")
    if row.incumbent > row.warm_start:
        found.append(f"{where}: {row.incumbent} is worse than the warm start, {row.warm_start}")
    if row.lower_bound is not None and row.lower_bound > row.incumbent:
        found.append(f"{where}: the bound {row.lower_bound} is above {row.incumbent}, its own")
    if (row.status == "optimal") != (row.lower_bound == row.incumbent):
        found.append(f"{where}: {row.status} with {row.incumbent} and bound {row.lower_bound}")
    return found


def contradictions(rows: Iterable[Row]) -> list[str]:
    """List each lower bound that is above an incumbent of another row on the same instance.

    Rows of the two regimes say nothing about each other.
    """
    by_instance: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_instance.setdefault((row.fingerprint, row.model), []).append(row)
    return [
        f"{low.instance}: the bound {low.lower_bound} of {low.method} is above the schedule of "
        f"{high.method}, {high.incumbent}"
        for same in by_instance.values()
        for low in same
        for high in same
        if low is not high
        and low.lower_bound is not None
        and high.incumbent is not None
        and low.lower_bound > high.incumbent
    ]


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write all rows, atomically: the file is the old one or the new one."""
    cells = [[_text(getattr(row, name)) for name in _COLUMNS] for row in rows]
    write_atomically(path, write_csv([_COLUMNS, *cells]).encode())


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a file; none if it does not exist.

    Raises
    ------
    InputError
        If the file has other columns, or a value is malformed.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            lines = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if not lines or tuple(lines[0]) != _COLUMNS:
        raise InputError(f"{path}: expected the columns {', '.join(_COLUMNS)}")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            cells = dict(zip(_COLUMNS, line, strict=True))
            rows.append(Row(**{name: _READ[name](cell) for name, cell in cells.items()}))
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
    return rows


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, MixedSchedule | SeparateSchedule):
        return json.dumps(schedule_record(value), separators=(",", ":"))
    return escape(value) if isinstance(value, str) else str(value)


def _int_or_none(text: str) -> int | None:
    return int(text) if text else None


def _float_or_none(text: str) -> float | None:
    return float(text) if text else None


def _schedule_or_none(text: str) -> Schedule | None:
    match json.loads(text) if text else None:
        case None:
            return None
        case {"start": [*starts]} if _are_integers(starts):
            return MixedSchedule(starts)
        case {"batches": [*batches]}:
            return SeparateSchedule(map(_batch, batches))
    raise ValueError(f"expected a schedule, found {text}")


def _batch(record: object) -> Batch:
    match record:
        case {
            "kind": ("prompt" | "token") as kind, "start": int(start), "requests": [*requests]
        } if _are_integers(requests):  # fmt: skip
            return Batch(kind, start, tuple(requests))
    raise ValueError(f"expected a batch, found {record}")


def _are_integers(values: list[object]) -> bool:
    return bool(values) and all(type(value) is int for value in values)


_BY_TYPE: dict[str, Any] = {
    "str": unescape,
    "int": int,
    "float": float,
    "int | None": _int_or_none,
    "float | None": _float_or_none,
    "Schedule | None": _schedule_or_none,
}
_READ = {column.name: _BY_TYPE[str(column.type)] for column in fields(Row)}
_COLUMNS = tuple(_READ)
