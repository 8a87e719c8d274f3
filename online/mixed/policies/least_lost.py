"""Least lost: try many requests beside those that are far, and evict what loses the least work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...protocol import RememberingPolicy, Run
from ..attained import Attained, tokens_now
from ..decision import Decision
from ..observation import Observation, RequestView
from ..scanning import evict_least_lost, scan_by_least


@dataclass(frozen=True, slots=True)
class LeastLost(RememberingPolicy[Observation, Decision]):
    """Start by the least peak known so far; on overflow evict the least KV area per token freed.

    A request that has had h output tokens in its longest run ends with h + 1 or more, so that its
    peak is at least s + h + 1. What waits is scanned by it, ties by arrival, and starts while all
    that runs and starts would fit if each ended as early as it may (the future check of
    `scanning.ScanningPolicy` with those lengths). If the next round would overflow, requests are
    evicted in order of ``Σ_{j=1..g} (s + j) / (s + g + 1)``, g tokens so far: the area that is lost
    over the memory that it would hold; then those that need not go are kept, what would lose most
    first. Nothing starts then.

    It is `AMin` without bounds told, but for the two orders.

    Examples
    --------
    In round 3 both would hold 4 + 4 > 7 tokens. Both lose as much: the one that began last goes.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(gpu=Gpu(kv_capacity=7), arrival=[0, 0], prompt=[1, 1], output=[4, 4])
    >>> schedule = simulate(instance, LeastLost())
    >>> schedule.start.tolist(), [(run.request, run.start, run.end) for run in schedule.evicted]
    ([0, 3], [(1, 0, 2)])

    References
    ----------
    This project; docs/coupling.md. The idea to plan with lower bounds is that of A_min, arXiv
    2508.14544.
    """

    name: ClassVar[str] = "least-lost"
    summary: ClassVar[str] = "least known peak first, evict the least area per token; knows none"
    source: ClassVar[str] = "this project, after A_min of arXiv 2508.14544"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def session(self) -> LeastLostRun:
        """Return the policy for one run: it remembers tokens of evicted requests."""
        return LeastLostRun(self)


class LeastLostRun(Run[Observation, Decision]):
    """One run of `LeastLost`.

    Parameters
    ----------
    policy : LeastLost
        The policy.
    """

    def __init__(self, policy: LeastLost) -> None:
        super().__init__(policy)
        self._attained = Attained()

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Evict on overflow; else start by the least known peak while the plan fits."""
        self._attained.look(observation)
        if observation.overflows:
            return evict_least_lost(observation)
        t = observation.time

        def least(view: RequestView) -> int:
            return self._least(view, t)

        return scan_by_least(observation, least, lambda view: view.prompt + least(view))

    def _least(self, view: RequestView, t: int) -> int:
        """Return the least output length that is possible, at round boundary `t`."""
        return max(self._attained.tokens(view.index), tokens_now(view, t)) + 1
