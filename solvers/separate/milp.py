"""The MILPs of separate batching as a stage of the search: build, start, branch and bound."""

from __future__ import annotations

import numpy as np
import pyomo.environ as pyo

from ...models.batch_time import AffineTime
from ...models.instance import Instance, IntArray
from ...models.separate.milp.formulation import build_model, default_form
from ...models.separate.milp.from_variables import decode
from ...models.separate.milp.horizon import latest_completions
from ...models.separate.milp.warm_start import set_start, set_values
from ...models.separate.problem import times_alone
from ...models.separate.schedule import SeparateSchedule
from ..best_so_far import BestSoFar
from ..extendable import Extendable
from ..milp_stage import solve_milp
from ..recipe import Options

#: Beyond this many jobs × times, or jobs × batches, the MILP is not tried.
MOST_CELLS = 60_000

#: With a limit on nodes, which says nothing of the root: this many, and this many more for each.
ROOT_CELLS, CELLS_PER_NODE = 3_000, 300

Search = BestSoFar[SeparateSchedule]


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
    latest = _latest(search)
    cells = _cells(instance, form, latest)
    if cells > most_cells(options.work_limit):
        search.account.append(f"MILP not tried ({cells} jobs × times)")
        return
    if search.objective == "reward" and not _servable(search, latest):
        search.better_bound("no request can be in time", 0)
        return
    name = f"MILP ({form} form)"
    search.tell(f"building the {name}")

    def build(small: Instance) -> tuple[pyo.ConcreteModel, bool]:
        model = build_model(small, objective=search.objective, formulation=form, latest=latest)
        assert search.schedule is not None
        return model, set_start(small, model, search.schedule, search.objective)

    solve_milp(search, name, options, build, decode)


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


def _cells(instance: Instance, formulation: str, latest: IntArray) -> int:
    """Jobs × times at which they may start, or jobs × batches."""
    outputs = int(instance.output.sum())
    if formulation == "batch-sequence":
        return outputs * (outputs + instance.n)
    span = np.maximum(latest - instance.arrival, 0)
    if formulation == "time-expanded":
        return int(3 * span.sum())
    return int((span * instance.output).sum())


#: What holds in every schedule: the other strengthenings keep only some of them.
VALID = ("batch-counts", "remaining-jobs")


def _default_form(instance: Instance) -> str:
    """The forms that have each request by its name."""
    affine = isinstance(instance.gpu.batch_time, AffineTime)
    return "batch-sequence" if affine else "time-expanded"


def _alone(instance: Instance) -> IntArray:
    return np.array(times_alone(instance), dtype=np.int64)


def _build(
    instance: Instance, objective: str, formulation: str, latest: IntArray
) -> pyo.ConcreteModel:
    return build_model(
        instance,
        objective=objective,
        formulation=formulation,
        latest=latest,
        strengthenings=VALID,
        any_start=True,
    )


EXTENDABLE: Extendable[SeparateSchedule] = Extendable(
    default_form=_default_form,
    alone=_alone,
    latest=latest_completions,
    build=_build,
    size=_cells,
    largest=MOST_CELLS,
    read=decode,
    set_values=set_values,
)
