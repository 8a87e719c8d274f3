"""What is read from a solver's solution file, and how its lines are refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import InputError


@dataclass(frozen=True, slots=True)
class SolverSolution:
    """Values of variables by name.

    Attributes
    ----------
    solver : str
        Whose format the file has.
    values : mapping of str to float
        Values; variables that the file does not list are 0.
    """

    solver: str
    values: Mapping[str, float]


@dataclass(slots=True)
class Lines:
    """A file's lines, and the values that are read from them.

    Attributes
    ----------
    path : str
        The file, for messages.
    lines : list of str
        Its lines.
    values : dict of str to float
        What has been read.
    """

    path: str
    lines: list[str]
    values: dict[str, float] = field(default_factory=dict)

    def refused(self, number: int, expected: str) -> InputError:
        """Return the error for a line, by its number from 0."""
        found = self.lines[number].strip()[:60] if number < len(self.lines) else "the end"
        return InputError(f"{self.path}: line {number + 1}: expected {expected}, found {found!r}")

    def take(self, number: int, name: str, text: str) -> None:
        """Keep a variable's value.

        Raises
        ------
        InputError
            If it is no finite number, or the name has one already.
        """
        try:
            value = float(text)
        except ValueError:
            raise self.refused(number, f"a number for {name}") from None
        if not math.isfinite(value):
            raise self.refused(number, f"a finite number for {name}")
        if name in self.values:
            raise self.refused(number, f"{name} once")
        self.values[name] = value

    def done(self, solver: str) -> SolverSolution:
        """Return what was read.

        Raises
        ------
        InputError
            If it is nothing.
        """
        if not self.values:
            raise InputError(f"{self.path}: expected values of variables, found none ({solver})")
        return SolverSolution(solver, self.values)
