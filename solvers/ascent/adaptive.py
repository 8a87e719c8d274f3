"""Ascent by adaptive steps, and the average of its points.

Each coordinate moves by ``length · mean / (√square + EPSILON)``, with running means of its slopes
and of their squares (Adam: Kingma and Ba 2015, algorithm 1), and stays at least 0. The points
zigzag about the maximum of a piecewise linear function; their running average, the centre, lies
higher than they do (Polyak and Juditsky 1992).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ...models.instance import FloatArray, IntArray

#: Parts of the running means of slopes and of their squares that a step keeps (β₁ and β₂).
KEPT, KEPT_SQUARE = 0.9, 0.99

#: Added to the root of the mean square; slopes are sums of counts, so mostly ≥ 1 where not 0.
EPSILON = 0.01

#: Weight of the newest point in the centre.
NEWEST_POINT = 0.01


class AdaptiveAscent:
    """A point that climbs, and the running average of where it was.

    Attributes
    ----------
    point, centre : ndarray of float64
        Where the ascent is, and the average; both ≥ 0.
    steps : int
        Steps taken.

    Examples
    --------
    >>> ascent = AdaptiveAscent(np.zeros((1, 2)))
    >>> for length in (0.5, 0.4, 0.3):  # towards (1, 0)
    ...     ascent.step(np.sign(np.array([[1.0, -1.0]]) - ascent.point), length)
    >>> (ascent.point > 0).tolist()
    [[True, False]]
    """

    def __init__(self, start: FloatArray) -> None:
        self.point, self.centre = start.copy(), start.copy()
        self.steps = 0
        self._mean, self._square = np.zeros_like(start), np.zeros_like(start)

    def step(self, slope: FloatArray, length: float) -> None:
        """Move along a subgradient; no coordinate moves by much more than `length`."""
        self.steps += 1
        unbiased = length / (1.0 - KEPT**self.steps)
        root = math.sqrt(1.0 - KEPT_SQUARE**self.steps)
        _step(self.point, self.centre, self._mean, self._square, slope, unbiased, root)


def rounded(point: FloatArray, scale: float) -> IntArray:
    """Return the point in integer units of ``1 / scale``."""
    return (scale * point).astype(np.int64)


@njit(cache=True, nogil=True)
def _step(
    point: FloatArray,
    centre: FloatArray,
    mean: FloatArray,
    square: FloatArray,
    slope: FloatArray,
    length: float,
    root: float,
) -> None:
    for b in range(point.shape[0]):
        for q in range(point.shape[1]):
            g = slope[b, q]
            mean[b, q] += (1.0 - KEPT) * (g - mean[b, q])
            square[b, q] += (1.0 - KEPT_SQUARE) * (g * g - square[b, q])
            move = length * mean[b, q] / (math.sqrt(square[b, q]) / root + EPSILON)
            point[b, q] = max(0.0, point[b, q] + move)
            centre[b, q] += NEWEST_POINT * (point[b, q] - centre[b, q])
