"""HiGHS's raw format: a model status, then sections of columns and rows by name.

It is what ``--solution_file`` and ``writeSolution(file, 0)`` write (style 0).
"""

from __future__ import annotations

import re

from .values import Lines, SolverSolution

_COLUMNS = re.compile(r"^# Columns (\d+)$")


def is_highs(lines: list[str]) -> bool:
    """Whether the file begins with a model status, or is HiGHS's table for people."""
    first = next((line.strip() for line in lines if line.strip()), "")
    return first in ("Model status", "Columns")


def read_highs(lines: Lines) -> SolverSolution:
    """Read the values of the columns.

    Raises
    ------
    InputError
        If the file is the table for people, has no primal solution, ends early, or a line is
        something else.

    Examples
    --------
    >>> text = "Model status", "Optimal", "", "# Primal solution values", "Feasible", "Objective 7"
    >>> read_highs(Lines("a.sol", [*text, "# Columns 1", "x(0_0) 1", "# Rows 0"])).values
    {'x(0_0)': 1.0}

    References
    ----------
    HiGHS documentation, Options, ``write_solution_style``; the file format of style 0.
    """
    text = [line.strip() for line in lines.lines]
    if next(line for line in text if line) == "Columns":
        raise lines.refused(0, "HiGHS's raw format (write_solution_style 0)")
    try:
        primal = text.index("# Primal solution values") + 1
    except ValueError:
        raise lines.refused(len(text), "'# Primal solution values'") from None
    if primal >= len(text) or text[primal] != "Feasible":
        raise lines.refused(primal, "a feasible solution")
    for number in range(primal, len(text)):
        found = _COLUMNS.match(text[number])
        if found is not None:
            return _columns(lines, text, number + 1, int(found[1]))
    raise lines.refused(len(text), "'# Columns'")


def _columns(lines: Lines, text: list[str], first: int, count: int) -> SolverSolution:
    for number in range(first, first + count):
        words = text[number].split() if number < len(text) else []
        if len(words) != 2:
            raise lines.refused(number, f"{count} columns, each a name and a value")
        lines.take(number, *words)
    return lines.done("HiGHS")
