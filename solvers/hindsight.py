"""The hindsight optimum, certified: the recipe.

The MILP, and with it Pyomo, is loaded where it is needed: the package starts twice as fast without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, TypeVar

from ..models.blocks import blocks
from ..models.errors import InputError
from ..models.families.registry import make_instance
from ..models.instance import Instance
from ..models.mixed.feasibility import check_mixed
from ..models.mixed.problem import require_mixed
from ..models.mixed.schedule import MixedSchedule
from ..models.objectives import OBJECTIVES
from ..models.regime import Schedule
from ..models.separate.schedule import SeparateSchedule
from .best_so_far import BestSoFar
from .blocks import fall_apart, solve_blocks
from .certificates.mixed.combinatorial import CombinatorialBound
from .limits import Budget, Incumbent
from .mixed.bounds.combinatorial import all_bounds
from .mixed.bounds.configuration import configuration_prices
from .mixed.bounds.one_long_request import ONE_LONG, one_long_request
from .mixed.engine import (
    UNITS_PER_NODE,
    has_configurations,
    improve_and_prove,
    improve_and_prove_by_work,
)
from .mixed.list_scheduling.incumbents import list_schedules
from .mixed.milp_size import is_applicable
from .mixed.parts import mixed_parts
from .mixed.path_graphs.warm_up import compile_paths
from .mixed.search.multistart import anneal_in_runs
from .mixed.search.recipe import improve_schedule
from .progress import Progress
from .random_stream import random_stream
from .solution import Solution


def solve(
    instance: Instance,
    *,
    model: str = "mixed",
    objective: str = "latency",
    time_limit: float = 60.0,
    work_limit: int | None = None,
    threads: int | None = None,
    seed: int = 0,
    warm_start: Schedule | None = None,
    formulation: str = "auto",
    progress: Callable[[Progress], None] | None = None,
) -> Solution[Any]:
    """Find the hindsight-optimal schedule, or the best within the limits, with a proved bound.

    Separate batching has a recipe of its own (`separate.hindsight`). Under mixed batching, list
    schedules and combinatorial bounds come first. For the total latency the engine follows
    (`engine`: schedule search on one thread; prices on configurations, or on memory for large
    instances, and exhaustive search guided by them on the other). For the other objectives, and
    where a formulation is asked for, the MILP follows if it is small enough
    (`milp_size.MOST_BINARIES`). A keyboard interrupt ends the search and returns what it has.

    Parameters
    ----------
    instance : Instance
        The instance; for mixed batching with the unit-time law and without batch limits.
    model : {"mixed", "separate"}
        The regime.
    objective : {"latency", "weighted", "makespan", "reward"}
        The objective.
    time_limit : float
        Seconds of wall-clock time for everything, ≥ 0. One list schedule and the combinatorial
        bounds are always computed, and a solver looks at its clock only between its steps.
    work_limit : int, optional
        Units of work, ≥ 0: about ten microseconds each in the engine, branch-and-bound nodes where
        a formulation is asked for (a MILP whose root is too large for so few is not tried). With it
        the result does not depend on the clock: the time limit is not used, and the same seed and
        threads give the same schedule and bound.
    threads : int, optional
        Threads; with 1 the engine's two parts run one after the other. Two parts at once and the
        solver's own choice by default.
    seed : int
        Random seed of the schedule search and the solver.
    warm_start : MixedSchedule or SeparateSchedule, optional
        A feasible schedule of the regime; the result is never worse.
    formulation : {"auto", "dense", "running-sum"}
        A form of the MILP to solve; under separate batching {"auto", "time-expanded", "stages",
        "classes", "batch-sequence"}. By itself the engine for the total latency; for the other
        objectives the dense form if it has at most `mixed.milp.MOST_DENSE_NONZEROS` non-zeros.
    progress : callable, optional
        Called with a `Progress` at each step and while the solver runs.

    Returns
    -------
    Solution
        The best schedule found, checked, with the best bound and what proved it.

    Raises
    ------
    InputError
        If an argument is unknown or out of range, the warm start violates a rule, or mixed
        batching cannot express the instance.
    BatchprophetError
        If schedule and bound contradict each other: a defect of this package.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> solution = solve(instance)
    >>> solution.objective, solution.status, solution.schedule.start.tolist()
    (7, 'optimal', [0, 3])
    """
    if model == "separate":
        from .separate.hindsight import solve_separate

        return solve_separate(
            instance,
            objective=objective,
            time_limit=time_limit,
            work_limit=work_limit,
            threads=threads,
            seed=seed,
            warm_start=_of_regime(warm_start, SeparateSchedule),
            formulation=formulation,
            progress=progress,
        )
    _check_arguments(instance, model, objective, formulation, time_limit, work_limit)
    known = _of_regime(warm_start, MixedSchedule)
    _check_warm_start(instance, known)
    if _asks_for_milp(objective, formulation):
        _milp()  # loaded before the clock starts
    search = BestSoFar[MixedSchedule](
        instance, objective, math.inf if work_limit is not None else time_limit
    )
    search.listen = progress
    try:
        _search(search, known, formulation, work_limit, threads, seed)
    except KeyboardInterrupt:
        if search.schedule is None:
            raise
        search.account.append("interrupted")
    return search.solution()


#: Work that is enough to run all of the engine's compiled code once.
WARM_UP_WORK = 200

#: Work of the schedule search after which a schedule has been polished.
RARE_WORK = 300_000


def load_compiled_code(instance: Instance, *, paths: bool = True) -> None:
    """Run the engine on an instance for a moment, so that its code is compiled, or loaded.

    Compilation takes up to a minute where nothing is cached yet, and counts against the time limit
    of `solve` unless this was called before; after it, code that is loaded takes no time.

    Parameters
    ----------
    instance : Instance
        An instance of the size to be solved: its search runs the same code.
    paths : bool
        The code of path graphs as well; without, it is compiled when a solve comes to them.
    """
    search = first_steps(instance)
    if has_configurations(search):  # both ways of climbing to prices
        assert search.schedule is not None
        prices = configuration_prices(instance, search.schedule, work_limit=100)
        configuration_prices(instance, search.schedule, begin=prices, work_limit=100)
    else:
        _milp()
    improve_and_prove_by_work(search, WARM_UP_WORK, seed=0, paths=paths)
    search.solution()
    _polish_once()
    if paths:
        compile_paths()


def first_steps(instance: Instance) -> BestSoFar[MixedSchedule]:
    """Do what `solve` does before the engine, without a limit: list schedules, simple bounds."""
    search = BestSoFar[MixedSchedule](instance, "latency", math.inf)
    _try_list_schedules(search, None)
    _compute_bounds(search)
    return search


def search_schedules_once(instance: Instance) -> None:
    """Run the engine's search for schedules for a moment."""
    first = next(schedule for _, schedule in list_schedules(instance, "latency"))
    improve_schedule(instance, first, time_limit=0.0, work_limit=20 * WARM_UP_WORK, seed=0)
    _polish_once()


def _polish_once() -> None:
    """Polish a schedule, which the engine does not come to where beams find the optimum."""
    instance = make_instance("arrival-model-1", settings={"n": 7, "kv_capacity": 20})
    first = next(schedule for _, schedule in list_schedules(instance, "latency"))
    incumbent = Incumbent(instance, first, None)
    anneal_in_runs(instance, Budget(0.0, RARE_WORK, None), incumbent, random_stream(0))


def _check_arguments(
    instance: Instance,
    model: str,
    objective: str,
    formulation: str,
    time_limit: float,
    work_limit: int | None,
) -> None:
    if model != "mixed":
        raise InputError(f"model: expected 'mixed' or 'separate', found {model!r}")
    _require_among("objective", objective, OBJECTIVES)
    if formulation != "auto":
        from ..models.mixed.milp.formulation import FORMULATIONS

        _require_among("formulation", formulation, ("auto", *FORMULATIONS))
    if not time_limit >= 0:
        raise InputError(f"time_limit: expected at least 0 seconds, found {time_limit!r}")
    if work_limit is not None and not 0 <= work_limit < 2**31:
        raise InputError(f"work_limit: expected from 0 to 2^31 − 1 nodes, found {work_limit!r}")
    require_mixed(instance)


def _require_among(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise InputError(f"{name}: expected one of {', '.join(known)}; found {value!r}")


def _asks_for_milp(objective: str, formulation: str) -> bool:
    return objective != "latency" or formulation != "auto"


def _milp() -> ModuleType:
    """Return the module of the MILP, loaded where it is not yet."""
    from .mixed import milp as milp_search

    return milp_search


_Regime = TypeVar("_Regime", MixedSchedule, SeparateSchedule)


def _of_regime(schedule: Schedule | None, kind: type[_Regime]) -> _Regime | None:
    """Refuse a warm start of the other regime."""
    if schedule is not None and not isinstance(schedule, kind):
        raise InputError(
            f"warm_start: expected a {kind.model} schedule, found a {schedule.model} one"
        )
    return schedule


def _check_warm_start(instance: Instance, warm_start: MixedSchedule | None) -> None:
    violations = [] if warm_start is None else check_mixed(instance, warm_start)
    if violations:
        raise InputError(f"warm_start: expected a feasible schedule: {violations[0].message}")


def _try_list_schedules(search: BestSoFar[MixedSchedule], warm_start: MixedSchedule | None) -> None:
    for name, schedule in list_schedules(search.instance, search.objective, warm_start):
        search.offer(schedule, name)
        search.tell("list schedules")
        if search.seconds_left == 0:
            break


def _search(
    search: BestSoFar[MixedSchedule],
    known: MixedSchedule | None,
    formulation: str,
    work_limit: int | None,
    threads: int | None,
    seed: int,
) -> None:
    """List schedules and combinatorial bounds, then the blocks one by one, or all at once."""
    _try_list_schedules(search, known)
    _compute_bounds(search)
    if search.proved:
        return
    regime = mixed_parts(search.instance)
    parts = blocks(search.instance, regime.alone)
    if search.seconds_left == 0 or not fall_apart(search.instance, parts, regime.alone):
        _prove(search, formulation, work_limit, threads, seed)
        return

    def solve_block(block: BestSoFar[MixedSchedule], known: MixedSchedule, share: float) -> None:
        work = None if work_limit is None else int(share * work_limit)
        _search(block, known, formulation, work, threads, seed)

    solve_blocks(search, parts, regime, solve_block)


def _prove(
    search: BestSoFar[MixedSchedule],
    formulation: str,
    work_limit: int | None,
    threads: int | None,
    seed: int,
) -> None:
    """Run the engine for the total latency, the MILP for the rest and where a form is asked for."""
    if _asks_for_milp(search.objective, formulation):
        _milp().try_milp(search, formulation, work_limit, threads, seed)
        return
    if search.seconds_left == 0:
        return
    last_resort = not has_configurations(search) and is_applicable(search)
    if work_limit is not None:
        improve_and_prove_by_work(search, work_limit, seed)
    else:
        seconds = search.seconds_left * (0.5 if last_resort else 1.0)
        improve_and_prove(search, time_limit=seconds, threads=threads, seed=seed)
    if last_resort and not search.proved:
        nodes = None if work_limit is None else work_limit // UNITS_PER_NODE
        _milp().try_milp(search, formulation, nodes, threads, seed)


def _compute_bounds(search: BestSoFar[MixedSchedule]) -> None:
    for name, bound in all_bounds(search.instance, search.objective):
        search.proved_bound(name, bound, CombinatorialBound(name=name))
    if search.objective == "latency" and not search.proved:
        found = one_long_request(search.instance)
        if found is not None:
            search.offer(found.schedule, ONE_LONG)
            search.proved_bound(ONE_LONG, found.latency, CombinatorialBound(name=ONE_LONG))
    search.tell("combinatorial bounds")
