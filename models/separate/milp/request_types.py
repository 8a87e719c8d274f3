"""Requests of one type: interchangeable once they have arrived."""

from __future__ import annotations

from ...instance import NO_DEADLINE, Instance
from ...objectives import due_times


def request_types(instance: Instance, objective: str = "latency") -> list[list[int]]:
    """Group the requests that may exchange their roles in a schedule, once they have arrived.

    These are equal in prompt, output and what the objective looks at: nothing more for the latency
    (Σ a_i is a constant) and the makespan, the weight for weighted completion, reward and deadline
    for the reward.

    Returns
    -------
    list of list of int
        Types in order of their first request; in each the requests by (arrival, position).

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9)
    >>> instance = Instance(gpu=gpu, arrival=[4, 0, 1], prompt=[3, 1, 3], output=[4, 2, 4])
    >>> request_types(instance)
    [[2, 0], [1]]
    """
    types: dict[tuple[float, ...], list[int]] = {}
    for i in range(instance.n):
        types.setdefault(type_key(instance, objective, i), []).append(i)
    arrival = instance.arrival.tolist()
    return [sorted(members, key=lambda i: (arrival[i], i)) for members in types.values()]


def type_key(instance: Instance, objective: str, i: int) -> tuple[float, ...]:
    """Prompt, output and what the objective looks at: equal for requests of one type."""
    lengths = (int(instance.prompt[i]), int(instance.output[i]))
    if objective == "weighted":
        return (*lengths, float(instance.weight[i]))
    if objective == "tardiness":
        return (*lengths, float(instance.weight[i]), int(due_times(instance)[i]))
    if objective == "reward":
        deadline = NO_DEADLINE if instance.deadline is None else int(instance.deadline[i])
        return (*lengths, float(instance.reward[i]), deadline)
    return lengths
