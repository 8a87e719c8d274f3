"""Bounds as values that a schedule can have."""

from __future__ import annotations

import math
from fractions import Fraction

from ..models.objectives import Exact

#: By how much a solver's floating-point bound is moved, relative to 1 and to its size.
SLACK = Fraction(1, 10**6)


def round_bound(bound: int | float | Fraction, step: Fraction, maximised: bool) -> Exact:
    """Round to the next multiple of `step`, the next value that a schedule can have.

    A float comes from a solver whose tolerances are about 1e-9 relative: it is first moved by
    1e-6 (absolute and relative), the wrong way for the proof to profit.

    Examples
    --------
    >>> round_bound(Fraction(13, 2), Fraction(1), False), round_bound(6.0000001, Fraction(1), False)
    (7, 6)
    """
    exact = Fraction(bound)
    if isinstance(bound, float):
        slack = SLACK * max(Fraction(1), abs(exact))
        exact += slack if maximised else -slack
    steps = math.floor(exact / step) if maximised else math.ceil(exact / step)
    rounded = steps * step
    return int(rounded) if rounded.denominator == 1 else rounded
