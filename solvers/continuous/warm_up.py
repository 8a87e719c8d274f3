"""Compilation of the engine of continuous batching, before a clock starts."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...models.batch_time import AffineTime
from ...models.continuous.feasibility import check_continuous
from ...models.instance import Gpu, Instance
from ..certificates.clock import Clock
from ..compiled import are_compiled
from ..recipe import Options
from .bounds.charge import charge_bound
from .compiled_instance import compiled_instance
from .engine import improve_and_prove
from .hindsight import Search, begin
from .search.run_schedules import schedule_of
from .search.runs import Places

#: Compiled functions that stand for all.
FUNCTIONS = (
    ("solvers.continuous.search.annealing", "anneal"),
    ("solvers.continuous.search.ruin_and_recreate", "ruin_and_recreate"),
    ("solvers.continuous.bounds.profile_flows", "spread"),
    ("solvers.certificates.continuous.batch_lengths", "profile_cost"),
)

#: Work that is enough to run all of the engine's compiled code once.
WARM_UP_WORK = 60

#: Steps of the prices that are enough for the same.
PRICE_STEPS = 30


def is_compiled() -> bool:
    """Whether the whole engine is compiled; stale entries of a cache count as compiled."""
    return are_compiled(FUNCTIONS)


def compile_engine(instance: Instance | None, announce: Callable[[], None]) -> None:
    """Compile the engine."""
    announce()
    load_compiled_code()


def load_compiled_code() -> None:
    """Run the engine on a small instance for a moment, so that its code is compiled, or loaded."""
    gpu = Gpu(kv_capacity=30, batch_time=AffineTime(c0=1, c1=0.1, c2=0.1, c3=0.01))
    arrival, prompt, output = np.array([[0, 0, 2000], [5, 9, 4], [6, 3, 9]])
    instance = Instance(gpu=gpu, arrival=arrival, prompt=prompt, output=output)
    search = Search(instance, "latency", math.inf)
    options = Options(work_limit=WARM_UP_WORK)
    begin(search, None, options)
    improve_and_prove(search, options)
    # So small an instance is proved by its states: prices are not climbed then.
    assert search.schedule is not None
    for _, proof in charge_bound(instance, search.schedule, steps=PRICE_STEPS):
        proof.bound(instance, "latency", Clock(None))
    check_continuous(instance, search.schedule)
    _build_once(instance)


def _build_once(instance: Instance) -> None:
    """Build a schedule from places, one request after the other: so the search hands one in."""
    end = np.cumsum(instance.output)
    places = Places(
        number=np.ones(instance.n, np.int64),
        before=np.zeros((instance.n, 1), np.int64),
        first=(end - instance.output)[:, np.newaxis].copy(),
        chunks=np.ones((instance.n, 1), np.int64),
        tokens=instance.prompt.reshape(-1, 1, 1).copy(),
    )
    schedule = schedule_of(compiled_instance(instance), places)
    assert schedule.completion(instance).size == instance.n
