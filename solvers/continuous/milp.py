"""The MILP of continuous batching as a stage of the search: build, start, branch and bound."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo

from ...models.continuous.milp.batch_sequence import most_batches
from ...models.continuous.milp.formulation import build_model, default_form
from ...models.continuous.milp.from_variables import decode
from ...models.continuous.milp.horizon import latest_completions, least_times_alone
from ...models.continuous.milp.warm_start import set_start, set_values
from ...models.continuous.schedule import ContinuousSchedule
from ...models.instance import Instance, IntArray
from ..best_so_far import BestSoFar
from ..extendable import Extendable
from ..milp_stage import solve_milp
from ..recipe import Options

#: Beyond this many requests × batches the MILP is not tried.
MOST_CELLS = 2_000

#: With a limit on nodes, which says nothing of the root: this many, and this many more for each.
ROOT_CELLS, CELLS_PER_NODE = 100, 10

Search = BestSoFar[ContinuousSchedule]


def try_milp(search: Search, options: Options) -> None:
    """Build the MILP, hand over the schedule, solve with the time left.

    Parameters
    ----------
    search : BestSoFar
        Has a schedule; what is found and proved goes there.
    options : Options
        The form ("auto" takes `default_form`); branch-and-bound nodes, without which the time that
        is left limits the solve; threads and seed of the solver.
    """
    instance = search.instance
    if search.seconds_left == 0:
        search.account.append("MILP not tried (no time left)")
        return
    chosen = options.formulation
    form = default_form(instance) if chosen == "auto" else chosen
    value = None if search.objective == "reward" else search.value
    latest = latest_completions(instance, search.objective, value=value)
    possible = _servable(instance, latest)
    if not possible.any():  # for the reward alone: a schedule is known
        search.better_bound("no request can be in time", 0)
        return
    cells = int(possible.sum()) * most_batches(instance, latest)
    if cells > most_cells(options.work_limit):
        search.account.append(f"MILP not tried ({cells} requests × batches)")
        return
    name = f"MILP ({form} form)"
    search.tell(f"building the {name}")

    def build(small: Instance) -> tuple[pyo.ConcreteModel, bool]:
        model = build_model(small, objective=search.objective, formulation=form, latest=latest)
        assert search.schedule is not None
        return model, set_start(small, model, search.schedule, search.objective)

    solve_milp(search, name, options, build, decode)


def most_cells(work_limit: int | None) -> int:
    """Return how many requests × batches a MILP may have for its root to be in proportion.

    Examples
    --------
    >>> most_cells(5), most_cells(None)
    (150, 2000)
    """
    if work_limit is None:
        return MOST_CELLS
    return min(MOST_CELLS, ROOT_CELLS + CELLS_PER_NODE * work_limit)


def _servable(instance: Instance, latest: IntArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return instance.arrival + least_times_alone(instance) <= latest


def _build(
    instance: Instance, objective: str, formulation: str, latest: IntArray
) -> pyo.ConcreteModel:
    return build_model(
        instance, objective=objective, formulation=formulation, latest=latest, any_start=True
    )


def _size(instance: Instance, formulation: str, latest: IntArray) -> int:
    del formulation
    return int(_servable(instance, latest).sum()) * most_batches(instance, latest)


EXTENDABLE: Extendable[ContinuousSchedule] = Extendable(
    default_form=default_form,
    alone=least_times_alone,
    latest=latest_completions,
    build=_build,
    size=_size,
    largest=MOST_CELLS,
    read=decode,
    set_values=set_values,
)
