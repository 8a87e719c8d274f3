"""Confidence intervals of means and of any statistic: Student's t, and the bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special  # not stats, which takes a second to load

from ...models.errors import InputError
from ...models.instance import FloatArray, IntArray

#: Confidence of all intervals.
CONFIDENCE = 0.95

#: Resamples of a bootstrap.
RESAMPLES = 2000

#: Numbers drawn at once by a bootstrap: bounds its memory.
_BLOCK = 2_000_000

#: Up to this many draws, those of the last bootstrap are kept for the next: a study has many of one
#: size and seed.
_KEPT = 4_000_000


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def t_interval(values: ArrayLike, *, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the confidence interval of a mean by Student's t.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        Independent observations.
    confidence : float
        In (0, 1).

    Returns
    -------
    Interval or None
        None for fewer than two values: nothing is known of their spread.

    Examples
    --------
    >>> low, high = t_interval([1.0, 2.0, 3.0])
    >>> round(low, 3), round(high, 3)
    (-0.484, 4.484)
    """
    x = numbers(values)
    if x.size < 2:
        return None
    factor = special.stdtrit(x.size - 1, 0.5 + confidence / 2)
    half = float(factor * x.std(ddof=1) / np.sqrt(x.size))
    return Interval(float(x.mean()) - half, float(x.mean()) + half)


def bootstrap_interval(
    columns: ArrayLike,
    statistic: Callable[[FloatArray], FloatArray],
    *,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Interval | None:
    """Return the percentile bootstrap interval of a statistic; observations stay paired.

    Parameters
    ----------
    columns : array_like of float, shape (n,) or (n, k)
        One row per observation: whole rows are drawn again, so that what was measured on one
        instance stays together.
    statistic : callable
        Maps an array of shape (b, n) or (b, n, k), b resamples, to b values.
    seed : int
        Of the resampling; the same seed gives the same interval.
    confidence : float
        In (0, 1).
    resamples : int
        How many, ≥ 1.

    Returns
    -------
    Interval or None
        None for fewer than two observations.

    References
    ----------
    Efron, Tibshirani, *An Introduction to the Bootstrap*, 1993, §13.3 (percentile interval).

    Examples
    --------
    >>> low, high = bootstrap_interval([1.0, 2.0, 3.0, 4.0], lambda x: x.mean(axis=1))
    >>> 1.0 < low < 2.5 < high < 4.0
    True
    """
    data = np.asarray(columns, dtype=np.float64)
    n = data.shape[0]
    if n < 2:
        return None
    block = max(1, _BLOCK // data.size)
    found = [statistic(data.take(drawn, axis=0)) for drawn in _resamples(n, seed, resamples, block)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(found), [tail, 1 - tail])
    return Interval(float(low), float(high))


def quantile_interval(
    values: ArrayLike, probability: float, *, confidence: float = CONFIDENCE
) -> Interval | None:
    """Return an interval of a quantile between two of the values, whatever their law.

    The number of values below the p-quantile is binomial, so that the interval between the
    order statistics at its tails covers the quantile with at least the confidence asked for.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        Independent observations.
    probability : float
        p in (0, 1).
    confidence : float
        In (0, 1).

    Returns
    -------
    Interval or None
        None where there are too few values for one.

    References
    ----------
    David, Nagaraja, *Order Statistics*, 3rd ed. 2003, §7.1.

    Examples
    --------
    >>> quantile_interval(range(1, 101), 0.5)
    Interval(low=40.0, high=61.0)
    >>> quantile_interval([1, 2, 3], 0.9)
    """
    x = np.sort(numbers(values))
    tail = (1 - confidence) / 2
    # The quantile lies between the values of ranks r ≤ s, counted from 1, unless fewer than r or
    # at least s values are below it: P[K < r] ≤ tail and P[K ≥ s] ≤ tail, K ~ Bin(n, p).
    ranks = np.arange(x.size)
    below = np.append(0.0, special.bdtr(ranks, x.size, probability))  # P[K ≤ k], from k = −1
    r = int(np.flatnonzero(below <= tail)[-1])
    enough = np.flatnonzero(1 - below <= tail)
    if r < 1 or not enough.size or int(enough[0]) > x.size:
        return None
    s = int(enough[0])
    return None if s < 1 or s > x.size else Interval(float(x[r - 1]), float(x[s - 1]))


def _resamples(n: int, seed: int, count: int, block: int) -> Iterator[IntArray]:
    """Yield `count` rows of n indices, `block` at a time: the same rows whatever the block."""
    if count * n <= _KEPT:
        kept = _kept_draws(n, seed, count)
        yield from (kept[done : done + block] for done in range(0, count, block))
        return
    rng = np.random.default_rng(seed)
    for done in range(0, count, block):
        yield _draw(rng, min(block, count - done), n)


@lru_cache(maxsize=1)
def _kept_draws(n: int, seed: int, count: int) -> IntArray:
    drawn = _draw(np.random.default_rng(seed), count, n)
    drawn.flags.writeable = False
    return drawn


def _draw(rng: np.random.Generator, rows: int, n: int) -> IntArray:
    # Drawn at 32 bits: the same numbers as at 64, several times as fast.
    return rng.integers(0, n, size=(rows, n), dtype=np.int32).astype(np.int64)


def numbers(values: ArrayLike) -> FloatArray:
    """Return values as an array of floats, of one dimension.

    Raises
    ------
    InputError
        If they have another shape, or one is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise InputError(f"values: expected finite numbers in one dimension, found {values!r}")
    return x
