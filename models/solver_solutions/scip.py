"""SCIP's raw format: a status, an objective, then names and values of what is not zero."""

from __future__ import annotations

import re

from .values import Lines, SolverSolution

_VALUE = re.compile(r"^(\S+)\s+(\S+)\s*(?:\(obj:\s*\S+\))?$")


def is_scip(lines: list[str]) -> bool:
    """Whether the first line has a status, or an objective, in SCIP's words."""
    first = next((line for line in lines if line.strip()), "")
    return first.startswith(("solution status:", "objective value:"))


def read_scip(lines: Lines) -> SolverSolution:
    """Read the values.

    Raises
    ------
    InputError
        If the file says that there is no solution, or a line is something else.

    Examples
    --------
    >>> text = "solution status: optimal solution found", "objective value: 7", "x(0_0) 1 (obj:0)"
    >>> read_scip(Lines("a.sol", [*text])).values
    {'x(0_0)': 1.0}

    References
    ----------
    SCIP documentation, file reader for primal solutions (``reader_sol.h``).
    """
    for number, line in enumerate(lines.lines):
        text = line.strip()
        if not text or text.startswith(("solution status:", "objective value:")):
            continue
        if text.startswith("no solution"):
            raise lines.refused(number, "a solution")
        found = _VALUE.match(text)
        if found is None:
            raise lines.refused(number, "a name, a value and (obj:c)")
        lines.take(number, found[1], found[2])
    return lines.done("SCIP")
