"""Blocks: requests that some optimal schedule completes before the next one arrives.

Write I_S for the instance that has only the requests S.

**Leaving out.** Leave all requests but S out of a feasible schedule, and the batches that become
empty. What remains is a feasible schedule of I_S in which no request completes later: no round
holds more KV, no batch has more members or tokens, and none takes longer (all coefficients of the
batch-time laws are ≥ 0; conditions of continuous batching: `solvers.continuous.parts`).
Hence for every partition of the requests into S_1, …, S_m the optima satisfy

    OPT(I) ≥ Σ_b OPT(I_{S_b})  (latency, weighted, tardiness),
    OPT(I) ≥ max_b OPT(I_{S_b})  (makespan),
    OPT(I) ≤ Σ_b OPT(I_{S_b})  (reward).

**Closing up.** Let W be the sum of the requests' times alone on the GPU and a their last arrival.
Every schedule can be changed such that it ends by a + W and no request completes later: under mixed
batching, if no request runs in a round after a, let all that starts later start one round earlier;
under separate batching shift batches to the left (`separate.milp.horizon`). Then each round, or
batch, after a belongs to some request, and batches take no longer than their jobs one by one.

**Blocks.** Let the requests, by arrival, fall into S_1, …, S_m such that a_b + W_b of each is
at most the first arrival of the next. Closed-up schedules of the I_{S_b} do not overlap, so
together they are a schedule of I. With optimal ones it has the value that bounds OPT(I) above: an
optimal schedule of I is one optimal schedule per block.

**Moving.** A block moved to time 0, with its deadlines and the horizon, has the same latencies and
rewards; its completions are earlier by the shift.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .instance import NO_DEADLINE, Instance, IntArray
from .objectives import Exact, evaluate


def blocks(instance: Instance, alone: Sequence[int] | IntArray) -> list[IntArray]:
    """Divide the requests into blocks, as many as the theorem gives.

    Parameters
    ----------
    instance : Instance
        The instance.
    alone : sequence of int, shape (n,)
        Time of each request alone on the GPU: ``output`` under mixed batching,
        `separate.problem.time_alone` under separate batching, and
        `solvers.continuous.parts.times_within` under continuous batching.

    Returns
    -------
    list of ndarray of int64
        The requests of each block, by arrival; blocks in order of time.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=9), arrival=[8, 2, 0], prompt=[3, 1, 1], output=[4, 2, 4]
    ... )
    >>> [block.tolist() for block in blocks(instance, instance.output)]  # done by 2 + 6 at most
    [[2, 1], [0]]
    """
    order = np.argsort(instance.arrival, kind="stable")
    arrivals = instance.arrival[order].tolist()
    works = np.asarray(alone, dtype=np.int64)[order].tolist()
    cuts, work = [], 0
    for k in range(1, instance.n):
        work += works[k - 1]
        if arrivals[k - 1] + work <= arrivals[k]:
            cuts.append(k)
            work = 0
    return np.split(order, cuts)


def moved_to_zero(
    instance: Instance, members: IntArray, objective: str = "latency"
) -> tuple[Instance, int]:
    """Return the instance of some requests, moved such that the first arrives at 0, and the shift.

    For the tardiness there is no horizon, and a deadline before the shift becomes 0: see
    `value_of_shift`.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=9), arrival=[8, 2], prompt=[3, 1], output=[4, 2], horizon=20
    ... )
    >>> block, shift = moved_to_zero(instance, np.array([0]))
    >>> block.arrival.tolist(), block.horizon, shift
    ([0], 12, 8)
    """
    block = instance.take(members)
    shift = int(block.arrival.min())
    deadline, horizon = block.deadline, block.horizon
    if objective == "tardiness":
        horizon = None
    if horizon is not None:  # what is not in time stays so: no request completes by 0
        limits = np.full(block.n, horizon) if deadline is None else np.minimum(deadline, horizon)
        deadline, horizon = np.maximum(limits - shift, 0), max(1, horizon - shift)
    elif deadline is not None:
        shifted = np.maximum(deadline - shift, 0)
        deadline = np.where(deadline == NO_DEADLINE, deadline, shifted)
    moved = block.replace(
        arrival=block.arrival - shift, deadline=deadline, horizon=horizon, provenance=None
    )
    return moved, shift


def value_of_shift(kept: Instance, objective: str, shift: int) -> Exact:
    """Return how much more requests cost in their own time than moved to 0 (`moved_to_zero`).

    Parameters
    ----------
    kept : Instance
        The requests in their own time.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective.
    shift : int
        By how much they were moved, at most their first arrival.

    Examples
    --------
    A deadline that lies before the first arrival is 3 too early at 0 already.

    >>> from batchprophet.models.instance import Gpu
    >>> late = Instance(
    ...     gpu=Gpu(kv_capacity=9), arrival=[8, 9], prompt=[3, 1], output=[4, 2], deadline=[5, 30]
    ... )
    >>> value_of_shift(late, "tardiness", 8), value_of_shift(late, "makespan", 8)
    (3, 8)
    """
    if objective in ("weighted", "tardiness"):
        return evaluate(kept, np.full(kept.n, shift), objective)
    return shift if objective == "makespan" else 0


def closed_up(start: IntArray, output: IntArray, last_arrival: int) -> IntArray:
    """Return starts with no idle round after the last arrival before the end; none completes later.

    Parameters
    ----------
    start, output : ndarray of int64, shape (m,)
        Starts of a feasible schedule of mixed batching, and output lengths, in rounds.
    last_arrival : int
        Of these requests.

    Examples
    --------
    >>> closed_up(np.array([5, 20]), np.array([4, 2]), 2).tolist()
    [2, 6]
    """
    order = np.argsort(start, kind="stable")
    closed = start.copy()
    busy_until, saved = last_arrival, 0
    rows = zip(order.tolist(), start[order].tolist(), output[order].tolist(), strict=True)
    for i, begin, rounds in rows:
        saved += max(0, begin - saved - busy_until)
        closed[i] = begin - saved
        busy_until = max(busy_until, begin - saved + rounds)
    return closed
