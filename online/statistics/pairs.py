"""Two policies on common instances: what they differ by, instance by instance."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike
from scipy import special

from ...models.errors import InputError
from ...models.instance import FloatArray
from .intervals import Interval, bootstrap_interval, numbers, t_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """Costs of a policy less those of another on the same instances.

    Common instances (and common random numbers) cancel what makes an instance hard for both, so
    that these intervals are much shorter than those of two independent means would be.

    Attributes
    ----------
    wins, ties, losses : int
        Instances on which the first costs less, the same, more.
    mean_difference : float
        Mean of first − second.
    difference_t, difference_bootstrap : Interval or None
        Its 95 % intervals.
    sign_p : float
        p-value of the sign test, two-sided, ties left out: how likely wins and losses as uneven
        as these would be if both were as likely to be ahead. 1 where there are only ties.
    variance_ratio : float or None
        Variance of the differences over that of independent samples: how much pairing saves.
        None for fewer than two instances or costs that do not vary.
    """

    wins: int
    ties: int
    losses: int
    mean_difference: float
    difference_t: Interval | None
    difference_bootstrap: Interval | None
    sign_p: float
    variance_ratio: float | None


def compare_pairs(first: ArrayLike, second: ArrayLike, *, seed: int = 0) -> PairedComparison:
    """Compare costs of two policies on the same instances.

    Parameters
    ----------
    first, second : array_like of float, shape (n,)
        Costs on the same n ≥ 1 instances in the same order.
    seed : int
        Of the bootstrap.

    Raises
    ------
    InputError
        If the shapes differ or there is no instance.

    Examples
    --------
    >>> pair = compare_pairs([10, 20, 31, 40], [12, 23, 31, 41])
    >>> pair.wins, pair.ties, pair.losses, pair.mean_difference, pair.sign_p
    (3, 1, 0, -1.5, 0.25)
    """
    a, b = numbers(first), numbers(second)
    if a.shape != b.shape or a.size == 0:
        raise InputError(
            f"second: expected as many costs as the first has, at least one; "
            f"found {b.size} and {a.size}"
        )
    difference = a - b
    wins, losses = int((difference < 0).sum()), int((difference > 0).sum())
    decided = wins + losses
    return PairedComparison(
        wins=wins,
        ties=a.size - decided,
        losses=losses,
        mean_difference=float(difference.mean()),
        difference_t=t_interval(difference),
        difference_bootstrap=bootstrap_interval(difference, lambda x: x.mean(axis=1), seed=seed),
        # Twice P[K ≤ the fewer of both], K ~ Bin(decided, 1/2), which is symmetric.
        sign_p=min(1.0, 2 * float(special.bdtr(min(wins, losses), decided, 0.5))),
        variance_ratio=_variance_ratio(a, b, difference),
    )


def _variance_ratio(a: FloatArray, b: FloatArray, difference: FloatArray) -> float | None:
    if a.size < 2:
        return None
    independent = float(a.var(ddof=1) + b.var(ddof=1))
    return float(difference.var(ddof=1)) / independent if independent else None
