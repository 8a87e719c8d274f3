"""Arrival processes in continuous time, drawn all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..instance import FloatArray


def poisson(rng: np.random.Generator, n: int, rate: float) -> FloatArray:
    """Return the first n arrivals, in seconds, of a Poisson process of `rate` per second.

    The first m of them are the same for every n ≥ m.

    Examples
    --------
    >>> times = poisson(np.random.default_rng(1), 100_000, rate=4.0)
    >>> bool(24_000 < times[-1] < 26_000)
    True
    """
    return np.cumsum(rng.exponential(size=n)) / rate


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkovModulated:
    """Markov-modulated Poisson process: its rate switches between two values.

    Attributes
    ----------
    fast, slow : float
        Arrivals per second in the two states, fast ≥ slow > 0.
    leave_fast, leave_slow : float
        Switches per second out of each state, > 0.

    References
    ----------
    W. Fischer and K. Meier-Hellstern, "The Markov-modulated Poisson process (MMPP) cookbook",
    Performance Evaluation 18 (1993).
    """

    fast: float
    slow: float
    leave_fast: float
    leave_slow: float

    @property
    def rate(self) -> float:
        """Mean arrivals per second, over the stationary law of the states.

        Examples
        --------
        >>> MarkovModulated(fast=9.0, slow=1.0, leave_fast=3.0, leave_slow=1.0).rate
        3.0
        """
        return (self.leave_slow * self.fast + self.leave_fast * self.slow) / (
            self.leave_slow + self.leave_fast
        )

    def draw(self, rng: np.random.Generator, n: int, rate: float) -> FloatArray:
        """Return the first n arrivals, in seconds, with time stretched to a mean rate.

        A Poisson process of rate one, seen through the inverse of the cumulated intensity (a
        piecewise linear function of time), has that intensity. The first m arrivals are the same
        for every n ≥ m.

        Parameters
        ----------
        rng : Generator
            Source of randomness.
        n : int
            Number of arrivals, ≥ 1.
        rate : float
            Mean arrivals per second, > 0.
        """
        unit, states, sojourns = rng.spawn(3)
        target = np.cumsum(unit.exponential(size=n))
        starts_fast = states.random() * (self.leave_slow + self.leave_fast) < self.leave_slow
        intensity = np.array([self.fast, self.slow] if starts_fast else [self.slow, self.fast])
        leave = [self.leave_fast, self.leave_slow]
        mean = 1 / np.array(leave if starts_fast else leave[::-1])
        time, work = np.zeros(1), np.zeros(1)
        while work[-1] < target[-1]:
            sojourn = sojourns.exponential(size=(4096, 2)) * mean
            time = np.append(time, time[-1] + np.cumsum(sojourn))
            work = np.append(work, work[-1] + np.cumsum(sojourn * intensity))
        return np.interp(target, work, time) * (self.rate / rate)
