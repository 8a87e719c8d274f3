"""The environment of total latency under mixed batching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...models.errors import InputError
from ...models.families.arrival_models import (
    ARRIVAL_MODEL_1,
    ARRIVAL_MODEL_2,
    all_at_zero,
    poisson_rounds,
)
from ...models.families.setting import Setting
from ...models.instance import Instance
from ...models.mixed.schedule import MixedSchedule
from ...solvers.hindsight import solve
from ..environments.environment import EnvironmentKind
from ..environments.latency import Draw, LatencyEnvironment, bayes_options, bayes_settings, best_of
from .steps import mixed_steps


def _hindsight(instance: Instance, runs: Sequence[Any], work: int) -> tuple[MixedSchedule, int]:
    """Run the engine from the best of the policies' schedules without evictions."""
    plain = [run for run in runs if not run.evicted]
    warm = best_of(instance, plain) if plain else None
    solution = solve(instance, work_limit=work, threads=1, warm_start=warm)
    assert solution.bound is not None, "total latency is always bounded"
    return solution.schedule, int(solution.bound)


def _build(
    family: str,
    rate: float | None,
    kv_capacity: int | None,
    law: str,
    samples: int,
    effort: int,
    work: int,
) -> LatencyEnvironment:
    at_zero = family == ARRIVAL_MODEL_1.name
    if at_zero and rate is not None:
        raise InputError(f"rate: {family} has no rate, its requests are all there at round 0")
    return LatencyEnvironment(
        name="mixed-latency",
        model="mixed",
        horizons=(10, 20, 40),
        draw=_at_zero(kv_capacity) if at_zero else _poisson(rate, kv_capacity),
        stretches=at_zero,
        hindsight=_hindsight,
        steps=mixed_steps,  # type: ignore[arg-type]  # schedules of its own regime
        parts=("wait", "start", "evict"),
        bayes=bayes_options(law, samples, effort),
        work=work,
        on_demand=("alpha-greedy",),
    )


def _at_zero(kv_capacity: int | None) -> Draw:
    def draw(horizon: int, rng: np.random.Generator) -> Instance:
        return all_at_zero(rng, n=horizon, kv_capacity=kv_capacity)

    return draw


def _poisson(rate: float | None, kv_capacity: int | None) -> Draw:
    def draw(horizon: int, rng: np.random.Generator) -> Instance:
        return poisson_rounds(rng, rounds=horizon, rate=rate, kv_capacity=kv_capacity)

    return draw


MIXED_LATENCY_KIND = EnvironmentKind(
    name="mixed-latency",
    description="total latency under mixed batching; T rounds with arrivals, or T requests at once",
    source=ARRIVAL_MODEL_2.source,
    settings=(
        Setting(
            name="family",
            kind="choice",
            description="T is the number of requests in the first, of rounds in the second",
            default=ARRIVAL_MODEL_2.name,
            choices=(ARRIVAL_MODEL_1.name, ARRIVAL_MODEL_2.name),
        ),
        Setting(
            name="rate",
            kind="number",
            description="mean requests per round; drawn from U[0.5, 1.5] on each path unless set",
            low=0.01,
            high=1000,
        ),
        Setting(
            name="kv_capacity",
            kind="integer",
            description="M in tokens; drawn from U{30..50} on each path unless set",
            low=6,
            high=10**6,
        ),
        *bayes_settings(samples=5, effort=200),
    ),
    build=_build,
)
