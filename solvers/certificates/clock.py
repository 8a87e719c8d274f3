"""The time that a verification may take, and why it may end without a proof."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import numpy as np

from ...models.instance import IntArray


class NotProved(Exception):  # noqa: N818 - no error: nothing is verified
    """A proof does not prove what it claims; the message says why."""


class OutOfTime(NotProved):
    """The time for a verification is up."""


class OutOfMemory(NotProved):
    """A verification needs more memory than it may take."""


class Contradicted(NotProved):
    """A schedule was found that the claim says there is not."""


class Clock:
    """Wall-clock time from now on, None for as long as it takes.

    As a context, it also sets `expired` when the time is up: compiled code that runs for long
    looks at that, and returns early.

    Attributes
    ----------
    limit : float or None
        Seconds.
    expired : ndarray of int64, shape (1,)
        1 once the time is up.

    Examples
    --------
    >>> Clock(None).check()
    >>> Clock(0.0).check()
    Traceback (most recent call last):
    ...
    batchprophet.solvers.certificates.clock.OutOfTime: not verified within the time limit of 0 s
    """

    def __init__(self, seconds: float | None) -> None:
        self.began = time.perf_counter()
        self.limit = seconds
        self.expired: IntArray = np.zeros(1, np.int64)
        self._timer: threading.Timer | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self.began

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the limit, at least 0; None without a limit."""
        return None if self.limit is None else max(0.0, self.limit - self.seconds)

    def check(self) -> None:
        """Raise `OutOfTime` once the time is up."""
        if self.limit is not None and self.seconds >= self.limit:
            raise OutOfTime(f"not verified within the time limit of {self.limit:g} s")

    def __enter__(self) -> Clock:
        if self.seconds_left is not None:
            seconds = min(self.seconds_left, threading.TIMEOUT_MAX)
            self._timer = threading.Timer(seconds, self.expired.fill, [1])
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
