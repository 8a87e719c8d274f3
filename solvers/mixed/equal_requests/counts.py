"""Dynamic programs over patterns: what m more starts take at least, releases aside.

For a pattern v just after a start, and m more starts after gaps d_1, d_2, …,

    delay[m, v] = min Σ_{i ≤ m} (d_1 + … + d_i)      (sum of the starts, from now on),
    span[m, v]  = min (d_1 + … + d_m)                (the last start, from now on),

over all feasible gaps: ``delay[m, v] = min { m·d + delay[m − 1, v'] }`` over the steps (d, v') of
v, and ``span`` likewise. More running never helps (removing a request keeps starts feasible), so
pattern 0, one request alone, has the least of both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from .patterns import Patterns


class Counts(NamedTuple):
    """What m more starts take at least, in blocks.

    Attributes
    ----------
    delay, span : ndarray of int64 and of int32, shape (n, N)
        Sum of the starts, and the last one, after m = 0 … n − 1 more, from each pattern.
    """

    delay: IntArray
    span: NDArray[np.int32]


def counts(graph: Patterns, n: int) -> Counts:
    """Return the tables for up to ``n − 1`` more starts.

    Examples
    --------
    Three start at once, and two more when they end.

    >>> from .patterns import on_grid, patterns
    >>> table = counts(patterns(on_grid(8, 40, 144, 10), 1000), 5)
    >>> table.span[:, 0].tolist(), table.delay[:, 0].tolist()
    ([0, 0, 0, 2, 3], [0, 0, 0, 4, 8])
    """
    shape = (n, graph.rest.size)
    table = Counts(np.zeros(shape, np.int64), np.zeros(shape, np.int32))
    _fill(graph.first, graph.gap, graph.to, *table)
    return table


@njit(cache=True, nogil=True)
def _fill(
    first: IntArray,
    gap: NDArray[np.int16],
    to: NDArray[np.int32],
    delay: IntArray,
    span: NDArray[np.int32],
) -> None:
    for m in range(1, delay.shape[0]):
        for v in range(delay.shape[1]):
            least, last = np.int64(2**62), np.int64(2**62)
            for e in range(first[v], first[v + 1]):
                d = np.int64(gap[e])
                least = min(least, m * d + delay[m - 1, to[e]])
                last = min(last, d + span[m - 1, to[e]])
            delay[m, v] = least
            span[m, v] = last


def best_gaps(graph: Patterns, table: Counts, n: int) -> IntArray:
    """Gaps of n starts with the least sum, the first 0; of equal sums with the largest gaps first.

    Examples
    --------
    >>> from .patterns import on_grid, patterns
    >>> graph = patterns(on_grid(8, 40, 144, 10), 1000)
    >>> best_gaps(graph, counts(graph, 5), 5).tolist()
    [0, 0, 0, 4, 0]
    """
    gaps = np.zeros(n, np.int64)
    v = 0
    for j in range(1, n):
        m = n - j
        steps = range(int(graph.first[v]), int(graph.first[v + 1]))
        fitting = [
            e
            for e in steps
            if m * int(graph.gap[e]) + int(table.delay[m - 1, graph.to[e]]) == table.delay[m, v]
        ]
        e = fitting[-1]
        gaps[j], v = graph.gap[e], int(graph.to[e])
    return gaps
