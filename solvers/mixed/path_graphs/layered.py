"""The path graph as it is kept: layers of nodes and arcs, shortest paths, and pruning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....models.instance import IntArray
from ...state_table import Words
from .graph import Ints32, Starts
from .passes import FAR, backward, compact, forward, mark, next_arc, set_sums
from .tracking import Tracking


class Layer(NamedTuple):
    """Nodes at a boundary and the arcs that leave them, by tail (none in the last layer)."""

    key: Words
    first: IntArray
    head: Ints32
    starts: Ints32
    cost: Ints32


class CostsToGo(NamedTuple):
    """Least costs from each node to the end, by layer, and multiplier sums by set of starts."""

    ahead: list[IntArray]
    total: IntArray

    @property
    def least(self) -> int:
        """Cost of a shortest path from the root."""
        return int(self.ahead[0][0])


@dataclass(slots=True)
class PathGraph:
    """All layers, the sets of starts on the arcs, and what a node remembers."""

    track: Tracking
    layers: list[Layer]
    starts: Starts

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return sum(layer.key.shape[0] for layer in self.layers)

    @property
    def arcs(self) -> int:
        """Number of arcs."""
        return sum(layer.head.size for layer in self.layers)

    def costs_to_go(self, multiplier: IntArray) -> CostsToGo:
        """Shortest paths to the end if a start of request i costs ``multiplier[i]`` less."""
        count = int(self.starts.present[0])
        total = np.zeros(count, np.int64)
        set_sums(self.starts.parent[:count], self.starts.request[:count], multiplier, total)
        ahead = [self._end_costs()]
        for layer in reversed(self.layers[:-1]):
            here = np.empty(layer.key.shape[0], np.int64)
            backward(*layer[1:], total, ahead[-1], here)
            ahead.append(here)
        return CostsToGo(ahead[::-1], total)

    def _end_costs(self) -> IntArray:
        """0 where all remembered requests have started; no path ends elsewhere."""
        words = self.layers[-1].key[:, self.track.items :]
        started = np.zeros(words.shape[0], np.int64)
        for word in range(words.shape[1]):
            started += np.bitwise_count(words[:, word])
        return np.where(started == int((self.track.bit >= 0).sum()), 0, int(FAR))

    def shortest_path(self, costs: CostsToGo) -> list[tuple[int, int]]:
        """Return the starts (request, boundary) on a shortest path."""
        path: list[tuple[int, int]] = []
        tail = 0
        for t, layer in enumerate(self.layers[:-1]):
            arc = next_arc(*layer[1:], costs.total, costs.ahead[t + 1], tail)
            group = int(layer.starts[arc])
            while group > 0:
                path.append((int(self.starts.request[group]), t))
                group = int(self.starts.parent[group])
            tail = int(layer.head[arc])
        return path

    def pruned(self, costs: CostsToGo, limit: int) -> tuple[PathGraph, CostsToGo] | None:
        """Keep what lies on paths of cost at most `limit`; None if nothing does."""
        if costs.least > limit:
            return None
        layers, ahead = [], []
        here = np.zeros(1, np.int64)
        number = np.zeros(1, np.int64)
        for t, layer in enumerate(self.layers[:-1]):
            there = np.empty(self.layers[t + 1].key.shape[0], np.int64)
            forward(*layer[1:], costs.total, here, there)
            keep = np.empty(layer.head.size, np.bool_)
            arcs = mark(*layer[1:], costs.total, here, costs.ahead[t + 1], limit, keep)
            following = _numbers(there + costs.ahead[t + 1] <= limit)
            smaller = _room(layer.key[number >= 0], arcs)
            compact(*layer[1:], keep, number, following, *smaller[1:])
            layers.append(smaller)
            ahead.append(costs.ahead[t][number >= 0])
            here, number = there, following
        layers.append(_room(self.layers[-1].key[number >= 0], 0))
        ahead.append(costs.ahead[-1][number >= 0])
        return PathGraph(self.track, layers, self.starts), CostsToGo(ahead, costs.total)


def _numbers(kept: NDArray[np.bool_]) -> IntArray:
    """New numbers of the nodes kept, −1 for the others."""
    numbers: IntArray = np.where(kept, np.cumsum(kept) - 1, -1)
    return numbers


def _room(key: Words, arcs: int) -> Layer:
    columns = [np.empty(arcs, np.int32) for _ in range(3)]
    return Layer(key, np.zeros(key.shape[0] + 1, np.int64), *columns)
