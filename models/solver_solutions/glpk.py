"""GLPK's report, as ``glpsol --output`` writes it: tables of rows and columns.

A name of more than 12 characters has a line of its own, and its figures the next. An integer column
has an asterisk.
"""

from __future__ import annotations

from .values import Lines, SolverSolution


def is_glpk(lines: list[str]) -> bool:
    """Whether the file begins with the name of a problem."""
    return bool(lines) and lines[0].startswith("Problem:")


def read_glpk(lines: Lines) -> SolverSolution:
    """Read the activities of the columns.

    Raises
    ------
    InputError
        If there is no solution, or the table of columns cannot be read.

    Examples
    --------
    >>> head = ["Problem:", "Status: INTEGER OPTIMAL", "   No. Column name    Activity", "---"]
    >>> rows = ["  1 x(0_0)   *      1      0      1", "  2 ONE_VAR_CONSTANT", "     1    1   ="]
    >>> read_glpk(Lines("a.sol", [*head, *rows, ""])).values
    {'x(0_0)': 1.0, 'ONE_VAR_CONSTANT': 1.0}

    References
    ----------
    GNU Linear Programming Kit, Reference Manual, ``glp_print_mip``.
    """
    status = next((n for n, line in enumerate(lines.lines) if line.startswith("Status:")), 0)
    said = lines.lines[status].upper()
    if "UNDEFINED" in said or "EMPTY" in said or "INFEASIBLE" in said:
        raise lines.refused(status, "a solution")
    heads = [n for n, line in enumerate(lines.lines) if "Column name" in line]
    if not heads:
        raise lines.refused(len(lines.lines), "a table of columns")
    number = heads[0] + 2
    while number < len(lines.lines) and lines.lines[number].strip():
        words = lines.lines[number].split()
        if len(words) < 2 or not words[0].isdecimal():
            raise lines.refused(number, "a number and a name")
        name, figures = words[1], words[2:]
        if not figures:
            number += 1
            figures = lines.lines[number].split() if number < len(lines.lines) else []
        figures = [word for word in figures if word != "*"]
        if figures and figures[0] in ("B", "NL", "NU", "NF", "NS"):  # of an LP
            figures = figures[1:]
        if not figures:
            raise lines.refused(number, f"the activity of {name}")
        lines.take(number, name, figures[0])
        number += 1
    return lines.done("GLPK")
