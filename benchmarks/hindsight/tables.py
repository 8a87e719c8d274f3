"""Rows and summaries as tables: for the terminal, for Markdown, and into a document."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from record import Row
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from batchprophet.models import InputError, write_atomically

COLUMNS = (
    "instance", "n", "M", "method", "incumbent", "lower bound", "gap", "status", "seconds",
    "CPU s",
    "peak MiB",
)  # fmt: skip
SUMMARY_COLUMNS = (
    "set", "method", "instances", "proved", "median gap", "worst gap", "best incumbent",
    "median s", "median MiB", "without result",
)  # fmt: skip

#: Said below each summary.
LEGEND = (
    "gap: (incumbent − lower bound) / incumbent; without a bound or a result it counts as 100 % in "
    "median and worst. best incumbent: on how many instances the method's incumbent is the best of "
    "all methods. without result: stopped for time or memory, or failed."
)


def cells(row: Row) -> tuple[str, ...]:
    """Return one row as text, by `COLUMNS`."""
    return (
        row.instance,
        str(row.n),
        str(row.M),
        row.method,
        _number(row.incumbent),
        _number(row.lower_bound),
        _percent(row.gap),
        row.status,
        f"{row.seconds:.1f}",
        "–" if row.cpu_seconds is None else f"{row.cpu_seconds:.1f}",
        "–" if row.peak_mib is None else f"{row.peak_mib:.0f}",
    )


def summary(groups: Sequence[tuple[str, Sequence[Row]]]) -> list[tuple[str, ...]]:
    """One line per group of instances and method, by `SUMMARY_COLUMNS`."""
    lines: list[tuple[str, ...]] = []
    for group, rows in groups:
        best: dict[str, int] = {}
        for row in rows:
            if row.incumbent is not None:
                best[row.fingerprint] = min(row.incumbent, best.get(row.fingerprint, row.incumbent))
        for method in dict.fromkeys(row.method for row in rows):
            mine = [row for row in rows if row.method == method]
            gaps = [1.0 if row.gap is None else row.gap for row in mine]
            memory = [row.peak_mib for row in mine if row.peak_mib is not None]
            lines.append(
                (
                    group,
                    method,
                    str(len(mine)),
                    str(sum(row.status == "optimal" for row in mine)),
                    _percent(statistics.median(gaps)),
                    _percent(max(gaps)),
                    str(sum(row.incumbent == best.get(row.fingerprint, math.nan) for row in mine)),
                    f"{statistics.median(row.seconds for row in mine):.1f}",
                    f"{statistics.median(memory):.0f}" if memory else "–",
                    str(sum(row.incumbent is None for row in mine)),
                )
            )
    return lines


def _number(value: int | None) -> str:
    return "–" if value is None else str(value)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


@dataclass(frozen=True, slots=True)
class Report:
    """What a run shows: how it was made, the summary, the rows.

    Attributes
    ----------
    command : str
        The command that makes it.
    made : str
        Version, date and machine.
    groups : sequence of (str, sequence of Row)
        Rows by group of instances, in the order to show.
    """

    command: str
    made: str
    groups: Sequence[tuple[str, Sequence[Row]]]

    def print(self) -> None:
        """Print it on standard output."""
        rows = [cells(row) for _, rows in self.groups for row in rows]
        _print("", COLUMNS, rows, left=(0, 3, 7))
        _print(LEGEND, SUMMARY_COLUMNS, summary(self.groups), left=(0, 1))
        print(self.made)

    def markdown(self, *, open_only: bool = False) -> str:
        """Return it as Markdown; the table of rows may be of those that are not proved only."""
        shown = [row for _, rows in self.groups for row in rows]
        if open_only:
            shown = [row for row in shown if row.status != "optimal"]
        rows = [cells(row) for row in shown]
        every = "Not proved:" if open_only and rows else ""
        parts = [
            f"Command: `{self.command}`",
            self.made,
            _markdown(SUMMARY_COLUMNS, summary(self.groups), left=(0, 1)),
            LEGEND,
            every,
            _markdown(COLUMNS, rows, left=(0, 3, 7)) if rows else "",
        ]
        return "\n\n".join(part for part in parts if part)


def _print(
    caption: str, columns: Sequence[str], lines: Sequence[Sequence[str]], left: Sequence[int]
) -> None:
    table = Table(box=box.SIMPLE_HEAD, caption=Text(caption), caption_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position in left else "right", no_wrap=True)
    for number, line in enumerate(lines):
        last = number + 1 == len(lines) or lines[number + 1][0] != line[0]
        table.add_row(*map(Text, line), end_section=last)
    width = None if sys.stdout.isatty() else 160
    Console(highlight=False, width=width).print(table)


def _markdown(columns: Sequence[str], lines: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    rules = ["---" if position in left else "---:" for position in range(len(columns))]
    table = [columns, rules, *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in table)


def markers(block: str) -> tuple[str, str]:
    """Return the lines that a block of a document stands between."""
    return f"<!-- side-by-side {block}: begin -->", f"<!-- side-by-side {block}: end -->"


def require_block(document: Path, block: str) -> str:
    """Return the text of a document after checking that it has the block, once.

    Raises
    ------
    InputError
        If the document cannot be read or does not have both marks once, in order.
    """
    begin, end = markers(block)
    try:
        text = document.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{document}: cannot be read ({error.strerror or error})") from error
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise InputError(f"{document}: expected the lines {begin!r} and {end!r}, each once")
    return text


def write_into(document: Path, block: str, content: str) -> None:
    """Replace what stands between the marks of a block, atomically."""
    text = require_block(document, block)
    begin, end = markers(block)
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    whole = f"{before}{begin}\n\n{content}\n\n{end}{after}"
    write_atomically(document, whole.encode())
