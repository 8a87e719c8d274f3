"""Logs with a row for each request: CSV with a header, or one JSON object a line."""

from __future__ import annotations

from ..errors import InputError
from ..traces.checks import shown
from ..traces.file import TraceFile
from ..traces.format import Container
from ..traces.table import Cells, Table, plain_text
from .format import LogFormat
from .rows import Row, Rows

_MOST_DIGITS = 18

#: Cells of a time that a failed request does not have.
_EMPTY = ("", "null", '""', "None", "nan", "NaN")


def read_rows(file: TraceFile, table: Table, known: LogFormat) -> Rows:
    """Read the requests of a table; those without tokens or without a time of one have failed.

    Raises
    ------
    InputError
        At the first value that is not what the format says, with file, line, column and value.
    """
    _require_columns(table, known, file.path)
    rows = Rows()
    for cells in table.rows(known.columns):
        row = _row(file, known, cells, table.container)
        if row is None:
            rows.failed += 1
        else:
            rows.append(row)
    return rows


def _row(file: TraceFile, known: LogFormat, cells: Cells, container: Container) -> Row | None:
    if any(cells[k] in _EMPTY for k in (2, 3, 4)):
        return None
    prompt, output = (_count(file, known.columns[k], cells[k], low=0) for k in (1, 2))
    if output == 0:
        return None
    if prompt == 0:
        raise InputError(
            f"{file.where()}: {known.prompt}: expected an integer of at least 1, found 0"
        )
    arrival, first, last = (_time(file, known, k, cells[k]) for k in (0, 3, 4))
    if known.durations:
        first, last = arrival + first, arrival + last
    name = plain_text(cells[5], container) if known.id else None
    return Row(file.line, arrival, first, last, prompt, output, name)


def _time(file: TraceFile, known: LogFormat, k: int, cell: str) -> int:
    time = known.clock.parse(cell)
    if time is None:
        raise InputError(
            f"{file.where()}: {known.columns[k]}: expected {known.clock.expected}, found "
            f"{shown(cell)}"
        )
    return time


def _count(file: TraceFile, column: str, cell: str, *, low: int) -> int:
    whole, point, zeros = cell.partition(".")
    number = whole.isdecimal() and whole.isascii() and len(whole) <= _MOST_DIGITS
    if not number or (point and zeros.strip("0")) or int(whole) < low:
        raise InputError(
            f"{file.where()}: {column}: expected an integer of at least {low}, found {shown(cell)}"
        )
    return int(whole)


def _require_columns(table: Table, known: LogFormat, path: str) -> None:
    if known.container != table.container:
        kinds = {"csv": "a CSV file", "jsonl": "one JSON object a line"}
        raise InputError(
            f"{path}: format {known.name} is {kinds[known.container]}, "
            f"found {kinds[table.container]}"
        )
    for column in known.columns:
        if column not in table.names:
            found = ", ".join(shown(name) for name in table.names[:12])
            raise InputError(
                f"{path}: expected a column {column!r} (format {known.name}), found {found}"
            )
