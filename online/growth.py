"""How regret grows with the horizon: an exponent with its interval, and the shape it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import special  # not stats, which takes a second to load

from ..models.instance import FloatArray

#: Shapes by name, each with its law up to a factor.
SHAPES: Mapping[str, Callable[[FloatArray], FloatArray]] = MappingProxyType(
    {
        "constant": np.ones_like,
        "logarithmic": np.log1p,  # at T = 1 the logarithm itself has none
        "square root": np.sqrt,
        "linear": np.positive,
        "quadratic": np.square,
    }
)

#: The shape where several are possible.
NOT_DETERMINED = "not determined"

#: Confidence of all intervals.
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The fit ``regret ≈ c·T^exponent`` over several horizons.

    Attributes
    ----------
    exponent, low, high : float
        The exponent and its 95 % interval.
    admitted : tuple of str
        Those of `SHAPES` whose own exponent lies in the interval: what the same fit makes of
        f(T) = 1, log(1 + T), √T, T, T² at the same horizons, with the same weights. That is
        0, 1/2, 1 and 2, and for the logarithm a number that falls with the horizons.
    shape : str
        The one that is admitted; ``"not determined"`` where several are; where none is, the two
        between which the interval lies, or that it lies below or above all of them.
    """

    exponent: float
    low: float
    high: float
    admitted: tuple[str, ...]
    shape: str

    @property
    def text(self) -> str:
        """The shape for a table, with all that are admitted where it is not determined.

        Examples
        --------
        >>> fit_growth([100, 200], [10.0, 12.0], [3.0, 4.0]).text
        'not determined: constant, logarithmic, square root or linear'
        """
        if self.shape != NOT_DETERMINED:
            return self.shape
        return f"{self.shape}: {', '.join(self.admitted[:-1])} or {self.admitted[-1]}"


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
    slopes = {name: _slope(X, W, np.log(law(T))) for name, law in SHAPES.items()}
    admitted = tuple(name for name, own in slopes.items() if low <= own <= high)
    return Growth(
        exponent=float(slope),
        low=low,
        high=high,
        admitted=admitted,
        shape=_shape(admitted, float(slope), slopes),
    )


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


def _slope(X: FloatArray, W: FloatArray, log: FloatArray) -> float:
    """Exponent of the weighted fit to logarithms of a law."""
    return float(np.linalg.solve(X.T @ (W[:, None] * X), X.T @ (W * log))[1])


def _shape(admitted: Sequence[str], exponent: float, slopes: Mapping[str, float]) -> str:
    """Name what an interval admits: one shape, several, or what lies between two of them."""
    if admitted:
        return admitted[0] if len(admitted) == 1 else NOT_DETERMINED
    in_order = sorted(slopes, key=slopes.__getitem__)
    below = [name for name in in_order if slopes[name] < exponent]
    if not below:
        return "falling"
    if len(below) == len(in_order):
        return f"faster than {below[-1]}"
    return f"between {below[-1]} and {in_order[len(below)]}"
