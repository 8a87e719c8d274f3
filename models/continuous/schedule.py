"""What a scheduler decided under continuous batching: the batches, one after another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..instance import Instance, IntArray
from .timeline import Timeline, timeline


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch: when it starts and what it holds.

    Attributes
    ----------
    start : int
        Its start, in the batch-time law's unit.
    prefill : tuple of (int, int)
        Prompt chunks: the request, by position in the instance, and how many tokens are read.
    decode : tuple of int
        Requests that get a token job.
    preempt : tuple of int
        Requests whose caches are dropped just before the batch.
    """

    start: int
    prefill: tuple[tuple[int, int], ...] = ()
    decode: tuple[int, ...] = ()
    preempt: tuple[int, ...] = ()


class Columns(NamedTuple):
    """Batches as columns, in order of their starts; b of them.

    Attributes
    ----------
    start : ndarray of int64, shape (b,)
        Their starts.
    chunks, jobs, drops : ndarray of int64, shape (b,)
        How many prompt chunks, token jobs and dropped caches each has.
    chunk_of, chunk_tokens : ndarray of int64
        Request and tokens of each prompt chunk, batch by batch.
    job_of : ndarray of int32
        Request of each token job, batch by batch.
    drop_of : ndarray of int64
        Request of each dropped cache, batch by batch.
    """

    start: IntArray
    chunks: IntArray
    jobs: IntArray
    drops: IntArray
    chunk_of: IntArray
    chunk_tokens: IntArray
    job_of: NDArray[np.int32]
    drop_of: IntArray


#: Longer schedules are shown by their numbers only.
MOST_SHOWN = 2


@dataclass(frozen=True, init=False, repr=False, eq=False)
class ContinuousSchedule:
    """A schedule for continuous batching: batches in order of their starts.

    A prompt chunk reads tokens of a request's prompt; the one that completes the prompt emits
    output token 1. A token job emits the next token. A preempted request keeps the tokens that it
    has emitted, and reads them again with its prompt: the last of these chunks emits the next one.
    A request whose output is complete frees its KV cache at the end of the batch.

    Parameters
    ----------
    batches : iterable of Batch
        In any order.

    Attributes
    ----------
    batches : tuple of Batch
        Sorted by start; made when it is asked for, if the schedule was made of columns.
    columns : Columns
        The same as arrays.

    Raises
    ------
    InputError
        If a request, or a number of tokens, is no integer that 31 bits hold.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[1, 2])
    >>> first = Batch(0, prefill=((0, 2), (1, 1)))
    >>> schedule = ContinuousSchedule([first, Batch(1, prefill=((0, 1),), decode=(1,))])
    >>> schedule.completion(instance).tolist()
    [2, 2]
    """

    model: ClassVar[str] = "continuous"

    def __init__(self, batches: Iterable[Batch]) -> None:
        self.__dict__["batches"] = tuple(sorted(batches, key=lambda b: b.start))

    @classmethod
    def of_columns(cls, columns: Columns) -> ContinuousSchedule:
        """Return the schedule of some batches that are in order of their starts."""
        made = cls.__new__(cls)
        made.__dict__["columns"] = columns
        return made

    @cached_property
    def batches(self) -> tuple[Batch, ...]:
        """The batches, sorted by start."""
        c = self.columns
        chunks = list(zip(c.chunk_of.tolist(), c.chunk_tokens.tolist(), strict=True))
        jobs, drops = c.job_of.tolist(), c.drop_of.tolist()
        ends = zip(*(np.cumsum(each).tolist() for each in (c.chunks, c.jobs, c.drops)), strict=True)
        found, before = [], (0, 0, 0)
        for start, now in zip(c.start.tolist(), ends, strict=True):
            (p, d, x), (q, e, y), before = before, now, now
            found.append(Batch(start, tuple(chunks[p:q]), tuple(jobs[d:e]), tuple(drops[x:y])))
        return tuple(found)

    @cached_property
    def columns(self) -> Columns:
        """The batches as arrays."""
        b = self.batches
        chunks = [chunk for batch in b for chunk in batch.prefill]
        try:
            return Columns(
                start=np.array([batch.start for batch in b], dtype=np.int64),
                chunks=np.array([len(batch.prefill) for batch in b], dtype=np.int64),
                jobs=np.array([len(batch.decode) for batch in b], dtype=np.int64),
                drops=np.array([len(batch.preempt) for batch in b], dtype=np.int64),
                chunk_of=np.array([i for i, _ in chunks], dtype=np.int64),
                chunk_tokens=np.array([tokens for _, tokens in chunks], dtype=np.int64),
                job_of=np.array([i for batch in b for i in batch.decode], dtype=np.int32),
                drop_of=np.array([i for batch in b for i in batch.preempt], dtype=np.int64),
            )
        except OverflowError as error:
            raise InputError(
                f"schedule.batches: expected integers that 64 bits hold, requests 31 ({error})"
            ) from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ContinuousSchedule):
            return NotImplemented
        columns: tuple[tuple[Any, Any], ...] = tuple(zip(self.columns, other.columns, strict=True))
        return self is other or all(np.array_equal(mine, its) for mine, its in columns)

    def __hash__(self) -> int:
        return hash((self.columns.start.size, self.columns.job_of.size))

    def __repr__(self) -> str:
        b = self.columns.start.size
        if b <= MOST_SHOWN:
            return f"ContinuousSchedule(batches={self.batches!r})"
        c = self.columns
        return (
            f"ContinuousSchedule({b} batches, {c.chunk_of.size} prompt chunks, {c.job_of.size} "
            f"token jobs, {c.drop_of.size} preemptions, starts {c.start[0]} to {c.start[-1]})"
        )

    def timeline(self, instance: Instance) -> Timeline:
        """Return what each batch does, and when each request gets its tokens."""
        return timeline(instance, self.columns)

    def completion(self, instance: Instance) -> IntArray:
        """Completion c_i of each request, shape (n,): the end of the batch of its last token.

        Raises
        ------
        ValueError
            If a request does not get all its tokens: ask `check` first where that may be.
        """
        completion = self.timeline(instance).completion
        if (completion < 0).any():
            raise ValueError("completion: a request is not served to its end")
        return completion

    def accepted(self) -> IntArray:
        """Requests that are in some batch, increasing."""
        return np.unique(np.concatenate([self.columns.chunk_of, self.columns.job_of]))

    def only(self, kept: IntArray) -> ContinuousSchedule:
        """Return the schedule of ``instance.take(kept)`` that does the same, shape of kept (m,).

        Every request in a batch must be among `kept`.
        """
        order = np.argsort(kept)

        def position(who: NDArray[np.integer]) -> IntArray:
            return order[np.searchsorted(kept[order], who)]

        c = self.columns
        return self.of_columns(
            c._replace(
                chunk_of=position(c.chunk_of),
                job_of=position(c.job_of).astype(np.int32),
                drop_of=position(c.drop_of),
            )
        )
