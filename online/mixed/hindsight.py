"""Hindsight solutions of sampled futures, kept up to date while a decision is built up.

Each sample is a world: what runs, who waits and who is to come, with lengths. Its hindsight
schedule is found by the engine's annealing over list orders. When a start is decided, worlds whose
schedule starts the same request now are as good as they were; the others are solved again, from
the order that they had, with it fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...models.instance import IntArray
from ...solvers.mixed.search.annealing import Walk, anneal, begin, waiting_part
from ...solvers.mixed.search.profile import add_run, last_round, longer
from ...solvers.random_stream import Stream

#: Temperatures at the first and the last step, as shares of the mean output length.
HEAT = (1.0, 0.05)

#: Share of that heat, and of the steps, when a world is solved again.
REHEAT, FEWER = 0.2, 0.5


@dataclass(slots=True)
class World:
    """A sampled future with its hindsight schedule; time 0 is now.

    Attributes
    ----------
    who : ndarray of int64, shape (m,)
        The request's index, −1 for one that is yet to come.
    release, prompt, output : ndarray of int64, shape (m,)
        Of those not started, in rounds from now, and tokens.
    fixed : ndarray of int64, shape (H + 1,) or (3, H + 1)
        Profile of what runs, in rounds from now.
    M : int
        KV capacity.
    start : ndarray of int64, shape (m,)
        The hindsight schedule.
    """

    who: IntArray
    release: IntArray
    prompt: IntArray
    output: IntArray
    fixed: IntArray
    M: int
    start: IntArray

    @property
    def cost(self) -> int:
        """Total latency under the schedule, less the output lengths."""
        return int(self.start.sum())

    def improve(self, steps: int, heat: float, stream: Stream) -> None:
        """Anneal from the schedule on; keep it if that finds none that is better."""
        before = self.start
        self.solve(np.argsort(before, kind="stable"), steps, heat, stream)
        if self.start.sum() > before.sum():
            self.start = before

    def solve(self, order: IntArray, steps: int, heat: float, stream: Stream) -> None:
        """Anneal from an order; the profile grows until the order fits."""
        weight = np.ones(self.who.size, np.int64)
        walk: Walk | None = None
        while walk is None:
            part = waiting_part(self.release, self.prompt, self.output, weight, self.fixed, self.M)
            walk = begin(part, order)
            if walk is None:
                self.fixed = longer(self.fixed, last_round(self.fixed) + 1)
        if steps > 0 and order.size > 1:
            mean = float(self.output.mean())
            hot = max(heat * HEAT[0], HEAT[1]) * mean
            anneal(part, walk, stream, (0, steps, steps), (hot, HEAT[1] * mean), 0.0)
        self.start = walk.best

    def starts_now(self) -> IntArray:
        """Indices of the requests that the hindsight schedule starts now."""
        started: IntArray = self.who[(self.start == 0) & (self.who >= 0)]
        return started

    def first_to_start(self) -> int:
        """Index of the request, of those that have arrived, that the schedule starts first."""
        arrived = self.who >= 0
        return int(self.who[arrived][np.argmin(self.start[arrived])])

    def commit(self, request: int, steps: int, stream: Stream) -> None:
        """Start a request now; solve again if the schedule did not."""
        place = int(np.flatnonzero(self.who == request)[0])
        agreed = int(self.start[place]) == 0
        add_run(self.fixed, int(self.prompt[place]), int(self.output[place]), 0)
        kept = np.arange(self.who.size) != place
        self.who, self.release = self.who[kept], self.release[kept]
        self.prompt, self.output = self.prompt[kept], self.output[kept]
        self.start = self.start[kept]
        if not agreed and self.who.size:
            order = np.argsort(self.start, kind="stable")
            self.solve(order, int(FEWER * steps), REHEAT, stream)

    def after(self, requests: Sequence[int], stream: Stream) -> World:
        """Return the world when requests, by index, start now, and no others do before round 1.

        The schedule of the others stays if it agrees with that; if not, they are placed anew, in
        their order.
        """
        chosen = np.isin(self.who, requests)
        fixed = self.fixed.copy()
        for i in np.flatnonzero(chosen).tolist():
            add_run(fixed, int(self.prompt[i]), int(self.output[i]), 0)
        kept = ~chosen
        columns = (self.prompt[kept], self.output[kept])
        release, start = np.maximum(self.release[kept], 1), self.start[kept]
        world = World(self.who[kept], release, *columns, fixed, self.M, start)
        if (self.start[chosen] > 0).any() or (start == 0).any():
            world.solve(np.argsort(start, kind="stable"), 0, 0.0, stream)
        return world


def first_order(release: IntArray, prompt: IntArray, output: IntArray) -> IntArray:
    """Smallest KV area first, later arrivals behind: where the annealing begins.

    Stretches in which a release counts for more than every volume are cut to that.
    """
    volume = prompt * output + output * (output + 1) // 2
    longest = int(volume.max()) // int(volume.mean() // 4 + 1) + 1
    release = without_idle_stretches(release, output, 0, longest)
    order: IntArray = np.lexsort((volume, release * int(volume.mean() // 4 + 1) + volume))
    return order


def without_idle_stretches(
    release: IntArray, output: IntArray, left: int, least: int = 0
) -> IntArray:
    """Bring releases closer together where nothing can be running in between.

    However a group of m requests is listed, each starts at most ``Σ (o_i + o_j)`` rounds after the
    last release (or the end of what runs), as each of the others j keeps it from ``o_i + o_j − 1``
    starts at most. So all are done within ``(m − 1)·o_max + Σ o`` rounds of it. Where the next
    release is later than that, it is moved to there, with all that follow: every list is placed as
    before, the groups by so much sooner. A profile then follows the requests, not the time.

    Parameters
    ----------
    release, output : ndarray of int64, shape (m,)
        Earliest starts from now on, in rounds, and lengths.
    left : int
        Rounds that the longest of the running requests still takes, ≥ 0.
    least : int
        Stretches of up to this many rounds stay as they are, ≥ 0.

    Examples
    --------
    >>> without_idle_stretches(np.array([0, 10**9, 10**9 + 3]), np.array([2, 5, 1]), 0).tolist()
    [0, 2, 5]
    """
    closer = release.copy()
    in_order = np.argsort(release, kind="stable").tolist()
    last = now = 0  # the release before, and where it has gone
    end = left  # by when all before are done
    members = total = longest = 0
    for i in in_order:
        gap = int(release[i]) - last
        if now + gap > end:  # a new group
            gap = min(gap, max(end - now, least))
            members = total = longest = 0
        last, now = int(release[i]), now + gap
        members, total = members + 1, total + int(output[i])
        longest = max(longest, int(output[i]))
        end = max(left, now) + (members - 1) * longest + total
        closer[i] = now
    return closer
