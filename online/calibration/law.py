"""Laws as vectors of coefficients."""

from __future__ import annotations

import numpy as np

from ...models.batch_time import AffineTime
from ...models.instance import FloatArray

#: Coefficients of a law, in the order of every vector here; the last one may be missing.
NAMES = ("c0", "c1", "c2", "c3", "c0_prompt")

#: Least intercept, in milliseconds: a batch takes time.
LEAST = 1e-3


def law_of(coefficients: FloatArray) -> AffineTime:
    """Return the law of a vector of 4 or 5 coefficients.

    Examples
    --------
    >>> law_of(np.array([9.0, 0.1, 0.0, 1e-4]))
    AffineTime(c0=9.0, c1=0.1, c2=0.0, c3=0.0001, c0_prompt=None)
    """
    c = [float(f"{value:.6g}") for value in coefficients]  # short, and exact as it is written
    own = max(LEAST, c[4]) if len(c) > 4 else None
    return AffineTime(c0=max(LEAST, c[0]), c1=c[1], c2=c[2], c3=c[3], c0_prompt=own)


def coefficients_of(law: AffineTime) -> FloatArray:
    """Return the vector of a law, shape (4,) or (5,)."""
    own = () if law.c0_prompt is None else (law.c0_prompt,)
    return np.array([law.c0, law.c1, law.c2, law.c3, *own])


def law_text(law: AffineTime) -> str:
    """Return a law as ``--batch-time`` takes it.

    Examples
    --------
    >>> law_text(AffineTime(c0=9.0, c1=0.1, c2=0.0, c3=1e-4))
    'affine:c0=9,c1=0.1,c2=0,c3=0.0001'
    """
    pairs = zip(NAMES, coefficients_of(law).tolist(), strict=False)
    return "affine:" + ",".join(f"{name}={value:.6g}" for name, value in pairs)
