"""Performance profiles: for which share of the instances a policy is within a factor of the best.

References
----------
Dolan, Moré, *Benchmarking optimization software with performance profiles*, Mathematical
Programming 91 (2002).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...models.errors import InputError
from ...models.instance import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A policy's performance profile, a step function.

    Attributes
    ----------
    factor : tuple of float
        Where it steps: increasing, ≥ 1.
    share : tuple of float
        From each of these factors on, the share of instances on which the policy's cost is at
        most that factor times the best cost. It ends below 1 if the policy does not finish
        everywhere.
    wins : int
        Instances on which no policy costs less.

    Examples
    --------
    >>> profile = performance_profiles({"a": [1, 4], "b": [2, 2]})["a"]
    >>> profile.factor, profile.share, profile.wins, profile.at(1.5)
    ((1.0, 2.0), (0.5, 1.0), 1, 0.5)
    """

    factor: tuple[float, ...]
    share: tuple[float, ...]
    wins: int

    def at(self, factor: float) -> float:
        """Return the share of instances within a factor ≥ 1 of the best."""
        steps = int(np.searchsorted(self.factor, factor, side="right"))
        return self.share[steps - 1] if steps else 0.0


def performance_profiles(
    costs: Mapping[str, Sequence[float | None]], best: Sequence[float] | None = None
) -> dict[str, Profile]:
    """Return the performance profile of each policy.

    Parameters
    ----------
    costs : mapping of str to sequence
        Costs of each policy on the same instances; None where it does not finish.
    best : sequence of float, optional
        What to compare with: the best of the policies on each instance by default.

    Raises
    ------
    InputError
        If the sequences differ in length, are empty, or a best cost is not positive.
    """
    names = list(costs)
    lengths = {len(costs[name]) for name in names} | ({len(best)} if best is not None else set())
    if len(lengths) != 1 or 0 in lengths:
        raise InputError(
            f"costs: expected as many of each policy, at least one; found {sorted(lengths)}"
        )
    table = np.array(
        [[np.inf if cost is None else float(cost) for cost in costs[name]] for name in names]
    )
    least = table.min(axis=0) if best is None else np.asarray(best, dtype=np.float64)
    if not (least > 0).all():
        raise InputError(f"costs: expected positive best costs, found {least.min():g}")
    with np.errstate(invalid="ignore"):  # an instance on which no policy finishes: inf/inf
        ratios = np.where(np.isinf(table), np.inf, table / least)
    return {name: _profile(ratio) for name, ratio in zip(names, ratios, strict=True)}


def _profile(ratio: FloatArray) -> Profile:
    finite = np.sort(ratio[np.isfinite(ratio)])
    factor, counts = np.unique(finite, return_counts=True)
    share = np.cumsum(counts) / ratio.size
    return Profile(
        factor=tuple(factor.tolist()),
        share=tuple(share.tolist()),
        wins=int((finite <= 1).sum()),
    )
