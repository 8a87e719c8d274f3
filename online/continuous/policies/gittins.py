"""The Gittins index by the law of completed outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....models.durations import Durations
from ...coupling.history import History
from ...gittins import GittinsIndex
from ...learned_lengths import LengthLaw
from ...protocol import Run
from ..decision import ContinuousDecision
from ..observation import ContinuousObservation, ContinuousView
from ..preemptive import RankPolicy, batch_by_rank, reading_time


@dataclass(frozen=True, slots=True)
class Gittins(RankPolicy):
    """Serve the request that promises a completion for the fewest token jobs, told no lengths.

    The rank of a request is its Gittins index by the law of output lengths, given its tokens so
    far; what it has to read before its next token counts with its time in token jobs
    (`gittins.GittinsIndex`, `preemptive.reading_time`). The law is estimated from the requests that
    have completed and those that still run (`LengthLaw`). Where seats or KV memory run
    out the worst ranked are preempted (`preemptive.batch_by_rank`). Until a request has completed
    the first come is first.

    Options are those of `preemptive.RankPolicy`.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    Two requests of three end after one token, the third goes on. When the fourth comes it takes the
    seat, since as likely as not it ends at once.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> gpu = Gpu(kv_capacity=99, running_requests=1)
    >>> instance = Instance(
    ...     gpu=gpu, arrival=[0, 0, 2, 6], prompt=[4] * 4, output=[1, 1, 9, 1]
    ... )
    >>> batches = simulate_continuous(instance, Gittins()).batches
    >>> [(batch.start, batch.prefill, batch.preempt) for batch in batches if batch.prefill][2:]
    [(2, ((2, 4),), ()), (6, ((3, 4),), (2,)), (7, ((2, 8),), ())]

    References
    ----------
    Gittins, *Bandit processes and dynamic allocation indices*, J. R. Stat. Soc. B 41, 1979; Aalto,
    Ayesta, Righter, *On the Gittins index in the M/G/1 queue*, Queueing Systems 63, 2009. Optimal
    on one server that preempts at no cost; here batches and caches make it a heuristic.
    """

    name: ClassVar[str] = "gittins"
    summary: ClassVar[str] = "Gittins index by the completed outputs, with preemption"
    source: ClassVar[str] = "Gittins 1979; Aalto, Ayesta, Righter 2009"

    def rank(self, view: ContinuousView, law: Durations) -> float:
        """Return the rank where no request has completed: all are alike."""
        return 0.0

    def session(self) -> GittinsRun:
        """Return the policy for one run: it keeps the past."""
        return GittinsRun(self)


class GittinsRun(Run[ContinuousObservation, ContinuousDecision]):
    """One run of `Gittins`.

    Parameters
    ----------
    policy : Gittins
        Its options.
    """

    model: ClassVar[str] = "continuous"

    def __init__(self, policy: Gittins) -> None:
        super().__init__(policy)
        self._policy, self._history = policy, History()

    def decide(
        self, observation: ContinuousObservation, rng: np.random.Generator
    ) -> ContinuousDecision:
        """Build the next batch by rank, by the law known now."""
        gpu, law = observation.limits, observation.law
        here = sorted(
            (*observation.running, *observation.waiting), key=lambda v: (v.arrival, v.index)
        )
        past = self._history.look(observation.time, gpu.blocks * gpu.block, here)
        known = {view.index: view.longest for view in past.arrived if view.longest is not None}
        order = here
        if known:
            outputs = LengthLaw(known.values(), [view.tokens for view in here])
            index = GittinsIndex(outputs.lengths, outputs.weights, outputs.beyond)
            order = sorted(here, key=lambda view: _rank(index, view, law))
        return batch_by_rank(gpu, self._policy.seats(gpu), observation.running, order)


def _rank(index: GittinsIndex, view: ContinuousView, law: Durations) -> float:
    return index.rank(view.tokens, setup=reading_time(view, law))
