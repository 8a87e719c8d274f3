"""The environment of total latency under separate batching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...models.families.separate_random import SEPARATE_RANDOM, separate_random
from ...models.families.setting import Setting
from ...models.instance import Instance
from ...models.regime import Schedule
from ...models.separate.problem import serial_work
from ...models.separate.schedule import SeparateSchedule
from ...solvers.hindsight import solve
from ...solvers.separate.bounds.waits_and_stalls import waits_and_stalls, work_of
from ...solvers.separate.exact.search import is_applicable, search_states
from ...solvers.separate.search.recipe import improve_separate
from ..environments.environment import EnvironmentKind
from ..environments.latency import LatencyEnvironment, bayes_options, bayes_settings, best_of
from .price import mixed_side
from .steps import separate_steps

#: Placements of a request that one unit of work stands for.
PLACEMENTS_PER_UNIT = 20

#: Units of work that expanding one label of the search of states takes, about.
UNITS_PER_LABEL = 10


def _hindsight(
    instance: Instance, runs: Sequence[Schedule], work: int
) -> tuple[SeparateSchedule, int]:
    """Better the best of the policies' schedules; search states if they can be enumerated.

    Below the optimum are the requests' waits and stalls
    (`solvers.separate.bounds.waits_and_stalls`), the optimum of a GPU that may mix
    (`separate.price`), and what the search of states has excluded.
    """
    best: Any = best_of(instance, runs)
    plan = improve_separate(instance, best, time_limit=0, work_limit=PLACEMENTS_PER_UNIT * work)
    side = mixed_side(instance)
    mixed = solve(side.instance, work_limit=work, threads=1).bound
    assert mixed is not None, "total latency is always bounded"
    few = work_of(instance, 1) is not None
    alone = waits_and_stalls(instance).bound if few else serial_work(instance)
    bound = max(alone, int(side.latency(int(mixed))))
    if work > 0 and is_applicable(instance):
        found = search_states(instance, plan, work_limit=work // UNITS_PER_LABEL)
        return found.schedule, max(bound, found.bound)
    return plan, bound


def _build(
    rate: float, kv_capacity: int, law: str, samples: int, effort: int, work: int
) -> LatencyEnvironment:
    def draw(horizon: int, rng: np.random.Generator) -> Instance:
        count = max(1, int(rng.poisson(rate * horizon)))
        return separate_random(rng, n=count, kv_capacity=kv_capacity, span=horizon - 1)

    return LatencyEnvironment(
        name="separate-latency",
        model="separate",
        horizons=(10, 20, 40),
        draw=draw,
        stretches=False,
        hindsight=_hindsight,
        steps=separate_steps,  # type: ignore[arg-type]  # schedules of its own regime
        parts=("wait", "prompt", "token"),
        bayes=bayes_options(law, samples, effort),
        work=work,
    )


SEPARATE_LATENCY_KIND = EnvironmentKind(
    name="separate-latency",
    description="total latency under separate batching; Poisson arrivals over T slots",
    source=SEPARATE_RANDOM.source,
    settings=(
        Setting(
            name="rate",
            kind="number",
            description="mean requests per slot",
            default=0.6,
            low=0.01,
            high=100,
        ),
        Setting(
            name="kv_capacity",
            kind="integer",
            description="M in tokens",
            default=40,
            low=13,
            high=10**6,
        ),
        *bayes_settings(samples=5, effort=500),
    ),
    build=_build,
)
