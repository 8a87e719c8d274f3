"""Compilation of the engine of mixed batching, before a clock starts."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from importlib import import_module

import numpy as np

from ...models.families.registry import make_instance
from ...models.instance import Instance
from ...models.mixed.problem import is_limited
from ...models.mixed.schedule import MixedSchedule
from ..best_so_far import BestSoFar
from ..compiled import are_compiled
from ..compiled_beside import CompiledBeside
from ..limits import Budget, Incumbent
from ..random_stream import random_stream
from ..recipe import Options
from .bounds.configuration import configuration_prices
from .engine import has_configurations, improve_and_prove
from .exact.proof import prove
from .hindsight import begin
from .list_scheduling.incumbents import list_schedules
from .path_graphs.warm_up import compile_paths
from .search.multistart import anneal_in_runs
from .search.recipe import improve_schedule

#: Compiled functions that stand for the parts of the engines, by module. "first" is what every
#: solve of mixed batching begins with; after it come prices on configurations and exhaustive
#: search, or, for larger instances, prices on memory and on presence. Path graphs compile when they
#: are reached (`path_graphs.warm_up`).
PARTS = {
    "first": (
        ("solvers.mixed.list_scheduling.list_schedule", "list_starts"),
        ("solvers.mixed.bounds.fluid_machine", "preemptive_schedule"),
    ),
    "configurations": (
        ("solvers.mixed.search.annealing", "anneal"),
        ("solvers.mixed.search.polish", "polish_pairs"),
        ("solvers.mixed.bounds.configuration_pricing", "heaviest_configuration"),
        ("solvers.mixed.exact.expansion", "expand"),
    ),
    "memory": (
        ("solvers.mixed.search.annealing", "anneal"),
        ("solvers.mixed.bounds.priced_starts", "cheapest_starts"),
        ("solvers.mixed.bounds.presence_kernels", "knapsacks"),
    ),
}

#: Instances that the code of a part is run on.
SAMPLES = {"configurations": ("arrival-model-1", 12), "memory": ("lognormal-burst", 60)}

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
        import_module(".milp", __package__)  # the last resort of large instances
    improve_and_prove(search, work_limit=WARM_UP_WORK, threads=1, seed=0, paths=paths)
    search.solution()
    _polish_once()
    if paths:
        compile_paths()


def first_steps(instance: Instance) -> BestSoFar[MixedSchedule]:
    """Do what `solve` does before the engine, without a limit: list schedules, simple bounds."""
    search = BestSoFar[MixedSchedule](instance, "latency", math.inf)
    begin(search, None, Options())
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


def is_compiled() -> bool:
    """Whether the whole engine is compiled; stale entries of a cache count as compiled."""
    return all(are_compiled(functions) for functions in PARTS.values())


def compile_engine(instance: Instance | None, announce: Callable[[], None]) -> None:
    """Compile what a solve of the total latency runs; the whole engine without an instance."""
    if instance is not None and is_limited(instance):
        _compile_limited(announce)
    if not are_compiled(PARTS["first"]):
        announce()
    with CompiledBeside("solvers.mixed.warm_up", "compile_proofs") as beside:
        parts = list(SAMPLES)
        if instance is not None:
            search = first_steps(instance)
            if search.proved:
                return
            parts = ["configurations" if has_configurations(search) else "memory"]
        for part in parts:
            if not are_compiled(PARTS[part]):
                announce()
                family, n = SAMPLES[part]
                sample = make_instance(family, settings={"n": n})
                search_schedules_once(sample)
                if part == "configurations":
                    beside.join()
                load_compiled_code(sample, paths=False)


@cache
def _compile_limited(announce: Callable[[], None]) -> None:
    """Search schedules once on profiles with limits on a round, which is code of its own."""
    announce()
    family, n = SAMPLES["configurations"]
    sample = make_instance(family, settings={"n": n, "running_requests": 3, "batch_tokens": 8})
    search_schedules_once(sample)
    first = next(schedule for _, schedule in list_schedules(sample, "latency"))
    incumbent = Incumbent(sample, first, None)
    anneal_in_runs(sample, Budget(0.0, RARE_WORK, None), incumbent, random_stream(0))


def compile_proofs() -> None:
    """Run prices on configurations and the exhaustive search for a moment (mixed batching).

    From the schedule that serves one request at a time, so that nothing else is compiled.
    """
    family, n = SAMPLES["configurations"]
    instance = make_instance(family, settings={"n": n})
    one_by_one = MixedSchedule(np.cumsum(instance.output) - instance.output)  # all arrive at 0
    prices = configuration_prices(instance, one_by_one, work_limit=100)
    prices = configuration_prices(instance, one_by_one, begin=prices, work_limit=100)
    prove(instance, one_by_one, prices, work_limit=WARM_UP_WORK)
