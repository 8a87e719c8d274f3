"""Mixed batching: what is compared.

- ``engine``: `batchprophet.solvers.hindsight.solve`.
- ``milp-dense``, ``milp-running-sum``: the plain Pyomo MILP in HiGHS: its own incumbent and its own
  bound, from the warm start on. Nothing that `solve` adds (list schedules, combinatorial bounds,
  LP beforehand) has a part in it.
- ``cp-sat-FORMULATION``, ``cp-sat-FORMULATION-core``: the formulations of `cp_sat` and the searches
  of `cp_sat_search`; ``cp-sat`` and ``cp-sat-core`` mean the formulation `BEST_CP_SAT`.

MILP and CP-SAT have the same windows of starts, by default from the value of the warm start alone
(`models.mixed.horizon`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from case import Case, certify, solve_milp

from batchprophet.models import BatchprophetError, Instance, IntArray, total_latency
from batchprophet.models.mixed import MixedSchedule
from batchprophet.models.mixed.milp import (
    FORMULATIONS,
    build_model,
    decode,
    latest_starts,
    set_start,
)
from batchprophet.solvers import Solution, solve
from batchprophet.solvers.mixed.bounds import best_bound
from batchprophet.solvers.mixed.list_scheduling import list_schedules

#: The formulation that ``cp-sat`` and ``cp-sat-core`` mean, by measurement:
#: docs/hindsight-benchmark.md.
BEST_CP_SAT = "completions"

_CP_SAT = ("steps", "layers", "completions", "completions+layers", "starts")


def first_schedule(instance: Instance) -> MixedSchedule:
    """Return the best list schedule."""

    def value(schedule: MixedSchedule) -> int:
        return total_latency(instance, schedule.completion(instance))

    return min((schedule for _, schedule in list_schedules(instance, "latency")), key=value)


def windows(case: Case) -> IntArray:
    """Latest start of each request in at least one optimal schedule, shape (n,)."""
    instance, others = case.instance, None
    if case.tight_windows and instance.n > 1:
        everyone = np.arange(instance.n)
        others = [math.ceil(best_bound(instance.take(np.delete(everyone, i)))) for i in everyone]
    return latest_starts(instance, value=case.value, others=others)


def _solve_by_engine(case: Case) -> Solution:
    return solve(
        case.instance,
        time_limit=case.time_limit,
        threads=case.threads,
        warm_start=case.warm_start,
    )


def _solve_milp(formulation: str, case: Case) -> Solution:
    clock = case.clock()
    instance = case.instance
    milp = build_model(instance, formulation=formulation, latest=windows(case))
    assert isinstance(case.warm_start, MixedSchedule)
    if not set_start(instance, milp, case.warm_start):
        raise BatchprophetError(f"MILP ({formulation}): the windows leave out the warm start")
    return solve_milp(case, milp, decode, clock)


def _solve_cp_sat(formulation: str, search: str, case: Case) -> Solution:
    from cp_sat import build, read
    from cp_sat_search import solve_cp_sat

    clock = case.clock()
    assert isinstance(case.warm_start, MixedSchedule)
    model, start = build(case.instance, windows(case), case.warm_start, formulation)
    result = solve_cp_sat(
        model,
        partial(read, start),
        name=formulation,
        search=search,
        time_limit=clock.left(),
        threads=case.threads,
    )
    account = f"CP-SAT: {result.account}"
    return certify(case, result.schedule, result.bound, account, clock.spent())


#: Methods by name.
METHODS: Mapping[str, Callable[[Case], Solution]] = MappingProxyType(
    {
        "engine": _solve_by_engine,
        **{f"milp-{form}": partial(_solve_milp, form) for form in FORMULATIONS},
        **{f"cp-sat-{form}": partial(_solve_cp_sat, form, "default") for form in _CP_SAT},
        **{f"cp-sat-{form}-core": partial(_solve_cp_sat, form, "core") for form in _CP_SAT},
    }
)

#: Other names, for one method or several.
SHORT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mixed": (
            "engine", "milp-dense", "milp-running-sum", f"cp-sat-{BEST_CP_SAT}",
            f"cp-sat-{BEST_CP_SAT}-core",
        ),
        "cp-sat": (f"cp-sat-{BEST_CP_SAT}",),
        "cp-sat-core": (f"cp-sat-{BEST_CP_SAT}-core",),
    }
)  # fmt: skip
