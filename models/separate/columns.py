"""Batches of separate batching as columns: of a million batches no million objects is made."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..durations import batch_durations
from ..instance import Instance, IntArray


class Columns(NamedTuple):
    """Batches one after another, and whose jobs they hold.

    Attributes
    ----------
    prompt : ndarray of bool, shape (b,)
        Whether the batch is a prompt batch.
    size : ndarray of int64, shape (b,)
        Jobs in the batch.
    member : ndarray of int64, shape (jobs,)
        Whose jobs they are, by position, batch after batch: ``jobs = Σ size``.

    Examples
    --------
    >>> columns = Columns(np.array([True, False]), np.array([2, 1]), np.array([0, 1, 1]))
    >>> columns.batch.tolist(), columns.total(np.array([3, 4, 5])).tolist()
    ([0, 0, 1], [7, 5])
    >>> columns.only(columns.member == 1).size.tolist()
    [1, 1]
    """

    prompt: NDArray[np.bool_]
    size: IntArray
    member: IntArray

    @property
    def batch(self) -> IntArray:
        """The batch of each job, shape (jobs,)."""
        return np.repeat(np.arange(self.size.size), self.size)

    @property
    def end(self) -> IntArray:
        """Jobs up to the end of each batch, shape (b,)."""
        return np.cumsum(self.size)

    def total(self, of_jobs: IntArray) -> IntArray:
        """Sum over the jobs of each batch, shape (b,)."""
        so_far = np.append(0, np.cumsum(of_jobs))
        total: IntArray = so_far[self.end] - so_far[self.end - self.size]
        return total

    def only(self, kept: NDArray[np.bool_]) -> Columns:
        """Keep some of the jobs, and no batch that becomes empty."""
        size = self.total(kept.astype(np.int64))
        return Columns(self.prompt[size > 0], size[size > 0], self.member[kept])

    def first(self, k: int) -> Columns:
        """Return the first k batches."""
        size = self.size[:k]
        return Columns(self.prompt[:k], size, self.member[: int(size.sum())])

    def followed_by(self, other: Columns) -> Columns:
        """Return these batches and then others."""
        return Columns(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def repeated(self) -> NDArray[np.bool_]:
        """Whether each batch is like the one before: of its kind, with its members in its order."""
        before = np.append(-1, self.size[:-1])
        alike = self.size == before
        alike[1:] &= self.prompt[1:] == self.prompt[:-1]
        shift = np.repeat(np.where(alike, self.size, 0), self.size)
        other = self.member != self.member[np.arange(self.member.size) - shift]
        repeated: NDArray[np.bool_] = alike & (self.total(other.astype(np.int64)) == 0)
        return repeated


def lengths(instance: Instance, columns: Columns) -> IntArray:
    """Time of each batch, in the batch-time law's unit, shape (b,).

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[2])
    >>> lengths(instance, Columns(np.array([True]), np.array([1]), np.array([0]))).tolist()
    [1]
    """
    law = batch_durations(instance)
    if law.is_constant:
        return np.where(columns.prompt, law.prompt_batch(0), law.token_batch(1, 0))
    read = instance.prompt[columns.member]
    if law.per_kv_token:
        of_prompts = np.repeat(columns.prompt, columns.size)
        read = read + np.where(of_prompts, 0, earlier_jobs(columns.member))
    tokens = columns.total(read)
    of_token = law.token_batch(columns.size, tokens)
    return np.where(columns.prompt, law.prompt_batch(tokens), of_token)


def earliest_starts(instance: Instance, columns: Columns) -> IntArray:
    """Starts of batches in this order, each as early as it and the arrivals allow, shape (b,).

    A batch starts at ``max_{k ≤ b} (ready_k + Σ_{k ≤ l < b} length_l)``, where a prompt batch is
    ready when all of its requests have arrived, others at 0.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 5], prompt=[3, 1], output=[2, 1])
    >>> order = Columns(np.array([True, False, True]), np.ones(3, int), np.array([0, 0, 1]))
    >>> earliest_starts(instance, order).tolist()
    [0, 1, 5]
    """
    length = lengths(instance, columns)
    ready = np.zeros(length.size, dtype=np.int64)
    reads = np.repeat(columns.prompt, columns.size)
    np.maximum.at(ready, columns.batch[reads], instance.arrival[columns.member[reads]])
    before = np.cumsum(length) - length
    starts: IntArray = np.maximum.accumulate(ready - before) + before
    return starts


def earlier_jobs(member: IntArray) -> IntArray:
    """How many jobs before each one have the same request: the tokens that it has emitted.

    Examples
    --------
    >>> earlier_jobs(np.array([0, 1, 0, 0, 1])).tolist()
    [0, 0, 1, 2, 1]
    """
    order = by_request(member)
    count = np.bincount(member, minlength=1)
    earlier = np.empty_like(member)
    earlier[order] = np.arange(member.size) - np.repeat(np.cumsum(count) - count, count)
    return earlier


def by_request(member: IntArray) -> IntArray:
    """Jobs by request, those of each in their order, shape (jobs,).

    Examples
    --------
    >>> by_request(np.array([0, 1, 0])).tolist()
    [0, 2, 1]
    """
    narrow = member.size > 0 and member.min() >= 0 and member.max() < 2**16
    keys = member.astype(np.uint16) if narrow else member  # which NumPy sorts in linear time
    return np.argsort(keys, kind="stable")
