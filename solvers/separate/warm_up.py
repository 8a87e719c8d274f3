"""Compilation of the engine of separate batching, before a clock starts."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...models.families.registry import make_instance
from ...models.instance import Instance
from ...models.separate.schedule import Kind, SeparateSchedule, columns_of
from ..compiled import are_compiled
from ..compiled_beside import CompiledBeside
from ..recipe import Options
from .engine import improve_and_prove
from .exact.search import search_states
from .hindsight import Search, begin, wait_and_stall

#: Compiled functions that stand for all.
FUNCTIONS = (
    ("solvers.separate.search.annealing", "anneal"),
    ("solvers.separate.exact.expansion", "expand"),
    ("solvers.separate.bounds.gpu_path_costs", "cheapest_path"),
)

#: Work that is enough to run all of the engine's compiled code once.
WARM_UP_WORK = 400


def is_compiled() -> bool:
    """Whether the whole engine is compiled; stale entries of a cache count as compiled."""
    return are_compiled(FUNCTIONS)


def compile_engine(instance: Instance | None, announce: Callable[[], None]) -> None:
    """Compile the engine, unless the first steps prove the instance's optimum."""
    announce()
    with CompiledBeside("solvers.separate.warm_up", "search_states_once") as beside:
        if instance is not None and first_steps(instance).proved:
            return
        begin_once()
        beside.join()
        load_compiled_code()


def load_compiled_code() -> None:
    """Run the engine on small instances for a moment, so that its code is compiled, or loaded."""
    search = first_steps(make_instance("separate-random", settings={"n": 12}))
    improve_and_prove(search, work_limit=WARM_UP_WORK, threads=1, seed=0)
    search.solution()


def begin_once() -> None:
    """Run all of the engine but the exhaustive search for a moment."""
    search = first_steps(make_instance("separate-random", settings={"n": 12}))
    improve_and_prove(search, work_limit=WARM_UP_WORK, threads=1, seed=0, states=False)


def search_states_once() -> None:
    """Run the exhaustive search for a moment, from the schedule that serves one at a time."""
    instance = make_instance("separate-random", settings={"n": 12})
    one_by_one: list[tuple[Kind, tuple[int, ...]]] = []
    for i in np.argsort(instance.arrival, kind="stable").tolist():
        one_by_one.append(("prompt", (i,)))
        one_by_one.extend([("token", (i,))] * (int(instance.output[i]) - 1))
    schedule = SeparateSchedule.left_shifted(instance, columns_of(one_by_one))
    search_states(instance, schedule, work_limit=WARM_UP_WORK)


def first_steps(instance: Instance) -> Search:
    """Do what a solve does before the engine, without a limit."""
    search = Search(instance, "latency", math.inf)
    begin(search, None, Options())
    wait_and_stall(search)
    return search
