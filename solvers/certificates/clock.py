"""The time that a verification may take."""

from __future__ import annotations

import time


class OutOfTime(Exception):  # noqa: N818 - no error: nothing is verified
    """The time for a verification is up."""


class Clock:
    """Wall-clock time from now on, None for as long as it takes.

    Examples
    --------
    >>> Clock(None).check()
    >>> Clock(0.0).check()
    Traceback (most recent call last):
    ...
    batchprophet.solvers.certificates.clock.OutOfTime
    """

    def __init__(self, seconds: float | None) -> None:
        self.began = time.perf_counter()
        self.limit = seconds

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self.began

    def check(self) -> None:
        """Raise `OutOfTime` once the time is up."""
        if self.limit is not None and self.seconds >= self.limit:
            raise OutOfTime
