"""Build a path graph layer by layer, pruned by the costs to go of a coarser one."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ....models.instance import IntArray
from ...state_table import empty_slots, fill_slots
from ..exact.search import SearchLimits
from .expansion import Boundary, Found, Workspace, expand, workspace
from .fillers import Fillers, empty_fillers, fill, more_fillers, set_weights
from .graph import (
    Arcs,
    Nodes,
    Starts,
    empty_arcs,
    empty_nodes,
    empty_starts,
    more_arcs,
    more_nodes,
    more_starts,
)
from .layered import Layer, PathGraph
from .terms import PathTerms
from .tracking import Known, Tracking

#: Bytes of an arc, and of a node beside its key.
ARC_BYTES = 12
NODE_BYTES = 40

#: An array that is fuller than this is doubled when some array is full.
NEARLY_FULL = 0.5


class OutOfRoom(Exception):  # noqa: N818 - no error: a smaller target may fit
    """The graph would have more arcs than allowed."""


@dataclass(frozen=True, slots=True, eq=False)
class Coarser:
    """The keys of a coarser graph, and its costs to go under the multipliers in use."""

    track: Tracking
    keys: list[np.ndarray]
    ahead: list[IntArray]

    def layer(self, t: int) -> Known:
        """Return the layer at boundary t with a hash table."""
        key = self.keys[t]
        slot = empty_slots(_power_of_two(key.shape[0] + 1))
        fill_slots(key, slot, key.shape[0])
        return Known(key, slot, self.ahead[t], int(self.ahead[t].min()))


def build(
    terms: PathTerms,
    track: Tracking,
    coarser: Coarser | None,
    multiplier: IntArray,
    limits: SearchLimits,
    most_arcs: int,
) -> PathGraph | None:
    """Return the graph of all paths of cost at most the limit; None if there is none.

    Raises
    ------
    OutOfLimits
        If time, work or memory are used up.
    OutOfRoom
        If there are more arcs than `most_arcs`.
    """
    site = _Site(terms, track, coarser, multiplier, limits, most_arcs)
    for t in range(terms.last):
        if not site.add_layer(t):
            return None
    return site.graph()


class _Site:
    """A graph under construction."""

    def __init__(
        self,
        terms: PathTerms,
        track: Tracking,
        coarser: Coarser | None,
        multiplier: IntArray,
        limits: SearchLimits,
        most_arcs: int,
    ) -> None:
        excess = terms.excess
        self.terms, self.track, self.coarser = terms, track, coarser
        self.multiplier, self.limits, self.most_arcs = multiplier, limits, most_arcs
        self.limit = terms.limit - int(multiplier.sum())
        self.work: Workspace = workspace(excess)
        self.fillers: Fillers = empty_fillers(int(excess.output.max()), excess.M, 2**10)
        self.starts: Starts = empty_starts(excess.output.size, 2**10)
        self.nodes: Nodes = empty_nodes(track.words, 1)
        self.nodes.key[0], self.nodes.cost[0], self.nodes.present[0] = 0, 0, 1
        self.layers: list[Layer] = []
        self.arcs = 0
        self.bytes = 0

    def add_layer(self, t: int) -> bool:
        """Expand the nodes at boundary t; False if there are none."""
        count = int(self.nodes.present[0])
        if count == 0:
            return False
        if self.track.hiding:
            set_weights(self.fillers, self.terms.excess, self.terms.allowed, t)
            fill(self.fillers)
        arcs, following = self._expand(t, count)
        number = int(arcs.present[0])
        columns = [column[:number].copy() for column in arcs[1:4]]
        self.layers.append(Layer(self.nodes.key[:count].copy(), arcs.first, *columns))
        self.arcs += number
        self.bytes += count * (8 * self.track.words + NODE_BYTES) + number * ARC_BYTES
        self.nodes = following
        return True

    def _expand(self, t: int, count: int) -> tuple[Arcs, Nodes]:
        arcs = empty_arcs(count, 2 * _power_of_two(count))
        following = empty_nodes(self.track.words, _power_of_two(count))
        at, done = self._boundary(t), 0
        while done < count:
            last = min(count, done + self.limits.next_slice())
            began = time.perf_counter()
            found = Found(arcs, following, self.starts)
            reached = expand(at, self.nodes, done, last, found, self.work)
            self.limits.spend(reached - done, time.perf_counter() - began)
            done = reached
            if reached < last:
                arcs, following = self._with_more_room(arcs, following)
                at = at._replace(fillers=self.fillers)
        return arcs, following

    def _boundary(self, t: int) -> Boundary:
        known = Known(np.zeros((0, 1), np.uint64), empty_slots(1), np.zeros(0, np.int64), 0)
        coarse = self.track
        if self.coarser is not None:
            known, coarse = self.coarser.layer(t + 1), self.coarser.track
        return Boundary(
            excess=self.terms.excess,
            t=t,
            track=self.track,
            allowed=self.terms.allowed[:, t],
            multiplier=self.multiplier,
            fillers=self.fillers,
            known=known,
            coarse=coarse,
            limit=self.limit,
        )

    def _with_more_room(self, arcs: Arcs, following: Nodes) -> tuple[Arcs, Nodes]:
        """Double what is nearly full; if nothing is, one node alone has more arcs than fit."""
        if self.arcs + int(arcs.present[0]) > self.most_arcs:
            raise OutOfRoom
        nodes_full = following.present[0] > NEARLY_FULL * following.cost.size
        starts_full = self.starts.present[0] > NEARLY_FULL * self.starts.parent.size
        fillers_full = self.fillers.present[0] > NEARLY_FULL * self.fillers.code.size
        if nodes_full:
            following = more_nodes(following)
        if starts_full:
            self.starts = more_starts(self.starts)
        if fillers_full:
            self.fillers = more_fillers(self.fillers)
        arcs_full = arcs.present[0] > NEARLY_FULL * arcs.head.size
        if arcs_full or not (nodes_full or starts_full or fillers_full):
            arcs = more_arcs(arcs)
        room = arcs.head.size * ARC_BYTES
        room += following.cost.size * (8 * self.track.words + NODE_BYTES)
        self.limits.allow(self.bytes + room)
        return arcs, following

    def graph(self) -> PathGraph | None:
        """Return the graph with its last layer; None if that is empty."""
        count = int(self.nodes.present[0])
        if count == 0:
            return None
        nothing = [np.zeros(0, np.int32) for _ in range(3)]
        key = self.nodes.key[:count].copy()
        self.layers.append(Layer(key, np.zeros(count + 1, np.int64), *nothing))
        return PathGraph(self.track, self.layers, self.starts)


def _power_of_two(number: int) -> int:
    """The smallest power of two that is at least `number` and 16."""
    return int(max(16, 1 << (number - 1).bit_length()))
