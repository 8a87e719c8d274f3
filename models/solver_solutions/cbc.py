"""CBC's format: a status with the objective, then index, name, value and reduced cost.

Without ``printingOptions all`` only what is not zero is listed. ``**`` marks what is infeasible.
"""

from __future__ import annotations

import re

from .values import Lines, SolverSolution

_STATUS = re.compile(r"^(.*?)\s+-\s+objective value\s+\S+")


def is_cbc(lines: list[str]) -> bool:
    """Whether the first line ends in an objective value, in CBC's words."""
    return bool(lines) and _STATUS.match(lines[0]) is not None


def read_cbc(lines: Lines) -> SolverSolution:
    """Read the values.

    Raises
    ------
    InputError
        If the status says that there is no solution, or a line is something else.

    Examples
    --------
    >>> text = "Optimal - objective value 7.00000000", "      6 x(1_3)         1         3"
    >>> read_cbc(Lines("a.sol", [*text])).values
    {'x(1_3)': 1.0}

    References
    ----------
    COIN-OR CBC User Guide, the command ``solution``.
    """
    found = _STATUS.match(lines.lines[0])
    assert found is not None
    status = found[1].lower()
    if "infeasible" in status or "unbounded" in status:
        raise lines.refused(0, "a solution")
    for number, line in enumerate(lines.lines[1:], start=1):
        words = line.split()
        if not words:
            continue
        if words[0] == "**":
            raise lines.refused(number, "a feasible solution")
        if len(words) != 4 or not words[0].isdecimal():
            raise lines.refused(number, "an index, a name, a value and a reduced cost")
        lines.take(number, words[1], words[2])
    return lines.done("CBC")
