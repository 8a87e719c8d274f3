"""Hysteresis: prompt batches from one threshold on, until another is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....models.errors import InputError
from ....models.instance import Instance
from ....models.separate.schedule import SeparateSchedule
from ...lengths import PlanningPolicy, Told
from ...options import require_integer
from ..decision import BatchDecision
from ..observation import SeparateObservation
from ..serving import admit, serve


@dataclass(frozen=True, slots=True)
class Hysteresis(PlanningPolicy):
    """Change to prompt batches when `high` requests wait, back when at most `low` wait.

    After a prompt batch the next one is a prompt batch as well while more than `low` requests wait
    and the first in order of arrival fits; after a token batch only if at least `high` wait or
    nothing runs. A queue with switching costs is served in this way, so that changes of mode are
    few: here the cost is that running requests stand still.

    Options are those of `lengths.PlanningPolicy`, and:

    Parameters
    ----------
    high : int
        Waiting requests that end the token batches, ≥ 1.
    low : int
        Waiting requests that end the prompt batches, from 0 to ``high − 1``.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.separate.simulator import simulate_separate
    >>> gpu = Gpu(kv_capacity=40, prompt_batch_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[0, 2, 3], prompt=[3, 2, 2], output=[4, 1, 1])
    >>> [batch.kind for batch in simulate_separate(instance, Hysteresis(high=2)).batches]
    ['prompt', 'token', 'token', 'prompt', 'prompt', 'token']

    References
    ----------
    Double-threshold switching between queues (a baseline of this project).
    """

    high: int = 8
    low: int = 0

    model: ClassVar[str] = "separate"
    name: ClassVar[str] = "hysteresis"
    summary: ClassVar[str] = "prompt batches once `high` wait, until at most `low` wait"
    source: ClassVar[str] = "double-threshold switching (a baseline of this project)"

    def __post_init__(self) -> None:
        require_integer("high", self.high, low=1)
        require_integer("low", self.low, low=0)
        if self.low >= self.high:
            raise InputError(f"low: expected less than high = {self.high}, found {self.low}")
        PlanningPolicy.__post_init__(self)

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        """Keep the mode until its threshold is reached; admit in order of arrival."""
        waiting = len(observation.waiting)
        change = waiting <= self.low if observation.last == "prompt" else waiting < self.high
        if observation.running and change:
            return serve(observation)
        admission = admit(observation, observation.waiting)
        return admission.batch() if admission.requests else serve(observation)

    def run_compiled(self, instance: Instance, told: Told) -> SeparateSchedule | None:
        """Run the whole instance as compiled code."""
        from ..kernels import HYSTERESIS, Rule, run_rule

        return run_rule(instance, told, Rule(HYSTERESIS, high=self.high, low=self.low))
