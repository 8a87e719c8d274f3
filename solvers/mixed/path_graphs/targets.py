"""Which latency to try to refute next: as far as the time left is likely to reach."""

from __future__ import annotations

import math

#: A target should take about this many times as long as the one before it.
GROWTH = 5.0

#: Share of the gap that the first two targets look at each, and how many rounds at most.
FIRST_SHARE = 0.15
FIRST_ROUNDS = 6

#: A target is at most this many times as far above the one before as that was above its own.
WIDENING = 1.5

#: Of the work left, a target should take at most this share.
SHARE_OF_REST = 0.7


def next_target(
    bound: int, value: int, tried: list[tuple[int, int]], work_left: float = math.inf
) -> int:
    """Choose a latency from `bound` to `value` − 1.

    Parameters
    ----------
    bound, value : int
        What is proved and what is known; ``bound < value``.
    tried : list of (int, int)
        Targets refuted so far, and the work that each took; the work grows exponentially.
    work_left : float
        In the same units.

    Examples
    --------
    >>> next_target(100, 200, [])
    106
    >>> next_target(109, 200, [(104, 1000), (108, 2000)])
    114
    >>> next_target(109, 200, [(104, 1000), (108, 2000)], work_left=5000)
    111
    """
    last = value - 1
    if len(tried) < 2:
        return min(last, bound + min(FIRST_ROUNDS, int(FIRST_SHARE * (value - bound))))
    (before, fewer), (target, work) = tried[-2:]
    rate = math.log(max(1.05, work / max(1, fewer))) / max(1, target - before)
    growth = max(1.01, min(GROWTH, SHARE_OF_REST * work_left / max(1, work)))
    steps = min(math.log(growth) / rate, WIDENING * (target - before))
    reach = max(bound, target + max(1, int(steps)))
    return last if reach >= last - 1 else reach
