"""What a scheduler decided under separate batching: the batches, one after another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar, Literal

import numpy as np

from ..instance import Instance, IntArray
from .durations import batch_durations

Kind = Literal["prompt", "token"]


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch: what it holds and when it starts.

    Attributes
    ----------
    kind : {"prompt", "token"}
        Whether it holds prompt jobs or token jobs.
    start : int
        Its start, in the batch-time law's unit.
    requests : tuple of int
        Whose jobs it holds, by position in the instance.
    """

    kind: Kind
    start: int
    requests: tuple[int, ...]


#: Longer schedules are shown by their numbers only.
MOST_SHOWN = 2


@dataclass(frozen=True, slots=True)
class SeparateSchedule:
    """A schedule for separate batching: batches in order of their starts.

    A prompt batch reads the prompts of its requests and emits output token 1 of each; a token
    batch emits the next token of each. A request whose output is complete frees its KV cache at
    the end of the batch. A request that is in no batch is not served: rejected, under admission.

    Parameters
    ----------
    batches : tuple of Batch
        Sorted by start.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[1, 2])
    >>> schedule = SeparateSchedule([Batch("prompt", 0, (0, 1)), Batch("token", 1, (1,))])
    >>> schedule.completion(instance).tolist()
    [1, 2]
    """

    batches: tuple[Batch, ...]

    model: ClassVar[str] = "separate"

    def __init__(self, batches: Iterable[Batch]) -> None:
        object.__setattr__(self, "batches", tuple(sorted(batches, key=lambda b: b.start)))

    def __repr__(self) -> str:
        if len(self.batches) <= MOST_SHOWN:
            return f"SeparateSchedule(batches={self.batches!r})"
        first, last = self.batches[0], self.batches[-1]
        served = self.accepted().size
        return (
            f"SeparateSchedule({len(self.batches)} batches, {served} requests, "
            f"starts {first.start} to {last.start})"
        )

    def ends(self, instance: Instance) -> IntArray:
        """End of each batch, in the batch-time law's unit, shape (number of batches,)."""
        law = batch_durations(instance)
        batch, request = self._jobs()
        size = np.bincount(batch, minlength=len(self.batches))
        prompt = np.array([each.kind == "prompt" for each in self.batches], dtype=np.bool_)
        emitted = np.where(prompt[batch], 0, _earlier_jobs(request))
        so_far = np.append(0, np.cumsum(instance.prompt[request] + emitted))
        last = np.cumsum(size)  # jobs up to each batch
        read = so_far[last] - so_far[last - size]
        start = np.array([each.start for each in self.batches], dtype=np.int64)
        work = np.where(
            prompt,
            law.prompt + law.per_prompt_token * read,
            law.token + law.per_token_job * size + law.per_kv_token * read,
        )
        ends: IntArray = start - (-work // law.divisor)
        return ends

    def completion(self, instance: Instance) -> IntArray:
        """Completion c_i of each request, shape (n,): the end of the batch of its last token.

        Raises
        ------
        ValueError
            If a request does not get all its tokens: ask `served` first where that may be.
        """
        if not self.served(instance).all():
            raise ValueError("completion: a request is not served to its end")
        batch, request = self._jobs()
        completion = np.zeros(instance.n, dtype=np.int64)
        completion[request] = self.ends(instance)[batch]  # in order of time: the last one stays
        return completion

    def served(self, instance: Instance) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether each request gets all its output tokens, shape (n,)."""
        _, request = self._jobs()
        return np.bincount(request, minlength=instance.n) >= instance.output

    def accepted(self) -> IntArray:
        """Requests that are in some batch, increasing: under admission, those not rejected."""
        return np.unique(self._jobs()[1])

    def only(self, kept: IntArray) -> SeparateSchedule:
        """Return the schedule of ``instance.take(kept)`` that does the same, shape of kept (m,).

        Every request in a batch must be among `kept`.
        """
        position = {i: new for new, i in enumerate(kept.tolist())}
        return SeparateSchedule(
            Batch(batch.kind, batch.start, tuple(position[i] for i in batch.requests))
            for batch in self.batches
        )

    def _jobs(self) -> tuple[IntArray, IntArray]:
        """Batch and request of each job, in order of time, by position."""
        size = [len(batch.requests) for batch in self.batches]
        members = chain.from_iterable(batch.requests for batch in self.batches)
        request = np.fromiter(members, dtype=np.int64, count=sum(size))
        return np.repeat(np.arange(len(size)), size), request


def _earlier_jobs(request: IntArray) -> IntArray:
    """How many jobs before each one have the same request: the tokens that it has emitted."""
    order = np.argsort(request, kind="stable")
    count = np.bincount(request, minlength=1)
    earlier = np.empty_like(request)
    earlier[order] = np.arange(request.size) - np.repeat(np.cumsum(count) - count, count)
    return earlier
