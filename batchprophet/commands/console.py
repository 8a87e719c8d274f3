"""What the command line prints: results on stdout, progress and notes on stderr."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..report.table import Row
    from ..results.summarised import PolicySummary
    from ..solvers.progress import Progress

#: Width of a table that goes to a file or a pipe, where lines need not fold.
PIPE_WIDTH = 140

#: Columns up to which a table is set with wide gaps; more have to fit the line.
MOST_SPACED = 7

#: Most characters of a message; of a longer one, both ends are shown.
LONGEST_LINE = 1000

#: Redraws per second of a line on the terminal; each costs the work a millisecond.
REFRESHES = 4


def print_json(record: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    print(json.dumps(record, indent=2, allow_nan=False, ensure_ascii=False))


def note(text: str) -> None:
    """Print a note on standard error."""
    print(one_line(text), file=sys.stderr)


def one_line(text: str) -> str:
    r"""Return a text as one printable line, so that quotes from files cannot control a terminal.

    Examples
    --------
    >>> one_line("key 'a\nb': expected \x1b[31mred"), len(one_line("x" * 10**6))
    ("key 'a b': expected \\x1b[31mred", 1000)
    """
    line = " ".join(text.split())
    if len(line) > LONGEST_LINE:
        half = LONGEST_LINE // 2 - 3
        line = f"{line[:half]} […] {line[len(line) - half - 1 :]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def print_comparison(
    title: str, columns: Sequence[str], rows: Sequence[Row | PolicySummary]
) -> None:
    """Print the comparison table: hindsight on top, set apart by a rule."""
    from rich.text import Text

    cells = [row.cells() for row in rows]
    table = _table(title, columns, justify_right=len(columns) - 1)
    for position, row in enumerate(cells):
        table.add_row(*map(Text, row), end_section=position == 0)
    _print(table)


def print_table(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Print a table of text."""
    from rich.text import Text

    table = _table(title, columns, justify_right=0)
    for row in cells:
        table.add_row(*map(Text, row))
    _print(table)


@contextmanager
def live_progress(label: str) -> Iterator[Callable[[Progress], None]]:
    """Show phase, incumbent, bound, gap and time on a terminal.

    Without a terminal, only compilation is reported, in one line.
    """
    with _live_line(label) as tell:
        if tell is None:
            yield _compilation_lines(label)
        else:
            yield lambda progress: tell(f"{label}: {progress_text(progress)}")


def _compilation_lines(label: str) -> Callable[[Progress], None]:
    """Return a listener that notes once that code is being compiled, and nothing else."""
    from ..solvers.compiled import PHASE

    said = False

    def tell(progress: Progress) -> None:
        nonlocal said
        if progress.phase == PHASE and not said:
            note(f"{label}: {PHASE}")
            said = True

    return tell


@contextmanager
def bytes_progress(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show how much of a file has been read, on a terminal; yield None where there is none."""
    with _live_line(label) as tell:
        yield tell and (lambda read, whole: tell(f"{label}: {100 * read // max(1, whole)} %"))


@contextmanager
def live_text(label: str) -> Iterator[Callable[[str], None] | None]:
    """Show what is being done, in words, on a terminal; yield None where there is none."""
    with _live_line(label) as tell:
        yield tell and (lambda text: tell(f"{label}: {text}"))


@contextmanager
def _live_line(label: str) -> Iterator[Callable[[str], None] | None]:
    """Keep a line with a clock on the terminal of standard error; yield what changes its text."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress as live
    from rich.console import Console

    columns = (
        live.SpinnerColumn(),
        live.TimeElapsedColumn(),
        live.TextColumn("{task.description}", markup=False),
    )
    shown = live.Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=REFRESHES,
    )
    with shown as line:
        task = line.add_task(label, total=None)
        yield lambda text: line.update(task, description=text)


def progress_text(progress: Progress) -> str:
    """Say a progress report in one line.

    Examples
    --------
    >>> from batchprophet.solvers.progress import Progress
    >>> progress_text(Progress(seconds=3.21, incumbent=52, bound=None, gap=None, phase="bounds"))
    'bounds, incumbent 52'
    """
    from ..report.table import number_text, percent

    parts = [progress.phase]
    if progress.incumbent is not None:
        parts.append(f"incumbent {number_text(progress.incumbent)}")
    if progress.bound is not None:
        parts.append(f"bound {number_text(progress.bound)}")
    if progress.gap is not None:
        parts.append(f"gap {percent(progress.gap)}")
    return ", ".join(parts)


def _table(title: str, columns: Sequence[str], *, justify_right: int) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1) if len(columns) <= MOST_SPACED else (0, 1, 0, 0),
    )
    for position, column in enumerate(columns):
        right = position >= len(columns) - justify_right
        table.add_column(
            column, justify="right" if right else "left", no_wrap=position == 0, overflow="fold"
        )
    return table


def _print(table: Any) -> None:
    from rich.console import Console

    if sys.stdout.isatty():
        Console(highlight=False).print(table)
        return
    plain = Console(file=io.StringIO(), width=PIPE_WIDTH)
    with plain.capture() as captured:
        plain.print(table)
    print("\n".join(line.rstrip() for line in captured.get().strip("\n").splitlines()))


def command_line() -> str:
    """Return the command that runs, as it was typed."""
    words = [f"'{word}'" if " " in word else word for word in sys.argv[1:]]
    return " ".join(["batchprophet", *words])
