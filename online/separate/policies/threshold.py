"""Threshold: token batches until k seats are free, then a prompt batch that fills them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....models.instance import Instance
from ....models.separate.schedule import SeparateSchedule
from ...lengths import PlanningPolicy, Told
from ...options import require_integer
from ..decision import BatchDecision
from ..observation import SeparateObservation
from ..serving import admit, serve


@dataclass(frozen=True, slots=True)
class Threshold(PlanningPolicy):
    """Decode until k of N seats are free, then read the prompts of those that wait.

    A prompt batch runs if nothing runs, or if k seats are free and it holds at least k requests,
    or all that wait, or as many as B_P and C_P allow. It takes requests in order of arrival, no
    more than there are free seats. Fewer and larger prompt batches pay the time that every prompt
    batch takes less often; fuller token batches pay theirs for more requests.

    Options are those of `lengths.PlanningPolicy`, and:

    Parameters
    ----------
    k : int, optional
        Free seats from which prompts are read, ≥ 1. By default the k of the largest throughput at
        saturation, from the batch-time law and the planned lengths of the requests that wait and
        run (`threshold.best_threshold`).
    seats : int, optional
        N ≥ 1. By default B_D, and no more than as many requests as fit in the KV memory at
        their peaks, by the mean of those that wait and run (`threshold.safe_seats`).

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    With four seats, the third and the fourth prompt are read together, after both of the first.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.separate.simulator import simulate_separate
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=90), arrival=[0, 0, 1, 1], prompt=[3] * 4, output=[2, 3, 2, 2]
    ... )
    >>> schedule = simulate_separate(instance, Threshold(k=2, seats=2))
    >>> [(batch.kind, batch.requests) for batch in schedule.batches][:4]
    [('prompt', (0, 1)), ('token', (0, 1)), ('token', (1,)), ('prompt', (2, 3))]

    References
    ----------
    arXiv 2606.00516 (threshold-based exclusive batching).
    """

    k: int | None = None
    seats: int | None = None

    model: ClassVar[str] = "separate"
    name: ClassVar[str] = "threshold"
    summary: ClassVar[str] = "decode until k seats are free, then fill them with prompts"
    source: ClassVar[str] = "arXiv 2606.00516 (threshold-based exclusive batching)"

    def __post_init__(self) -> None:
        for name, value in (("k", self.k), ("seats", self.seats)):
            if value is not None:
                require_integer(name, value, low=1)
        PlanningPolicy.__post_init__(self)

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        """Fill the free seats if there are enough of them; else serve."""
        N, k = self._limits(observation)
        running, waiting = len(observation.running), len(observation.waiting)
        if running and N - running < k:
            return serve(observation)
        admission = admit(observation, observation.waiting, seats=N)
        enough = len(admission.requests) >= min(k, waiting) or admission.stopped_by in (
            "requests",
            "tokens",
        )
        if running and not (enough and admission.requests):
            return serve(observation)
        return admission.batch()

    def run_compiled(self, instance: Instance, told: Told) -> SeparateSchedule | None:
        """Run the whole instance as compiled code."""
        from ..kernels import SEATS_FREE, Rule, run_rule

        return run_rule(instance, told, Rule(SEATS_FREE, high=self.seats or 0, low=self.k or 0))

    def _limits(self, observation: SeparateObservation) -> tuple[int, int]:
        """Return N and k at a boundary."""
        from ..threshold import best_threshold, safe_seats

        here = (*observation.waiting, *observation.running)
        count, law = len(here), observation.law
        N, k = self.seats, self.k
        if N is None:
            peaks = sum(view.prompt + view.planned for view in here)
            N = safe_seats(count, peaks, observation.gpu.kv_capacity)
            N = min(N, observation.gpu.token_batch_requests or N)
        if k is None:
            jobs = sum(view.planned - 1 for view in here)
            k = best_threshold(N, count, jobs, law.prompt, law.token)
        return N, min(k, N)
