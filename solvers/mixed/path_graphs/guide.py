"""Costs to go of a path graph, for states that know more than its nodes, compiled.

Forget of a state of the exhaustive search (`exact.layer`) what a node does not remember: this is a
node of the same boundary, and forgetting along the way that a schedule goes on makes a path from
there (see `expansion`). With multipliers v, whose starts cost v_i less on a path, and every
waiting request starting once,

    excess so far + Σ_{i waits} v_i + cost to go of the node

is at most the excess of every schedule through the state. A state whose node is not in the graph
lies on no schedule that costs at most the graph's limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ...state_table import find
from ..exact.excess import Excess
from ..exact.layer import WAITING, Layer
from .build import Coarser
from .expansion import COARSER
from .tracking import Known, Tracking, pack

_BYTE = np.uint64(255)


@dataclass(frozen=True, slots=True, eq=False)
class PathGuide:
    """A path graph as a bound on what the exhaustive search has before it.

    Attributes
    ----------
    excess : Excess
        The terms of the excess that the graph was made for.
    graph : Coarser
        Its nodes and costs to go; no visits are remembered.
    multiplier : ndarray of int64, shape (n,)
        v, in units of the graph.
    """

    excess: Excess
    graph: Coarser
    multiplier: IntArray

    def hopeless(self, t: int, layer: Layer, budget: int) -> NDArray[np.bool_]:
        """Which states at boundary t lead to an excess of more than `budget` only."""
        count = int(layer.present[0])
        hopeless = np.ones(count, np.bool_)
        if t < len(self.graph.keys):
            known = self.graph.layer(t)
            track = self.graph.track
            _mark_hopeless(self.excess, layer, track, known, self.multiplier, budget, hopeless)
        return hopeless


@njit(cache=True, nogil=True)
def _mark_hopeless(
    excess: Excess,
    layer: Layer,
    track: Tracking,
    known: Known,
    multiplier: IntArray,
    budget: int,
    hopeless: NDArray[np.bool_],
) -> None:
    n = excess.output.size
    item, to_go = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    times = np.zeros(8, np.int64)
    none = np.zeros(1, np.uint64)
    key = np.zeros(track.words + 1, np.uint64)
    for position in range(hopeless.size):
        count, owed = 0, np.int64(0)
        for i in range(n):
            left = np.int64((layer.state[position, i >> 3] >> np.uint64(8 * (i & 7))) & _BYTE)
            if left == WAITING:
                owed += multiplier[i]
            elif left > 0:
                place = count
                while place > 0 and to_go[place - 1] < left:
                    item[place], to_go[place] = item[place - 1], to_go[place - 1]
                    place -= 1
                item[place], to_go[place] = i, left
                count += 1
        pack(track, item, to_go, count, times, 0, none, track.bit, key)
        place = find(known.key, known.slot, key[: track.words])
        if place >= 0:
            least = layer.excess[position] + ((owed + known.ahead[place]) << COARSER)
            hopeless[position] = least > budget
