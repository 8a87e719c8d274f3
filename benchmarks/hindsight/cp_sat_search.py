"""How CP-SAT is run on a model, whatever the model: searches, limits, what is proved.

CP-SAT's portfolio for few workers has no search that raises the lower bound by unsatisfiable cores,
which does best here where no proof is near; so there are two ways to search: ``default``, CP-SAT's
own choice, and ``core``, cores on one worker and large neighbourhoods on the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ortools.sat.python import cp_model

from batchprophet.models import BatchprophetError, Schedule
from batchprophet.solvers import SolverError

#: Gives the value of a variable.
Value = Callable[[cp_model.IntVar], int]

#: The full searches of CP-SAT that take part; none named, its own choice.
SEARCHES: Mapping[str, tuple[str, ...]] = MappingProxyType({"default": (), "core": ("core",)})


@dataclass(frozen=True, slots=True)
class CpSatResult:
    """What CP-SAT found and proved.

    Attributes
    ----------
    schedule : MixedSchedule, SeparateSchedule or None
        Its best schedule; None if it has none.
    bound : int or None
        Its lower bound on the total latency; None if it has none.
    account : str
        Its status and effort.
    """

    schedule: Schedule | None
    bound: int | None
    account: str


def hinted_literal(model: cp_model.CpModel, name: str, hint: bool) -> cp_model.IntVar:
    """Return a new Boolean variable of a model, with its hint."""
    variable = model.new_bool_var(name)
    model.add_hint(variable, hint)
    return variable


def solve_cp_sat(
    model: cp_model.CpModel,
    read: Callable[[Value], Schedule],
    *,
    name: str,
    search: str = "default",
    time_limit: float,
    threads: int,
    seed: int = 0,
) -> CpSatResult:
    """Solve a model of which a solution is known.

    Parameters
    ----------
    model : CpModel
        Minimises an integer total latency.
    read : callable
        Gives the schedule, from the values of the variables.
    name : str
        What the model is called in messages.
    search : {"default", "core"}
        CP-SAT's own portfolio, or the one with unsatisfiable cores.
    time_limit : float
        Seconds.
    threads : int
        Workers, ≥ 1.
    seed : int
        Random seed.

    Raises
    ------
    BatchprophetError
        If CP-SAT calls the model infeasible, although a schedule is known.
    SolverError
        If CP-SAT calls the model invalid.
    """
    solver = cp_model.CpSolver()
    solver.parameters.catch_sigint_signal = False  # it would leave none that Python knows
    solver.parameters.max_time_in_seconds = max(0.001, time_limit)
    solver.parameters.num_workers = threads
    solver.parameters.random_seed = seed
    solver.parameters.subsolvers.extend(SEARCHES[search])
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        raise BatchprophetError(f"CP-SAT ({name}): infeasible although a schedule is known")
    if status == cp_model.MODEL_INVALID:
        raise SolverError(f"CP-SAT ({name}): {model.validate()}")
    solved = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    effort = f"{solver.num_branches} branches, {solver.num_conflicts} conflicts"
    return CpSatResult(
        schedule=read(solver.value) if solved else None,
        bound=_whole(solver.best_objective_bound),
        account=f"{solver.status_name(status)}, {effort}",
    )


def _whole(bound: float) -> int | None:
    """Bound as an integer, which CP-SAT's are where all coefficients are; None if it has none."""
    if not math.isfinite(bound) or abs(bound) >= 2**53:
        return None
    if not bound.is_integer():
        raise SolverError(f"CP-SAT: expected an integer bound, found {bound!r}")
    return int(bound)
