"""Starts in a staggered pipeline: spaced so that the runs together hold M tokens in the mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

from .observation import Observation, RequestView
from .plan import Plan
from .scanning import volume


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

    def scan(
        self,
        observation: Observation,
        plan: Plan,
        order: Iterable[RequestView],
        tokens: Callable[[RequestView], int],
        *,
        idle: bool,
    ) -> tuple[int, ...]:
        """Start requests in an order while they fit a plan and may start; return their indices.

        Parameters
        ----------
        observation : Observation
            The state.
        plan : Plan
            What runs; the starts are added.
        order : iterable of RequestView
            Waiting requests, the first in turn first.
        tokens : callable
            Output tokens that a request is planned with.
        idle : bool
            Whether nothing runs on: then the first starts in any case, if it fits.
        """
        t = observation.time
        start: list[int] = []
        for view in order:
            planned = tokens(view)
            if not plan.fits(view.prompt, planned):
                break
            if not ((idle and not start) or self.may_start(t)):
                break
            plan.add(view.prompt, planned)
            self.start(t, volume(view.prompt, planned))
            start.append(view.index)
        return tuple(start)
