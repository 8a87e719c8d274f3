"""Lower bounds on the cost to go of a state: those of the GPU's path, and what its requests paid.

With the prices of `gpu_path_costs`, a schedule goes on from a state at time t like a path from (t,
q, k). The prompts to come earn Σ λ_i over those that wait. A running request, in class c, has
earned its price before; it pays Π_{c,t'} at some t' ≥ t when it leaves the class, at most Π_{c,t},
and passes through the classes that follow at no gain. Deposits paid from t on, less those returned,
are at most ``(M − H)·δ_t`` where H is held already. So what is to come is at least

``value[t, q, k] + Σ λ_i − Σ Π_{c,t} − (M − H)·δ_t``.

**The end.** All of this is for schedules that are done by the end of the table. The cheapest path
with one late request or more is a lower bound on all other schedules. The table's end is moved on
until that is no less than the latency of a known schedule: then a better one is done by then, and
no path of the table has late requests. (Prices stay what they are at their last time.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import Instance, IntArray
from ....models.separate.milp.running_classes import running_classes
from ....models.separate.problem import separate_problem
from ...certificates.separate.walk_search import WalkSearch
from ..bounds.gpu_path_costs import SCALE, Prices, cheapest_path
from ..bounds.gpu_path_options import empty_options
from ..bounds.gpu_path_prices import classes_of, has_path, most_running, proof_of, unpriced_path
from ..bounds.prompt_choices import IMPOSSIBLE

#: How often the end of a table is moved on.
MOST_MOVES = 8


class PathTable(NamedTuple):
    """Costs to go of the GPU's path, and the prices under which they hold.

    Attributes
    ----------
    first : int
        Time of the first arrival, at which the table begins.
    value : ndarray of int64, shape (S + 1, n + 1, K + 1)
        Costs to go, in units of 1/`gpu_path_costs.SCALE`.
    prompt, kv : ndarray of int64, shape (n,) and (S + 1,)
        λ and δ.
    running : ndarray of int64, shape (classes, S + 1)
        Π.
    stage : ndarray of int64, shape (n, largest output)
        Class of each request after g tokens, ``0 < g < o``.
    """

    first: int
    value: NDArray[np.int64]
    prompt: IntArray
    kv: IntArray
    running: NDArray[np.int64]
    stage: NDArray[np.int64]


def path_table(instance: Instance, prices: Prices, end: int, latency: int) -> PathTable | None:
    """Compute the costs to go from all states, for schedules of less than a known total latency.

    Parameters
    ----------
    instance : Instance
        The instance.
    prices : Prices
        Prices up to the end.
    end : int
        Time T, not before the last arrival.
    latency : int
        Total latency of a feasible schedule.

    Returns
    -------
    PathTable or None
        None if the table would be too large, or prices are so bad that no end will do.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch, SeparateSchedule
    >>> from batchprophet.solvers.separate.bounds.class_relaxation import class_prices
    >>> from batchprophet.solvers.separate.bounds.gpu_path_prices import path_prices
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[2, 1])
    >>> one = SeparateSchedule([Batch("prompt", 0, (0, 1)), Batch("token", 1, (0,))])
    >>> begin = class_prices(instance, one)
    >>> prices = path_prices(instance, one, begin, time_limit=0).prices
    >>> path_table(instance, prices, begin.end, 3).value.shape[1:]
    (3, 2)
    """
    n, problem, K = instance.n, separate_problem(instance), most_running(instance)
    first = int(instance.arrival.min())
    options, late = empty_options(problem, K), np.diff(prices.left_out)
    none_late = np.full(n + 1, IMPOSSIBLE, np.int64)
    none_late[0] = 0
    more = 0
    for _ in range(MOST_MOVES):
        if not has_path(instance, end + more):
            return None
        S = end + more - first
        arrived = np.searchsorted(np.sort(instance.arrival), first + np.arange(S + 1), side="right")
        left_out = np.concatenate([[IMPOSSIBLE], np.cumsum(late + more * SCALE)])
        longer = Prices(
            prompt=prices.prompt,
            running=np.pad(prices.running, ((0, 0), (0, more)), mode="edge"),
            kv=np.pad(prices.kv, (0, more), mode="edge"),
            left_out=left_out.astype(np.int64),
        )
        value = np.empty((S + 1, n + 1, K + 1), np.int64)
        given = problem, classes_of(instance, end + more)
        bound = cheapest_path(*given, longer, arrived.astype(np.int64), options, value)
        if bound > (latency - 1) * SCALE:
            longer = longer._replace(left_out=none_late)
            cheapest_path(*given, longer, arrived.astype(np.int64), options, value)
            return PathTable(
                first, value, longer.prompt, longer.kv, longer.running, _stages(instance)
            )
        more = more + max(1, latency - bound // SCALE)
    return None


def search_proof(instance: Instance, table: PathTable | None, bound: int) -> WalkSearch | None:
    """Return the claim that no schedule is below a bound, with prices to search by if there are."""
    if table is not None:
        prices = Prices(table.prompt, table.running, table.kv, np.zeros(0, np.int64))
        path = proof_of(instance, prices, table.first + table.kv.size - 1)
        return WalkSearch(value=bound, walk=path)
    unpriced = unpriced_path(instance, bound)
    return None if unpriced is None else WalkSearch(value=bound, walk=unpriced)


def _stages(instance: Instance) -> NDArray[np.int64]:
    """Class of each request after each number of tokens."""
    rows, _ = running_classes(instance, "latency", list(range(instance.n)))
    number = {(c.held, c.to_go): a for a, c in enumerate(rows)}
    stage = np.full((instance.n, int(instance.output.max())), -1, np.int64)
    for i, (s, o) in enumerate(zip(instance.prompt, instance.output, strict=True)):
        for g in range(1, o):
            stage[i, g] = number[int(s) + g, int(o) - g]
    return stage


def no_path() -> PathTable:
    """Return a table of no times."""
    none, square = np.zeros(0, np.int64), np.zeros((0, 0), np.int64)
    return PathTable(0, np.zeros((0, 0, 0), np.int64), none, none, square, square)


class Plan(NamedTuple):
    """What the jobs of a batch add to the bound: working space.

    Attributes
    ----------
    gain : ndarray of int64, shape (n,)
        By position among those who may be in the batch.
    value : ndarray of int64, shape (most + 1,)
        Cost to go by count.
    exact : ndarray of int64, shape (n + 1, most + 1)
        Least sum of the gains of this many positions from p on.
    least : ndarray of int64, shape (n + 1, most + 1)
        Least that one or more positions from p on can add when d are in the batch already.
    """

    gain: IntArray
    value: IntArray
    exact: NDArray[np.int64]
    least: NDArray[np.int64]


def empty_plan(n: int, most: int) -> Plan:
    """Return room for batches of up to `most` jobs."""
    return Plan(
        gain=np.zeros(n, np.int64),
        value=np.zeros(most + 1, np.int64),
        exact=np.zeros((n + 1, most + 1), np.int64),
        least=np.zeros((n + 1, most + 1), np.int64),
    )


@njit(cache=True, nogil=True)
def look_ahead(plan: Plan, positions: int, most: int, counted: bool) -> None:
    """Fill `least` for batches of at most `most`; `counted`: with the cost to go by count."""
    exact, least = plan.exact, plan.least
    exact[:, 0] = 0
    for j in range(1, most + 1):
        exact[positions, j] = IMPOSSIBLE
    for p in range(positions - 1, -1, -1):
        for j in range(1, most + 1):
            exact[p, j] = min(exact[p + 1, j], exact[p + 1, j - 1] + plan.gain[p])
        for d in range(most):
            cost = IMPOSSIBLE
            for j in range(1, most - d + 1):
                cost = min(cost, exact[p, j] + (plan.value[d + j] if counted else 0))
            least[p, d] = cost
