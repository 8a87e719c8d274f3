"""Aggregated hindsight of a path: for every time u, what arrives from u on fits in T − u.

    max Σ r_j x_j(a)   over 0 ≤ x_j(a) ≤ N_j(a),  Σ_{a ≥ u} Σ_j W_j x_j(a) ≤ unit·(T − u) for all u

GPU time perishes, so every suffix of time has its own constraint. With one resource this is a
polymatroid: serving types by reward per unit of work, the densest first, is optimal. Types 1 … k
together do ``F_k = min_u { work of types 1 … k that arrives before u + unit·(T − u) }``, and the
value is ``Σ_k (d_k − d_{k+1})·F_k`` with densities d_1 ≥ d_2 ≥ … ≥ d_{K+1} = 0. With u_k the first
minimiser, GPU time in slot s has the price ``Σ_{k: u_k ≤ s} (d_k − d_{k+1})``: a density.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ....models.errors import InputError
from ....models.instance import IntArray
from .law import AdmissionLaw
from .workloads import Workloads

#: Sums of work must fit the 64-bit integers of compiled code.
LARGEST = 2**62


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hindsight:
    """The aggregated hindsight value of a path, and its prices of GPU time.

    Attributes
    ----------
    value : Fraction
        The optimum of the aggregated LP: no schedule earns more.
    since : ndarray of int64, shape (K,)
        u_k by rank of density: from u_k on, work of the k densest types never stops until T. Not
        increasing in k.
    densities : tuple of Fraction
        Reward per unit of work by rank, then 0.
    """

    value: Fraction
    since: IntArray
    densities: tuple[Fraction, ...]

    def level(self, time: int) -> int:
        """Rank whose density is the price of GPU time in the slot; K where it is free."""
        return int((self.since > time).sum())


def hindsight(law: AdmissionLaw, workloads: Workloads, arrivals: IntArray) -> Hindsight:
    """Solve the aggregated hindsight problem of a path.

    Parameters
    ----------
    law : AdmissionLaw
        The law; its rates do not matter.
    workloads : Workloads
        Units of work.
    arrivals : ndarray of int64, shape (T, K)
        Arrivals by slot and type.

    Returns
    -------
    Hindsight
        Value and prices, in exact arithmetic.

    Raises
    ------
    InputError
        If work and time, in units, would exceed 64-bit integers.

    Examples
    --------
    Two requests of type 2 in the last two slots: in what is left a GPU does 2 of their 2.25 slots.

    >>> from batchprophet.online.separate.admission.law import PROTOTYPE
    >>> from batchprophet.online.separate.admission.workloads import request_workloads
    >>> arrivals = np.zeros((9, 3), dtype=np.int64)
    >>> arrivals[7, 1] = 2
    >>> hindsight(PROTOTYPE, request_workloads(PROTOTYPE), arrivals).value
    Fraction(32, 3)
    """
    T = arrivals.shape[0]
    _require_small(workloads, arrivals)
    densities = [Fraction(law.reward[j], int(workloads.total[j])) for j in workloads.order]
    later = workloads.unit * np.arange(T, -1, -1, dtype=np.int64)
    before = np.zeros(T + 1, dtype=np.int64)
    since = np.zeros(law.types, dtype=np.int64)
    value = Fraction(0)
    for k, j in enumerate(workloads.order.tolist()):
        before[1:] += np.cumsum(arrivals[:, j] * workloads.total[j])
        capacity = before + later
        since[k] = int(np.argmin(capacity))
        following = densities[k + 1] if k + 1 < law.types else Fraction(0)
        value += (densities[k] - following) * int(capacity[since[k]])
    return Hindsight(value=value, since=since, densities=(*densities, Fraction(0)))


def _require_small(workloads: Workloads, arrivals: IntArray) -> None:
    counts = arrivals.sum(axis=0).tolist()
    units = arrivals.shape[0] * workloads.unit
    units += sum(n * w for n, w in zip(counts, workloads.total.tolist(), strict=True))
    if units >= LARGEST:
        raise InputError(
            f"horizon: expected work and time that stay below 2^62 units, found {units:,} at "
            f"horizon {arrivals.shape[0]:,} with {workloads.unit:,} units per slot; limits of "
            "batches with common factors need fewer"
        )
