"""How regret grows with the horizon: an exponent with its interval, and the shape it tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special  # not stats, which takes a second to load

from ..models.instance import FloatArray

Shape = Literal["constant", "logarithmic", "square root", "linear"]

#: Confidence of all intervals.
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The fit ``regret ≈ c·T^exponent`` over several horizons.

    Attributes
    ----------
    exponent, low, high : float
        The exponent and its 95 % interval.
    shape : {"constant", "logarithmic", "square root", "linear"}
        Constant where the interval contains 0; square root or linear where it contains just one
        of 1/2 and 1; else the shape ``a + b·f(T)`` with f = log, √, identity that fits best, by
        least squares weighted by the precision of each mean.
    """

    exponent: float
    low: float
    high: float
    shape: Shape


def fit_growth(
    horizons: Sequence[int], means: Sequence[float], errors: Sequence[float]
) -> Growth | None:
    """Fit the growth of mean regrets.

    The slope of log regret against log T, weighted by the precision of each mean. Where the means
    scatter more about the line than their errors say, the interval is widened by that factor.

    Parameters
    ----------
    horizons : sequence of int
        Increasing, two or more.
    means, errors : sequence of float
        Mean regrets and their standard errors.

    Returns
    -------
    Growth or None
        None where there are fewer than two horizons, or a mean is not positive, so that there is
        no logarithm.

    Examples
    --------
    >>> growth = fit_growth([100, 10_000, 1_000_000], [10.0, 101.0, 1003.0], [0.1, 1.0, 10.0])
    >>> round(growth.exponent, 2), growth.shape
    (0.5, 'square root')
    """
    T, mean, error = (np.array(x, dtype=np.float64) for x in (horizons, means, errors))
    if T.size < 2 or mean.min() <= 0:
        return None
    spread = np.maximum(error / mean, 1e-9)
    X = np.column_stack([np.ones(T.size), np.log(T)])
    W = spread**-2
    covariance = np.linalg.inv(X.T @ (W[:, None] * X))
    intercept, slope = covariance @ (X.T @ (W * np.log(mean)))
    freedom = T.size - 2
    misfit = float((W * (np.log(mean) - intercept - slope * np.log(T)) ** 2).sum())
    widening = max(1.0, misfit / freedom) if freedom else 1.0
    # Errors that are known leave a normal law; one estimated from the misfit, Student's t.
    factor = special.stdtrit(freedom, 0.5 + CONFIDENCE / 2) if widening > 1 else _normal()
    half = float(factor * np.sqrt(covariance[1, 1] * widening))
    low, high = float(slope) - half, float(slope) + half
    shape = _shape(low, high, T, mean, error)
    return Growth(exponent=float(slope), low=low, high=high, shape=shape)


def half_width(values: Sequence[float]) -> float | None:
    """Half of the 95 % confidence interval of a mean, by Student's t; None for a single value.

    Examples
    --------
    >>> round(half_width([1.0, 2.0, 3.0]), 3)
    2.484
    """
    n = len(values)
    if n < 2:
        return None
    factor = special.stdtrit(n - 1, 0.5 + CONFIDENCE / 2)
    return float(factor * np.std(values, ddof=1) / np.sqrt(n))


def _normal() -> float:
    return float(special.ndtri(0.5 + CONFIDENCE / 2))


def _shape(low: float, high: float, T: FloatArray, mean: FloatArray, error: FloatArray) -> Shape:
    if low <= 0 <= high:
        return "constant"
    powers: dict[Shape, float] = {"square root": 0.5, "linear": 1.0}
    inside = [shape for shape, power in powers.items() if low <= power <= high]
    return inside[0] if len(inside) == 1 else _best_shape(T, mean, error)


def _best_shape(T: FloatArray, mean: FloatArray, error: FloatArray) -> Shape:
    """Among ``a + b·f(T)`` with f = log, square root, identity."""
    shapes: dict[Shape, FloatArray] = {
        "logarithmic": np.log(T),
        "square root": np.sqrt(T),
        "linear": T,
    }
    weight = 1 / np.maximum(error, 1e-9 * mean)
    misfits: dict[Shape, float] = {}
    for shape, f in shapes.items():
        X = np.column_stack([np.ones(T.size), f]) * weight[:, None]
        beta = np.linalg.lstsq(X, mean * weight)[0]
        misfits[shape] = float(((X @ beta - mean * weight) ** 2).sum())
    return min(misfits, key=misfits.__getitem__)
