"""Checks of what a caller asks of a conversion, and how messages show what was found."""

from __future__ import annotations

from fractions import Fraction

from ..errors import InputError


def require_integer(name: str, value: object, *, low: int) -> None:
    """Refuse what is not an integer from `low` to 2^62."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= 2**62:
        raise InputError(f"{name}: expected an integer of at least {low}, found {value!r}")


def require_number(
    name: str, value: object, *, low: float = 0.0, high: float, open_low: bool = False
) -> None:
    """Refuse what is not a finite number of [low, high], or of (low, high] if `open_low`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        within = low < value <= high if open_low else low <= value <= high
        if within:  # never so for NaN and infinities: high is finite
            return
    above = "more than" if open_low else "at least"
    raise InputError(
        f"{name}: expected a number of {above} {low:g} and at most {high:g}, found {value!r}"
    )


def exact(value: float) -> Fraction:
    """Return the decimal that a number prints as, exactly.

    Examples
    --------
    >>> exact(0.1)
    Fraction(1, 10)
    """
    return Fraction(str(value))


def shown(text: str) -> str:
    """Return a text of the file for a message: short, on one line, in quotes.

    Examples
    --------
    >>> shown("12 a"), shown('"12"'), shown("x" * 99)
    ("'12 a'", '"12"', "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'")
    """
    short = text if len(text) <= 40 else text[:37] + "..."
    return short if short.startswith('"') and short.isprintable() else repr(short)
