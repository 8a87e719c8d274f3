"""CSV files that read back as they were, and whose text no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

#: What a spreadsheet takes for the beginning of a formula, or skips before one.
_OPENINGS = ("=", "+", "-", "@", "\t", "\r", "\n")

#: What spreadsheets write before text that is to stay text.
_MARK = "'"


def write_csv(rows: Iterable[Sequence[object]]) -> str:
    r"""Write rows with a line feed after each, and in quotes what has a line end of any kind.

    `csv.writer` leaves a carriage return bare where lines end in a line feed, so that the row
    falls apart when it is read.

    Examples
    --------
    >>> write_csv([("a", 1), ("b\rc", None)])
    'a,1\n"b\rc",\n'
    """
    lines = []
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow(row)
        lines.append(line.getvalue()[:-2] + "\n")
    return "".join(lines)


def escape(text: str) -> str:
    """Return a name as CSV has it: marked by an apostrophe where it would open a formula.

    Names that begin with an apostrophe get another, so that `unescape` gives every name back.
    Numbers do not belong here: they stay as they are.

    Examples
    --------
    >>> escape("=1+1"), escape("mc-sf"), escape("'quoted")
    ("'=1+1", 'mc-sf', "''quoted")
    """
    return f"{_MARK}{text}" if text.startswith((*_OPENINGS, _MARK)) else text


def unescape(cell: str) -> str:
    """Return the name that `escape` made a cell of.

    Examples
    --------
    >>> unescape("'=1+1"), unescape("mc-sf")
    ('=1+1', 'mc-sf')
    """
    return cell.removeprefix(_MARK)
