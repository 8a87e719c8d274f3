"""A setting that is a list of numbers: one per type of request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from ...models.errors import InputError

Number = int | Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSetting:
    """Numbers separated by commas (in a file, a list); exact, as they are written.

    Attributes
    ----------
    name, description : str
        Key for ``--set key=a,b,c``; meaning and unit.
    kind : {"integers", "numbers"}
        What the entries are.
    default : tuple or None
        Value if it is not set; None where it is then derived.
    low, high : int
        Least and greatest entry.

    Examples
    --------
    >>> rates = ListSetting(name="rates", kind="numbers", description="per slot")
    >>> rates.read("0.5,0.4"), rates.range
    ((Fraction(1, 2), Fraction(2, 5)), 'numbers from 0 to 10,000,000, separated by commas')
    """

    name: str
    kind: Literal["integers", "numbers"]
    description: str
    default: tuple[Number, ...] | None = None
    low: int = 0
    high: int = 10**7

    @property
    def range(self) -> str:
        """The values that it takes, in words."""
        return f"{self.kind} from {self.low:,} to {self.high:,}, separated by commas"

    def read(self, value: object) -> tuple[Number, ...]:
        """Return the entries of a text or a list.

        Raises
        ------
        InputError
            If there is none, or one is not of the type or out of range.
        """
        parts: Sequence[object]
        if isinstance(value, str):
            parts = value.split(",")
        elif isinstance(value, Sequence):
            parts = value
        else:
            parts = [value]
        numbers = [_number(part) for part in parts]
        typed = [
            int(number) if self.kind == "integers" else number
            for number in numbers
            if number is not None
            and self.low <= number <= self.high
            and (self.kind == "numbers" or number.denominator == 1)
        ]
        if not numbers or len(typed) < len(numbers):
            raise InputError(f"{self.name}: expected {self.range}, found {value!r}")
        return tuple(typed)


def _number(part: object) -> Fraction | None:
    """Return the number as it is written: 0.1 is one tenth."""
    if isinstance(part, bool) or (isinstance(part, float) and not math.isfinite(part)):
        return None
    if not isinstance(part, (str, int, float, Fraction, np.integer, np.floating)):
        return None
    try:
        return Fraction(str(part).strip())
    except (ValueError, ZeroDivisionError):
        return None
