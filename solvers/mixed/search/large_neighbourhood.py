"""Large neighbourhood search for traces: windows of the order are annealed, the rest follows.

The requests are in order of their starts. A window is a run of this order. Two ways to free it:

- *the rest stays*: the window's requests are removed and annealed beside everything else;
- *the rest follows*: all later requests of the same busy stretch are removed as well; some of
  them, the lookahead, are annealed with the window and weigh, at its end, for all that come after
  (what saves room early moves everyone); then the others are placed again in their order.

A window in which no request waits is left. A busy stretch ends where the GPU is empty and the next
request starts on arrival: nothing before it can help those after it. A change is kept iff the
total latency does not grow.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ....models.instance import Instance, IntArray
from ...limits import Budget, Incumbent
from ...random_stream import Stream, below
from .annealing import Part, anneal, begin, waiting_part
from .place import place_in_order
from .profile import add_run, is_within, last_round, nothing_held, remove_run

#: Ways to free a window: its requests, those of the lookahead behind it (0: the rest stays), and
#: the temperature at the first step as a share of the mean output length.
WAYS = ((80, 0, 0.05), (40, 40, 0.05), (20, 60, 0.05), (60, 60, 0.2), (60, 60, 0.6))

#: Annealing steps spent on one window.
STEPS = 2_000


@njit(cache=True, nogil=True)
def _add_all(order: IntArray, s: IntArray, o: IntArray, start: IntArray, held: IntArray) -> None:
    for i in order:
        add_run(held, s[i], o[i], start[i])


@njit(cache=True, nogil=True)
def _remove_all(order: IntArray, s: IntArray, o: IntArray, start: IntArray, held: IntArray) -> None:
    for i in order:
        remove_run(held, s[i], o[i], start[i])


class Neighbourhood:
    """A schedule with its KV profile, and the windows that can improve it.

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
        self.held = nothing_held(instance, end + end // 4 + 2 * int(self.o.max()) + 1)
        _add_all(np.arange(instance.n), self.s, self.o, self.start, self.held)

    @property
    def order(self) -> IntArray:
        """The requests by start."""
        return np.argsort(self.start, kind="stable")

    def improve(self, budget: Budget, incumbent: Incumbent, stream: Stream) -> None:
        """Anneal random windows until the budget is spent or no request waits."""
        while not budget.is_spent:
            size, ahead, heat = WAYS[below(stream, len(WAYS))]
            order = self.order
            first = below(stream, max(1, self.start.size - size // 2))
            waiting = self.start[order] > self.release[order]
            if not waiting[first : first + size].any():
                if not waiting.any():
                    return
                budget.work += 1
                continue
            end = self._end_of_stretch(order, first + size) if ahead else first + size
            window = order[first : min(first + size + ahead, end)]
            rest = order[first + window.size : end] if ahead else order[:0]
            held = self._without(window, rest)
            part, origin = self._part(window, rest.size, ahead, held)
            budget.work += window.size
            found = _annealed(part, heat * float(part.output.mean()), budget, stream)
            if found is not None and self._replace(window, found + origin, rest, held, budget):
                incumbent.offer(self.start + self.origin)

    def stretches(self) -> list[IntArray]:
        """Requests of each busy stretch, by start."""
        order = self.order
        return np.split(order, self._first_of_stretches(order)[1:])

    def _first_of_stretches(self, order: IntArray) -> IntArray:
        """Positions at which busy stretches begin: all before has ended, and it is an arrival."""
        starts = self.start[order]
        ends = np.maximum.accumulate(starts + self.o[order])
        begins = (starts == self.release[order]) & (starts >= np.append(0, ends[:-1]))
        begins[0] = True
        return np.flatnonzero(begins)

    def _end_of_stretch(self, order: IntArray, position: int) -> int:
        """First position from `position` on at which a busy stretch begins, or the end."""
        firsts = self._first_of_stretches(order)
        after = int(np.searchsorted(firsts, position))
        return int(firsts[after]) if after < firsts.size else order.size

    def adopt(
        self, members: IntArray, start: IntArray, budget: Budget, incumbent: Incumbent
    ) -> bool:
        """Give some requests these starts if that is better.

        Where others are in the way, these and all later ones are placed again in their order.
        Returns whether the total latency fell.

        Parameters
        ----------
        members, start : ndarray of int64, shape (m,)
            The requests, and their starts from the first arrival of all on.
        """
        nothing = members[:0]
        held = self._without(members, nothing)
        if self._fit(members, start, held):
            better = self._replace(members, start, nothing, held, budget)
        else:
            wanted = self.start.copy()
            wanted[members] = start
            order = np.argsort(wanted, kind="stable")
            rest = order[wanted[order] >= start.min()]
            better = self._replace(nothing, nothing, rest, self._without(nothing, rest), budget)
        if better:
            incumbent.offer(self.start + self.origin)
        return better

    def _fit(self, members: IntArray, start: IntArray, held: IntArray) -> bool:
        """Whether the profile has room for these runs."""
        if int((start + self.o[members]).max()) > last_round(held):
            return False
        together = held.copy()
        _add_all(np.arange(start.size), self.s[members], self.o[members], start, together)
        return is_within(together, self.M)

    def compact(self, budget: Budget, incumbent: Incumbent) -> None:
        """Place all requests again in the order of their starts, as long as that is better."""
        nothing = self.order[:0]
        while not budget.is_spent:
            order = self.order
            held = self._without(nothing, order)
            if not self._replace(nothing, nothing, order, held, budget):
                return
            incumbent.offer(self.start + self.origin)

    def _without(self, window: IntArray, rest: IntArray) -> IntArray:
        """Return the KV profile of all but some requests."""
        held = self.held.copy()
        _remove_all(window, self.s, self.o, self.start, held)
        _remove_all(rest, self.s, self.o, self.start, held)
        return held

    def _part(self, window: IntArray, n_rest: int, ahead: int, held: IntArray) -> tuple[Part, int]:
        """Return the window as a part whose round 0 is its first start, and that round.

        The last half of the lookahead carries, in equal shares, the weight of all that follow.
        """
        origin = int(self.start[window].min())
        s, o = self.s[window], self.o[window]
        end = int((self.start[window] + o).max()) + 2 * int(o.max())
        weight = np.ones(window.size, np.int64)
        if ahead:
            weight[-(ahead // 2) :] += n_rest // (ahead // 2)
        release = np.maximum(self.release[window] - origin, 0)
        held = held[..., origin : end + 1].copy()
        return waiting_part(release, s, o, weight, held, self.M), origin

    def _replace(
        self,
        window: IntArray,
        starts: IntArray,
        rest: IntArray,
        held: IntArray,
        budget: Budget,
    ) -> bool:
        """Give the window its starts and place the rest again on `held`, unless that is worse.

        Returns whether the total latency fell.
        """
        before = self.start.copy()
        self.start[window] = starts
        _add_all(window, self.s, self.o, self.start, held)
        placed = [True]

        def place(first: int, end: int) -> None:
            columns = (self.release, self.s, self.o, self.M, held, self.start)
            placed[0] &= place_in_order(rest[first:end], *columns)

        finished = budget.in_slices(rest.size, 1, place)
        gain = int(before.sum() - self.start.sum())
        if not finished or not placed[0] or gain < 0:
            self.start = before
            return False
        self.held = held
        return gain > 0


def _annealed(part: Part, hot: float, budget: Budget, stream: Stream) -> IntArray | None:
    """Best starts of the part after `STEPS` steps from its order; None if that does not fit."""
    m = part.release.size
    walk = begin(part, np.arange(m))
    if walk is None:
        return None

    def go_on(now: int, end: int) -> None:
        anneal(part, walk, stream, (now, end, STEPS), (hot, hot / 50), 0.0)

    budget.in_slices(STEPS, max(1, m // 2), go_on)
    return walk.best
