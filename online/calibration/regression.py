"""Least squares with coefficients of at least 0, robust, and how sure they are."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from ...models.instance import FloatArray

#: Huber's constant: 95 % of the efficiency of least squares where errors are normal.
HUBER = 1.345

#: Rounds of reweighting.
ROUNDS = 20

#: Standard deviations of a median absolute deviation, for normal errors.
_NORMAL = 1.4826

#: Neighbouring segments whose errors may depend on each other.
LAGS = 4


def bounded_fit(rows: FloatArray, values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the coefficients ≥ 0 of weighted least squares, shape (k,).

    Examples
    --------
    >>> bounded_fit(np.array([[1.0, 0], [1, 1], [1, 2]]), np.array([1.0, 3, 5]), np.ones(3))
    array([1., 2.])
    """
    scale = np.sqrt((rows**2).mean(axis=0))
    scale[scale == 0] = 1.0
    weighted = np.column_stack([rows / scale, values]) * weight[:, None]
    _, triangle = np.linalg.qr(weighted)
    found, _ = nnls(triangle[:, :-1], triangle[:, -1])
    coefficients: FloatArray = found / scale
    return coefficients


def robust_fit(
    rows: FloatArray, values: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return coefficients ≥ 0 by Huber's estimator, and what it keeps of each error, in (0, 1].

    Parameters
    ----------
    rows : ndarray, shape (m, k)
        Regressors.
    values, weight : ndarray, shape (m,)
        Values; standard deviations are taken to be proportional to 1/weight.

    References
    ----------
    Huber, *Robust estimation of a location parameter*, Ann. Math. Stat. 35, 1964.
    """
    found = bounded_fit(rows, values, weight)
    kept = np.ones(values.size)
    for _ in range(ROUNDS):
        errors = np.abs((values - rows @ found) * weight)
        spread = _NORMAL * float(np.median(errors))
        kept = np.minimum(1.0, HUBER * spread / np.maximum(errors, 1e-300))
        if spread == 0:
            kept = (errors == 0).astype(float)
        before, found = found, bounded_fit(rows, values, weight * np.sqrt(kept))
        if np.allclose(found, before, rtol=1e-9, atol=0):
            break
    return found, kept


def covariance(
    rows: FloatArray,
    values: FloatArray,
    weight: FloatArray,
    found: FloatArray,
    kept: FloatArray | None = None,
) -> FloatArray:
    """Return the covariance of coefficients, errors of neighbouring rows being dependent; (k, k).

    The sandwich estimator of Newey and West (Econometrica 55, 1987) with `LAGS` lags and
    Bartlett's weights, corrected for the number of coefficients. For Huber's estimator, `kept` is
    what it keeps of each error: a clipped one has no slope (Huber, Ann. Statist. 1, 1973).
    """
    m, k = rows.shape
    clip = np.ones(m) if kept is None else kept
    scale = np.sqrt((rows**2).mean(axis=0))
    scale[scale == 0] = 1.0
    x = rows / scale * weight[:, None]
    errors = clip * (values - rows @ found) * weight
    sloped = x[clip == 1]
    inverse = np.linalg.pinv(sloped.T @ sloped)
    score = x * errors[:, None]
    meat = score.T @ score
    for lag in range(1, min(LAGS, m - 1) + 1):
        across = score[lag:].T @ score[:-lag]
        meat += (1 - lag / (LAGS + 1)) * (across + across.T)
    freedom = m / max(1, m - k)
    found_covariance: FloatArray = freedom * inverse @ meat @ inverse / np.outer(scale, scale)
    return found_covariance
