"""The MILP as a stage of a search, for all regimes: build, start, bound, branch and bound.

A MILP comes after schedules and bounds that are known already. Whatever happens to it, these stay:
a failure, or an answer that contradicts them, goes to the account.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import TypeVar

import pyomo.environ as pyo

from ..models.errors import BatchprophetError, InfeasibleError
from ..models.instance import Instance
from ..models.objectives import MAXIMISED, Exact, value_step
from ..models.regime import ScheduleType
from ..models.regimes import check
from .best_so_far import BestSoFar
from .highs import HighsResult, SolverError, SolverState, Status, UnboundedError, solve_model
from .matrix_form import MatrixForm, compile_model
from .recipe import Options
from .units import in_units, out_of_units

Found = TypeVar("Found")

#: Gives a model of an instance, and whether its variables have the values of a schedule.
Builder = Callable[[Instance], tuple[pyo.ConcreteModel, bool]]

#: Reads the schedule off a model and the values of its variables.
Decoder = Callable[[Instance, pyo.ConcreteModel, Callable[[object], float]], ScheduleType]

#: Bounds the optimum by the LP relaxation, with the unit of its objective and the seconds left.
Relaxation = Callable[[BestSoFar[ScheduleType], MatrixForm, Fraction, float | None], None]


def solve_milp(
    search: BestSoFar[ScheduleType],
    name: str,
    options: Options,
    build: Builder,
    decode: Decoder[ScheduleType],
    relaxation: Relaxation[ScheduleType] | None = None,
) -> None:
    """Build a MILP and solve it with the time left, or with a limit on nodes.

    Parameters
    ----------
    search : BestSoFar
        Has a schedule; what is found and proved goes there.
    name : str
        What the account calls the MILP.
    options : Options
        Work (branch-and-bound nodes), threads and seed of the solver.
    build, decode : callable
        From the instance, its objective in a unit of its own (`units`), to the model and back.
    relaxation : callable, optional
        Comes before the branch and bound: the LP has a bound sooner than its root has.
    """
    instance, limited = search.instance, options.work_limit is None and search.time_limit < math.inf
    small, unit = in_units(instance, search.objective)

    def compiled() -> tuple[pyo.ConcreteModel, bool, MatrixForm]:
        model, started = build(small)
        return model, started, compile_model(model)

    built = attempted(search, name, compiled)
    if built is None:
        return
    model, started, form = built
    if relaxation is not None:
        relaxation(search, form, unit, search.seconds_left if limited else None)
        search.tell("LP relaxation")
        if search.seconds_left == 0:
            search.account.append("no time left for branch and bound")
            return
    result = solved(
        search,
        name,
        lambda: solve_model(
            form,
            time_limit=search.seconds_left if limited else None,
            work_limit=options.work_limit,
            threads=options.threads,
            seed=options.seed,
            absolute_gap=float(value_step(instance, search.objective) / unit) / 2,
            warm_start=started,
            progress=partial(tell, search, unit),
        ),
    )
    if result is not None:
        take(search, name, result, unit, lambda: decode(small, model, result.value))
    search.tell("done")


def attempted(
    search: BestSoFar[ScheduleType], what: str, work: Callable[[], Found]
) -> Found | None:
    """Return what the work returns; None if it fails, which the account and the log say.

    The work must not call the search's listener: that one's exceptions are its owner's.
    """
    try:
        return work()
    except Exception as error:  # whatever it is, it must not take with it what is known
        search.log += traceback.format_exc()
        search.account.append(f"{what} failed ({_in_a_line(error)})")
        return None


def solved(
    search: BestSoFar[ScheduleType], what: str, solve: Callable[[], HighsResult]
) -> HighsResult | None:
    """Return the result of the solver; None if it fails, or calls a model infeasible that is not.

    A schedule is known, so the model has a solution; if the solver proves otherwise, that is for
    its tolerances.
    """
    try:
        result = solve()
    except (SolverError, InfeasibleError, UnboundedError) as error:
        search.account.append(f"{what} is not believed ({_in_a_line(error)}; a schedule is known)")
        return None
    search.log += result.log
    search.account += [f"{what} not believed at first ({doubt})" for doubt in result.doubts]
    return result


def take(
    search: BestSoFar[ScheduleType],
    name: str,
    result: HighsResult,
    unit: Fraction,
    decode: Callable[[], ScheduleType],
) -> None:
    """Keep the schedule and the bound, unless they contradict the checker or what is known.

    Parameters
    ----------
    search : BestSoFar
        Where they go.
    name : str
        That of the MILP.
    result : HighsResult
        What the solver returned.
    unit : Fraction
        The unit of its objective.
    decode : callable
        Reads the schedule off its values.
    """
    if result.values is not None:
        schedule = attempted(search, f"{name}: reading the schedule", decode)
        if schedule is None:
            return
        wrong = check(search.instance, schedule, allow_rejected=search.objective in MAXIMISED)
        if wrong:
            search.account.append(f"{name} is not believed (its schedule: {wrong[0].message})")
            return
        search.offer(schedule, name)
    if result.bound is not None:
        _take_bound(search, name, out_of_units(result.bound, unit, search.maximised))
    outcome = "solved to optimality" if result.status is Status.OPTIMAL else "limit reached"
    outcome = "interrupted" if result.interrupted else outcome
    search.account.append(f"{name}: {outcome} after {result.nodes} nodes")


def _take_bound(search: BestSoFar[ScheduleType], name: str, bound: Exact) -> None:
    """Keep a bound that improves on the first; one stopped early may know nothing."""
    if contradicts(search, bound):
        search.account.append(f"{name}: its bound is not believed (a schedule is better)")
        return
    first = search.bounds[0][1] if search.bounds else None
    if first is None or (bound < first if search.maximised else bound > first):
        search.better_bound(name, bound)


def contradicts(search: BestSoFar[ScheduleType], bound: float | Exact) -> bool:
    """Whether the best schedule is better than a bound says that any can be."""
    if search.value is None:
        return False
    return bound < search.value if search.maximised else bound > search.value


def tell(search: BestSoFar[ScheduleType], unit: Fraction, state: SolverState) -> None:
    """Tell the listener the state of a branch and bound, with its bound unless it is absurd."""
    best = search.bound
    if state.bound is not None:
        bound = out_of_units(state.bound, unit, search.maximised)
        better = best is None or (bound < best if search.maximised else bound > best)
        if better and not contradicts(search, bound):
            best = bound
    search.tell(f"branch and bound ({state.nodes} nodes)", best)


def _in_a_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, BatchprophetError) else f"{type(error).__name__}: {text}"
