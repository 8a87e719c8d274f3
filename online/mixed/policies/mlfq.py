"""MLFQ: levels by output tokens so far, each twice as long as the last, by preemption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...options import require_integer
from ...protocol import RememberingPolicy, Run
from ..attained import Attained
from ..decision import Decision
from ..observation import Observation, RequestView
from ..preempting import serve_in_order


@dataclass(frozen=True, slots=True)
class Mlfq(RememberingPolicy[Observation, Decision]):
    """Hold in each round the requests of the lowest levels, as many as fit.

    A request that has had less than q output tokens is on level 0, then on level k while it has had
    less than q·2^k. Within a level what runs goes before what waits, then by arrival. What does not
    fit is evicted and begins anew, on the level that it had reached: so that each level costs a
    request no more than all its work so far and one more quantum.

    FastServe offloads the KV cache of what it preempts, and lets long prompts join at lower levels;
    under the rules of this model a preempted request restarts, and prompts take no time.

    Parameters
    ----------
    quantum : int
        q ≥ 1, output tokens of level 0.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    Gsa : Slices that double, too, but it evicts at the end of each.

    Examples
    --------
    At 2 the first has had two tokens, the quantum, and makes room for the second.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(gpu=Gpu(kv_capacity=6), arrival=[0, 1], prompt=[2, 2], output=[4, 2])
    >>> schedule = simulate(instance, Mlfq(quantum=2))
    >>> schedule.start.tolist(), [(run.request, run.start, run.end) for run in schedule.evicted]
    ([4, 2], [(0, 0, 2)])

    References
    ----------
    Wu et al., *Fast distributed inference serving for large language models*, arXiv 2305.05920
    (FastServe, skip-join multi-level feedback queue).
    """

    quantum: int = 1

    name: ClassVar[str] = "mlfq"
    summary: ClassVar[str] = "levels of doubling length, lowest first, by preemption; knows none"
    source: ClassVar[str] = "arXiv 2305.05920 (FastServe), with restarts"
    length_kinds: ClassVar[tuple[str, ...]] = ("none",)

    def __post_init__(self) -> None:
        require_integer("quantum", self.quantum, low=1)

    def session(self) -> MlfqRun:
        """Return the policy for one run: it remembers levels of evicted requests."""
        return MlfqRun(self)


class MlfqRun(Run[Observation, Decision]):
    """One run of `Mlfq`.

    Parameters
    ----------
    policy : Mlfq
        Its options.
    """

    def __init__(self, policy: Mlfq) -> None:
        super().__init__(policy)
        self._quantum = policy.quantum
        self._attained = Attained()

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Hold the requests of the lowest levels."""
        self._attained.look(observation)
        here = (*observation.running, *observation.waiting)
        return serve_in_order(observation, sorted(here, key=self._priority))

    def _priority(self, view: RequestView) -> tuple[int, bool, int, int]:
        level = (self._attained.tokens(view.index) // self._quantum).bit_length()
        return level, view.start is None, view.arrival, view.index
