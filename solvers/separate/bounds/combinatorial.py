"""Bounds on every objective of separate batching that need no search, by name."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ....models.instance import Instance
from ....models.objectives import Exact, evaluate
from ....models.separate.problem import time_alone
from .fluid_machine import shortest_remaining_first, work_bound
from .reward_knapsack import reward_bound
from .workloads import MIXES, works


def simple_bounds(instance: Instance, objective: str) -> Iterator[tuple[str, Exact]]:
    """Yield lower bounds on the objective, for the reward upper bounds, with their names.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, prompt_batch_requests=1, token_batch_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[3, 1], output=[2, 1])
    >>> dict(simple_bounds(instance, "makespan"))
    {'times alone': 2, 'work of one machine': 3}
    """
    name = "work of one machine"
    if objective == "reward":
        yield name, reward_bound(instance)
        return
    alone = time_alone(instance)
    arrivals, earliest = instance.arrival.tolist(), (instance.arrival + alone).tolist()
    if objective in ("weighted", "tardiness"):
        yield "times alone", evaluate(instance, instance.arrival + alone, objective)
    elif objective == "makespan":
        yield "times alone", max(earliest)
        yield name, max(_last_completion(instance, arrivals, mix) for mix in MIXES)
    else:
        yield "times alone", int(alone.sum())
        yield name, work_bound(instance)


def _last_completion(
    instance: Instance, arrivals: list[int], mix: tuple[Fraction, Fraction, Fraction]
) -> int:
    scaled, unit = works(instance, mix)
    return -(-shortest_remaining_first(arrivals, scaled, unit)[-1] // unit)
