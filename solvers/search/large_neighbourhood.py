"""Large neighbourhood search for traces: windows of the order are annealed, the rest follows.

The requests are in order of their starts. A window is a run of this order. Two ways to free it:

- *the rest stays*: the window's requests are removed and annealed beside everything else;
- *the rest follows*: all later requests are removed as well; some of them, the lookahead, are
  annealed with the window and weigh, at its end, for all that come after (what saves room early
  moves everyone); then the others are placed again in their order.

A change is kept iff the total latency does not grow.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...models.instance import Instance, IntArray
from .annealing import Part, anneal, begin
from .budget import Budget, Incumbent
from .profile import NOWHERE, add_run, earliest_start, remove_run
from .random_stream import Stream, below, uniform

#: Requests in a window, and in the lookahead behind it.
WINDOW, LOOKAHEAD = 40, 40

#: Annealing steps spent on one window.
STEPS = 3_000

#: Largest number of rounds for which a KV profile is kept (8 bytes each, a few copies).
MOST_ROUNDS = 4_000_000


@njit(cache=True, nogil=True)
def place_in_order(
    order: IntArray,
    release: IntArray,
    s: IntArray,
    o: IntArray,
    M: int,
    held: IntArray,
    start: IntArray,
) -> bool:
    """Place requests one after the other at their earliest starts; False past the last round."""
    for i in order:
        k = earliest_start(held, M, s[i], o[i], release[i])
        if k == NOWHERE:
            return False
        start[i] = k
        add_run(held, s[i], o[i], k)
    return True


@njit(cache=True, nogil=True)
def _add_all(order: IntArray, s: IntArray, o: IntArray, start: IntArray, held: IntArray) -> None:
    for i in order:
        add_run(held, s[i], o[i], start[i])


@njit(cache=True, nogil=True)
def _remove_all(order: IntArray, s: IntArray, o: IntArray, start: IntArray, held: IntArray) -> None:
    for i in order:
        remove_run(held, s[i], o[i], start[i])


class Neighbourhood:
    """A schedule with its KV profile, and the windows that can better it.

    Parameters
    ----------
    instance : Instance
        The instance; its first arrival is taken for round 0 here.
    start : ndarray of int64, shape (n,)
        A feasible schedule.
    """

    def __init__(self, instance: Instance, start: IntArray) -> None:
        self.s, self.o, self.M = instance.prompt, instance.output, instance.gpu.kv_capacity
        self.origin = int(instance.arrival.min())
        self.release = instance.arrival - self.origin
        self.start = start - self.origin
        end = int((self.start + self.o).max())
        # Placing again may end later than before: by a quarter, or the change is given up.
        self.held = np.zeros(end + end // 4 + 2 * int(self.o.max()) + 2, np.int64)
        _add_all(np.arange(instance.n), self.s, self.o, self.start, self.held)

    def improve(self, budget: Budget, incumbent: Incumbent, stream: Stream) -> None:
        """Anneal random windows until the budget is spent."""
        n = self.release.size
        while not budget.is_spent:
            order = np.argsort(self.start, kind="stable")
            first = below(stream, max(1, n - WINDOW // 2))
            follows = uniform(stream) < 0.5
            window = order[first : first + WINDOW + (LOOKAHEAD if follows else 0)]
            rest = order[first + window.size :] if follows else order[:0]
            if self._anneal_window(window, rest, budget, stream):
                incumbent.offer(self.start + self.origin)

    def _anneal_window(
        self, window: IntArray, rest: IntArray, budget: Budget, stream: Stream
    ) -> bool:
        """Anneal the window, place the rest again; keep it iff it is not worse."""
        before = self.start.copy()
        held = self.held.copy()
        _remove_all(window, self.s, self.o, self.start, held)
        _remove_all(rest, self.s, self.o, self.start, held)
        found = self._annealed(window, rest, held, budget, stream)
        if found is None:
            return False
        self.start[window] = found
        _add_all(window, self.s, self.o, self.start, held)
        budget.work += rest.size
        placed = place_in_order(rest, self.release, self.s, self.o, self.M, held, self.start)
        if not placed or self.start.sum() > before.sum():
            self.start = before
            return False
        self.held = held
        return bool(self.start.sum() < before.sum())

    def _annealed(
        self, window: IntArray, rest: IntArray, held: IntArray, budget: Budget, stream: Stream
    ) -> IntArray | None:
        """Starts of the window, annealed beside what is held; None if its order does not fit."""
        first = int(self.start[window].min())
        end = int((self.start + self.o)[window].max()) + 2 * int(self.o[window].max())
        weight = np.ones(window.size, np.int64)
        weight[window.size - LOOKAHEAD // 2 :] += rest.size // (LOOKAHEAD // 2)
        part = Part(
            release=np.maximum(self.release[window] - first, 0),
            prompt=self.s[window],
            output=self.o[window],
            weight=weight,
            fixed=held[first : min(end, held.size)].copy(),
            M=self.M,
        )
        walk = begin(part, np.arange(window.size))
        if walk is None:
            return None
        hot = 0.05 * float(self.o[window].mean())
        budget.in_slices(
            STEPS,
            max(1, window.size // 2),
            lambda now, until: anneal(
                part, walk, stream, (now, until, STEPS), (hot, hot / 50), 0.0
            ),
        )
        return walk.best + first
