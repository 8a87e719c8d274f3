"""Any CSV or JSON-lines file as a trace, by a mapping of its columns."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import InputError
from .clock import UNITS
from .format import Container, TraceFormat

ROLES = ("arrival", "prompt", "output", "id", "unit")


def parse_columns(text: str) -> dict[str, str]:
    """Split ``arrival=ts,prompt=in,output=out[,id=name][,unit=s|ms|us|ns|date]``.

    Raises
    ------
    InputError
        If a part is not ``role=column``, or a role appears more than once.

    Examples
    --------
    >>> parse_columns("arrival=ts,prompt=in,output=out,unit=ms")
    {'arrival': 'ts', 'prompt': 'in', 'output': 'out', 'unit': 'ms'}
    """
    columns: dict[str, str] = {}
    for part in text.split(","):
        role, equals, column = part.partition("=")
        if not equals or not role or not column:
            raise InputError(f"columns: expected role=column, found {part!r} in {text!r}")
        if role in columns:
            raise InputError(f"columns: role {role!r} appears more than once in {text!r}")
        columns[role] = column
    return columns


def mapped_format(columns: Mapping[str, str], container: Container) -> TraceFormat:
    """Return the format of a file whose columns are named by role.

    Parameters
    ----------
    columns : mapping of str to str
        ``prompt`` and ``output``; ``arrival`` unless an arrival law is given; optionally ``id``
        and ``unit`` of the arrivals: ``s`` (the default), ``ms``, ``us``, ``ns``, or ``date`` for
        dates with times.
    container : {"csv", "jsonl"}
        What the file is.

    Raises
    ------
    InputError
        If a role is unknown or missing, two roles share a column, or the unit is unknown.

    Examples
    --------
    >>> mapped_format({"prompt": "in", "output": "out", "arrival": "ts"}, "csv").columns
    ('ts', 'in', 'out')
    """
    for role in columns:
        if role not in ROLES:
            raise InputError(f"columns: expected roles among {', '.join(ROLES)}; found {role!r}")
    for role in ("prompt", "output"):
        if role not in columns:
            raise InputError(f"columns: expected a column for {role!r}, found none")
    unit = columns.get("unit", "s")
    if unit not in UNITS:
        raise InputError(f"columns.unit: expected one of {', '.join(UNITS)}; found {unit!r}")
    used = [column for role, column in columns.items() if role != "unit"]
    if len(set(used)) < len(used):
        raise InputError(f"columns: expected a column of its own for each role, found {used}")
    return TraceFormat(
        name=f"columns-{container}",
        description="any file, by a mapping of its columns",
        source="given by the caller",
        container=container,
        arrival=columns.get("arrival"),
        prompt=columns["prompt"],
        output=columns["output"],
        id=columns.get("id"),
        clock=UNITS[unit] if "arrival" in columns else None,
    )
