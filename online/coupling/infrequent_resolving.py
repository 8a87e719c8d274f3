"""Infrequent re-solving with thresholds (IRT): when it re-solves, and what it trims.

With T periods in all it re-solves when ``τ_u = T^((5/6)^u)`` periods are left, u = 0 … K with
``K = ⌈log log T / log(6/5)⌉``; between re-solves the acceptance probabilities stay. Before the last
re-solve, probabilities below ``τ_u^(−1/4)`` become 0 and those above ``1 − τ_u^(−1/4)`` become 1.

References
----------
Bumpensanti, Wang, *A re-solving heuristic with uniformly bounded loss for network revenue
management*, arXiv 1802.06192, Algorithm 3.
"""

from __future__ import annotations

import math
from itertools import pairwise

#: Exponent of the re-solving times.
SHRINK = 5 / 6
#: Exponent of the thresholds.
THRESHOLD_EXPONENT = 1 / 4


def resolving_periods(horizon: int) -> list[tuple[int, int, bool]]:
    """Return ``(periods left at a re-solve, periods left at the next, whether to trim)``.

    Parameters
    ----------
    horizon : int
        T ≥ 1. Times are rounded to whole periods; re-solves that fall together are one.

    Examples
    --------
    >>> resolving_periods(200)[:3]
    [(200, 83, True), (83, 40, True), (40, 21, True)]
    >>> resolving_periods(200)[-1]
    (2, 0, False)
    """
    rounds = math.ceil(math.log(math.log(horizon)) / -math.log(SHRINK)) if horizon > math.e else 0
    left = sorted({round(horizon**SHRINK**u) for u in range(rounds + 1)}, reverse=True)
    spans = list(pairwise([*left, 0]))
    return [(now, then, then > 0) for now, then in spans]
