"""Settings of a family: named values with a type, a range and a default."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..continuous.gpus import MEASURED
from ..errors import InputError

Value = int | float | str

_DIGITS = re.compile(r"[+-]?\d{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of a family.

    Attributes
    ----------
    name : str
        Key for ``--set key=value``.
    kind : {"integer", "number", "choice"}
        What its values are.
    description : str
        One line: meaning and unit; where there is no default, what happens without it.
    default : int, float, str or None
        Value if it is not set; None where it is then drawn or derived.
    low, high : float
        Least and greatest value of a number.
    choices : tuple of str
        Values of a choice.

    Examples
    --------
    >>> n = Setting(name="n", kind="integer", description="requests", default=60, low=1, high=99)
    >>> n.read("12"), n.range
    (12, 'an integer from 1 to 99')
    """

    name: str
    kind: Literal["integer", "number", "choice"]
    description: str
    default: Value | None = None
    low: float = 0
    high: float = 10**8
    choices: tuple[str, ...] = ()

    @property
    def range(self) -> str:
        """The values that it takes, in words."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        article = {"integer": "an integer", "number": "a number"}[self.kind]
        return f"{article} from {_plain(self.low)} to {_plain(self.high)}"

    def read(self, value: object) -> Value:
        """Return a value, given as text or as itself, in the setting's type.

        Raises
        ------
        InputError
            If it is not of the type, or out of range.
        """
        typed = self._typed(value)
        if typed is None:
            raise InputError(f"{self.name}: expected {self.range}, found {value!r}")
        return typed

    def _typed(self, value: object) -> Value | None:
        if self.kind == "choice":
            return value if isinstance(value, str) and value in self.choices else None
        number = _integer(value) if self.kind == "integer" else _number(value)
        # A comparison with NaN is false: it is out of every range.
        return number if number is not None and self.low <= number <= self.high else None


def _integer(value: object) -> int | None:
    if isinstance(value, str):
        return int(value) if _DIGITS.fullmatch(value) else None
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    return None


def _number(value: object) -> float | None:
    if isinstance(value, (str, int, float, np.integer, np.floating)) and not isinstance(
        value, bool
    ):
        try:
            return float(value)
        except (ValueError, OverflowError):
            return None
    return None


def _plain(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


def integer_setting(name: str, description: str, default: int, low: int, high: int) -> Setting:
    """Return the setting of an integer with a default.

    Examples
    --------
    >>> integer_setting("n", "requests", 60, 1, 99).range
    'an integer from 1 to 99'
    """
    return Setting(
        name=name, kind="integer", description=description, default=default, low=low, high=high
    )


#: The GPU whose measured batch times a family of continuous batching uses.
MEASURED_GPU = Setting(
    name="gpu",
    kind="choice",
    description="whose batch times",
    default="h100",
    choices=tuple(MEASURED),
)
