"""What the schedules of a regime do for its requests, as machines of speed 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..models.instance import FloatArray, IntArray


class Machines(NamedTuple):
    """Machines whose schedules every schedule of an instance is, in the instance's time unit.

    A machine of speed 1 has worked ``w_i`` on request i by its completion, and nothing before its
    arrival.

    Attributes
    ----------
    alone : ndarray of float64 or int64, shape (n,)
        A lower bound on the latency of each request.
    works : iterator of ndarray of float64, shape (n,)
        For each machine its works ≥ 0, off by at most 2^−40, relative.
    """

    alone: FloatArray | IntArray
    works: Iterator[FloatArray]


class FirstTokens(NamedTuple):
    """What a regime needs of its GPU until the first token of each request, and from there on.

    Attributes
    ----------
    alone : ndarray of int64, shape (n,)
        A lower bound on the time to first token of each request.
    decode : ndarray of int64, shape (n,)
        A lower bound on the time from its first token to its completion.
    works : iterator of ndarray of float64, shape (n,)
        For each machine of speed 1 what it has worked on each request by its first token, as in
        `Machines`.
    most_between : int
        Most requests that at once have their first token and are not complete; n where there is no
        such limit.
    shortest : int
        Least time of a batch that emits a first token.
    contiguous : bool
        Whether `decode` is exact, in every schedule.
    """

    alone: IntArray
    decode: IntArray
    works: Iterator[FloatArray]
    most_between: int
    shortest: int
    contiguous: bool
