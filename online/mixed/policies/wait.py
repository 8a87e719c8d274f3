"""WAIT: requests of a class start n at a time, once n of them wait."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...lengths import PlanningPolicy
from ...options import require_integer
from ..decision import Decision
from ..observation import Observation, RequestView
from ..scanning import evict_latest
from .class_budget import RequestClass, largest_budget, request_class


@dataclass(frozen=True, slots=True)
class Wait(PlanningPolicy):
    """Start n requests of a class (s, o) in a round in which at least n of it wait, else none.

    With KV areas w_k and ``n·Σ w_k ≤ M`` the memory never overflows. The source waits because a
    batch takes time whatever it holds, so that larger batches serve more; in unit rounds waiting
    gains nothing, and the policy is shown for what it costs. Beyond the source, where nothing runs
    and no class has n, whatever waits starts in order of arrival; and a request starts only if it
    passes the future check of `scanning.ScanningPolicy`, so that n may be too large. If planned
    lengths were too short, the latest are evicted on overflow.

    Options are those of `lengths.PlanningPolicy`, and:

    Parameters
    ----------
    threshold : int, optional
        n ≥ 1. By default the largest n with ``n·Σ w_k ≤ M`` over the classes that wait or run, or 1
        if there is none; in the source n_k is what arrives of class k in a batch in the mean.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    ClassBudget : Up to n of a class in a round.
    NestedWait : For unknown lengths.

    Examples
    --------
    The second and third start together, when the third is there.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(gpu=Gpu(kv_capacity=40), arrival=[0, 1, 3], prompt=[1] * 3,
    ...                     output=[5] * 3)
    >>> simulate(instance, Wait(threshold=2)).start.tolist()
    [0, 3, 3]

    References
    ----------
    arXiv 2504.11320 (WAIT).
    """

    threshold: int | None = None

    name: ClassVar[str] = "wait"
    summary: ClassVar[str] = "requests of a class start n at a time, once n of them wait"
    source: ClassVar[str] = "arXiv 2504.11320 (WAIT)"
    memoryless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.threshold is not None:
            require_integer("threshold", self.threshold, low=1)
        PlanningPolicy.__post_init__(self)

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Start n of each class that has n waiting; on overflow evict."""
        if observation.overflows:
            return evict_latest(observation)
        here = (*observation.running, *observation.waiting)
        n = self.threshold or largest_budget(observation.kv_capacity, map(request_class, here))
        classes: dict[RequestClass, list[RequestView]] = defaultdict(list)
        for view in observation.waiting:
            classes[request_class(view)].append(view)
        enough = [view for views in classes.values() if len(views) >= n for view in views[:n]]
        if not enough and not observation.running:
            enough = list(observation.waiting)
        plan = observation.plan()
        start = []
        for view in enough:
            if plan.fits(view.prompt, view.planned):
                plan.add(view.prompt, view.planned)
                start.append(view.index)
        return Decision(start=tuple(start))
