"""The Gittins index of an empirical law of output lengths: what to serve first when none is told.

With g tokens so far a request that is served for at most d more completes with probability
``P(X ≤ g + d | X > g)`` and takes ``E[min(X − g, d) | X > g]`` token jobs. Its rank is the least
ratio of the second to the first over all d: token jobs per completion, by the best time to stop.
Whoever serves the least rank first minimises the mean latency on one server that may preempt at
any token (Gittins 1979; for arrivals over time Aalto, Ayesta, Righter 2009). Batches are not such
a server, so here it is a heuristic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


class GittinsIndex:
    """Ranks by the Gittins index of an empirical law; the least rank is served first.

    Where no length above g is known, the law beyond is taken to have no scale,
    ``P(X > x) ∝ 1/x``, whose rank at g is g: among requests of which nothing is known the one with
    the fewest tokens comes first (least attained service).

    Parameters
    ----------
    outputs : array_like of int, shape (m,)
        Output lengths that were seen, ≥ 1, in any order.
    weights : array_like of float, shape (m,), optional
        Their weights, > 0; 1 each by default.
    beyond : float
        Weight ≥ 0 of lengths above all that were seen, such as a Kaplan-Meier estimate leaves.

    See Also
    --------
    LearnedLengths : The mean of the same law.

    Examples
    --------
    Of ten requests nine have 2 tokens, one has 100. A new one is worth 2 tokens to try: 20 token
    jobs for 9 completions. One that has outlived them needs all of its 98 tokens.

    >>> index = GittinsIndex([2] * 9 + [100])
    >>> round(index.rank(0), 3), index.rank(1), index.rank(2), index.rank(100)
    (2.222, 1.1111111111111112, 98.0, 100.0)
    >>> index.rank(2, setup=30)
    128.0

    References
    ----------
    Gittins, *Bandit processes and dynamic allocation indices*, J. R. Stat. Soc. B 41, 1979; Aalto,
    Ayesta, Righter, *On the Gittins index in the M/G/1 queue*, Queueing Systems 63, 2009; Scully,
    Harchol-Balter, Scheller-Wolf, *SOAP*, 2018, §3 (the rank is the index inverted).
    """

    def __init__(
        self, outputs: ArrayLike, weights: ArrayLike | None = None, beyond: float = 0.0
    ) -> None:
        seen: NDArray[np.int64] = np.asarray(outputs, np.int64).reshape(-1)
        order = np.argsort(seen, kind="stable")
        given = np.ones(seen.size) if weights is None else np.asarray(weights, np.float64)
        self._outputs, self._weights, self._beyond = seen[order], given[order], float(beyond)

    def rank(self, tokens: int, setup: float = 0.0) -> float:
        """Return token jobs per completion if the request is served until the best time to stop.

        Parameters
        ----------
        tokens : int
            Output tokens so far, ≥ 0.
        setup : float
            Work ≥ 0 before the next token, in token jobs: a cache that has to be read again.
        """
        first = np.searchsorted(self._outputs, tokens, side="right")
        further, weights = self._outputs[first:] - tokens, self._weights[first:]
        if further.size == 0:
            return setup + max(1.0, float(tokens))
        # Among equal lengths the last has the least ratio: all of them have ended.
        ended, spent = np.cumsum(weights), np.cumsum(weights * further)
        left = self._beyond + ended[-1]
        return float(np.min((setup * left + spent + (left - ended) * further) / ended))
