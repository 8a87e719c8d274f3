"""How objects look where they are the last line of a cell: a short line, a small table."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice
from typing import Any

#: Of longer columns only the first entries and the last are shown.
MOST_ENTRIES = 5

#: Of longer tables only the first rows are shown.
MOST_ROWS = 20


def alternatives(names: Iterable[str]) -> str:
    """Return names as a choice.

    Examples
    --------
    >>> alternatives(["mixed", "separate", "continuous"])
    'mixed, separate or continuous'
    """
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return what was probably meant, as the end of a message; empty where nothing else is close.

    Examples
    --------
    >>> suggestion("mcsf", ["mc-sf", "vllm"]), suggestion("x", ["mc-sf", "vllm"])
    ('; did you mean mc-sf?', '')
    """
    known = list(known)
    if name in known:
        return ""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def elided(values: Sequence[Any] | Any) -> str:
    """Write a column in one short piece: the first entries and the last.

    Examples
    --------
    >>> elided([1, 2, 3]), elided(range(300))
    ('[1, 2, 3]', '[0, 1, 2, 3, …, 299]')
    """
    if len(values) > MOST_ENTRIES:
        entries = [*map(str, values[: MOST_ENTRIES - 1]), "…", str(values[-1])]
    else:
        entries = [str(each) for each in values]
    return f"[{', '.join(entries)}]"


def html_table(
    title: str, columns: Sequence[str], count: int, rows: Iterable[Sequence[object]]
) -> str:
    """Write a table in HTML, all of it escaped, of at most `MOST_ROWS` of `count` rows.

    Examples
    --------
    >>> html_table("a <b>", ["x"], 1, [["1 & 2"]])  # doctest: +ELLIPSIS
    '<table><caption>a &lt;b&gt;</caption><thead>...<td>1 &amp; 2</td></tr></tbody></table>'
    """
    body = [_row([str(cell) for cell in row], "td") for row in islice(rows, MOST_ROWS)]
    if count > MOST_ROWS:
        body.append(_row([f"… {count - MOST_ROWS:,} more"], "td"))
    head = f"<thead>{_row(columns, 'th')}</thead>" if columns else ""
    return f"<table><caption>{escape(title)}</caption>{head}<tbody>{''.join(body)}</tbody></table>"


def _row(cells: Sequence[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def without_ending(module_name: str, attribute: str) -> str:
    """Return how a module that was named by its file is named, as the end of a message.

    Examples
    --------
    >>> without_ending("mine.py", "Policy")
    '; a module is named without .py: mine:Policy'
    >>> without_ending("mine", "Policy")
    ''
    """
    module = module_name.removesuffix(".py")
    if module == module_name:
        return ""
    return f"; a module is named without .py: {module}:{attribute}"
