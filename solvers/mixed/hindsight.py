"""Mixed batching, as `solvers.regimes` has it: list schedules, bounds, engine, MILP.

The MILP, and with it Pyomo, is loaded where it is needed: the package starts twice as fast without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from os import PathLike
from types import ModuleType

from ...models.instance import Instance
from ...models.mixed.regime import MIXED as RULES
from ...models.mixed.schedule import MixedSchedule
from ..best_so_far import BestSoFar
from ..certificates.mixed.combinatorial import CombinatorialBound
from ..certificates.mixed.equal_requests import EqualRequestsProof
from ..compiled import PHASE
from ..machines import Machines
from ..recipe import Options, Recipe
from .bounds.class_prices import CLASS_PRICES, class_prices
from .bounds.combinatorial import all_bounds
from .bounds.one_long_request import ONE_LONG, one_long_request
from .engine import UNITS_PER_NODE, has_configurations, improve_and_prove
from .equal_requests.recipe import EQUAL, MOST_WORK, are_equal, equal_requests
from .equal_requests.warm_up import compile_equal_requests, equal_requests_are_compiled
from .list_scheduling.incumbents import list_schedules
from .milp_size import is_applicable
from .parts import mixed_parts
from .search.spacing import SPACING, are_few_classes, spaced_schedule

Search = BestSoFar[MixedSchedule]

#: The form of the MILP that is written where none is named.
DEFAULT_FORM = "running-sum"

#: Parts of the time for spacings, for the program of equal requests and for class prices; the least
#: work for these; steps of the program in a second and in a unit of work, about.
SPACING_SHARE, EQUAL_SHARE, CLASS_PRICE_SHARE = 0.1, 0.4, 0.4
LEAST_UNITS = 10_000
STEPS_PER_SECOND, STEPS_PER_UNIT = 50_000_000, 500


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
            search.offer(found.schedule, ONE_LONG)
            search.proved_bound(ONE_LONG, found.latency, CombinatorialBound(name=ONE_LONG))
    search.tell("combinatorial bounds")


def _prove(search: Search, options: Options) -> None:
    """Run the engine for the total latency, the MILP for the rest and where a form is asked for."""
    work_limit, threads, seed = options.work_limit, options.threads, options.seed
    if options.ask_for_milp:
        _milp().try_milp(search, options)
        return
    if search.seconds_left == 0:
        return
    _by_class(search, options)
    if search.proved:
        return
    last_resort = not has_configurations(search) and is_applicable(search)
    seconds = search.seconds_left * (0.5 if last_resort else 1.0)
    improve_and_prove(search, time_limit=seconds, work_limit=work_limit, threads=threads, seed=seed)
    if last_resort and not search.proved:
        nodes = None if work_limit is None else work_limit // UNITS_PER_NODE
        _milp().try_milp(search, replace(options, work_limit=nodes))


def _by_class(search: Search, options: Options) -> None:
    """Space the starts of each class, and solve the program of equal requests, where all are."""
    if search.objective != "latency" or search.proved or not are_few_classes(search.instance):
        return
    if not equal_requests_are_compiled():
        search.off_the_clock(PHASE, compile_equal_requests)
    by_clock = options.work_limit is None
    until = search.seconds + SPACING_SHARE * search.seconds_left
    start = spaced_schedule(
        search.instance, seed=options.seed, stop=lambda: by_clock and search.seconds > until
    )
    if start is not None:
        search.offer(MixedSchedule(start), SPACING)
    search.tell(SPACING)
    if are_equal(search.instance) and not search.proved:
        _try_equal(search, options.work_limit)
    if not search.proved and (options.work_limit is None or options.work_limit > LEAST_UNITS):
        _price_classes(search, by_clock)


def _price_classes(search: Search, by_clock: bool) -> None:
    """Bound by class prices, in a part of the time."""
    assert search.schedule is not None
    seconds = 0.5 * CLASS_PRICE_SHARE * search.seconds_left
    found = class_prices(
        search.instance,
        search.schedule,
        seconds=seconds if by_clock else None,
    )
    if found is not None:
        search.proved_bound(CLASS_PRICES, *found)
    search.tell(CLASS_PRICES)


def _try_equal(search: Search, work_limit: int | None) -> None:
    """Solve the program of equal requests, in a part of the time."""
    by_clock, left = work_limit is None, EQUAL_SHARE * search.seconds_left
    until = search.seconds + left
    steps = left * STEPS_PER_SECOND if work_limit is None else work_limit * STEPS_PER_UNIT
    found = equal_requests(
        search.instance,
        latency=int(search.value) if search.value is not None else None,
        work=int(min(MOST_WORK, steps)),
        stop=lambda: by_clock and search.seconds > until,
    )
    if found is not None:
        if found.schedule is not None:
            search.offer(found.schedule, EQUAL)
        proof = EqualRequestsProof(value=found.bound, rounds=found.rounds)
        search.proved_bound(EQUAL, found.bound, proof)
    search.tell(EQUAL)


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


def _write_model(
    instance: Instance, path: str | PathLike[str], *, objective: str, formulation: str
) -> None:
    from ...models.mixed.milp.formulation import build_model
    from ...models.model_file import write_model

    form = DEFAULT_FORM if formulation == "auto" else formulation
    write_model(path, partial(build_model, instance, objective=objective, formulation=form))


def _machines(instance: Instance) -> Machines:
    """The machine of KV areas."""
    return Machines(instance.output, iter([instance.volume / instance.gpu.kv_capacity]))


MIXED = Recipe(
    rules=RULES,
    formulations=("dense", "running-sum"),
    begin=begin,
    prove=_prove,
    parts=mixed_parts,
    machines=_machines,
    load=_load,
    compiled=_compiled,
    compile=_compile,
    write_model=_write_model,
    prepare=_prepare,
)
