"""The MILP stage of the search: build, bound by the LP, branch and bound."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial
from operator import attrgetter

import numpy as np
import pyomo.environ as pyo

from ...models.instance import Instance, IntArray
from ...models.mixed.milp.formulation import build_model
from ...models.mixed.milp.from_variables import decode, set_start
from ...models.mixed.milp.horizon import latest_starts
from ...models.mixed.milp.offered_starts import offered_starts
from ...models.mixed.schedule import MixedSchedule
from ..best_so_far import BestSoFar
from ..certificates.clock import Clock
from ..extendable import Extendable
from ..highs import solve_model
from ..matrix_form import MatrixForm
from ..milp_stage import solve_milp, solved
from ..recipe import Options
from ..units import out_of_units
from ..weak_duality import dual_bound
from .milp_size import MOST_BINARIES, latest_starts_of, most_binaries
from .proofs.linear_duals import round_prices

#: By itself the solve takes the dense form up to this many memory non-zeros: cuts and presolve find
#: much more in its knapsack rows. Beyond, the running-sum form has the root bound sooner.
MOST_DENSE_NONZEROS = 600_000

#: Beyond this many columns the LP is solved by interior point.
LARGE_LP = 30_000


def try_milp(search: BestSoFar[MixedSchedule], options: Options) -> None:
    """Build the MILP, hand over the schedule, solve with the time left."""
    instance = search.instance
    if search.seconds_left == 0:
        search.account.append("MILP not tried (no time left)")
        return
    if instance.n > MOST_BINARIES:  # a binary each, at least
        search.account.append(f"MILP not tried ({instance.n} requests)")
        return
    latest = latest_starts_of(search)
    binaries = offered_starts(instance, latest).count
    if binaries > most_binaries(options.work_limit):
        search.account.append(f"MILP not tried ({binaries} binaries)")
        return
    chosen = options.formulation
    form = _suitable_form(instance, latest) if chosen == "auto" else chosen
    search.tell(f"building the MILP ({binaries} binaries)")

    def build(small: Instance) -> tuple[pyo.ConcreteModel, bool]:
        model = build_model(small, objective=search.objective, formulation=form, latest=latest)
        assert search.schedule is not None
        return model, set_start(small, model, search.schedule)

    relaxation = partial(_bound_by_lp, threads=options.threads)
    solve_milp(search, f"MILP ({form} form)", options, build, decode, relaxation)


def _suitable_form(instance: Instance, latest: IntArray) -> str:
    nonzeros = int(np.maximum(latest - instance.arrival + 1, 0) @ instance.output)
    return "dense" if nonzeros <= MOST_DENSE_NONZEROS else "running-sum"


def _bound_by_lp(
    search: BestSoFar[MixedSchedule],
    form: MatrixForm,
    unit: Fraction,
    time_limit: float | None,
    threads: int | None,
) -> None:
    """The LP relaxation first: sooner than the root of the branch and bound, and exact duality."""
    large = form.sizes[0] > LARGE_LP
    relaxed = solved(
        search,
        "LP relaxation",
        lambda: solve_model(
            form, relax=True, interior_point=large, time_limit=time_limit, threads=threads
        ),
    )
    if relaxed is None:
        return
    if relaxed.row_duals is not None:
        duals = relaxed.row_duals
        bound = dual_bound(form, duals)
        if math.isfinite(bound):
            search.bounds.append(("LP relaxation", out_of_units(bound, unit, search.maximised)))
        proof = round_prices(search.instance, search.objective, form, duals, unit)
        exact = proof.bound(search.instance, search.objective, Clock(None))
        search.proved_bound("memory prices of the LP", exact, proof)
    if relaxed.interrupted:
        raise KeyboardInterrupt


def _default_form(instance: Instance) -> str:
    """The running sums are variables that constraints can use."""
    del instance
    return "running-sum"


def _latest(instance: Instance, objective: str) -> IntArray:
    return latest_starts(instance, objective) + instance.output


def _build(
    instance: Instance, objective: str, formulation: str, latest: IntArray
) -> pyo.ConcreteModel:
    starts = latest - instance.output
    return build_model(instance, objective=objective, formulation=formulation, latest=starts)


def _size(instance: Instance, formulation: str, latest: IntArray) -> int:
    del formulation
    return int(np.maximum(latest - instance.output - instance.arrival + 1, 0).sum())


#: A start of a request at any time is a variable of the model as it is.
EXTENDABLE: Extendable[MixedSchedule] = Extendable(
    default_form=_default_form,
    alone=attrgetter("output"),
    latest=_latest,
    build=_build,
    size=_size,
    largest=MOST_BINARIES,
    read=decode,
    set_values=set_start,
)
