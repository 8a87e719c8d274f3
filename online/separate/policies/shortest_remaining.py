"""Shortest remaining time, on as many requests as a token batch holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....models.durations import Durations, batch_durations
from ....models.instance import Instance, IntArray
from ....models.separate.schedule import SeparateSchedule
from ...lengths import PlanningPolicy, Told
from ..decision import BatchDecision
from ..observation import SeparateObservation, SeparateView
from ..serving import admit, serve, tokens_left


@dataclass(frozen=True, slots=True)
class ShortestRemaining(PlanningPolicy):
    """Give the GPU to the B_D requests with the least left to do, waiting or running.

    What is left of a waiting request is its time alone on the GPU, ``T_P(s) + (o − 1)·T_D(s + 1)``,
    and of a running one ``(o − g)·T_D(s + g)``, with T_P the time of a prompt batch of that many
    tokens and T_D of a token batch of one request that reads this many. If the least waiting one is
    among the B_D least of all (always, while fewer than B_D run), a prompt batch admits in that
    order, up to the first that does not fit; else a token batch serves the B_D running requests
    with the fewest tokens to go, so that others pause and keep their KV.

    Options are those of `lengths.PlanningPolicy`.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.separate.simulator import simulate_separate
    >>> gpu = Gpu(kv_capacity=40, token_batch_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[0, 1], prompt=[3, 2], output=[5, 2])
    >>> schedule = simulate_separate(instance, ShortestRemaining())
    >>> [(batch.kind, batch.requests) for batch in schedule.batches][:4]
    [('prompt', (0,)), ('prompt', (1,)), ('token', (1,)), ('token', (0,))]

    References
    ----------
    Schrage, *A proof of the optimality of the shortest remaining processing time discipline*, Oper.
    Res. 16, 1968; here with batches, so without its optimality.
    """

    model: ClassVar[str] = "separate"
    name: ClassVar[str] = "shortest-remaining"
    summary: ClassVar[str] = "the requests with the least left to do, waiting or running"
    source: ClassVar[str] = "shortest remaining processing time (Schrage 1968), with batches"

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        """Admit if the least waiting request is among the B_D with the least left, else serve."""
        law, B_D = observation.law, observation.gpu.token_batch_requests
        waiting = sorted(observation.waiting, key=lambda view: _time_left(view, law))
        admission = admit(observation, waiting, tokens_left)
        if not admission.requests:
            return serve(observation, tokens_left)
        if B_D is not None and len(observation.running) >= B_D:
            left = sorted(_time_left(view, law) for view in observation.running)
            if _time_left(waiting[0], law) >= left[B_D - 1]:
                return serve(observation, tokens_left)
        return admission.batch()

    def run_compiled(self, instance: Instance, told: Told) -> SeparateSchedule | None:
        """Run the whole instance as compiled code."""
        from ..kernels import REMAINING, WHEN_SHORTEST, Rule, fits_compiled, run_rule

        law = batch_durations(instance)
        if not fits_compiled(law, instance, told):
            return None
        rank = _times_alone(law, instance.prompt, told.high)
        return run_rule(instance, told, Rule(WHEN_SHORTEST, REMAINING), rank)


def _time_left(view: SeparateView, law: Durations) -> int:
    """Time alone on the GPU, with the KV tokens that the next token batch reads."""
    if view.tokens:
        return view.remaining * law.token_batch(1, view.held)
    later = (view.planned - 1) * law.token_batch(1, view.prompt + 1)
    return law.prompt_batch(view.prompt) + later


def _times_alone(law: Durations, prompt: IntArray, planned: IntArray) -> IntArray:
    """`_time_left` of waiting requests, shape (n,)."""
    rows = zip(prompt.tolist(), planned.tolist(), strict=True)
    times = [law.prompt_batch(s) + (o - 1) * law.token_batch(1, s + 1) for s, o in rows]
    return np.array(times, dtype=np.int64)
