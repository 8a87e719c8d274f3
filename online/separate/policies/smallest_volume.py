"""Smallest volume first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....models.instance import Instance
from ....models.separate.schedule import SeparateSchedule
from ...lengths import PlanningPolicy, Told
from ..decision import BatchDecision
from ..observation import SeparateObservation, SeparateView
from ..serving import admit, serve


@dataclass(frozen=True, slots=True)
class SmallestVolume(PlanningPolicy):
    """Run a prompt batch whenever the request of smallest KV volume can be admitted.

    The volume of a request is its KV use summed over its batches, ``s·o + o·(o + 1)/2``. Waiting
    requests are admitted by volume, up to the first that does not fit; at most B_D requests run,
    and a token batch serves them all.

    Options are those of `lengths.PlanningPolicy`.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.separate.simulator import simulate_separate
    >>> gpu = Gpu(kv_capacity=40, prompt_batch_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[9, 2], output=[2, 3])
    >>> schedule = simulate_separate(instance, SmallestVolume())
    >>> [(batch.kind, batch.requests) for batch in schedule.batches]
    [('prompt', (1,)), ('prompt', (0,)), ('token', (1, 0)), ('token', (1,))]

    References
    ----------
    arXiv 2606.22327 (smallest-volume-first), whose setting is mixed batching.
    """

    model: ClassVar[str] = "separate"
    name: ClassVar[str] = "smallest-volume"
    summary: ClassVar[str] = "a prompt batch whenever a request fits, smallest KV volume first"
    source: ClassVar[str] = "arXiv 2606.22327 (smallest-volume-first), here with separate batches"

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        """Admit by planned volume if any fits, else serve all."""
        waiting = sorted(observation.waiting, key=_volume)
        seats = observation.gpu.token_batch_requests
        admission = admit(observation, waiting, seats=seats)
        return admission.batch() if admission.requests else serve(observation)

    def run_compiled(self, instance: Instance, told: Told) -> SeparateSchedule | None:
        """Run the whole instance as compiled code."""
        from ..kernels import LONGEST, WHENEVER, Rule, run_rule

        s, o = instance.prompt, told.high
        if int(o.max()) >= LONGEST:
            return None
        return run_rule(instance, told, Rule(WHENEVER, seated=True), s * o + o * (o + 1) // 2)


def _volume(view: SeparateView) -> int:
    """KV use summed over the batches of a waiting request, in token-batches."""
    return view.prompt * view.planned + view.planned * (view.planned + 1) // 2
