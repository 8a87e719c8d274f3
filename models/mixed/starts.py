"""The binaries of both formulations: ``x_{i,t} = 1`` iff request i starts at round boundary t."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.numeric_expr import LinearExpression

from ..errors import InputError
from ..instance import Instance, IntArray


@dataclass(frozen=True, slots=True)
class Starts:
    """The starts that a formulation offers: ``a_i ≤ t ≤ L_i``.

    Attributes
    ----------
    earliest, latest : ndarray of int64, shape (n,)
        a_i and L_i; a request with ``L_i < a_i`` has no start (it cannot earn its reward).
    last_round : int
        T, the last round in which anybody can run.
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


def add_starts(model: pyo.ConcreteModel, starts: Starts) -> None:
    """Add the sets REQUESTS, ROUNDS, STARTS and the binaries x."""
    model.REQUESTS = pyo.RangeSet(0, starts.earliest.size - 1, doc="requests i")
    model.ROUNDS = pyo.RangeSet(1, starts.last_round, doc="rounds t")
    windows = zip(starts.earliest.tolist(), starts.latest.tolist(), strict=True)
    pairs = [(i, t) for i, (a, L) in enumerate(windows) for t in range(a, L + 1)]
    model.STARTS = pyo.Set(dimen=2, initialize=pairs, doc="(i, t): i may start at t, a_i ≤ t ≤ L_i")
    model.x = pyo.Var(model.STARTS, domain=pyo.Binary, doc="x_{i,t} = 1 iff i starts at t")


def add_start_once(model: pyo.ConcreteModel, starts: Starts, *, optional: bool) -> None:
    """Every request starts once: ``Σ_t x_{i,t} = 1`` for all i (`optional`: ≤ 1)."""
    a, L = starts.earliest.tolist(), starts.latest.tolist()

    def start_once(model: pyo.ConcreteModel, i: int) -> object:
        if L[i] < a[i]:
            return pyo.Constraint.Skip
        times = [model.x[i, t] for t in range(a[i], L[i] + 1)]
        total = LinearExpression(constant=0, linear_coefs=[1] * len(times), linear_vars=times)
        return total <= 1 if optional else total == 1

    model.start_once = pyo.Constraint(model.REQUESTS, rule=start_once, doc="each i starts once")
