"""Output lengths learned from the requests that have completed: what to plan with untold."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..models.instance import FloatArray, IntArray
from .coupling.history import Past


class LearnedLengths:
    """The empirical law of the output lengths of completed requests.

    A request that has g tokens and is not complete is expected to end after the mean of the
    completed outputs longer than g; where none was longer, with its next token. Requests that
    still run are not counted, so the first figures are of the short ones.

    Parameters
    ----------
    past : Past, optional
        What has been seen so far.
    outputs : array_like of int, optional
        Output lengths of the completed requests, in place of a past.

    Attributes
    ----------
    outputs : ndarray of int64, shape (m,)
        Output lengths of the completed requests, increasing.
    means : ndarray of int64, shape (m,)
        Mean of each of them and all that follow, rounded up.

    Examples
    --------
    >>> from batchprophet.online.view import View
    >>> seen = tuple(View(i, 0, 5, o, o) for i, o in enumerate([2, 4, 9]))
    >>> lengths = LearnedLengths(Past(time=9, kv_capacity=99, arrived=(*seen, View(3, 0, 5))))
    >>> lengths.expected(0), lengths.expected(2), lengths.expected(9)
    (5, 7, 10)
    """

    def __init__(self, past: Past | None = None, outputs: IntArray | None = None) -> None:
        known = [view.longest for view in past.arrived] if past is not None else []
        told = [length for length in known if length is not None] if outputs is None else outputs
        self.outputs = np.sort(np.asarray(told, np.int64))
        count = np.arange(self.outputs.size, 0, -1)
        means = np.cumsum(self.outputs[::-1])[::-1] / count
        self.means = np.ceil(means).astype(np.int64)

    def expected(self, tokens: int) -> int:
        """Return the expected output length of a request with so many tokens, rounded up."""
        first = int(np.searchsorted(self.outputs, tokens, side="right"))
        if first == self.outputs.size:
            return tokens + 1
        return int(self.means[first])


class LengthLaw:
    """The law of output lengths by Kaplan and Meier: requests that go on count as far as they are.

    Of those at risk at each length, which have had all tokens before it, a share ends there. What
    is left after the longest known length is `beyond`.

    Parameters
    ----------
    ended : iterable of int
        Output lengths of completed requests, ≥ 1.
    going : iterable of int
        Tokens so far of requests that have not completed, ≥ 0: their lengths are above them.

    Examples
    --------
    Two of four end at 1. The one with 3 tokens says nothing of lengths above 3.

    >>> law = LengthLaw([1, 1, 5], [3])
    >>> law.lengths.tolist(), law.weights.tolist(), law.beyond
    ([1, 5], [0.5, 0.5], 0.0)
    >>> law.survival(0), law.survival(1), law.mean_area(prompt=0)
    (1.0, 0.5, 8.0)

    References
    ----------
    Kaplan, Meier, *Nonparametric estimation from incomplete observations*, J. Am. Stat. Assoc. 53,
    1958.
    """

    def __init__(self, ended: Iterable[int], going: Iterable[int] = ()) -> None:
        over = np.sort(np.fromiter(ended, np.int64))
        others = np.sort(np.fromiter(going, np.int64))
        self.lengths, deaths = np.unique(over, return_counts=True)
        at_risk = (
            over.size
            - np.searchsorted(over, self.lengths)
            + others.size
            - np.searchsorted(others, self.lengths)
        )
        left = np.cumprod(1 - deaths / at_risk)
        before = np.concatenate(([1.0], left))
        #: Probabilities of `lengths`, and of all lengths above them.
        self.weights = before[:-1] - before[1:]
        self.beyond = float(before[-1])
        self._before, self._ended = before, over.size
        self._going = int(others[-1]) if others.size else 0

    def survival(self, tokens: int) -> float:
        """Return the probability of a length above so many tokens."""
        return float(self._before[np.searchsorted(self.lengths, tokens, side="right")])

    def expected(self, tokens: IntArray, longest: IntArray) -> IntArray:
        """Return the mean of the lengths above so many tokens, rounded up.

        What is left after the longest known length is taken to end one token after all that is
        known; with nothing known, every request is expected to end with its next token.

        Parameters
        ----------
        tokens : ndarray of int64, shape (m,)
            Output tokens so far, ≥ 0.
        longest : ndarray of int64, shape (m,)
            Longest lengths that are possible; none is expected to be longer.

        Examples
        --------
        >>> law = LengthLaw([1, 1, 5], [3])
        >>> law.expected(np.array([0, 1, 5]), np.array([9, 4, 9])).tolist()
        [3, 4, 6]
        """
        if not self.lengths.size:
            return np.minimum(tokens + 1, longest)
        area = np.concatenate((np.cumsum((self.weights * self.lengths)[::-1])[::-1], [0.0]))
        above = np.searchsorted(self.lengths, tokens, side="right")
        last = np.maximum(max(int(self.lengths[-1]), self._going), tokens) + 1
        left = self._before[above]
        total = area[above] + self.beyond * last
        mean = np.where(left > 1e-12, total / np.maximum(left, 1e-12), tokens + 1)
        rounded = np.ceil(mean - 1e-9).astype(np.int64)
        expected: IntArray = np.maximum(np.minimum(rounded, longest), tokens + 1)
        return expected

    def smoothed(self, grid: IntArray, each: int, most: int = 3) -> FloatArray:
        """Return the survival function, linear between some quantiles of the law.

        With few completed requests the law itself is a few steps, of which ratios of chances to
        times make much too much.

        Parameters
        ----------
        grid : ndarray of int64, shape (m,)
            Tokens, increasing, from 0 to the greatest length that is possible.
        each : int
            Completed requests to a quantile, ≥ 1.
        most : int
            Most quantiles, ≥ 0.

        Returns
        -------
        ndarray of float64, shape (m,)
            From 1 to 0, not increasing.
        """
        count = min(most, self._ended // each)
        knots, values = [0.0], [1.0]
        for left in 1 - np.arange(1, count + 1) / (count + 1):
            place = int(np.searchsorted(-self._before[1:], -left))
            if place < self.lengths.size and knots[-1] < self.lengths[place] < grid[-1]:
                knots.append(float(self.lengths[place]))
                values.append(float(left))
        return np.interp(grid, [*knots, float(grid[-1])], [*values, 0.0])

    def mean_area(self, prompt: float) -> float:
        """Return the mean KV area ``Σ_{g=1..o} (s + g)``; lengths above all known are one more.

        Parameters
        ----------
        prompt : float
            s ≥ 0, in tokens.
        """
        longest = int(self.lengths[-1]) + 1 if self.lengths.size else 1
        o = np.concatenate((self.lengths, [longest]))
        weights = np.concatenate((self.weights, [self.beyond]))
        return float(weights @ (prompt * o + o * (o + 1) / 2))
