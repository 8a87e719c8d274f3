"""Full prompt batches only."""

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
class FullPromptBatch(PlanningPolicy):
    """Run a prompt batch only if it is full or nothing runs.

    It is full with B_P requests (or `requests`, if that is less), or if the next in order of
    arrival exceeds C_P. A batch that the KV capacity keeps short is not full: token batches go on
    until enough has completed. Without limits and without `requests` no batch is ever full.

    Options are those of `lengths.PlanningPolicy`, and:

    Parameters
    ----------
    requests : int, optional
        Size from which a prompt batch counts as full, ≥ 1; B_P by default.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.separate.simulator import simulate_separate
    >>> gpu = Gpu(kv_capacity=40, prompt_batch_requests=2)
    >>> instance = Instance(gpu=gpu, arrival=[0, 1, 2], prompt=[3, 2, 2], output=[4, 1, 1])
    >>> [batch.kind for batch in simulate_separate(instance, FullPromptBatch()).batches]
    ['prompt', 'token', 'prompt', 'token', 'token']

    References
    ----------
    A threshold rule on the batch size; a baseline of this project.
    """

    requests: int | None = None

    model: ClassVar[str] = "separate"
    name: ClassVar[str] = "full-prompt-batch"
    summary: ClassVar[str] = "a prompt batch only when it is full or nothing runs"
    source: ClassVar[str] = "threshold rule on the batch size (a baseline of this project)"

    def __post_init__(self) -> None:
        if self.requests is not None:
            require_integer("requests", self.requests, low=1)
        PlanningPolicy.__post_init__(self)

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        """Admit a full batch, or any batch if nothing runs; else serve."""
        admission = admit(observation, observation.waiting)
        limits = (self.requests, observation.gpu.prompt_batch_requests)
        sizes = [limit for limit in limits if limit is not None]
        full = admission.stopped_by == "tokens" or (
            bool(sizes) and len(admission.requests) >= min(sizes)
        )
        if observation.running and not (full and admission.requests):
            return serve(observation)
        return admission.batch()

    def run_compiled(self, instance: Instance, told: Told) -> SeparateSchedule | None:
        """Run the whole instance as compiled code."""
        from ..kernels import UNLIMITED, WHEN_FULL, Rule, run_rule

        return run_rule(instance, told, Rule(WHEN_FULL, high=self.requests or UNLIMITED))
