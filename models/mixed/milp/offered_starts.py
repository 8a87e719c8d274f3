"""The starts that a formulation offers, before any model is built."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...instance import Instance, IntArray


@dataclass(frozen=True, slots=True)
class Starts:
    """The starts that a formulation offers: ``a_i ≤ t ≤ L_i``.

    Attributes
    ----------
    earliest, latest : ndarray of int64, shape (n,)
        a_i and L_i; a request with ``L_i < a_i`` has no start (it cannot earn its reward).
    last_round : int
        T, the last round in which any request can run.
    """

    earliest: IntArray
    latest: IntArray
    last_round: int

    @property
    def count(self) -> int:
        """Number of binaries, ``Σ_i max(0, L_i − a_i + 1)``."""
        return int(np.maximum(self.latest - self.earliest + 1, 0).sum())


def offered_starts(instance: Instance, latest: IntArray) -> Starts:
    """Return the starts from each arrival to the latest start of `horizon.latest_starts`.

    Raises
    ------
    InputError
        If `latest` has a wrong shape, or no request has any start.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> starts = offered_starts(instance, np.array([1, 3]))
    >>> starts.count, starts.last_round
    (4, 5)
    """
    if latest.shape != (instance.n,):
        raise InputError(f"latest: expected shape ({instance.n},), found {latest.shape}")
    possible = latest >= instance.arrival
    if not possible.any():
        raise InputError("latest: no request can start between its arrival and its latest start")
    last_round = int((latest + instance.output)[possible].max())
    return Starts(instance.arrival, latest, last_round)
