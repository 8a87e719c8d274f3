"""All combinatorial bounds on an objective, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from types import MappingProxyType

from ....models.instance import Instance
from ....models.objectives import MAXIMISED, Exact, evaluate
from .fluid_machine import Resource, seats, tokens
from .kv_area import (
    area_makespan,
    area_reward,
    mean_busy_time,
    shortest_remaining_area,
    tardy_mean_busy_time,
    weighted_mean_busy_time,
)

Bound = Callable[..., int | Fraction]

#: Bounds beyond "every request starts at its arrival": lower ones, for the reward upper ones.
AREA_BOUNDS: Mapping[str, Mapping[str, Bound]] = MappingProxyType(
    {
        "latency": {
            "KV area, shortest remaining first": shortest_remaining_area,
            "KV area, mean busy time": mean_busy_time,
        },
        "weighted": {"KV area, mean busy time": weighted_mean_busy_time},
        "tardiness": {"KV area, mean busy time": tardy_mean_busy_time},
        "makespan": {"KV area from each arrival on": area_makespan},
        "reward": {"KV area, fractional knapsack": area_reward},
    }
)


#: The same of each limit on a round that is set, by what the bound's name begins with.
ROUND_LIMITS: Mapping[str, tuple[str, Callable[[Instance], Resource]]] = MappingProxyType(
    {"running requests": ("running_requests", seats), "token budget": ("batch_tokens", tokens)}
)


def round_limits(instance: Instance) -> dict[str, Resource]:
    """Return the limits on a round that are set, by name.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, batch_tokens=5)
    >>> found = round_limits(Instance(gpu=gpu, arrival=[0], prompt=[3], output=[4]))
    >>> found["token budget"].work.tolist()
    [6]
    """
    return {
        said: resource(instance)
        for said, (limit, resource) in ROUND_LIMITS.items()
        if getattr(instance.gpu, limit) is not None
    }


def _of_round_limits(instance: Instance, objective: str) -> Iterator[tuple[str, Exact]]:
    """Yield the area bounds of the limits on a round that are set."""
    for said, taken in round_limits(instance).items():
        for name, bound in AREA_BOUNDS[objective].items():
            yield name.replace("KV area", said), bound(instance, resource=taken)


def starts_at_arrival(instance: Instance, objective: str = "latency") -> Exact:
    """Value if every request started at its arrival: objectives are regular, so none is better.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> starts_at_arrival(instance)
    6
    """
    return evaluate(instance, instance.arrival + instance.output, objective)


def all_bounds(instance: Instance, objective: str = "latency") -> tuple[tuple[str, Exact], ...]:
    """Compute every combinatorial bound on the optimum, in O(n log n).

    Bounds by KV areas leave limits on a round out, and are valid under them; where there are such
    limits, bounds by seats and by tokens follow.

    Parameters
    ----------
    instance : Instance
        The instance.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective.

    Returns
    -------
    tuple of (str, int or Fraction)
        Name and value: lower bounds for a minimised objective, upper bounds for the reward.

    Raises
    ------
    InputError
        If the objective is unknown, or "reward" and the instance has no horizon.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=5), arrival=[0, 0], prompt=[1, 3], output=[4, 2])
    >>> for name, value in all_bounds(instance, "makespan"):
    ...     print(name, value)
    starts at arrival 4
    KV area from each arrival on 5
    """
    bounds: list[tuple[str, Exact]] = [
        ("starts at arrival", starts_at_arrival(instance, objective))
    ]
    bounds += [(name, bound(instance)) for name, bound in AREA_BOUNDS[objective].items()]
    bounds += _of_round_limits(instance, objective)
    return tuple(bounds)


def best_bound(instance: Instance, objective: str = "latency") -> Exact:
    """Return the strongest of `all_bounds`.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=5), arrival=[0, 0], prompt=[1, 3], output=[4, 2])
    >>> best_bound(instance)
    7
    """
    values = [value for _, value in all_bounds(instance, objective)]
    return min(values) if objective in MAXIMISED else max(values)
