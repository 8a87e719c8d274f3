"""Decode first: a prompt batch only when nothing runs."""

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
class DecodeFirst(PlanningPolicy):
    """Serve what runs until the batch has drained; then admit the next batch.

    Waiting requests are admitted in order of arrival, up to the first that does not fit. As in
    FasterTransformer, where a batch is formed once and runs until its longest request is done.

    Deviation: a completed request leaves its place in the token batches, where FasterTransformer
    goes on computing it.

    Options are those of `lengths.PlanningPolicy`.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.separate.simulator import simulate_separate
    >>> gpu = Gpu(kv_capacity=40)
    >>> instance = Instance(gpu=gpu, arrival=[0, 1], prompt=[3, 2], output=[3, 1])
    >>> [batch.kind for batch in simulate_separate(instance, DecodeFirst()).batches]
    ['prompt', 'token', 'token', 'prompt']

    References
    ----------
    NVIDIA FasterTransformer (static batching), as described in Yu et al., *Orca*, OSDI 2022, §3.
    """

    model: ClassVar[str] = "separate"
    name: ClassVar[str] = "decode-first"
    summary: ClassVar[str] = "token batches until nothing runs, then the next prompt batch"
    source: ClassVar[str] = "FasterTransformer (static batches); Orca, OSDI 2022, §3"

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        """Serve while any request runs, else admit in order of arrival."""
        if observation.running:
            return serve(observation)
        return admit(observation, observation.waiting).batch()

    def run_compiled(self, instance: Instance, told: Told) -> SeparateSchedule | None:
        """Run the whole instance as compiled code."""
        from ..kernels import WHEN_EMPTY, Rule, run_rule

        return run_rule(instance, told, Rule(WHEN_EMPTY))
