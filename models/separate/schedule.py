"""What a scheduler decided under separate batching: the batches, one after another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import ClassVar, Literal

import numpy as np

from ..errors import InputError
from ..instance import Instance, IntArray
from .columns import Columns, earliest_starts, lengths

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


@dataclass(frozen=True, init=False, repr=False, eq=False)
class SeparateSchedule:
    """A schedule for separate batching: batches in order of their starts.

    A prompt batch reads the prompts of its requests and emits output token 1 of each; a token
    batch emits the next token of each. A request whose output is complete frees its KV cache at
    the end of the batch. A request that is in no batch is not served: rejected, under admission.

    Parameters
    ----------
    batches : iterable of Batch
        In any order.

    Attributes
    ----------
    batches : tuple of Batch
        Sorted by start; made when it is asked for, if the schedule was made of columns.
    starts : ndarray of int64, shape (b,)
        Their starts, in the batch-time law's unit.
    columns : Columns
        Their kinds and their members.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[1, 2])
    >>> schedule = SeparateSchedule([Batch("prompt", 0, (0, 1)), Batch("token", 1, (1,))])
    >>> schedule.completion(instance).tolist()
    [1, 2]
    """

    model: ClassVar[str] = "separate"

    def __init__(self, batches: Iterable[Batch]) -> None:
        self.__dict__["batches"] = tuple(sorted(batches, key=lambda b: b.start))

    @classmethod
    def of_columns(cls, starts: IntArray, columns: Columns) -> SeparateSchedule:
        """Return the schedule of some batches that are in order of their starts.

        Raises
        ------
        ValueError
            If they are not.
        """
        if (starts[1:] < starts[:-1]).any():
            raise ValueError("of_columns: expected batches in order of their starts")
        made = cls.__new__(cls)
        made.__dict__.update(starts=starts, columns=columns)
        return made

    @classmethod
    def left_shifted(cls, instance: Instance, columns: Columns) -> SeparateSchedule:
        """Return the schedule of batches in this order, each as early as the arrivals allow."""
        return cls.of_columns(earliest_starts(instance, columns), columns)

    @cached_property
    def batches(self) -> tuple[Batch, ...]:
        """The batches, sorted by start."""
        prompt, size, member = (column.tolist() for column in self.columns)
        found, at = [], 0
        for is_prompt, start, jobs in zip(prompt, self.starts.tolist(), size, strict=True):
            kind: Kind = "prompt" if is_prompt else "token"
            found.append(Batch(kind, start, tuple(member[at : at + jobs])))
            at += jobs
        return tuple(found)

    @cached_property
    def starts(self) -> IntArray:
        """Starts of the batches, shape (b,)."""
        return np.array([batch.start for batch in self.batches], dtype=np.int64)

    @cached_property
    def columns(self) -> Columns:
        """Kinds and members of the batches."""
        return columns_of((batch.kind, batch.requests) for batch in self.batches)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SeparateSchedule):
            return NotImplemented
        return self is other or self.batches == other.batches

    def __hash__(self) -> int:
        return hash(self.batches)

    def __repr__(self) -> str:
        if self.starts.size <= MOST_SHOWN:
            return f"SeparateSchedule(batches={self.batches!r})"
        return (
            f"SeparateSchedule({self.starts.size} batches, {self.accepted().size} requests, "
            f"starts {self.starts[0]} to {self.starts[-1]})"
        )

    def ends(self, instance: Instance) -> IntArray:
        """End of each batch, in the batch-time law's unit, shape (number of batches,)."""
        return self.starts + lengths(instance, self.columns)

    def completion(self, instance: Instance) -> IntArray:
        """Completion c_i of each request, shape (n,): the end of the batch of its last token.

        Raises
        ------
        ValueError
            If a request does not get all its tokens: ask `served` first where that may be.
        """
        if not self.served(instance).all():
            raise ValueError("completion: a request is not served to its end")
        completion = np.zeros(instance.n, dtype=np.int64)
        last = np.repeat(self.ends(instance), self.columns.size)
        completion[self.columns.member] = last  # in order of time: the last one stays
        return completion

    def served(self, instance: Instance) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether each request gets all its output tokens, shape (n,)."""
        return np.bincount(self.columns.member, minlength=instance.n) >= instance.output

    def accepted(self) -> IntArray:
        """Requests that are in some batch, increasing: under admission, those not rejected."""
        return np.unique(self.columns.member)

    def only(self, kept: IntArray) -> SeparateSchedule:
        """Return the schedule of ``instance.take(kept)`` that does the same, shape of kept (m,).

        Every request in a batch must be among `kept`.
        """
        order = np.argsort(kept)
        position = order[np.searchsorted(kept[order], self.columns.member)]
        return self.of_columns(self.starts, self.columns._replace(member=position))


def columns_of(batches: Iterable[tuple[Kind, tuple[int, ...]]]) -> Columns:
    """Return batches, given by their kinds and members, as columns.

    Raises
    ------
    InputError
        If a kind is unknown.

    Examples
    --------
    >>> columns_of([("prompt", (0, 1)), ("token", (1,))]).member.tolist()
    [0, 1, 1]
    """
    kept = list(batches)
    for position, (kind, _) in enumerate(kept):
        if kind not in ("prompt", "token"):
            where = f"schedule.batches[{position}].kind"
            raise InputError(f"{where}: expected 'prompt' or 'token', found {kind!r}")
    size = np.array([len(members) for _, members in kept], dtype=np.int64)
    members = chain.from_iterable(members for _, members in kept)
    member = np.fromiter(members, dtype=np.int64, count=int(size.sum()))
    return Columns(np.array([kind == "prompt" for kind, _ in kept], np.bool_), size, member)
