"""How results are shown at the end of a notebook cell: by their facts."""

from __future__ import annotations

from typing import Any

from ..models.shown import html_table


class Shown:
    """A line and a table made from `_shown`: title, columns, rows of text."""

    __slots__ = ()

    #: How many rows the line has.
    _in_line = 4

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        raise NotImplementedError

    def __repr__(self) -> str:
        title, _, rows = self._shown()
        parts = [" ".join(str(cell) for cell in row[:2]) for row in rows[: self._in_line]]
        return f"{type(self).__name__}({': '.join([title, ', '.join(parts)])})"

    def _repr_html_(self) -> str:
        title, columns, rows = self._shown()
        return html_table(title, columns, len(rows), rows)
