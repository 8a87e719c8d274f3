"""Mixed batching, as `solvers.regimes` has it: list schedules, bounds, engine, MILP.

The MILP, and with it Pyomo, is loaded where it is needed: the package starts twice as fast without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ...models.instance import Instance
from ...models.mixed.problem import is_limited
from ...models.mixed.regime import MIXED as RULES
from ...models.mixed.schedule import MixedSchedule
from ...models.objectives import OBJECTIVES
from ..best_so_far import BestSoFar
from ..certificates.mixed.combinatorial import CombinatorialBound
from ..extendable import Extendable
from ..machines import FirstTokens, Machines
from ..recipe import Options, Recipe
from .bounds.combinatorial import all_bounds, round_limits
from .bounds.fluid_machine import kv_memory
from .bounds.one_long_request import ONE_LONG, one_long_request
from .engine import UNITS_PER_NODE, has_configurations, improve_and_prove
from .few_classes import by_class
from .list_scheduling.incumbents import list_schedules
from .makespan import shorten_and_prove
from .milp_size import is_applicable
from .parts import mixed_parts
from .within_limits import within_limits

if TYPE_CHECKING:
    import pyomo.environ as pyo

#: Where only the MILP can prove anything, the search for schedules before it gets this share of the
#: time, and at most so many seconds for each request.
SEARCH_SHARE, SECONDS_PER_REQUEST = 0.2, 0.05

Search = BestSoFar[MixedSchedule]

#: The form of the MILP that is written where none is named.
DEFAULT_FORM = "running-sum"


def begin(search: Search, known: MixedSchedule | None, options: Options) -> None:
    """List schedules, the known one first, and combinatorial bounds."""
    for name, schedule in list_schedules(search.instance, search.objective, known):
        search.offer(schedule, name)
        search.tell("list schedules")
        if search.seconds_left == 0:
            break
    for name, bound in all_bounds(search.instance, search.objective):
        search.proved_bound(name, bound, CombinatorialBound(name=name))
    if search.objective == "latency" and not search.proved:
        found = one_long_request(search.instance)
        if found is not None:
            kept = within_limits(search.instance, found.schedule)
            if kept is not None:
                search.offer(kept, ONE_LONG)
            search.proved_bound(ONE_LONG, found.latency, CombinatorialBound(name=ONE_LONG))
    search.tell("combinatorial bounds")


def _prove(search: Search, options: Options) -> None:
    """Run the engine for sums over completions, the MILP for the rest and where a form is named."""
    work_limit, threads, seed = options.work_limit, options.threads, options.seed
    if options.formulation != "auto":
        _milp().try_milp(search, options)
        return
    if search.seconds_left == 0:
        return
    by_class(search, options)
    if search.proved:
        return
    # The engine's proofs leave limits on a round out; the MILP does not.
    schedules_alone = options.objective != "latency" and not has_configurations(search)
    by_milp = is_limited(search.instance) or not has_configurations(search)
    last_resort = by_milp and is_applicable(search)
    seconds = search.seconds_left * (0.5 if last_resort else 1.0)
    if last_resort and schedules_alone:
        seconds = min(SEARCH_SHARE * search.seconds_left, SECONDS_PER_REQUEST * search.instance.n)
    engine = shorten_and_prove if options.objective == "makespan" else improve_and_prove
    engine(search, time_limit=seconds, work_limit=work_limit, threads=threads, seed=seed)
    if last_resort and not search.proved:
        nodes = None if work_limit is None else work_limit // UNITS_PER_NODE
        _milp().try_milp(search, replace(options, work_limit=nodes))


def _prepare(instance: Instance, options: Options) -> None:
    if options.ask_for_milp:
        _milp()


def _milp() -> ModuleType:
    """Return the module of the MILP, loaded where it is not yet."""
    from . import milp

    return milp


def _load(instance: Instance) -> None:
    from .warm_up import load_compiled_code

    load_compiled_code(instance)


def _compiled() -> bool:
    from .warm_up import is_compiled

    return is_compiled()


def _compile(instance: Instance | None, announce: Callable[[], None]) -> None:
    from .warm_up import compile_engine

    compile_engine(instance, announce)


def _extendable() -> Extendable[MixedSchedule]:
    from .milp import EXTENDABLE

    return EXTENDABLE


def _build_model(instance: Instance, objective: str, formulation: str) -> pyo.ConcreteModel:
    from ...models.mixed.milp.formulation import build_model

    form = DEFAULT_FORM if formulation == "auto" else formulation
    return build_model(instance, objective=objective, formulation=form)


def _machines(instance: Instance) -> Machines:
    """The machine of KV areas, and those of limits on a round."""
    resources = [kv_memory(instance), *round_limits(instance).values()]
    works = (resource.work / resource.speed for resource in resources)
    return Machines(instance.output, works)


def _first_tokens(instance: Instance) -> FirstTokens:
    """A round on s + 1 tokens of memory, then a token in each round."""
    return FirstTokens(
        alone=np.ones(instance.n, dtype=np.int64),
        decode=instance.output - 1,
        works=iter([(instance.prompt + 1) / instance.gpu.kv_capacity]),
        most_between=instance.n,
        shortest=1,
        contiguous=True,
    )


MIXED = Recipe(
    rules=RULES,
    formulations=("dense", "running-sum"),
    begin=begin,
    prove=_prove,
    parts=mixed_parts,
    machines=_machines,
    first_tokens=_first_tokens,
    load=_load,
    compiled=_compiled,
    compile=_compile,
    engine=tuple(OBJECTIVES),
    build_model=_build_model,
    extendable=_extendable,
    prepare=_prepare,
)
