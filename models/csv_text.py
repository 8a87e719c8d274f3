"""Text in CSV files that no spreadsheet takes for a formula."""

from __future__ import annotations

#: What a spreadsheet takes for the beginning of a formula, or skips before one.
_OPENINGS = ("=", "+", "-", "@", "\t", "\r", "\n")

#: What spreadsheets write before text that is to stay text.
_MARK = "'"


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
