"""One search with dominance: all schedules of cost up to a value, boundary by boundary."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ....models.instance import IntArray
from ...state_table import Words
from .dominance import bytes_when_sorted, in_groups, mark_needless
from .excess import Excess
from .expansion import Best, Workspace, expand, workspace
from .layer import Layer, bytes_per_state, doubled, empty_layer, root

#: How each state of a layer was reached: its parent's position, bits of the requests started.
Ways = tuple[NDArray[np.int32], Words]

#: Capacity of a new layer, in states.
SMALLEST_CAPACITY = 2**12

#: States between two looks at the clock while layers are thinned.
THINNED_AT_ONCE = 2**13

#: Seconds between two looks at the clock, about.
SLICE = 0.02

#: Fewer states for each thread are not worth sharing; of more, each takes this many in turn.
LEAST_SHARE = 256
LARGEST_TURN = 2**12


class OutOfLimits(Exception):  # noqa: N818 - no error: the search is not complete
    """A limit was reached, or the caller asked to stop."""


class SearchLimits:
    """Time, work and memory that all searches of a proof share, in several threads too.

    Parameters
    ----------
    seconds : float or None
        Wall-clock time from now on.
    nodes : int or None
        States expanded.
    memory : int
        Bytes.
    stop : callable or None
        Asked between slices.
    """

    def __init__(
        self,
        seconds: float | None,
        nodes: int | None,
        memory: int,
        stop: Callable[[], bool] | None,
    ) -> None:
        self.deadline = None if seconds is None else time.perf_counter() + seconds
        self.nodes_left = nodes
        self.memory = memory
        self.stop = stop
        self.nodes = 0
        self._began = time.perf_counter()
        self._slice = 256
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise `OutOfLimits` if the time is up or the caller asks to stop."""
        if self.stop is not None and self.stop():
            raise OutOfLimits
        if self.deadline is not None and time.perf_counter() >= self.deadline:
            raise OutOfLimits

    def next_slice(self) -> int:
        """States to expand before looking at the clock again."""
        self.check()
        if self.nodes_left is None:
            return self._slice
        if self.nodes_left <= 0:
            raise OutOfLimits
        return min(self._slice, self.nodes_left)

    def spend(self, nodes: int, seconds: float) -> None:
        """Count states expanded, and adapt the slice to the speed."""
        with self._lock:
            self.nodes += nodes
            if self.nodes_left is not None:
                self.nodes_left -= nodes
            if seconds > 0:
                self._slice = int(min(2 * self._slice, max(1, nodes * SLICE / seconds), 2**16))

    def work_left(self) -> float:
        """Nodes left, by the limit on them or at the speed so far; infinite without a limit."""
        if self.nodes_left is not None:
            return float(self.nodes_left)
        spent = time.perf_counter() - self._began
        if self.deadline is None or self.nodes == 0:
            return math.inf
        return self.nodes * (self.deadline - time.perf_counter()) / max(spent, 1e-9)

    def part(self, nodes: int, memory: int) -> SearchLimits:
        """Return limits for a subsidiary search: the same clock, these nodes and bytes."""
        left = None if self.deadline is None else self.deadline - time.perf_counter()
        return SearchLimits(left, nodes, memory, self.stop)

    def allow(self, size: int) -> None:
        """Check that this many bytes may be held."""
        if size > self.memory:
            raise OutOfLimits


class Guide(Protocol):
    """A bound on what states have before them."""

    def hopeless(self, t: int, layer: Layer, budget: int) -> NDArray[np.bool_]:
        """Which states at boundary t lead to an excess of more than `budget` only."""
        ...


def search_states(
    excess: Excess,
    bound: int,
    value: int,
    limits: SearchLimits,
    guide: Guide | None = None,
    *,
    threads: int = 1,
) -> IntArray | None:
    """Return the starts of a schedule of least cost if it is at most `value` steps, else None.

    Requests that are left out have no start: −1.

    Parameters
    ----------
    excess : Excess
        The terms of the excess.
    bound : int
        LB of the prices, in units of ``1 / scale``.
    value : int
        Steps, at most those that `excess` was made for.
    limits : SearchLimits
        What the search may use.
    guide : Guide, optional
        Another bound that states are dropped by.
    threads : int
        Threads that share the states of each boundary.

    Raises
    ------
    OutOfLimits
        If the search could not be completed; nothing is proved then.
    """
    n = excess.output.size
    best = Best(
        np.array([value * excess.scale - bound]),
        np.full(3, -1, dtype=np.int64),
        np.zeros(1, np.uint64),
    )
    spaces = [workspace(excess) for _ in range(threads)]
    layer = root(n)
    history: list[Ways] = []
    kept, t = 0, 0
    with ThreadPoolExecutor(max_workers=threads) as crew:
        while layer.present[0] > 0 and best.budget[0] >= 0:
            if guide is not None:
                layer = _without(layer, guide.hopeless(t, layer, int(best.budget[0])))
            layer = _thinned(excess, t, layer, limits, kept, crew, threads)
            m = int(layer.present[0])
            shares = _shares(m, threads)
            parts = [
                _Part(share, _copy(best), work)
                for share, work in zip(shares, spaces[: len(shares)], strict=True)
            ]
            together = len(parts)
            _run_all(
                crew,
                [partial(part.expand, excess, t, layer, limits, kept, together) for part in parts],
            )
            for part in parts:
                _take_better(best, part.best)
            history.append((layer.parent[:m].copy(), layer.started[:m].copy()))
            kept += 12 * m
            layer, t = _joined([part.following for part in parts]), t + 1
    return None if best.found[0] < 0 else _read_back(n, best, history)


class _Part:
    """One thread's share of a boundary's states, and what they lead to."""

    def __init__(self, share: list[range], best: Best, work: Workspace) -> None:
        self.share, self.best, self.work = share, best, work
        self.following: Layer

    def expand(
        self, excess: Excess, t: int, layer: Layer, limits: SearchLimits, kept: int, together: int
    ) -> None:
        """Expand the share; `together` parts take about as much memory each."""
        words, m = layer.state.shape[1], int(layer.present[0])
        following = empty_layer(words, SMALLEST_CAPACITY)
        for states in self.share:
            done = states.start
            while done < states.stop:
                last = min(states.stop, done + limits.next_slice())
                began = time.perf_counter()
                reached = expand(excess, t, layer, done, last, following, self.best, self.work)
                limits.spend(reached - done, time.perf_counter() - began)
                done = reached
                if reached < last:
                    larger = m + 3 * together * following.excess.size
                    limits.allow(kept + larger * bytes_per_state(words))
                    following = doubled(following)
        self.following = following


def _shares(m: int, threads: int) -> list[list[range]]:
    """Deal the states out in turns, so that all shares take about as long."""
    if threads == 1 or m < threads * LEAST_SHARE:
        return [[range(m)]]
    size = min(LARGEST_TURN, -(-m // (4 * threads)))
    turns = [range(first, min(m, first + size)) for first in range(0, m, size)]
    return [turns[k::threads] for k in range(threads)]


def _run_all(crew: ThreadPoolExecutor, work: Sequence[Callable[[], None]]) -> None:
    """Run in threads, if there is more than one thing to do; the first failure goes on up."""
    if len(work) == 1:
        work[0]()
        return
    running = [crew.submit(each) for each in work]
    wait(running)
    for future in running:
        future.result()


def _copy(best: Best) -> Best:
    return Best(best.budget.copy(), best.found.copy(), best.started.copy())


def _take_better(best: Best, other: Best) -> None:
    if other.budget[0] < best.budget[0]:
        best.budget[:], best.found[:], best.started[:] = other


def _joined(layers: list[Layer]) -> Layer:
    """Return the states of all layers; what is equal is thinned out later."""
    if len(layers) == 1:
        return layers[0]
    counts = [int(layer.present[0]) for layer in layers]

    def column(name: str) -> NDArray[Any]:
        parts = zip(layers, counts, strict=True)
        return np.concatenate([getattr(layer, name)[:count] for layer, count in parts])

    return Layer(
        state=column("state"),
        excess=column("excess"),
        parent=column("parent"),
        started=column("started"),
        slot=layers[0].slot[:0],
        present=np.array([sum(counts)]),
    )


def _thinned(
    excess: Excess,
    t: int,
    layer: Layer,
    limits: SearchLimits,
    kept: int,
    crew: ThreadPoolExecutor,
    threads: int,
) -> Layer:
    """Return the layer without its needless states, and without a hash table."""
    m = int(layer.present[0])
    size = bytes_per_state(layer.state.shape[1]) + bytes_when_sorted(excess)
    limits.allow(kept + m * size)
    groups = in_groups(excess, t, layer)
    needless = np.zeros(m, dtype=np.bool_)

    def mark(first: int, end: int) -> None:
        while first < end:
            limits.check()
            first = mark_needless(excess, t, groups, first, end, THINNED_AT_ONCE, needless)

    # Each thread marks the states of groups of its own.
    parts = threads if m >= threads * LEAST_SHARE else 1
    cuts = np.searchsorted(groups.first[:-1], [m * k // parts for k in range(parts + 1)]).tolist()
    _run_all(crew, [partial(mark, *ends) for ends in pairwise(cuts)])
    return _without(layer, needless)


def _without(layer: Layer, dropped: NDArray[np.bool_]) -> Layer:
    """Return the layer without these states, and without a hash table."""
    kept = np.flatnonzero(~dropped)
    return Layer(
        state=layer.state[kept],
        excess=layer.excess[kept],
        parent=layer.parent[kept],
        started=layer.started[kept],
        slot=layer.slot[:0],
        present=np.array([kept.size]),
    )


def _read_back(n: int, best: Best, history: list[Ways]) -> IntArray:
    """Starts of the best schedule found, along the parents of its last state."""
    start = np.full(n, -1, dtype=np.int64)
    t, position = int(best.found[1]), int(best.found[2])
    started = int(best.started[0])
    while True:
        for i in range(n):
            if started >> i & 1:
                start[i] = t
        if t == 0:
            return start
        parents, bits = history[t]
        started, position, t = int(bits[position]), int(parents[position]), t - 1
