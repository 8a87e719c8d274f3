"""What a scheduler decided: when each request runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..instance import Instance, IntArray
from ..shown import elided


class Eviction(NamedTuple):
    """An aborted run: request `request` started at round boundary `start`, was evicted at `end`.

    It holds KV in rounds ``start + 1 … end``, loses its tokens, and precedes the request's final
    start.
    """

    request: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class MixedSchedule:
    """A schedule for mixed batching: one final start per request, and the aborted runs.

    A request with start ``k`` is in the batches of rounds ``k + 1 … k + o``, holds ``s + (t − k)``
    KV tokens in round ``t`` and completes at ``k + o``.

    Parameters
    ----------
    start : array_like of int, shape (n,)
        Final start of each request, in rounds, in the instance's order.
    evicted : sequence of Eviction, optional
        Aborted runs, in order of (start, request).

    Raises
    ------
    InputError
        If `start` is not a one-dimensional array of integers.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> MixedSchedule([0, 2]).completion(instance).tolist()
    [4, 4]
    """

    start: IntArray
    evicted: tuple[Eviction, ...] = ()

    model: ClassVar[str] = "mixed"

    def __init__(self, start: ArrayLike, evicted: Sequence[Eviction] = ()) -> None:
        array = np.asarray(start)
        if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
            raise InputError(
                "schedule.start: expected one integer per request, found an array of type "
                f"{array.dtype} and shape {array.shape}"
            )
        array = array.astype(np.int64, copy=True)
        array.setflags(write=False)
        object.__setattr__(self, "start", array)
        in_order = sorted(evicted, key=attrgetter("start", "request"))
        object.__setattr__(self, "evicted", tuple(in_order))

    def completion(self, instance: Instance) -> IntArray:
        """Completion ``c_i = start_i + o_i`` of each request, in rounds, shape (n,)."""
        return self.start + instance.output

    def __repr__(self) -> str:
        if not self.evicted:
            return f"MixedSchedule(start={elided(self.start)})"
        return f"MixedSchedule(start={elided(self.start)}, evicted={elided(self.evicted)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MixedSchedule):
            return NotImplemented
        return np.array_equal(self.start, other.start) and self.evicted == other.evicted

    __hash__ = None  # type: ignore[assignment]  # compared by value, held by an array

    def __reduce__(self) -> tuple[type[MixedSchedule], tuple[IntArray, tuple[Eviction, ...]]]:
        return MixedSchedule, (self.start, self.evicted)
