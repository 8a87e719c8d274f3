"""GSA: slices of doubling length, each phase in a staggered pipeline; knows no lengths."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...options import require_integer
from ...protocol import RememberingPolicy, Run
from ..decision import Decision
from ..observation import Observation, RequestView
from ..plan import Plan
from ..staggering import Stagger


@dataclass(frozen=True, slots=True)
class Gsa(RememberingPolicy[Observation, Decision]):
    """Try each request for b tokens, then those that are left for 2b, 4b, … from the start again.

    In phase k a request gets a slice of b·2^k output tokens, but no more than M − s, with which it
    completes. If it has not completed at the end of its slice, it is evicted and waits for the next
    phase; a request that runs while no other waits goes on, if it can within M. Requests of the
    least phase start first, in order of arrival, spaced by `staggering.Stagger`, if all that run
    could keep their slices to the end (the future check of `scanning.ScanningPolicy`, with slices
    as outputs): so nothing overflows, and evictions waste at most as much as the next slice takes.
    Where nothing runs, one starts in any case. For requests that are all there at 0 with equal
    prompts the source proves a ratio of at most 61.92 to the optimum, 32 for large M.

    The abstract of the source is what this was built from: that slices double, and that a phase
    begins before the last has ended, are ours, as is the order of requests that arrive later.

    Parameters
    ----------
    base : int
        b ≥ 1, output tokens of the first slice.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    Gba : Its counterpart that knows output lengths.
    Mlfq : Levels that double, too, but it evicts only for lack of room.

    Examples
    --------
    Both get one token. The first goes on with two, as nothing waits; then the second has two.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(gpu=Gpu(kv_capacity=6), arrival=[0, 0], prompt=[2, 2], output=[3, 4])
    >>> schedule = simulate(instance, Gsa())
    >>> [(run.request, run.start, run.end) for run in schedule.evicted]
    [(0, 0, 2), (1, 0, 1), (1, 2, 4)]
    >>> schedule.start.tolist()
    [4, 7]

    References
    ----------
    arXiv 2601.22996 (geometric slicing algorithm).
    """

    base: int = 1

    name: ClassVar[str] = "gsa"
    summary: ClassVar[str] = "slices that double, with restarts, in staggered pipelines; knows none"
    source: ClassVar[str] = "arXiv 2601.22996 (geometric slicing algorithm)"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def __post_init__(self) -> None:
        require_integer("base", self.base, low=1)

    def session(self) -> GsaRun:
        """Return the policy for one run: it remembers phases."""
        return GsaRun(self)


class GsaRun(Run[Observation, Decision]):
    """One run of `Gsa`.

    Parameters
    ----------
    policy : Gsa
        Its options.
    """

    def __init__(self, policy: Gsa) -> None:
        super().__init__(policy)
        self._base = policy.base
        self._phase: dict[int, int] = defaultdict(int)
        self._stagger: Stagger | None = None

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Evict what has had its slice, and start requests of the least phase."""
        t, M = observation.time, observation.kv_capacity
        self._stagger = self._stagger or Stagger(M)
        plan = Plan(M, t, into=observation.empty_round)
        evict: list[int] = []
        # Those whose slices end come last: what they may go on with depends on the others.
        for view in sorted(observation.running, key=lambda view: self._end(view, M) <= t):
            if self._end(view, M) <= t:
                self._phase[view.index] += 1
                left = self._end(view, M) - t
                if observation.waiting or not plan.holds(view.size(t), left):
                    evict.append(view.index)
                    continue
            plan.add_running(view.size(t), self._end(view, M))
        start = self._stagger.scan(
            observation,
            plan,
            sorted(observation.waiting, key=lambda view: self._phase[view.index]),
            lambda view: self._slice(view, M),
            idle=len(observation.running) == len(evict),
        )
        return Decision(start=start, evict=tuple(evict), wake_at=t + 1)

    def _slice(self, view: RequestView, M: int) -> int:
        """Return the output tokens of a request's slice."""
        return min(self._base << self._phase[view.index], M - view.prompt)

    def _end(self, view: RequestView, M: int) -> int:
        """Return the round boundary at which the slice of a running request ends."""
        assert view.start is not None
        return view.start + self._slice(view, M)
