"""Output lengths learned from the requests that have completed: what to plan with untold."""

from __future__ import annotations

import numpy as np

from ..models.instance import IntArray
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
