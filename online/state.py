"""What the states of all simulators share: the arrivals, and names in messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Generic

import numpy as np

from ..models.errors import PolicyError
from ..models.instance import Instance
from .learned_lengths import LengthLaw
from .lengths import Told, is_told_anew
from .view import ViewType, first_views


class SimulatorState(Generic[ViewType]):
    """The requests of an instance, by order of arrival, under a policy.

    Parameters
    ----------
    instance : Instance
        What is to be scheduled.
    policy : Policy
        The policy under which it runs.
    told : Told
        What it is told of lengths.
    view : type
        The regime's views of requests.
    """

    #: What a time is, in messages.
    at: ClassVar[str] = ""

    def __init__(self, instance: Instance, policy: Any, told: Told, view: type[ViewType]) -> None:
        self._instance = instance
        self._name: str = policy.name
        self._output: list[int] = instance.output.tolist()
        self._views = first_views(view, instance, told)
        self._queue: list[int] = np.argsort(instance.arrival, kind="stable").tolist()
        self._arrived = 0
        self._completed = 0
        #: Whether lengths are predicted anew at each decision, and those of completed requests.
        self._predicts = is_told_anew(policy)
        self._ended: list[int] = []
        self.time = -1

    @property
    def finished(self) -> bool:
        """Whether all requests have completed."""
        return self._completed == self._instance.n

    @property
    def next_arrival(self) -> int | None:
        """Time of the next arrival; None if all have arrived."""
        if self._arrived == self._instance.n:
            return None
        return self._views[self._queue[self._arrived]].arrival

    @property
    def where(self) -> str:
        """The policy and the time, as messages begin."""
        return f"policy {self._name} at {self.at}{self.time}"

    def _predict(self, present: Sequence[int], tokens: Sequence[int]) -> None:
        """Tell of requests that are present what is expected, given their most tokens so far."""
        if not present:
            return
        had = np.array(tokens, np.int64)
        longest = self._instance.gpu.kv_capacity - self._instance.prompt[list(present)]
        law = LengthLaw(self._ended, tokens)
        for i, o in zip(present, law.expected(had, longest).tolist(), strict=True):
            self._views[i] = replace(self._views[i], shortest=o, longest=o)

    def _id(self, i: Any) -> str:
        """Name of a request in messages, whatever a policy takes for one."""
        return self._instance.request_id(i) if i in range(self._instance.n) else repr(i)

    def _require_indices(self, field: str, requests: object) -> None:
        if not isinstance(requests, (tuple, list)) or not all(map(_is_integer, requests)):
            raise PolicyError(
                f"{self.where}: {field} must be a tuple of request indices, found {requests!r}"
            )

    def _require_time(self, wake_at: object) -> None:
        if wake_at is not None and not _is_integer(wake_at):
            what = self.at.strip() or "time"
            raise PolicyError(f"{self.where}: wake_at must be a {what} or None, found {wake_at!r}")


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
