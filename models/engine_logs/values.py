"""Values of JSON documents, checked: times, tokens, and how messages show what was found."""

from __future__ import annotations

import json
from typing import Any

from ..disk import MOST_BYTES
from ..errors import InputError
from ..traces.clock import SECONDS, Clock
from ..traces.file import TraceFile


def read_json(file: TraceFile, kind: type, noun: str) -> Any:
    """Read a file that is one JSON value of a kind, such as ``dict``, called such as "object".

    Raises
    ------
    InputError
        If it is too long, no JSON, or of another kind.
    """
    text, size = [], 0
    for line in file:
        size += len(line)
        if size > MOST_BYTES:
            raise InputError(f"{file.path}: expected at most {MOST_BYTES} characters, found more")
        text.append(line)
    try:
        record = json.loads("".join(text))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file.path}: not valid JSON ({error})") from error
    if not isinstance(record, kind):
        raise InputError(f"{file.path}: expected a JSON {noun}, found {shown(record)}")
    return record


def moment(where: str, name: str, value: object, clock: Clock = SECONDS) -> int:
    """Return a time in nanoseconds.

    Examples
    --------
    >>> moment("a.json: request 1", "ttft", 0.25)
    250000000
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    time = clock.parse(repr(value)) if number else None
    if time is None:
        raise InputError(f"{where}: {name}: expected {clock.expected}, found {shown(value)}")
    return time


def tokens(where: str, name: str, value: object, *, low: int = 1) -> int:
    """Return a number of tokens.

    Examples
    --------
    >>> tokens("a.json: request 1", "input_lens", 7)
    7
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < 2**31:
        raise InputError(f"{where}: {name}: expected an integer ≥ {low}, found {shown(value)}")
    return value


def shown(value: object) -> str:
    """Return a value as a message shows it, at most 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
