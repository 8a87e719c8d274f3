"""Strict reading of JSON files: the file, where and what is wrong, what was expected."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import msgspec

from ..disk import read_input
from ..errors import InputError
from ..shown import suggestion
from ..strict import refuse_repeated_keys

VERSION = 1

#: Names that a field may have which tells kinds of records apart.
_KINDS = {"law": "unit, constant or affine"}


def read_record(path: Path, record: Any, format_name: str, kinds: dict[str, str]) -> Any:
    """Read a file as a record, or as one of several (a union of records).

    Parameters
    ----------
    path : Path
        The file.
    record : type
        A msgspec type.
    format_name : str
        What the file's ``format`` must be, where it says one.
    kinds : dict of str to str
        By field that tells the records of a union apart: its values, for errors.

    Raises
    ------
    InputError
        If the file cannot be read as such.
    """
    content = read_input(path)
    _refuse_other_formats(path, content, format_name)
    try:
        return msgspec.json.decode(content, type=record)
    except msgspec.ValidationError as error:
        said = _describe(error, content, _KINDS | kinds)
        raise InputError(f"{path}: {said}{_meant(said, record)}") from error
    except msgspec.DecodeError as error:  # stricter than `json`: half a surrogate pair, say
        reason = str(error).removeprefix("JSON is malformed: ")
        raise InputError(f"{path}: not valid JSON ({reason})") from error


def is_json(path: Path) -> bool:
    """Whether a file looks like a JSON object, whatever its name: it begins with a brace.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    return read_input(path).lstrip().startswith(b"{")


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


def _describe(error: msgspec.ValidationError, content: bytes, kinds: dict[str, str]) -> str:
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
    known = kinds.get(where.rpartition(".")[2])
    if known is not None and plain.startswith("invalid value"):
        plain = f"expected {known}, found{plain.removeprefix('invalid value')}"
    return f"{where}: {plain}{found}" if where else f"{plain}{found}"


def _meant(message: str, record: Any) -> str:
    """Return the key that an unknown one was probably meant to be."""
    unknown = re.search(r"object contains unknown field (.+)$", message)
    return suggestion(unknown[1], _keys(msgspec.inspect.type_info(record))) if unknown else ""


def _keys(kind: Any) -> set[str]:
    """Return the keys of a type's objects, at any depth."""
    found: set[str] = set()
    for field in getattr(kind, "fields", ()):
        if hasattr(field, "encode_name"):
            found |= {field.encode_name} | _keys(field.type)
    inner = [*getattr(kind, "types", ()), *getattr(kind, "item_types", ())]
    for name in ("item_type", "value_type"):
        inner += [getattr(kind, name)] if hasattr(kind, name) else []
    return found.union(*map(_keys, inner))


def _kind(document: object) -> str:
    names = {list: "an array", str: "a string", type(None): "null"}
    return names.get(type(document), "a number or truth value")
