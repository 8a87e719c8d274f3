"""Ratios to hindsight: the mean of ratios and the ratio of means, two figures and two names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...models.errors import InputError
from ...models.instance import FloatArray
from .intervals import Interval, bootstrap_interval, numbers, t_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioFigures:
    """What ratios value/reference over common instances amount to.

    Attributes
    ----------
    count : int
        Instances.
    mean_of_ratios : float
        ``(1/n)·Σ value_i/reference_i``: every instance counts the same.
    mean_of_ratios_t, mean_of_ratios_bootstrap : Interval or None
        Its 95 % intervals.
    ratio_of_means : float
        ``Σ value_i / Σ reference_i``: every unit of cost counts the same.
    ratio_of_means_bootstrap : Interval or None
        Its 95 % interval; values and references are drawn again in pairs.
    least, median, greatest : float
        Quantiles 0, 1/2 and 1 of the ratios.
    quantile_90 : float
        Quantile 0.9 of the ratios.
    """

    count: int
    mean_of_ratios: float
    mean_of_ratios_t: Interval | None
    mean_of_ratios_bootstrap: Interval | None
    ratio_of_means: float
    ratio_of_means_bootstrap: Interval | None
    least: float
    median: float
    quantile_90: float
    greatest: float


def ratio_figures(values: ArrayLike, references: ArrayLike, *, seed: int = 0) -> RatioFigures:
    """Compare values with references, instance by instance.

    Parameters
    ----------
    values, references : array_like of float, shape (n,)
        Of the same n ≥ 1 instances in the same order; references are positive.
    seed : int
        Of the bootstrap.

    Raises
    ------
    InputError
        If the shapes differ, there is none, or a reference is not positive.

    Examples
    --------
    >>> figures = ratio_figures([2.0, 30.0], [1.0, 30.0])
    >>> figures.mean_of_ratios, round(figures.ratio_of_means, 4)
    (1.5, 1.0323)
    """
    value, reference = numbers(values), numbers(references)
    if value.shape != reference.shape or value.size == 0:
        raise InputError(
            f"references: expected one for each of {value.size} values, at least one; "
            f"found {reference.size}"
        )
    if reference.min() <= 0:
        raise InputError(f"references: expected positive numbers, found {reference.min():g}")
    ratio = value / reference
    least, median, high, greatest = np.quantile(ratio, [0, 0.5, 0.9, 1])
    return RatioFigures(
        count=value.size,
        mean_of_ratios=float(ratio.mean()),
        mean_of_ratios_t=t_interval(ratio),
        mean_of_ratios_bootstrap=bootstrap_interval(ratio, lambda x: x.mean(axis=1), seed=seed),
        ratio_of_means=float(value.sum() / reference.sum()),
        ratio_of_means_bootstrap=bootstrap_interval(
            np.column_stack([value, reference]), _ratio_of_sums, seed=seed
        ),
        least=float(least),
        median=float(median),
        quantile_90=float(high),
        greatest=float(greatest),
    )


def _ratio_of_sums(pairs: FloatArray) -> FloatArray:
    quotient: FloatArray = pairs[..., 0].sum(axis=1) / pairs[..., 1].sum(axis=1)
    return quotient
