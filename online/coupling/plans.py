"""Orders of requests that hold to a plan."""

from __future__ import annotations

import numpy as np

from ...models.instance import IntArray


def merged_order(order: IntArray, planned: IntArray) -> IntArray:
    """Put those with a planned start (−1: none) in the order of their plan, the others between.

    A request without a plan stays behind the same planned one, or in front.

    Examples
    --------
    >>> merged_order(np.array([0, 3, 1, 2]), np.array([9, 5, 7, -1])).tolist()
    [1, 3, 2, 0]
    """
    with_plan = planned[order] >= 0
    merged = order.copy()
    known = order[with_plan]
    merged[with_plan] = known[np.argsort(planned[known], kind="stable")]
    return merged
