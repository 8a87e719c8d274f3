"""Continuous batching, as `solvers.regimes` has it: list schedules, bounds, engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...models.continuous.regime import CONTINUOUS as RULES
from ...models.continuous.schedule import ContinuousSchedule
from ...models.instance import Instance
from ...models.objectives import latest_completion
from ..best_so_far import BestSoFar
from ..recipe import Options, Recipe

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


def without_late(instance: Instance, schedule: ContinuousSchedule) -> ContinuousSchedule:
    """Reject what completes too late to earn its reward; the rest is listed anew."""
    from .compiled_instance import compiled_instance
    from .search.list_schedule import list_schedule, unlimited
    from .search.starts import rule_of

    completion = schedule.completion(instance)
    kept = np.flatnonzero(completion <= latest_completion(instance))
    if kept.size in (0, instance.n):
        return schedule
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
    """Run the engine."""
    if search.seconds_left == 0:
        return
    from .engine import improve_and_prove

    improve_and_prove(search, options)


def _load(instance: Instance) -> None:
    from .warm_up import load_compiled_code

    load_compiled_code()


def _compiled() -> bool:
    from .warm_up import is_compiled

    return is_compiled()


def _compile(instance: Instance | None, announce: Callable[[], None]) -> None:
    from .warm_up import compile_engine

    compile_engine(instance, announce)


CONTINUOUS = Recipe(
    rules=RULES, begin=begin, prove=_prove, load=_load, compiled=_compiled, compile=_compile
)
