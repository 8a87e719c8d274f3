"""Gurobi's SOL format: comments, and a name and a value per line.

The same lines are what MIPLIB calls a solution; there ``=obj=`` leads the objective.
"""

from __future__ import annotations

from .values import Lines, SolverSolution


def is_gurobi(lines: list[str]) -> bool:
    """Whether the first line that is no comment is a name and a number."""
    written = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    if not written or len(written[0]) != 2:
        return False
    try:
        float(written[0][1])
    except ValueError:
        return False
    return True


def read_gurobi(lines: Lines) -> SolverSolution:
    """Read the values.

    Raises
    ------
    InputError
        If a line is something else.

    Examples
    --------
    >>> text = "# Objective value = 7", "x(0_0) 1", "x(1_3) 1"
    >>> read_gurobi(Lines("a.sol", [*text])).values
    {'x(0_0)': 1.0, 'x(1_3)': 1.0}

    References
    ----------
    Gurobi Optimizer Reference Manual, Solution File Formats, SOL Format.
    """
    for number, line in enumerate(lines.lines):
        words = line.split()
        if not words or line.startswith("#") or words[0] == "=obj=":
            continue
        if len(words) != 2:
            raise lines.refused(number, "a name and a value")
        lines.take(number, *words)
    return lines.done("Gurobi")
