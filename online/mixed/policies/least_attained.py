"""Least attained service: the fewest output tokens so far first, by preemption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...protocol import RememberingPolicy, Run
from ..attained import Attained
from ..decision import Decision
from ..observation import Observation, RequestView
from ..preempting import serve_in_order


@dataclass(frozen=True, slots=True)
class LeastAttained(RememberingPolicy[Observation, Decision]):
    """Hold in each round the requests that have had the fewest output tokens, as many as fit.

    Ties go to what runs, then by arrival. What does not fit is evicted. Where preemption costs
    nothing this is optimal for unknown lengths of decreasing hazard. Here what is evicted begins
    anew, and has had the tokens of its longest run: requests overtake each other by a token at a
    time and most of the work is done in vain. `Mlfq` overtakes by doubling.

    Examples
    --------
    The second takes the place of the first at 1; then they take turns.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(gpu=Gpu(kv_capacity=5), arrival=[0, 1], prompt=[2, 2], output=[3, 2])
    >>> schedule = simulate(instance, LeastAttained())
    >>> schedule.start.tolist(), [(run.request, run.start, run.end) for run in schedule.evicted]
    ([3, 1], [(0, 0, 1)])

    References
    ----------
    Nuyens, Wierman, *The foreground-background queue: a survey*, Perform. Eval. 65, 2008; the KV
    memory and restarts are ours.
    """

    name: ClassVar[str] = "least-attained"
    summary: ClassVar[str] = "fewest tokens so far first, by preemption; knows no lengths"
    source: ClassVar[str] = "least attained service (Nuyens, Wierman 2008), with restarts"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def session(self) -> LeastAttainedRun:
        """Return the policy for one run: it remembers tokens of evicted requests."""
        return LeastAttainedRun(self)


class LeastAttainedRun(Run[Observation, Decision]):
    """One run of `LeastAttained`.

    Parameters
    ----------
    policy : LeastAttained
        The policy.
    """

    def __init__(self, policy: LeastAttained) -> None:
        super().__init__(policy)
        self._attained = Attained()

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Hold the requests with the fewest tokens."""
        self._attained.look(observation)
        here = (*observation.running, *observation.waiting)
        return serve_in_order(observation, sorted(here, key=self._priority))

    def _priority(self, view: RequestView) -> tuple[int, bool, int, int]:
        tokens = self._attained.tokens(view.index)
        return tokens, view.start is None, view.arrival, view.index
