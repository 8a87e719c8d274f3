"""The volume algorithm: ascent of a concave function along averaged subgradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...models.instance import FloatArray

#: Weight of the newest subgradient in the average, once the average has that many terms.
AVERAGING = 0.02

#: First step as a part of the Polyak step, and what `PATIENCE` failures in a row make of it.
FIRST_STEP, SHORTER, PATIENCE = 0.1, 0.7, 10

#: What a success makes of a step, and the longest step.
LONGER, LONGEST = 1.1, 2.0

#: Steps shorter than this part of the Polyak step end the ascent.
LAST_STEP = 1e-5


@dataclass(slots=True)
class StepFactor:
    """λ, a step as a part of the Polyak step: successes lengthen it, failures in a row shorten it.

    Examples
    --------
    >>> step = StepFactor(1.0, shorter=0.5, patience=2)
    >>> step.failed()
    >>> step.failed()
    >>> step.value
    0.5
    """

    value: float
    shorter: float
    patience: int
    failures: int = 0

    def succeeded(self, *, longer: bool = True) -> None:
        """Forget the failures, and take longer steps."""
        self.failures = 0
        if longer:
            self.value = min(LONGEST, LONGER * self.value)

    def failed(self) -> None:
        """Count a failure; take shorter steps after `patience` of them."""
        self.failures += 1
        if self.failures == self.patience:
            self.value, self.failures = self.shorter * self.value, 0


def volume_ascent(
    evaluate: Callable[[FloatArray], tuple[float, FloatArray]],
    point: FloatArray,
    metric: FloatArray,
    target: float,
    *,
    steps: int,
    keep_going: Callable[[float], bool],
) -> tuple[FloatArray, float]:
    """Maximise a concave function over ``x ≥ 0``.

    From the best point x so far, step to ``max(0, x + θ·g/metric)``, where g is the moving average
    of the subgradients and ``θ = λ·(target − f(x)) / ‖g‖²``.

    Parameters
    ----------
    evaluate : callable
        Value and a subgradient at a point.
    point : ndarray of float64, shape (m,)
        Where to begin, ≥ 0.
    metric : ndarray of float64, shape (m,)
        Positive: ``‖g‖² = Σ g²/metric``.
    target : float
        An upper bound on the maximum.
    steps : int
        At most this many evaluations after the first.
    keep_going : callable
        Told the best value after every evaluation; False ends the ascent.

    Returns
    -------
    point : ndarray of float64, shape (m,)
        The best point found.
    value : float
        The function there.

    Examples
    --------
    >>> slopes = np.array([1.0, -1.0])
    >>> best, value = volume_ascent(
    ...     lambda x: (-abs(x[0] - 3.0) - x[1], np.array([1.0 if x[0] < 3 else -1.0, -1.0])),
    ...     np.array([0.0, 1.0]), np.ones(2), 0.0, steps=500, keep_going=lambda value: True,
    ... )
    >>> bool(value > -0.01)
    True

    References
    ----------
    F. Barahona and R. Anbil, The volume algorithm: producing primal solutions with a subgradient
    method, Mathematical Programming 87 (2000), §2. Here the weight of the average is fixed and
    the primal solution is not kept.
    """
    best, (value, average) = point, evaluate(point)
    step = StepFactor(FIRST_STEP, SHORTER, PATIENCE)
    for count in range(1, steps + 1):
        direction = np.where((best <= 0.0) & (average < 0.0), 0.0, average)
        norm = float(np.sum(direction * direction / metric))
        if not keep_going(value) or norm == 0.0 or value >= target or step.value < LAST_STEP:
            break
        trial = np.maximum(0.0, best + step.value * (target - value) / norm * direction / metric)
        trial_value, gradient = evaluate(trial)
        if trial_value > value:
            step.succeeded(longer=float(np.sum(gradient * average / metric)) > 0.0)
            best, value = trial, trial_value
        else:
            step.failed()
        weight = max(AVERAGING, 1.0 / (count + 1))
        average = weight * gradient + (1.0 - weight) * average
    return best, value
