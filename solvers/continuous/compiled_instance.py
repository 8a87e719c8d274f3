"""An instance of continuous batching as numbers that compiled code takes."""

from __future__ import annotations

from typing import NamedTuple

from ...models.continuous.problem import Limits, limits
from ...models.durations import Durations, batch_durations
from ...models.instance import Instance, IntArray


class CompiledInstance(NamedTuple):
    """Requests, limits and batch times.

    Attributes
    ----------
    arrival, prompt, output : ndarray of int64, shape (n,)
        Of each request.
    limits : Limits
        Of the GPU.
    law : Durations
        Its batch times.
    """

    arrival: IntArray
    prompt: IntArray
    output: IntArray
    limits: Limits
    law: Durations


def compiled_instance(instance: Instance) -> CompiledInstance:
    """Return an instance as numbers that compiled code takes."""
    return CompiledInstance(
        instance.arrival,
        instance.prompt,
        instance.output,
        limits(instance),
        batch_durations(instance),
    )
