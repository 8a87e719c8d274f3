"""A schedule that knows the path: what the same GPU control earns with the right acceptances.

Aggregated hindsight assumes full batches. Where KV keeps them from being full it may stay away
from every schedule, and regret is measured against this schedule as well: the best of many runs.
In some, whom to accept is chosen by the polymatroid greedy at a speed η of the GPU, for a grid of
η; the requests of a type that is accepted in part are the first ones that come, or spread evenly.
In the others the Bayes selector runs with the path's own arrival rates, for a grid of reserves of
work. It is a feasible schedule, so the hindsight optimum earns at least as much.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ....models.instance import IntArray
from .acceptance import Forecast, make_forecast
from .law import AdmissionLaw
from .simulation import Counts, run_admission
from .workloads import Workloads

#: Speeds that are tried.
SPEEDS = tuple(eta / 100 for eta in range(74, 102, 2))

#: Reserves of work that are tried, as multiples of the work that keeps batches full.
RESERVES = (0.5, 1.0, 2.0, 4.0, 8.0)


def clairvoyant(
    law: AdmissionLaw, workloads: Workloads, arrivals: IntArray, edges: IntArray
) -> Counts:
    """Run the best clairvoyant schedule of the grid.

    Parameters
    ----------
    law, workloads, arrivals, edges
        As of `run_admission`.

    Returns
    -------
    Counts
        Of the run that earns most.
    """
    uniforms = np.zeros(int(arrivals.sum()))
    runs = list[Counts]()
    for speed in SPEEDS:
        early = _wanted(arrivals, workloads.total, workloads.order, workloads.unit * speed)
        for wanted in (early, spread_evenly(arrivals, early)):
            run = run_admission(
                law, workloads, arrivals, "clairvoyant", uniforms, edges, wanted=wanted
            )
            runs.append(run)
    for forecast in _forecasts(law, workloads, arrivals):
        runs.append(
            run_admission(law, workloads, arrivals, "bayes", uniforms, edges, forecast=forecast)
        )
    return max(runs, key=lambda run: run.earned(law))


def _forecasts(law: AdmissionLaw, workloads: Workloads, arrivals: IntArray) -> list[Forecast]:
    """The law's own rates, then those of the path with several reserves of work."""
    own = make_forecast(law, workloads)
    w = workloads.total / workloads.unit
    rates = np.maximum(arrivals.mean(axis=0), 1e-9)
    path = own._replace(mean=rates * w, variance=rates * w * w)
    return [own, *(path._replace(full=own.full * factor) for factor in RESERVES)]


def spread_evenly(arrivals: IntArray, wanted: IntArray) -> IntArray:
    """Choose as many of each type, at equal distances among all that arrive.

    Examples
    --------
    >>> spread_evenly(np.ones((6, 1), dtype=np.int64), np.array([[1, 1, 0, 0, 0, 0]]).T).T
    array([[0, 0, 1, 0, 0, 1]])
    """
    x, n = wanted.sum(axis=0), np.maximum(arrivals.sum(axis=0), 1)
    upto = np.cumsum(arrivals, axis=0) * x // n
    chosen: IntArray = np.diff(upto, axis=0, prepend=0)
    return chosen


@njit(cache=True, nogil=True)
def _wanted(arrivals: IntArray, total: IntArray, order: IntArray, per_slot: float) -> IntArray:
    """Whole requests that the greedy accepts: the densest type first, the earliest first.

    Accepting a request at time a takes from the room of every suffix u ≤ a; it fits if all of
    these have room.
    """
    T, K = arrivals.shape
    room = np.empty(T)
    for u in range(T):
        room[u] = per_slot * (T - u)
    wanted = np.zeros((T, K), dtype=np.int64)
    for k in range(K):
        j = order[k]
        least, taken = np.inf, 0.0
        for a in range(T):
            # Suffixes u ≤ a have lost what was taken at times ≥ u: all of it, but what was before.
            least = min(least, room[a] + taken)
            while wanted[a, j] < arrivals[a, j] and least - taken >= total[j]:
                wanted[a, j] += 1
                taken += total[j]
        later = 0.0
        for u in range(T - 1, -1, -1):
            later += wanted[u, j] * total[j]
            room[u] -= later
    return wanted
