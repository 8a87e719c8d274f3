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
