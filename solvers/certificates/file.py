"""Certificates as JSON files: whole numbers only, strict reading, atomic writing."""

from __future__ import annotations

import json
import os
from typing import Any

from ...models.disk import read_input, write_atomically
from ...models.errors import InputError
from ...models.strict import refuse_repeated_keys
from .certificate import Certificate
from .strict import require_object, shown


def write_certificate(certificate: Certificate, path: str | os.PathLike[str]) -> None:
    """Write a certificate, atomically; the same certificate gives the same bytes.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.solvers.hindsight import solve
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> certificate = solve(instance).certificate
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "certificate.json"
    ...     write_certificate(certificate, path)
    ...     read_certificate(path) == certificate
    True
    """
    write_atomically(path, encode_certificate(certificate))


def encode_certificate(certificate: Certificate) -> bytes:
    """Encode a certificate as JSON: a key a line, and a line for each block of rounds."""
    return (_object(certificate.to_record()) + "\n").encode()


def read_certificate(path: str | os.PathLike[str]) -> Certificate:
    """Read a certificate file.

    Raises
    ------
    InputError
        If the file cannot be read, is not valid JSON, or has a missing or unknown key, a wrong
        type, a number out of range or that is not whole. The message starts with the file's name
        and says the field.
    """
    content = read_input(path)
    try:
        return Certificate.from_record(_decode(content))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _decode(content: bytes) -> dict[str, Any]:
    if not content.strip():
        raise InputError("expected a certificate, found an empty file")
    try:
        document = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=refuse_repeated_keys,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"line {line}: expected UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"line {error.lineno}, column {error.colno}: not valid JSON ({error.msg})"
        ) from error
    except (RecursionError, ValueError) as error:  # nested too deep, or thousands of digits
        raise InputError(f"not valid JSON ({error})") from error
    return dict(require_object("certificate", document))


def _refuse_number(digits: str) -> float:
    raise InputError(f"expected whole numbers, found {shown(digits)}")


def _object(record: dict[str, Any]) -> str:
    lines = [f"{json.dumps(key)}:{_value(value)}" for key, value in record.items()]
    return "{" + ",\n".join(lines) + "}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(map(_compact, value)) + "]"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
