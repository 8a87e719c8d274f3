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

    Examples
    --------
    >>> from batchprophet.online.view import View
    >>> seen = tuple(View(i, 0, 5, o, o) for i, o in enumerate([2, 4, 9]))
    >>> lengths = LearnedLengths(Past(time=9, kv_capacity=99, arrived=(*seen, View(3, 0, 5))))
    >>> lengths.expected(0), lengths.expected(2), lengths.expected(9)
    (5, 7, 10)
    """

    def __init__(self, past: Past | None = None) -> None:
        known = [] if past is None else [view.longest for view in past.arrived]
        self._outputs = np.sort(
            np.array([length for length in known if length is not None], np.int64)
        )
        count = np.arange(self._outputs.size, 0, -1)
        self._means = np.cumsum(self._outputs[::-1])[::-1] / count

    @property
    def outputs(self) -> IntArray:
        """Completed outputs in non-decreasing order, shape (m,)."""
        return self._outputs

    def expected(self, tokens: int) -> int:
        """Return the expected output length of a request with so many tokens, rounded up."""
        first = int(np.searchsorted(self._outputs, tokens, side="right"))
        if first == self._outputs.size:
            return tokens + 1
        return int(np.ceil(self._means[first]))
