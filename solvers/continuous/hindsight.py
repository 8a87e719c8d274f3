"""Continuous batching, as `solvers.regimes` has it: list schedules, bounds, engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...models.continuous.regime import CONTINUOUS as RULES
from ...models.continuous.schedule import ContinuousSchedule
from ...models.instance import Instance
from ...models.objectives import latest_completion
from ..best_so_far import BestSoFar
from ..extendable import Extendable
from ..machines import FirstTokens, Machines
from ..recipe import Bound, Options, Recipe
from ..stages import Limits
from .bounds.simple import simple_bounds
from .parts import continuous_parts

if TYPE_CHECKING:
    import pyomo.environ as pyo

Search = BestSoFar[ContinuousSchedule]

#: Where no time is given to search, this order is played.
FIRST = "smallest volume"


def begin(search: Search, known: ContinuousSchedule | None, options: Options) -> None:
    """Take the known schedule, and the one of a simple rule."""
    from .compiled_instance import compiled_instance
    from .search.list_schedule import list_schedule, unlimited
    from .search.starts import orders

    if known is not None:
        search.offer(known, "the warm start")
    schedule = list_schedule(
        compiled_instance(search.instance), unlimited(orders(search.instance)[FIRST])
    )
    search.offer(schedule, FIRST)
    if search.objective == "reward":
        search.offer(without_late(search.instance, schedule), FIRST)
    search.tell("list schedules")
    for bound, proof in simple_bounds(search.instance, search.objective):
        search.proved_bound(proof.name, bound, proof)
    search.tell("simple bounds")


def without_late(instance: Instance, schedule: ContinuousSchedule) -> ContinuousSchedule:
    """Reject what completes too late to earn its reward; the rest is listed anew."""
    from .compiled_instance import compiled_instance
    from .search.list_schedule import list_schedule, unlimited
    from .search.starts import rule_of

    completion = schedule.completion(instance)
    kept = np.flatnonzero(completion <= latest_completion(instance))
    if kept.size == instance.n:
        return schedule
    if kept.size == 0:
        return ContinuousSchedule([])
    place = np.full(instance.n, -1)
    place[kept] = np.arange(kept.size)
    order = place[rule_of(instance, schedule).order]
    part = compiled_instance(instance.take(kept))
    columns = list_schedule(part, unlimited(order[order >= 0])).columns
    return ContinuousSchedule.of_columns(
        columns._replace(
            chunk_of=kept[columns.chunk_of], job_of=kept[columns.job_of].astype(np.int32)
        )
    )


def _prove(search: Search, options: Options) -> None:
    """Run the engine; the MILP for the reward, where a form is asked for, and as a last resort."""
    if _asks_for_milp(options):
        from .milp import try_milp

        try_milp(search, options)
        return
    if search.seconds_left == 0:
        return
    from .engine import MOST_EXACT, UNITS_PER_NODE, improve_and_prove

    # The search of states does not look at deadlines: small instances are left to the MILP.
    last_resort = search.objective == "tardiness" and search.instance.n <= MOST_EXACT
    seconds = search.seconds_left * (0.5 if last_resort else 1.0)
    improve_and_prove(search, options, seconds)
    if last_resort and not search.proved:
        from .milp import try_milp

        work = options.work_limit
        nodes = None if work is None else work // UNITS_PER_NODE
        try_milp(search, replace(options, work_limit=nodes))
        if work is None and not search.proved and search.seconds_left > 0:  # it was too large
            improve_and_prove(search, options)


def _bounds(search: Search, limits: Limits) -> Iterator[Bound]:
    """Yield bounds by prices that charge requests by the length of their batches, on one thread."""
    from .bounds.charge import charge_bound
    from .engine import UNITS_PER_PRICE_STEP

    assert search.schedule is not None
    steps = limits.steps(units=UNITS_PER_PRICE_STEP)
    if steps == 0:
        return iter(())
    return charge_bound(
        search.instance,
        search.schedule,
        objective=search.objective,
        seconds=limits.seconds,
        steps=steps,
        stop=limits.stop,
        threads=1,
    )


def _asks_for_milp(options: Options) -> bool:
    return options.objective == "reward" or options.formulation != "auto"


def _runs_engine(options: Options) -> bool:
    return not _asks_for_milp(options)


def _prepare(instance: Instance, options: Options) -> None:
    if _asks_for_milp(options):
        from . import milp  # noqa: F401 - loaded before the clock starts


def _extendable() -> Extendable[ContinuousSchedule]:
    from .milp import EXTENDABLE

    return EXTENDABLE


def _build_model(instance: Instance, objective: str, formulation: str) -> pyo.ConcreteModel:
    from ...models.continuous.milp.formulation import build_model, default_form

    form = default_form(instance) if formulation == "auto" else formulation
    return build_model(instance, objective=objective, formulation=form)


def _load(instance: Instance) -> None:
    from .warm_up import load_compiled_code

    load_compiled_code()


def _compiled() -> bool:
    from .warm_up import is_compiled

    return is_compiled()


def _compile(instance: Instance | None, announce: Callable[[], None]) -> None:
    from .warm_up import compile_engine

    compile_engine(instance, announce)


def _machines(instance: Instance) -> Machines:
    from .bounds.workloads import machines

    return machines(instance)


def _first_tokens(instance: Instance) -> FirstTokens:
    from .bounds.workloads import first_tokens

    return first_tokens(instance)


CONTINUOUS = Recipe(
    rules=RULES,
    formulations=("batch-sequence",),
    begin=begin,
    prove=_prove,
    parts=continuous_parts,
    bounds=_bounds,
    machines=_machines,
    first_tokens=_first_tokens,
    prepare=_prepare,
    load=_load,
    compiled=_compiled,
    compile=_compile,
    runs_compiled=_runs_engine,
    build_model=_build_model,
    extendable=_extendable,
)
