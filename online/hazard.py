"""The law of output lengths where some requests still run: Kaplan and Meier's estimate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..models.instance import FloatArray, IntArray


class LengthLaw(NamedTuple):
    """A law of output lengths.

    Attributes
    ----------
    lengths : ndarray of int64, shape (m,)
        In increasing order.
    weights : ndarray of float64, shape (m,)
        Their probabilities, > 0.
    beyond : float
        Probability of a length above all of them.
    """

    lengths: IntArray
    weights: FloatArray
    beyond: float


def kaplan_meier(completed: ArrayLike, running: ArrayLike = ()) -> LengthLaw:
    """Estimate the law of output lengths from completed requests and from those that still run.

    To count completed requests only makes lengths too short while long requests run. A request
    with g tokens says that its length is above g: it is at risk at all lengths up to g. The hazard
    of a length is the share of those at risk that end there.

    Parameters
    ----------
    completed : array_like of int, shape (c,)
        Output lengths, ≥ 1.
    running : array_like of int, shape (r,)
        Tokens so far of requests that are not complete, ≥ 0.

    Returns
    -------
    LengthLaw
        The estimate; with nothing running the empirical law, with nothing completed all is beyond.

    Examples
    --------
    One request has ended after 2 tokens. Of the three that run one has more than that.

    >>> law = kaplan_meier([2], [0, 1, 5])
    >>> law.lengths.tolist(), law.weights.tolist(), law.beyond
    ([2], [0.5], 0.5)

    References
    ----------
    Kaplan, Meier, *Nonparametric estimation from incomplete observations*, J. Am. Stat. Assoc. 53,
    1958.
    """
    ended = np.sort(np.asarray(completed, np.int64).reshape(-1))
    alive = np.sort(np.asarray(running, np.int64).reshape(-1))
    lengths, count = np.unique(ended, return_counts=True)
    at_risk = (
        ended.size - np.searchsorted(ended, lengths) + alive.size - np.searchsorted(alive, lengths)
    )
    survival = np.cumprod(1.0 - count / at_risk)
    before = np.concatenate([[1.0], survival[:-1]])
    beyond = float(survival[-1]) if lengths.size else 1.0
    return LengthLaw(lengths, before * (count / at_risk), beyond)
