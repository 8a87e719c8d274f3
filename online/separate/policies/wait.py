"""WAIT: the prompts of a class are read together, once enough of them wait."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...lengths import PlanningPolicy
from ...options import require_integer
from ..decision import BatchDecision
from ..observation import SeparateObservation, SeparateView
from ..serving import admit, serve


@dataclass(frozen=True, slots=True)
class Wait(PlanningPolicy):
    """Read the prompts of a class together, once a threshold of them wait; else serve all.

    A class is an octave of planned output lengths, ``2^k ≤ o < 2^(k + 1)``. While as many requests
    of a class wait as the threshold says, a prompt batch admits that many of each such class, the
    class whose first request came first first, up to the first that does not fit. Where nothing
    runs and no class is ready, all that waits is. At most B_D requests run, and a token batch
    serves them all.

    In the source a batch holds prompts and tokens, and forms only when a class is ready; here
    prompts have batches of their own, and what runs goes on. Its nested rule for unknown lengths
    does not carry over: under separate batching nothing is ever evicted, so a request may be
    admitted only if its longest output fits.

    Options are those of `lengths.PlanningPolicy`, and:

    Parameters
    ----------
    threshold : int, optional
        Requests of a class that are admitted together, ≥ 1. By default the largest n that fits in
        the fluid model: n of every class that is present, at each of its tokens, hold at most M.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    Threshold : Waits for seats, not for requests.

    Examples
    --------
    The second request waits for the third, which is of its class.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.separate.simulator import simulate_separate
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=99), arrival=[0, 1, 3], prompt=[2] * 3, output=[8, 2, 3]
    ... )
    >>> schedule = simulate_separate(instance, Wait(threshold=2))
    >>> [(batch.kind, batch.requests) for batch in schedule.batches][:4]
    [('prompt', (0,)), ('token', (0,)), ('token', (0,)), ('prompt', (1, 2))]

    References
    ----------
    Ao, Luo, Simchi-Levi, Wang, *Optimizing LLM inference: fluid-guided online scheduling with
    memory constraints*, arXiv 2504.11320 (WAIT).
    """

    threshold: int | None = None

    model: ClassVar[str] = "separate"
    name: ClassVar[str] = "wait"
    summary: ClassVar[str] = "prompts of a class of output length together, once enough wait"
    source: ClassVar[str] = "arXiv 2504.11320 (WAIT)"

    def __post_init__(self) -> None:
        if self.threshold is not None:
            require_integer("threshold", self.threshold, low=1)
        PlanningPolicy.__post_init__(self)

    def decide(self, observation: SeparateObservation, rng: np.random.Generator) -> BatchDecision:
        """Admit what is ready, if any of it fits; else serve all."""
        ready = self._ready(observation)
        admission = admit(observation, ready, seats=observation.gpu.token_batch_requests)
        return admission.batch() if admission.requests else serve(observation)

    def _ready(self, observation: SeparateObservation) -> list[SeparateView]:
        """Return the waiting requests that may be admitted now, in turn."""
        waiting, running = observation.waiting, observation.running
        least = self.threshold or fluid_threshold((*running, *waiting), observation.gpu.kv_capacity)
        ready = [
            view
            for members in _classes(waiting).values()
            if len(members) >= least
            for view in members[:least]
        ]
        return ready if ready or running else list(waiting)


def fluid_threshold(views: tuple[SeparateView, ...], kv_capacity: int) -> int:
    """Return the most requests per class and batch whose steady state fits the KV memory.

    Parameters
    ----------
    views : tuple of SeparateView
        Requests that are present, with planned lengths.
    kv_capacity : int
        M, in tokens.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    One class of 4 tokens: caches of 4, 5, 6 and 7 tokens, 22 for each request per batch.

    >>> fluid_threshold((SeparateView(0, 0, 3, shortest=4, longest=4),), 50)
    2
    """
    held = 0.0
    for members in _classes(views).values():
        s = sum(view.prompt for view in members) / len(members)
        o = sum(view.planned for view in members) / len(members)
        held += o * s + o * (o + 1) / 2
    return max(1, int(kv_capacity / held))


def _classes(views: tuple[SeparateView, ...]) -> dict[int, list[SeparateView]]:
    """Return the requests by class, k with ``2^k ≤ o < 2^(k + 1)``."""
    classes: dict[int, list[SeparateView]] = defaultdict(list)
    for view in views:
        classes[view.planned.bit_length() - 1].append(view)
    return classes
