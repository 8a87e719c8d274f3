"""Instances as JSON: strict reading, writing piece by piece.

The formats are those of the documentation page "File formats"; unknown keys are refused by name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from ..disk import write_atomically
from ..errors import InputError
from ..instance import NO_DEADLINE, Instance
from ..strict import Strict
from .gpu import GpuRecord, gpu_record, to_gpu
from .reading import VERSION, read_record

INSTANCE_FORMAT = "batchprophet-instance"

#: Requests that are encoded at a time.
_PIECE = 1 << 14


class _Request(Strict, gc=False):
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


class _Instance(Strict):
    format: Literal["batchprophet-instance"]
    version: Literal[1]
    gpu: GpuRecord
    requests: list[_Request]
    name: str = "instance"
    horizon: int | None = None
    provenance: dict[str, Any] | None = None


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
    record: _Instance = read_record(Path(path), _Instance, INSTANCE_FORMAT, {})
    try:
        return _to_instance(record)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_instance(instance: Instance, path: str | os.PathLike[str]) -> None:
    """Write an instance file, atomically.

    Examples
    --------
    >>> import tempfile
    >>> from batchprophet.models.instance import Gpu
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


def _to_instance(record: _Instance) -> Instance:
    requests = record.requests
    return Instance(
        gpu=to_gpu(record.gpu),
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
