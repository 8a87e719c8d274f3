"""Class budgets: a fixed number of each class of requests may start in a round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...lengths import PlanningPolicy
from ...options import require_integer
from ..decision import Decision
from ..observation import Observation, RequestView
from ..scanning import evict_latest, volume

#: Prompt and planned output, in tokens.
RequestClass = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ClassBudget(PlanningPolicy):
    """Start at most b requests of each class in a round, in order of arrival.

    A class is a pair (s, o) of prompt and planned output, with the KV area ``w = Σ_{g=1..o}
    (s + g)``. Of class k at most b_k start in a round, so that at most b_k of them have g tokens,
    for each g, and all classes hold at most ``Σ b_k·w_k`` tokens. If that is at most M, the KV
    memory never overflows, and what waits of class k follows ``Q ← (Q + arrivals − b_k)⁺``. No
    scheduler is stable if the arrival rates have ``Σ λ_k·w_k > M``.

    Here all b_k are equal. Beyond the source, budgets need not satisfy ``Σ b_k·w_k ≤ M``: a request
    starts only if it passes the future check of `scanning.ScanningPolicy`, which never fails where
    they do; if planned lengths were too short, the latest are evicted on overflow.

    Options are those of `lengths.PlanningPolicy`, and:

    Parameters
    ----------
    budget : int, optional
        b ≥ 1. By default the largest b with ``b·Σ w_k ≤ M`` over the classes that wait or run, or
        1 if there is none.

    Raises
    ------
    InputError
        If an option is out of range.

    See Also
    --------
    FlowControl : One budget for all requests, whose lengths are not known.

    Examples
    --------
    Two at a time: the third waits although all three fit.

    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.online.mixed.simulator import simulate
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=12), arrival=[0, 0, 0], prompt=[1, 1, 1], output=[2, 2, 2]
    ... )
    >>> simulate(instance, ClassBudget(budget=2)).start.tolist()
    [0, 0, 1]

    References
    ----------
    arXiv 2604.11001 (flow control by class, with the stability conditions).
    """

    budget: int | None = None

    name: ClassVar[str] = "class-budget"
    summary: ClassVar[str] = "at most b requests of each class start in a round"
    source: ClassVar[str] = "arXiv 2604.11001 (budgets by class)"
    memoryless: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.budget is not None:
            require_integer("budget", self.budget, low=1)
        PlanningPolicy.__post_init__(self)

    def decide(self, observation: Observation, rng: np.random.Generator) -> Decision:
        """Start what budgets and the future check allow; on overflow evict."""
        if observation.overflows:
            return evict_latest(observation)
        here = (*observation.running, *observation.waiting)
        budget = self.budget or largest_budget(observation.kv_capacity, map(request_class, here))
        plan = observation.plan()
        started: Counter[RequestClass] = Counter()
        start = []
        for view in observation.waiting:
            if started[request_class(view)] == budget:
                continue
            if not plan.fits(view.prompt, view.planned):
                break
            plan.add(view.prompt, view.planned)
            started[request_class(view)] += 1
            start.append(view.index)
        return Decision(start=tuple(start))


def request_class(view: RequestView) -> RequestClass:
    """Return the class of a request."""
    return view.prompt, view.planned


def largest_budget(kv_capacity: int, classes: Iterable[RequestClass]) -> int:
    """Return the largest b ≥ 1 with ``b·Σ w_k ≤ M`` over distinct classes, 1 if there is none.

    Examples
    --------
    The instance of arXiv 2604.11001: areas 410, 1,220 and 2,430.

    >>> largest_budget(16_492, [(10, 20), (10, 40), (10, 60), (10, 20)])
    4
    """
    area = sum(volume(prompt, planned) for prompt, planned in set(classes))
    return max(1, kv_capacity // max(1, area))
