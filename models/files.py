"""Instances and solutions as JSON: strict reading, atomic writing.

The formats are those of the documentation page "File formats"; unknown keys are refused by name.
"""

from __future__ import annotations

import json
import os
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from .batch_time import AffineTime, BatchTime, ConstantTime, UnitTime
from .disk import read_input
from .disk import write_atomically as write_atomically  # also found here
from .errors import InputError
from .instance import NO_DEADLINE, Gpu, Instance
from .mixed.schedule import Eviction, MixedSchedule
from .regimes import Schedule
from .separate.schedule import Batch, SeparateSchedule
from .strict import refuse_repeated_keys

INSTANCE_FORMAT = "batchprophet-instance"
SOLUTION_FORMAT = "batchprophet-solution"
VERSION = 1

#: Requests that are encoded at a time.
_PIECE = 1 << 14


class _Strict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=False):
    """A record that refuses keys it does not know."""


class _Unit(_Strict, tag="unit", tag_field="law"):
    pass


class _Constant(_Strict, tag="constant", tag_field="law"):
    prompt: int
    token: int


class _Affine(_Strict, tag="affine", tag_field="law"):
    c0: float
    c1: float
    c2: float
    c3: float


class _Gpu(_Strict):
    kv_capacity: int
    prompt_batch_requests: int | None = None
    prompt_batch_tokens: int | None = None
    token_batch_requests: int | None = None
    batch_time: _Unit | _Constant | _Affine = msgspec.field(default_factory=_Unit)


class _Request(_Strict, gc=False):
    arrival: int
    prompt: int
    output: int
    id: str | None = None
    reward: float = 1.0
    label: str | None = msgspec.field(default=None, name="class")
    weight: float = 1.0
    penalty: float | None = None
    deadline: int | None = None
    predicted: int | tuple[int, int] | None = None


class _Instance(_Strict):
    format: Literal["batchprophet-instance"]
    version: Literal[1]
    gpu: _Gpu
    requests: list[_Request]
    name: str = "instance"
    horizon: int | None = None
    provenance: dict[str, Any] | None = None


class _Evicted(_Strict):
    request: int
    start: int
    end: int


class _Mixed(_Strict):
    start: list[int]
    evicted: list[_Evicted] = []


class _Batch(_Strict):
    kind: Literal["prompt", "token"]
    start: int
    requests: list[int]


class _Separate(_Strict):
    batches: list[_Batch]


class _Solution(_Strict, kw_only=True):
    """A solution, or a schedule from elsewhere: only `model` and `schedule` are needed."""

    format: Literal["batchprophet-solution"] = "batchprophet-solution"
    version: Literal[1] = 1
    instance: str | None = None
    objective_name: str | None = None
    objective: float | None = None
    lower_bound: float | None = None
    upper_bound: float | None = None
    status: str | None = None
    gap: float | None = None
    method: str | None = None
    seconds: float | None = None
    provenance: dict[str, Any] | None = None


class _MixedSolution(_Solution, tag="mixed", tag_field="model", kw_only=True):
    schedule: _Mixed


class _SeparateSolution(_Solution, tag="separate", tag_field="model", kw_only=True):
    schedule: _Separate


_AnySolution = _MixedSolution | _SeparateSolution


def read_instance(path: str | os.PathLike[str]) -> Instance:
    """Read an instance file.

    Parameters
    ----------
    path : path-like
        An ``instance.json``.

    Returns
    -------
    Instance
        The instance, checked.

    Raises
    ------
    InputError
        If the file cannot be read, is not valid JSON, has an unknown key, a wrong type, a wrong
        version, or data that no GPU can run. The message starts with the file's name and says the
        field.
    """
    record: _Instance = _decode(Path(path), _Instance, INSTANCE_FORMAT)
    try:
        return _to_instance(record)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_instance(instance: Instance, path: str | os.PathLike[str]) -> None:
    """Write an instance file, atomically.

    Examples
    --------
    >>> import tempfile
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "instance.json"
    ...     write_instance(instance, path)
    ...     read_instance(path) == instance
    True
    """
    write_atomically(path, _encoded(instance))


def encode_instance(instance: Instance) -> bytes:
    """Encode an instance as JSON, one request a line; the same instance gives the same bytes."""
    return b"".join(_encoded(instance))


def _encoded(instance: Instance) -> Iterator[bytes]:
    """Encode an instance piece by piece, so that millions of requests need little memory."""
    head: dict[str, Any] = {
        "format": INSTANCE_FORMAT,
        "version": VERSION,
        "name": instance.name,
        "gpu": gpu_record(instance.gpu),
    }
    if instance.horizon is not None:
        head["horizon"] = instance.horizon
    if instance.provenance is not None:
        head["provenance"] = dict(instance.provenance)
    yield msgspec.json.encode(head)[:-1] + b',"requests":[\n'
    encode = msgspec.json.Encoder().encode
    optional = _optional_entries(instance)
    for first in range(0, instance.n, _PIECE):
        piece = range(first, min(first + _PIECE, instance.n))
        records = _request_records(instance, piece, optional)
        yield (b",\n" if first else b"") + b",\n".join(map(encode, records))
    yield b"\n]}\n"


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
    record: _AnySolution = _decode(Path(path), _AnySolution, SOLUTION_FORMAT)
    if isinstance(record, _SeparateSolution):
        return _to_separate(path, record.schedule, instance)
    return _to_mixed(path, record.schedule, instance)


def _to_mixed(path: str | os.PathLike[str], record: _Mixed, instance: Instance) -> MixedSchedule:
    starts = record.start
    if len(starts) != instance.n:
        raise InputError(
            f"{path}: schedule.start: expected {instance.n} starts, one per request of "
            f"{instance.name!r}, found {len(starts)}"
        )
    for i, start in enumerate(starts):
        if abs(start) >= 2**62:
            raise InputError(
                f"{path}: schedule.start[{i}]: expected a round below 2^62, found {start}"
            )
    evicted = [Eviction(run.request, run.start, run.end) for run in record.evicted]
    return MixedSchedule(np.array(starts, dtype=np.int64), evicted)


def _to_separate(
    path: str | os.PathLike[str], record: _Separate, instance: Instance
) -> SeparateSchedule:
    for position, batch in enumerate(record.batches):
        where = f"{path}: schedule.batches[{position}]"
        if abs(batch.start) >= 2**62:
            raise InputError(f"{where}.start: expected a time below 2^62, found {batch.start}")
        for place, i in enumerate(batch.requests):
            if not 0 <= i < instance.n:
                raise InputError(
                    f"{where}.requests[{place}]: expected a request from 0 to {instance.n - 1} "
                    f"of {instance.name!r}, found {i}"
                )
    return SeparateSchedule(
        Batch(batch.kind, batch.start, tuple(batch.requests)) for batch in record.batches
    )


def schedule_record(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as the object that stands under ``"schedule"`` in files.

    Examples
    --------
    >>> schedule_record(SeparateSchedule([Batch("prompt", 0, (0, 2))]))
    {'batches': [{'kind': 'prompt', 'start': 0, 'requests': [0, 2]}]}
    """
    if isinstance(schedule, SeparateSchedule):
        return {
            "batches": [
                {"kind": batch.kind, "start": batch.start, "requests": list(batch.requests)}
                for batch in schedule.batches
            ]
        }
    record: dict[str, Any] = {"start": schedule.start.tolist()}
    if schedule.evicted:
        record["evicted"] = [
            {"request": run.request, "start": run.start, "end": run.end} for run in schedule.evicted
        ]
    return record


def json_number(value: int | float | Fraction | None) -> int | float | None:
    """Return a number as JSON has it: integers stay integers, fractions become floats."""
    return float(value) if isinstance(value, Fraction) else value


def write_json(record: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a JSON object with one key a line, atomically."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in record.items()
    ]
    write_atomically(path, ("{\n  " + ",\n  ".join(lines) + "\n}\n").encode())


def _decode(path: Path, record: Any, format_name: str) -> Any:
    """Read a file as a record, or as one of several (a union of records)."""
    content = read_input(path)
    _refuse_other_formats(path, content, format_name)
    try:
        return msgspec.json.decode(content, type=record)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {_describe(error, content)}") from error
    except msgspec.DecodeError as error:  # stricter than `json`: half a surrogate pair, say
        reason = str(error).removeprefix("JSON is malformed: ")
        raise InputError(f"{path}: not valid JSON ({reason})") from error


def _refuse_other_formats(path: Path, content: bytes, format_name: str) -> None:
    """Check what a reader must know before anything else: text, JSON, an object, its format."""
    if not content.strip():
        raise InputError(f"{path}: expected a {format_name} file, found an empty file")
    if content.startswith(BOM_UTF8):
        raise InputError(f"{path}: expected UTF-8 text without a byte order mark, found one")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: line {line}: expected UTF-8 text, found byte 0x{content[error.start]:02x}"
        ) from error
    try:
        document = json.loads(
            content, object_pairs_hook=refuse_repeated_keys, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: line {error.lineno}, column {error.colno}: not valid JSON ({error.msg})"
        ) from error
    except (InputError, RecursionError, ValueError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected a JSON object, found {_kind(document)}")
    found = document.get("format", format_name)
    if found != format_name:
        raise InputError(f"{path}: format: expected {format_name!r}, found {found!r}")
    version = document.get("version", VERSION)
    if version != VERSION or isinstance(version, bool):
        raise InputError(f"{path}: version: expected {VERSION}, found {version!r}")


def _refuse_constant(name: str) -> float:
    raise InputError(f"numbers must be finite, found {name}")


#: Names that a field may have which tells kinds of records apart.
_TAGS = {"law": "unit, constant or affine", "model": "mixed or separate"}


def _describe(error: msgspec.ValidationError, content: bytes) -> str:
    """Say where, what was expected and what was found."""
    message, _, location = str(error).partition(" - at `$")
    where = location.removesuffix("`").lstrip(".")
    document: Any = json.loads(content)
    for part in where.replace("]", "").replace("[", ".").split("."):
        if part.isdigit() and isinstance(document, list):
            document = document[int(part)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
    found = f", found {json.dumps(document)[:60]}" if message.startswith("Expected") else ""
    message = message.replace("Number out of range", "Expected a finite number, found a larger one")
    plain = message.replace("`", "").split(", got ")[0]
    plain = plain[0].lower() + plain[1:]
    known = _TAGS.get(where.rpartition(".")[2])
    if known is not None and plain.startswith("invalid value"):
        plain = f"expected {known}, found{plain.removeprefix('invalid value')}"
    return f"{where}: {plain}{found}" if where else f"{plain}{found}"


def _kind(document: object) -> str:
    names = {list: "an array", str: "a string", type(None): "null"}
    return names.get(type(document), "a number or truth value")


def _to_instance(record: _Instance) -> Instance:
    requests = record.requests
    return Instance(
        gpu=_to_gpu(record.gpu),
        arrival=_column([r.arrival for r in requests]),
        prompt=_column([r.prompt for r in requests]),
        output=_column([r.output for r in requests]),
        reward=np.array([r.reward for r in requests]),
        weight=np.array([r.weight for r in requests]),
        penalty=np.array([r.reward if r.penalty is None else r.penalty for r in requests]),
        **_optional_columns(requests),
        horizon=record.horizon,
        name=record.name,
        provenance=record.provenance,
    )


def _column(values: list[int]) -> Any:
    """Integers as an array; beyond 64 bits they stay objects, which the instance refuses."""
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return np.array(values, dtype=object)


def _optional_columns(requests: list[_Request]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if any(r.deadline is not None for r in requests):
        columns["deadline"] = _column(
            [NO_DEADLINE if r.deadline is None else r.deadline for r in requests]
        )
    if any(r.predicted is not None for r in requests):
        intervals = [_interval(i, r.predicted) for i, r in enumerate(requests)]
        columns["predicted_low"] = _column([low for low, _ in intervals])
        columns["predicted_high"] = _column([high for _, high in intervals])
    if any(r.id is not None for r in requests):
        columns["id"] = tuple(f"r{i}" if r.id is None else r.id for i, r in enumerate(requests))
    if any(r.label is not None for r in requests):
        columns["label"] = tuple(r.label or "" for r in requests)
    return columns


def _interval(i: int, predicted: int | tuple[int, int] | None) -> tuple[int, int]:
    if predicted is None:
        return 0, 0
    low, high = (predicted, predicted) if isinstance(predicted, int) else predicted
    if not 1 <= low <= high:
        raise InputError(f"requests[{i}].predicted: expected 1 ≤ low ≤ high, found {predicted}")
    return low, high


def _to_gpu(record: _Gpu) -> Gpu:
    law: BatchTime
    match record.batch_time:
        case _Constant(prompt=prompt, token=token):
            law = ConstantTime(prompt=prompt, token=token)
        case _Affine(c0=c0, c1=c1, c2=c2, c3=c3):
            law = AffineTime(c0=c0, c1=c1, c2=c2, c3=c3)
        case _:
            law = UnitTime()
    return Gpu(
        kv_capacity=record.kv_capacity,
        prompt_batch_requests=record.prompt_batch_requests,
        prompt_batch_tokens=record.prompt_batch_tokens,
        token_batch_requests=record.token_batch_requests,
        batch_time=law,
    )


def read_gpu(place: str, record: object) -> Gpu:
    """Return the GPU of a record of `gpu_record`; `place` is where it stands, for errors.

    Raises
    ------
    InputError
        If it is none.

    Examples
    --------
    >>> read_gpu("gpu", gpu_record(Gpu(kv_capacity=9))).kv_capacity
    9
    """
    try:
        return _to_gpu(msgspec.convert(record, _Gpu))
    except msgspec.ValidationError as error:
        raise InputError(f"{place}: {error}") from error


def gpu_record(gpu: Gpu) -> dict[str, Any]:
    """Return a GPU as the object that stands in instance files."""
    law: dict[str, Any] = {"law": gpu.batch_time.name}
    match gpu.batch_time:
        case ConstantTime(prompt=prompt, token=token):
            law |= {"prompt": prompt, "token": token}
        case AffineTime(c0=c0, c1=c1, c2=c2, c3=c3):
            law |= {"c0": c0, "c1": c1, "c2": c2, "c3": c3}
    return {
        "kv_capacity": gpu.kv_capacity,
        "prompt_batch_requests": gpu.prompt_batch_requests,
        "prompt_batch_tokens": gpu.prompt_batch_tokens,
        "token_batch_requests": gpu.token_batch_requests,
        "batch_time": law,
    }


def _request_records(
    instance: Instance, piece: range, optional: list[dict[int, dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    """Yield these requests as dictionaries that leave out what is at its default."""
    part = slice(piece.start, piece.stop)
    arrival, prompt, output = (
        column[part].tolist() for column in (instance.arrival, instance.prompt, instance.output)
    )
    for i, a, s, o in zip(piece, arrival, prompt, output, strict=True):
        record: dict[str, Any] = {} if instance.id is None else {"id": instance.id[i]}
        record |= {"arrival": a, "prompt": s, "output": o}
        for entries in optional:
            record |= entries.get(i, {})
        yield record


def _optional_entries(instance: Instance) -> list[dict[int, dict[str, Any]]]:
    """Return what differs from its default, by field and request."""

    def entries(name: str, column: Any, default: Any) -> dict[int, dict[str, Any]]:
        differs = np.flatnonzero(column != default).tolist()
        return {i: {name: column[i].item()} for i in differs}

    found = [
        entries("reward", instance.reward, 1.0),
        entries("weight", instance.weight, 1.0),
        entries("penalty", instance.penalty, instance.reward),
    ]
    if instance.deadline is not None:
        found.append(entries("deadline", instance.deadline, NO_DEADLINE))
    if instance.predicted_low is not None and instance.predicted_high is not None:
        pairs = zip(instance.predicted_low.tolist(), instance.predicted_high.tolist(), strict=True)
        found.append(
            {
                i: {"predicted": low if low == high else [low, high]}
                for i, (low, high) in enumerate(pairs)
                if low
            }
        )
    if instance.label is not None:
        found.append({i: {"class": name} for i, name in enumerate(instance.label) if name})
    return found
