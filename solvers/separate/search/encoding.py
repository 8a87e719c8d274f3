"""Schedules of separate batching as encodings: orders and rules, from which one is built.

`schedule_builder` says which schedule an encoding stands for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....models.instance import IntArray

#: Urgencies are 0 … MOST_URGENT.
MOST_URGENT = 2


class Encoding(NamedTuple):
    """A schedule as orders and rules: see the module.

    Attributes
    ----------
    order : ndarray of int64, shape (m,)
        The requests without KV.
    wait, least, most : ndarray of int64, shape (m,)
        Of each prompt batch: token batches before it, arrivals that it waits for, and the most
        requests that it holds, ≥ 1.
    urgency : ndarray of int64, shape (n,)
        Of each request, also of those that run, 0 … `MOST_URGENT`.
    firm : ndarray of int64, shape (n,)
        1 for requests that none may overtake, 0 for others.
    """

    order: IntArray
    wait: IntArray
    least: IntArray
    most: IntArray
    urgency: IntArray
    firm: IntArray

    def copied(self) -> Encoding:
        """Return a copy with arrays of its own."""
        return Encoding(*(column.copy() for column in self))


def plain_encoding(
    order: IntArray, n: int, wait: int = 0, least: int = 1, firm: int = 0
) -> Encoding:
    """Return an encoding with the same numbers for all batches, as full as they get; none urgent.

    Parameters
    ----------
    order : ndarray of int64, shape (m,)
        The requests without KV.
    n : int
        All requests.
    wait, least : int
        Of each batch.
    firm : int
        Of each request.
    """
    m = order.size
    return Encoding(
        order.astype(np.int64),
        np.full(m, wait, np.int64),
        np.full(m, least, np.int64),
        np.full(m, n, np.int64),
        np.zeros(n, np.int64),
        np.full(n, firm, np.int64),
    )
