"""WAIT: requests of a class are read together, once enough of them wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....models.continuous.problem import Limits
from ....models.continuous.schedule import ContinuousSchedule
from ....models.instance import Instance
from ...lengths import PLANNING_KINDS, Told
from ...options import require_integer
from ..batch_builder import BatchBuilder
from ..decision import ContinuousDecision
from ..observation import ContinuousObservation, ContinuousView
from ..ranked import RankedPolicy


@dataclass(frozen=True, slots=True)
class Wait(RankedPolicy):
    """Admit requests of a class together, once a threshold of them wait.

    A class is an octave of planned output lengths, ``2^k ≤ o < 2^(k + 1)``. A class is ready while
    as many requests of it wait as its threshold says; then that many are admitted, the first come
    first, if with each of them all that runs can complete (`ranked.RankedPolicy`). Ready classes
    take turns by the arrival of their first request. All that runs is in every batch.

    The threshold is given, or it is that of the fluid model: with n requests of every class in each
    batch's admission, n of each are present at every stage and hold ``n·Σ_k Σ_{g<o_k} (s_k + g)``
    KV tokens. It is the largest n that fits, where s_k, o_k are the means of the class's requests
    that are present; classes are taken to arrive equally often.

    Deviations: in the paper a batch forms only when a class is ready, so the last requests of a
    finite instance would wait for ever. Here what runs goes on, and when nothing runs and no class
    is ready, all that waits is ready.

    Options are those of `ranked.RankedPolicy`, without ``lengths=none``, and:

    Parameters
    ----------
    threshold : int, optional
        Requests of a class that are admitted together, ≥ 1; that of the fluid model by default.
        With 1 it is first come, first served.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    NestedWait : The same without output lengths.

    Examples
    --------
    With a threshold of two the second request of a class is waited for.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.continuous.simulator import simulate_continuous
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=99), arrival=[0, 1, 3], prompt=[2] * 3, output=[8, 2, 3]
    ... )
    >>> batches = simulate_continuous(instance, Wait(threshold=2)).batches
    >>> [(batch.start, batch.prefill) for batch in batches if batch.prefill]
    [(0, ((0, 2),)), (3, ((1, 2), (2, 2)))]

    References
    ----------
    Ao, Luo, Simchi-Levi, Wang, *Optimizing LLM inference: fluid-guided online scheduling with
    memory constraints*, arXiv 2504.11320 (WAIT).
    """

    threshold: int | None = None

    name: ClassVar[str] = "wait"
    summary: ClassVar[str] = "classes of output length, each admitted once enough of it wait"
    source: ClassVar[str] = "arXiv 2504.11320 (WAIT)"
    length_kinds: ClassVar[tuple[str, ...]] = PLANNING_KINDS

    def __post_init__(self) -> None:
        RankedPolicy.__post_init__(self)
        if self.threshold is not None:
            require_integer("threshold", self.threshold, low=1)

    def session(self) -> Wait:
        """Return the policy itself: it remembers nothing."""
        return self

    def run_compiled(self, instance: Instance, told: Told) -> ContinuousSchedule | None:
        """Leave it to `decide`: there is no compiled code."""
        return None

    def decide(
        self, observation: ContinuousObservation, rng: np.random.Generator
    ) -> ContinuousDecision:
        """Build the next batch of all that runs and of the classes that are ready."""
        gpu = observation.limits
        running = [(view, view.planned) for view in observation.running]
        ready = self.ready(observation)
        return BatchBuilder(gpu, self.rule(gpu), running, [(v, v.planned) for v in ready]).build()

    def ready(self, observation: ContinuousObservation) -> list[ContinuousView]:
        """Return the waiting requests that may be admitted now, in turn."""
        classes: dict[int, list[ContinuousView]] = {}
        for view in observation.waiting:
            classes.setdefault(octave(view), []).append(view)
        least = self.threshold or fluid_threshold(
            (*observation.running, *observation.waiting), observation.limits
        )
        ready = [
            view
            for members in classes.values()
            if len(members) >= least
            for view in members[:least]
        ]
        if ready or observation.running:
            return ready
        return list(observation.waiting)


def octave(view: ContinuousView) -> int:
    """Return the class of a request, k with ``2^k ≤ o < 2^(k + 1)``."""
    return view.planned.bit_length() - 1


def fluid_threshold(views: tuple[ContinuousView, ...], gpu: Limits) -> int:
    """Return the most requests per class and batch whose steady state fits seats and KV memory.

    Parameters
    ----------
    views : tuple of ContinuousView
        Requests that are present, with planned lengths.
    gpu : Limits
        The GPU.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    One class of 4 stages: caches of 3, 4, 5 and 6 tokens, 18 for each request per batch.

    >>> views = (ContinuousView(0, 0, 3, shortest=4, longest=4),)
    >>> fluid_threshold(views, Limits(40, 1, 99, 99, True))
    2
    """
    classes: dict[int, list[ContinuousView]] = {}
    for view in views:
        classes.setdefault(octave(view), []).append(view)
    held = seats = 0.0
    for members in classes.values():
        s = sum(view.prompt for view in members) / len(members)
        o = sum(view.planned for view in members) / len(members)
        held += o * s + o * (o - 1) / 2
        seats += o
    return max(1, int(min(gpu.blocks * gpu.block / held, gpu.running / seats)))
