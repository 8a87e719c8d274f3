"""Judging schedules by a service objective, with a proved bound on its optimum."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..models.errors import InputError
from ..models.instance import Instance, IntArray
from ..models.latency_limits import LatencyLimits
from ..models.objectives import Exact
from ..models.regime import Schedule
from ..models.service import percentile, service_value
from ..solvers.first_tokens import first_token_bound
from ..solvers.goodput import goodput_bound
from ..solvers.regimes import recipe
from ..solvers.solution import Solution
from ..solvers.tail_latency import exact_tail_latency_bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service objective of one instance, by which schedules are judged.

    Attributes
    ----------
    objective : {"p99", "ttft", "goodput"}
        As in `models.service.service_value`.
    bound : int or Fraction
        Proved bound on its optimum over all schedules: from below, or of the goodput from above.
    limits : LatencyLimits
        Of the goodput.
    solved : bool
        Whether the schedule of least total latency is the best one here too: of the mean time to
        first token under mixed batching, whose runs are contiguous.
    """

    objective: str
    bound: Exact
    limits: LatencyLimits
    solved: bool = False

    def value(self, instance: Instance, schedule: Schedule) -> Exact:
        """Value of a feasible schedule that serves all requests, exact."""
        return service_value(instance, schedule, self.objective, self.limits)

    def value_of_completions(self, instance: Instance, completion: IntArray) -> Exact | None:
        """Value where only the completions are known; None where they do not tell."""
        return percentile(completion - instance.arrival) if self.objective == "p99" else None


def require_limits(objective: str, limits: LatencyLimits | None) -> None:
    """Refuse the goodput without latency limits.

    Raises
    ------
    InputError
        As said.
    """
    if objective == "goodput" and limits is None:
        raise InputError(
            "slo: expected latency limits ttft=T,tpot=T with the objective goodput, found none"
        )


def service_of(
    instance: Instance, objective: str, solution: Solution[Any], limits: LatencyLimits | None
) -> Service:
    """Bound a service objective.

    Parameters
    ----------
    instance : Instance
        The instance.
    objective : {"p99", "ttft", "goodput"}
        The objective.
    solution : Solution
        Of the total latency, in the regime that is compared.
    limits : LatencyLimits, optional
        Of the goodput.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.solvers.hindsight import solve
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> solution = solve(instance)
    >>> found = service_of(instance, "ttft", solution, None)
    >>> found.bound, found.value(instance, solution.schedule)
    (Fraction(3, 2), Fraction(3, 2))
    """
    require_limits(objective, limits)
    model = solution.schedule.model
    known = limits or LatencyLimits()
    if objective == "goodput":
        most = goodput_bound(instance, known, model=model)
        return Service(objective=objective, bound=most, limits=known)
    if objective == "p99":
        tail = Fraction(exact_tail_latency_bound(instance, model=model))
        return Service(objective=objective, bound=tail, limits=known)
    rules = recipe(model)
    contiguous = rules.first_tokens is not None and rules.first_tokens(instance).contiguous
    return Service(
        objective=objective,
        bound=first_token_bound(instance, model=model, latency_bound=solution.bound),
        limits=known,
        solved=contiguous,
    )
