"""What a long solve tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a solve.

    Attributes
    ----------
    seconds : float
        Since the solve began.
    incumbent : int, Fraction or None
        Value of the best schedule so far; None if there is none yet.
    bound : int, float, Fraction or None
        Best proved bound so far; None if nothing is proved yet.
    gap : float or None
        ``|incumbent − bound| / |incumbent|``; None where that says nothing.
    phase : str
        What is being done.
    """

    seconds: float
    incumbent: int | Fraction | None
    bound: int | float | Fraction | None
    gap: float | None
    phase: str


@dataclass(frozen=True, slots=True)
class Moment:
    """What was known at a moment of a solve at which it became better.

    Attributes
    ----------
    seconds : float
        Since the solve began.
    value : int, Fraction or None
        Value of the best schedule; None if there was none yet.
    bound : int, float, Fraction or None
        Best proved bound, before rounding; None if nothing was proved yet.

    Examples
    --------
    >>> Moment(0.5, 8, 6).gap
    0.25
    """

    seconds: float
    value: int | Fraction | None
    bound: int | float | Fraction | None

    @property
    def gap(self) -> float | None:
        """``|value − bound| / |value|``; None where that says nothing."""
        return relative_gap(self.value, self.bound)


def relative_gap(
    incumbent: int | float | Fraction | None, bound: int | float | Fraction | None
) -> float | None:
    """``|incumbent − bound| / |incumbent|``; None if one is missing, or at incumbent 0 ≠ bound.

    Examples
    --------
    >>> relative_gap(8, 6), relative_gap(8, None), relative_gap(0, 0)
    (0.25, None, 0.0)
    """
    if incumbent is None or bound is None:
        return None
    if incumbent == bound:
        return 0.0
    return None if incumbent == 0 else abs(float(incumbent) - float(bound)) / abs(float(incumbent))
