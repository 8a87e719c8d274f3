"""The MILPs of separate batching as a stage of the search: build, start, branch and bound."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pyomo.environ as pyo

from ...models.instance import Instance, IntArray
from ...models.objectives import value_step
from ...models.separate.milp.formulation import build_model, default_form
from ...models.separate.milp.from_variables import decode
from ...models.separate.milp.horizon import latest_completions
from ...models.separate.milp.warm_start import set_start
from ...models.separate.problem import times_alone
from ...models.separate.schedule import SeparateSchedule
from ..best_so_far import BestSoFar
from ..highs import solve_model
from ..milp_stage import attempted, solved, take, tell
from ..units import in_units

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
    formulation : {"auto", "time-expanded", "stages", "classes", "batch-sequence"}
        The form; "auto" takes `default_form`.
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
        formulation = default_form(instance)
    latest = _latest(search)
    cells = _cells(search, formulation, latest)
    if cells > most_cells(work_limit):
        search.account.append(f"MILP not tried ({cells} jobs × times)")
        return
    if search.objective == "reward" and not _servable(search, latest):
        search.better_bound("no request can be in time", 0)
        return
    name = f"MILP ({formulation} form)"
    search.tell(f"building the {name}")
    small, unit = in_units(instance, search.objective)
    built = attempted(search, name, partial(_build, search, small, formulation, latest))
    if built is None:
        return
    model, started = built
    limited = work_limit is None and math.isfinite(search.time_limit)
    result = solved(
        search,
        name,
        lambda: solve_model(
            model,
            time_limit=search.seconds_left if limited else None,
            work_limit=work_limit,
            threads=threads,
            seed=seed,
            absolute_gap=float(value_step(instance, search.objective) / unit) / 2,
            warm_start=started,
            progress=partial(tell, search, unit),
        ),
    )
    if result is not None:
        take(search, name, result, unit, lambda: decode(small, model, result.value))


def _build(
    search: Search, instance: Instance, formulation: str, latest: IntArray
) -> tuple[pyo.ConcreteModel, bool]:
    """Return the model, and whether its variables have the schedule's values."""
    model = build_model(
        instance, objective=search.objective, formulation=formulation, latest=latest
    )
    assert search.schedule is not None
    return model, set_start(instance, model, search.schedule, search.objective)


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
    if formulation == "batch-sequence":
        return outputs * (outputs + instance.n)
    span = np.maximum(latest - instance.arrival, 0)
    if formulation == "time-expanded":
        return int(3 * span.sum())
    return int((span * instance.output).sum())
