"""Prefill first: a prompt batch whenever a request can be admitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....models.instance import Instance
from ....models.separate.schedule import SeparateSchedule
from ...lengths import PlanningPolicy, Told
from ..decision import BatchDecision
from ..observation import SeparateObservation
from ..serving import admit, serve


@dataclass(frozen=True, slots=True)
class PrefillFirst(PlanningPolicy):
    """Run a prompt batch whenever the first in the queue can be admitted, else a token batch.

    Waiting requests are admitted in order of arrival, up to the first that does not fit; at most
    B_D requests run, and a token batch serves them all. As in vLLM's first scheduler, where prompts
    are never batched with tokens and the number of running sequences is limited.

    Deviations: vLLM v0 knows no lengths, admits while the next block fits and preempts when KV runs
    out; there is no preemption here, so the future check takes its place.

    Options are those of `lengths.PlanningPolicy`.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.separate.simulator import simulate_separate
    >>> gpu = Gpu(kv_capacity=40, token_batch_requests=2)
    >>> instance = Instance(gpu=gpu, arrival=[0, 1, 1], prompt=[3, 2, 2], output=[3, 2, 1])
    >>> schedule = simulate_separate(instance, PrefillFirst())
    >>> [(batch.kind, batch.requests) for batch in schedule.batches]
    [('prompt', (0,)), ('prompt', (1, 2)), ('token', (0, 1)), ('token', (0,))]

    References
    ----------
    vLLM v0, ``vllm/core/scheduler.py`` (default policy: prefills before decodes).
    """

    model: ClassVar[str] = "separate"
    name: ClassVar[str] = "prefill-first"
    summary: ClassVar[str] = "a prompt batch whenever a request fits, first come, first served"
    source: ClassVar[str] = "vLLM v0 scheduler (vllm/core/scheduler.py)"

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        """Admit in order of arrival if any fits, else serve all."""
        seats = observation.gpu.token_batch_requests
        admission = admit(observation, observation.waiting, seats=seats)
        return admission.batch() if admission.requests else serve(observation)

    def run_compiled(self, instance: Instance, told: Told) -> SeparateSchedule | None:
        """Run the whole instance as compiled code."""
        from ..kernels import WHENEVER, Rule, run_rule

        return run_rule(instance, told, Rule(WHENEVER, seated=True))
