"""Lower bounds on the cost to go of a state: those of the GPU's walk, and what its requests paid.

With the prices of `walk_costs`, a schedule goes on from a state at time t like a walk from
(t, q, k). The prompts to come earn Σ λ_i over those that wait. Whoever runs, in class c, has earned
its price before; it pays Π_{c,t'} at some t' ≥ t when it leaves the class, at most Π_{c,t}, and
passes through the classes that follow at no gain. Deposits paid from t on, less those returned, are
at most ``(M − H)·δ_t`` where H is held already. So what is to come is at least

``value[t, q, k] + Σ λ_i − Σ Π_{c,t} − (M − H)·δ_t``.

Requests that run at the end T, and are done later, add at least one time unit each; that they leave
their classes then, at the least Π of all, is paid by nobody: `stranded` is both together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...models.instance import Instance, IntArray
from ...models.separate.classes import running_classes
from .machine import machine_of
from .prompt_choices import IMPOSSIBLE
from .walk_bound import classes_of, most_running
from .walk_costs import SCALE, Prices, compute_walk
from .walk_options import empty_options


class WalkTable(NamedTuple):
    """Costs to go of the GPU's walk, and the prices under which they hold.

    Attributes
    ----------
    first : int
        Time of the first arrival, at which the table begins.
    value : ndarray of int64, shape (S + 1, n + 1, K + 1)
        Costs to go, in units of 1/`walk_costs.SCALE`.
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


def walk_table(instance: Instance, prices: Prices, end: int) -> WalkTable:
    """Compute the costs to go from all states, for schedules that may end after T."""
    n, S = instance.n, prices.kv.size - 1
    machine, K = machine_of(instance), most_running(instance)
    begin = int(instance.arrival.min())
    arrived = np.searchsorted(np.sort(instance.arrival), begin + np.arange(S + 1), side="right")
    value = np.empty((S + 1, n + 1, K + 1), np.int64)
    stranded = SCALE + int(prices.running[:, -1].min(initial=0))
    classes = classes_of(instance, end)
    classes.last[:], classes.last_prompt[:] = S, S
    compute_walk(
        machine, classes, prices, arrived.astype(np.int64),
        empty_options(machine, K), value, stranded,
    )  # fmt: skip
    rows, _ = running_classes(instance, "latency", list(range(n)))
    number = {(c.held, c.to_go): a for a, c in enumerate(rows)}
    stage = np.full((n, int(instance.output.max())), -1, np.int64)
    for i, (s, o) in enumerate(
        zip(instance.prompt.tolist(), instance.output.tolist(), strict=True)
    ):
        for g in range(1, o):
            stage[i, g] = number[s + g, o - g]
    return WalkTable(begin, value, prices.prompt, prices.kv, prices.running, stage)


class Walks(NamedTuple):
    """Some tables of the same times, or none, as compiled code takes them.

    Attributes
    ----------
    first : int
        Time at which the tables begin.
    value, prompt, kv, running : ndarray of int64
        As in `WalkTable`, by table first.
    stage : ndarray of int64, shape (n, largest output)
        Class of each request after g tokens.
    """

    first: int
    value: NDArray[np.int64]
    prompt: NDArray[np.int64]
    kv: NDArray[np.int64]
    running: NDArray[np.int64]
    stage: NDArray[np.int64]


def walks_of(tables: Sequence[WalkTable], order: IntArray) -> Walks:
    """Put tables together, for requests in an order."""
    if not tables:
        none, square = np.zeros((0, 0, 0), np.int64), np.zeros((0, 0), np.int64)
        return Walks(0, np.zeros((0, 0, 0, 0), np.int64), square, square, none, square)
    return Walks(
        first=tables[0].first,
        value=np.stack([table.value for table in tables]),
        prompt=np.stack([table.prompt[order] for table in tables]),
        kv=np.stack([table.kv for table in tables]),
        running=np.stack([table.running for table in tables]),
        stage=tables[0].stage[order],
    )


class Plan(NamedTuple):
    """What the jobs of a batch add to the bound: working space.

    Attributes
    ----------
    gain : ndarray of int64, shape (n,)
        By position among those who may be in the batch.
    value : ndarray of int64, shape (most + 1,)
        Cost to go by count.
    exact : ndarray of int64, shape (n + 1, most + 1)
        Least sum of the gains of so many positions from p on.
    least : ndarray of int64, shape (n + 1, most + 1)
        Least that one or more positions from p on can add when d are in the batch already.
    """

    gain: IntArray
    value: IntArray
    exact: NDArray[np.int64]
    least: NDArray[np.int64]


def empty_plan(n: int, most: int) -> Plan:
    """Return room for batches of up to so many jobs."""
    return Plan(
        gain=np.zeros(n, np.int64),
        value=np.zeros(most + 1, np.int64),
        exact=np.zeros((n + 1, most + 1), np.int64),
        least=np.zeros((n + 1, most + 1), np.int64),
    )


@njit(cache=True, nogil=True)
def look_ahead(plan: Plan, positions: int, most: int, counted: bool) -> None:
    """Fill `least` for batches of at most so many; `counted`: with the cost to go by count."""
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
