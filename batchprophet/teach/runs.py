"""What the judges simulate and solve, with the types that mixed and separate batching have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..api import simulate
from ..models.instance import Gpu, Instance
from ..solvers.highs import solve_model

if TYPE_CHECKING:
    import pyomo.environ as pyo

    from ..models.mixed.metrics import Metrics
    from ..models.mixed.schedule import MixedSchedule


def instance_of(
    gpu: Gpu,
    arrival: Sequence[int],
    prompt: Sequence[int],
    output: Sequence[int],
    *,
    id: Sequence[str] | None = None,  # noqa: A002 - the field of an instance
    name: str = "instance",
) -> Instance:
    """Return an instance of numbers as they stand in an exercise.

    Examples
    --------
    >>> instance_of(Gpu(kv_capacity=9), [0, 2], [3, 1], [4, 2]).peak.tolist()
    [7, 3]
    """
    columns = (np.array(each, np.int64) for each in (arrival, prompt, output))
    a, s, o = columns
    names = None if id is None else tuple(id)
    return Instance(name=name, gpu=gpu, arrival=a, prompt=s, output=o, id=names)


def starts(instance: Instance, policy: Any) -> list[int]:
    """Return when a policy of mixed batching starts the requests.

    Examples
    --------
    >>> starts(instance_of(Gpu(kv_capacity=9), [0, 2], [3, 1], [4, 2]), "mc-sf")
    [0, 3]
    """
    schedule = cast("MixedSchedule", simulate(instance, policy).schedule)
    return [int(k) for k in schedule.start]


def figures(instance: Instance, policy: Any) -> Metrics:
    """Return the metrics of a policy of mixed batching.

    Examples
    --------
    >>> figures(instance_of(Gpu(kv_capacity=9), [0, 2], [3, 1], [4, 2]), "vllm").evictions
    1
    """
    return cast("Metrics", simulate(instance, policy).metrics)


def optimum_of(model: pyo.ConcreteModel, *, relax: bool = False) -> float:
    """Return the optimum of a model that has one, or of its LP relaxation."""
    found = solve_model(model, relax=relax).objective
    assert found is not None, "a model of an exercise has an optimum"
    return found
