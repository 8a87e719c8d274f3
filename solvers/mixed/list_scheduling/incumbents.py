"""First schedules: the best of several list schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np

from ....models.instance import FloatArray, Instance, IntArray
from ....models.mixed.schedule import MixedSchedule
from ....models.objectives import due_times
from .list_schedule import list_schedule

Order = Callable[[Instance], IntArray | FloatArray]


def _per(volume: IntArray, worth: FloatArray) -> FloatArray:
    """Quotients; infinite, so last, for what is worth nothing, or nearly so."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(volume / worth, dtype=np.float64)


#: Priority orders for list scheduling, lower first; each is tried with and without skipping.
ORDERS: Mapping[str, Order] = MappingProxyType(
    {
        "output": lambda instance: instance.output,
        "volume": lambda instance: instance.volume,
        "prompt + output": lambda instance: instance.peak,
        "arrival": lambda instance: instance.arrival,
        "volume per weight": lambda instance: _per(instance.volume, instance.weight),
        "volume per reward": lambda instance: _per(instance.volume, instance.reward),
        "deadline": due_times,
        "longest output": lambda instance: -instance.output,
        "largest volume": lambda instance: -instance.volume,
    }
)

_FOR_ALL = ("output", "volume", "prompt + output", "arrival")
_ALSO = {
    "weighted": ("volume per weight",),
    "tardiness": ("volume per weight", "deadline"),
    "makespan": ("longest output", "largest volume"),
    "reward": ("volume per reward",),
}


def list_schedules(
    instance: Instance, objective: str, warm_start: MixedSchedule | None = None
) -> Iterator[tuple[str, MixedSchedule]]:
    """Yield schedules with the names of their orders, the given one and its order first."""
    if warm_start is not None:
        yield "the warm start", warm_start
        yield "list schedule by the warm start", list_schedule(instance, warm_start.start)
    for name in (*_FOR_ALL, *_ALSO.get(objective, ())):
        rank = ORDERS[name](instance)
        yield f"list schedule by {name}", list_schedule(instance, rank)
        yield f"list schedule by {name}, skipping", list_schedule(instance, rank, skip=True)
