"""From cells to requests: every value checked, every row that is left out counted."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from ..errors import InputError
from ..instance import IntArray
from .checks import shown
from .columns import Columns, TraceRequest
from .file import TraceFile
from .format import TraceFormat
from .table import Cells, Table, plain_text

ZERO = "zero tokens"
_MOST_DIGITS = 18


@dataclass(slots=True)
class Account:
    """What became of the rows: how many were read, and how many left out for which reason."""

    rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def read_requests(
    file: TraceFile, table: Table, known: TraceFormat, account: Account, *, drop_zero: bool
) -> Iterator[TraceRequest]:
    """Yield the requests of a table one by one, in file order.

    Parameters
    ----------
    file : TraceFile
        The file under the table; it knows the line.
    table : Table
        The cells.
    known : TraceFormat
        The format, whose columns the table has.
    account : Account
        Rows read and left out are counted here as they pass.
    drop_zero : bool
        Leave rows with zero tokens out, and count them, instead of refusing them.

    Yields
    ------
    TraceRequest
        Arrivals are as the file's clock has them; 0 where the format has none.

    Raises
    ------
    InputError
        At the first value that is not what the format says, with file, line, column and value.
    """
    timed = known.arrival is not None
    at = 1 if timed else 0
    parse = known.clock.parse if known.clock else _no_time
    for cells in table.rows(known.columns):
        account.rows += 1
        arrival = parse(cells[0])
        if arrival is None:
            _refuse_time(file, known, cells[0])
        prompt, output = _count(cells[at]), _count(cells[at + 1])
        if prompt < 1 or output < 1:
            reason = _why_dropped(prompt, output, known, drop_zero)
            if reason is None:
                _refuse_tokens(file, known, cells[at : at + 2])
            account.dropped[reason] += 1
            continue
        name = plain_text(cells[-1], table.container) if known.id else None
        yield TraceRequest(file.line, arrival, prompt, output, name)


def in_order(requests: Iterable[TraceRequest], path: str) -> Iterator[TraceRequest]:
    """Pass requests on, refusing an arrival before the previous one; equal arrivals are fine.

    Raises
    ------
    InputError
        At the first arrival that decreases, with its line.
    """
    previous = None
    for request in requests:
        if previous is not None and request.arrival < previous:
            raise InputError(
                f"{path}: line {request.line}: expected arrivals that do not decrease, found one "
                f"{(previous - request.arrival) / 1e9:g} s before the previous request's; "
                "sort=True, as --sort, sorts them"
            )
        previous = request.arrival
        yield request


def sorted_by_arrival(requests: Iterable[TraceRequest]) -> Iterator[TraceRequest]:
    """Read all requests, then yield them by arrival; equal arrivals keep file order."""
    columns = Columns()
    lines = array("q")
    for request in requests:
        lines.append(request.line)
        columns.append(request)
    order: IntArray = np.argsort(columns.arrival, kind="stable")
    arrival, prompt, output, ids = columns.arrival, columns.prompt, columns.output, columns.ids
    for i in order.data:
        yield TraceRequest(lines[i], arrival[i], prompt[i], output[i], ids[i] if ids else None)


def _no_time(text: str) -> int:
    return 0


def _count(cell: str) -> int:
    """Return the integer that the cell writes, as 472 or 472.0; −1 if it is anything else."""
    if cell.isdecimal() and cell.isascii() and len(cell) <= _MOST_DIGITS:
        return int(cell)
    whole, point, zeros = cell.partition(".")
    if point and zeros and not zeros.strip("0"):
        return _count(whole)
    return -1


def _why_dropped(prompt: int, output: int, known: TraceFormat, drop_zero: bool) -> str | None:
    """Return the reason to leave the row out; None if it is to be refused."""
    if prompt < 0 or output < 0:
        return None
    if known.failed is not None and output == 0:
        return known.failed
    return ZERO if drop_zero else None


def _refuse_time(file: TraceFile, known: TraceFormat, cell: str) -> NoReturn:
    assert known.clock is not None
    raise InputError(
        f"{file.where()}: {known.arrival}: expected {known.clock.expected}, found {shown(cell)}"
    )


def _refuse_tokens(file: TraceFile, known: TraceFormat, cells: Cells) -> NoReturn:
    for column, cell in zip((known.prompt, known.output), cells, strict=True):
        if _count(cell) < 1:
            too_long = cell.isdecimal() and len(cell) > _MOST_DIGITS
            limit = f"at most 10^{_MOST_DIGITS}" if too_long else "at least 1"
            way_out = "" if _count(cell) else " (zero=drop, as --zero drop, leaves such rows out)"
            raise InputError(
                f"{file.where()}: {column}: expected an integer of {limit}, found "
                f"{shown(cell)}{way_out}"
            )
    raise AssertionError("the caller has found a bad count")
