"""The MILPs of separate batching as a stage of the search: build, start, branch and bound."""

from __future__ import annotations

import math

import numpy as np

from ...models.batch_time import AffineTime
from ...models.errors import BatchprophetError, InfeasibleError
from ...models.instance import IntArray
from ...models.objectives import value_step
from ...models.separate.decode import decode
from ...models.separate.formulation import build_model
from ...models.separate.horizon import latest_completions
from ...models.separate.regime import times_alone
from ...models.separate.schedule import SeparateSchedule
from ...models.separate.warm_start import set_start
from ..best_so_far import BestSoFar
from ..highs import SolverState, Status, solve_model

#: Names of the formulations in docs/model.md §3, and in the code.
FORMULATIONS = {
    "S1": "time-expanded",
    "S1-aggregated": "stages",
    "S1-merged": "classes",
    "S2": "batch-sequence",
}

#: Beyond so many jobs × times, or jobs × batches, the MILP is not tried.
MOST_CELLS = 60_000

#: With a limit on nodes, which says nothing of the root: so many, and so many more for each node.
ROOT_CELLS, CELLS_PER_NODE = 3_000, 300

Search = BestSoFar[SeparateSchedule]


def try_milp(
    search: Search, formulation: str, work_limit: int | None, threads: int | None, seed: int
) -> None:
    """Build the MILP, hand over the schedule, solve with the time left.

    Parameters
    ----------
    search : BestSoFar
        Has a schedule; what is found and proved goes there.
    formulation : {"auto", "S1", "S1-aggregated", "S1-merged", "S2"}
        The form; "auto" takes the aggregated one, or the batch sequence for the affine law.
    work_limit : int or None
        Branch-and-bound nodes; without it the time that is left limits the solve.
    threads : int or None
        Threads of the solver.
    seed : int
        Its seed.
    """
    instance = search.instance
    if search.seconds_left == 0:
        search.account.append("MILP not tried (no time left)")
        return
    if formulation == "auto":
        affine = isinstance(instance.gpu.batch_time, AffineTime)
        formulation = "S2" if affine else "S1-aggregated"
    latest = _latest(search)
    cells = _cells(search, formulation, latest)
    if cells > most_cells(work_limit):
        search.account.append(f"MILP not tried ({cells} jobs × times)")
        return
    if search.objective == "reward" and not _servable(search, latest):
        search.better_bound("no request can be in time", 0)
        return
    name = f"MILP ({formulation})"
    search.tell(f"building the {name}")
    model = build_model(
        instance,
        objective=search.objective,
        formulation=FORMULATIONS[formulation],
        latest=latest,
    )
    assert search.schedule is not None
    started = set_start(instance, model, search.schedule, search.objective)
    limited = work_limit is None and math.isfinite(search.time_limit)
    try:
        result = solve_model(
            model,
            time_limit=search.seconds_left if limited else None,
            work_limit=work_limit,
            threads=threads,
            seed=seed,
            absolute_gap=float(value_step(instance, search.objective)) / 2,
            warm_start=started,
            progress=lambda state: _tell(search, state),
        )
    except InfeasibleError as error:
        raise BatchprophetError(
            f"{name}: proved infeasible although a schedule is known"
        ) from error
    search.log = result.log
    if result.values is not None:
        search.offer(decode(instance, model, result.value), name)
    if result.bound is not None:
        search.better_bound(name, result.bound)
    outcome = "solved to optimality" if result.status is Status.OPTIMAL else "limit reached"
    outcome = "interrupted" if result.interrupted else outcome
    search.account.append(f"{name}: {outcome} after {result.nodes} nodes")


def most_cells(work_limit: int | None) -> int:
    """Return how many jobs × times a MILP may have for its root to be in proportion to the nodes.

    Examples
    --------
    >>> most_cells(5), most_cells(None)
    (4500, 60000)
    """
    if work_limit is None:
        return MOST_CELLS
    return min(MOST_CELLS, ROOT_CELLS + CELLS_PER_NODE * work_limit)


def _latest(search: Search) -> IntArray:
    value = None if search.objective == "reward" else search.value
    return latest_completions(search.instance, search.objective, value=value)


def _servable(search: Search, latest: IntArray) -> bool:
    alone = np.array(times_alone(search.instance), dtype=np.int64)
    return bool((search.instance.arrival + alone <= latest).any())


def _cells(search: Search, formulation: str, latest: IntArray) -> int:
    """Jobs × times at which they may start, or jobs × batches."""
    instance = search.instance
    outputs = int(instance.output.sum())
    if formulation == "S2":
        return outputs * (outputs + instance.n)
    span = np.maximum(latest - instance.arrival, 0)
    if formulation == "S1":
        return int(3 * span.sum())
    return int((span * instance.output).sum())


def _tell(search: Search, state: SolverState) -> None:
    bounds = [bound for bound in (search.bound, state.bound) if bound is not None]
    best = (min(bounds) if search.maximised else max(bounds)) if bounds else None
    search.tell(f"branch and bound ({state.nodes} nodes)", best)
