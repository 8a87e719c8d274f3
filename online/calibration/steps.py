"""The batch-time law by regression on measured batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.batch_time import AffineTime
from ...models.engine_logs.iterations import Iterations
from ...models.errors import InputError
from ...models.instance import FloatArray
from .fit import DEVIATIONS, FLOOR, Coefficient
from .law import LEAST, NAMES, law_of
from .regression import covariance, robust_fit

#: Least batches for each coefficient.
LEAST_BATCHES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedSteps:
    """A law fitted to measured batches.

    Attributes
    ----------
    law : AffineTime
        The law.
    coefficients : tuple of Coefficient
        With intervals of about 95 %.
    batches : int
        How many were measured.
    mean_error, worst_error : float
        Relative error of a batch's time without its sign, of batches held out of the fit.
    unseen : tuple of str
        Coefficients that the batches say nothing of, since what they multiply does not vary or is
        not measured; they are 0 in the law, and what they stand for is in the others.
    """

    law: AffineTime
    coefficients: tuple[Coefficient, ...]
    batches: int
    mean_error: float
    worst_error: float
    unseen: tuple[str, ...]


def fit_steps(measured: Iterations, *, own_prompt_intercept: bool = False) -> FittedSteps:
    """Fit the law to measured batches, by relative errors.

    Parameters
    ----------
    measured : Iterations
        The batches.
    own_prompt_intercept : bool
        Whether batches of prompts only have an intercept of their own.

    Raises
    ------
    InputError
        If there are too few batches.

    Examples
    --------
    >>> p, d = np.tile([0.0, 100.0, 200.0], 8), np.repeat([1.0, 2.0, 4.0, 8.0], 6)
    >>> measured = Iterations(
    ...     name="a", format="-", prompt_tokens=p, jobs=d, kv=None,
    ...     milliseconds=9 + 0.1 * p + 0.5 * d,
    ... )
    >>> fitted = fit_steps(measured)
    >>> fitted.law.c0, fitted.law.c1, fitted.law.c2, fitted.unseen
    (9.0, 0.1, 0.5, ('c3',))
    """
    rows, seen = _rows(measured, own_prompt_intercept)
    b, k = rows[:, seen].shape
    if b < LEAST_BATCHES * k:
        raise InputError(
            f"{measured.name}: expected at least {LEAST_BATCHES * k} measured batches for {k} "
            f"coefficients, found {b}"
        )
    took = measured.milliseconds
    found, kept = robust_fit(rows[:, seen], took, 1 / took)
    spread = covariance(rows[:, seen], took, 1 / took, found, kept)
    deviation = DEVIATIONS * np.sqrt(np.diag(spread))
    whole = np.zeros(rows.shape[1])
    whole[seen] = found
    whole[0] = max(whole[0], LEAST)
    errors = _held_out(rows[:, seen], took)
    return FittedSteps(
        law=law_of(whole),
        coefficients=tuple(
            Coefficient(
                name=NAMES[j],
                value=float(c),
                low=float(max(0.0, c - x - FLOOR * c)),
                high=float(c + x + FLOOR * c),
            )
            for j, c, x in zip(np.flatnonzero(seen).tolist(), found, deviation, strict=True)
        ),
        batches=b,
        mean_error=float(errors.mean()),
        worst_error=float(errors.max()),
        unseen=tuple(NAMES[j] for j in np.flatnonzero(~seen).tolist()),
    )


def _rows(measured: Iterations, own: bool) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the regressors, and which of them say something."""
    p, d = measured.prompt_tokens, measured.jobs
    kv = np.zeros(p.size) if measured.kv is None else measured.kv
    ones = np.ones(p.size)
    columns = [ones, p, d, kv]
    if own:
        with_jobs = (d > 0).astype(float)
        columns = [with_jobs, p, d, kv, ones - with_jobs]
    rows = np.stack(columns, axis=1)
    seen = np.zeros(rows.shape[1], dtype=bool)
    for j in range(rows.shape[1]):  # what those before tell already says nothing new
        seen[j] = True
        scaled = rows[:, seen] / np.maximum(np.abs(rows[:, seen]).max(axis=0), 1e-300)
        if np.linalg.matrix_rank(scaled, tol=1e-6 * np.sqrt(p.size)) < seen.sum():
            seen[j] = False
    return rows, seen


def _held_out(rows: FloatArray, took: FloatArray) -> FloatArray:
    """Relative errors of every other batch, by a fit on the others, both ways."""
    even = np.arange(took.size) % 2 == 0
    errors = np.empty(took.size)
    for used in (even, ~even):
        found, _ = robust_fit(rows[used], took[used], 1 / took[used])
        errors[~used] = np.abs(rows[~used] @ found / took[~used] - 1)
    return errors
