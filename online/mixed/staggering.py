"""Starts in a staggered pipeline: spaced so that the runs together hold M tokens in the mean."""

from __future__ import annotations

from fractions import Fraction


class Stagger:
    """When the next run may start, if each is given its KV area at a rate of M tokens a round.

    Equal runs of peak p and length τ that start together hold τ times their size: M/p of them fit.
    If their starts are w/M rounds apart, w their area, their sizes are spread out between the first
    and the last, and up to M·τ/w run at once, nearly twice as many where prompts are short.

    Parameters
    ----------
    kv_capacity : int
        M, in tokens.

    Examples
    --------
    Of runs with an area of 5 tokens two may start in a round of 10, and the third in the next.

    >>> stagger = Stagger(kv_capacity=10)
    >>> stagger.start(0, 5), stagger.start(0, 5), stagger.may_start(0), stagger.may_start(1)
    (None, None, False, True)
    """

    def __init__(self, kv_capacity: int) -> None:
        self._M = kv_capacity
        self._next = Fraction(0)

    def may_start(self, t: int) -> bool:
        """Say whether a run may start at round boundary `t`."""
        return self._next < t + 1

    def start(self, t: int, area: int) -> None:
        """Take a run of so many token-rounds that starts at `t`."""
        self._next = max(self._next, Fraction(t)) + Fraction(area, self._M)
