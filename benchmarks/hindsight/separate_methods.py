"""Separate batching: what is compared.

- ``separate-engine``: `batchprophet.solvers.hindsight.solve` with ``model="separate"``.
- ``separate-s1``, ``separate-s1-aggregated``, ``separate-s2``: the Pyomo MILPs of
  docs/model/separate.md §2 in HiGHS without any of `models.separate.strengthening`: their own
  incumbent and their own bound, from the warm start on. ``…-strengthened``: with all of it. Nothing
  of the engine (annealing, prices, bounds, exhaustive search) has a part in either.
- ``separate-cp-sat-FORMULATION``, ``separate-cp-sat-FORMULATION-core``: the formulations of
  `cp_sat_separate` and the searches of `cp_sat_search`; ``separate-cp-sat`` and
  ``separate-cp-sat-core`` mean `BEST_CP_SAT` and `BEST_CP_SAT_CORE`.

MILPs and CP-SAT have the same latest completions, from the value of the warm start alone
(`models.separate.horizon`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from case import Case, certify, solve_milp

from batchprophet.models import BatchprophetError, Instance, IntArray, schedule_value
from batchprophet.models.separate import SeparateSchedule
from batchprophet.models.separate.milp import (
    STRENGTHENINGS,
    build_model,
    decode,
    latest_completions,
    set_start,
    tidied,
)
from batchprophet.solvers import Solution, solve
from batchprophet.solvers.separate.search import schedule_of
from batchprophet.solvers.separate.search.list_encodings import list_encodings

#: What ``separate-cp-sat`` and ``separate-cp-sat-core`` mean, by measurement:
#: docs/separate-benchmark.md.
BEST_CP_SAT, BEST_CP_SAT_CORE = "separate-cp-sat-rows", "separate-cp-sat-layers-core"

_CP_SAT = ("rows", "layers")

#: The MILPs: names in the tables of docs/separate-benchmark.md, and the formulations.
FORMULATIONS = {
    "s1": "time-expanded",
    "s1-aggregated": "stages",
    "s1-merged": "classes",
    "s2": "batch-sequence",
}

#: All that may be added to the MILPs.
_ALL = tuple(STRENGTHENINGS)


def first_schedule(instance: Instance) -> SeparateSchedule:
    """Return the best list schedule, tidied: MILPs can only start from one that is."""

    def value(schedule: SeparateSchedule) -> int:
        return int(schedule_value(instance, schedule))

    schedules = (schedule_of(instance, code) for _, code in list_encodings(instance))
    return tidied(instance, min(schedules, key=value))


def windows(case: Case) -> IntArray:
    """Latest completion of each request in at least one optimal schedule, shape (n,)."""
    return latest_completions(case.instance, value=case.value)


def _solve_by_engine(case: Case) -> Solution:
    return solve(
        case.instance,
        model="separate",
        time_limit=case.time_limit,
        threads=case.threads,
        warm_start=case.warm_start,
    )


def _solve_milp(formulation: str, strengthenings: tuple[str, ...], case: Case) -> Solution:
    clock = case.clock()
    instance = case.instance
    milp = build_model(
        instance,
        formulation=FORMULATIONS[formulation],
        latest=windows(case),
        strengthenings=strengthenings,
    )
    assert isinstance(case.warm_start, SeparateSchedule)
    if not set_start(instance, milp, case.warm_start, "latency"):
        raise BatchprophetError(f"MILP ({formulation}): the windows leave out the warm start")
    return solve_milp(case, milp, decode, clock)


def _solve_cp_sat(formulation: str, search: str, case: Case) -> Solution:
    from cp_sat_search import solve_cp_sat
    from cp_sat_separate import build, read

    clock = case.clock()
    assert isinstance(case.warm_start, SeparateSchedule)
    model, starts = build(case.instance, windows(case), case.warm_start, formulation)
    result = solve_cp_sat(
        model,
        partial(read, case.instance, starts),
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
        "separate-engine": _solve_by_engine,
        **{f"separate-{form}": partial(_solve_milp, form, ()) for form in FORMULATIONS},
        **{
            f"separate-{form}-strengthened": partial(_solve_milp, form, _ALL)
            for form in FORMULATIONS
        },
        **{f"separate-cp-sat-{form}": partial(_solve_cp_sat, form, "default") for form in _CP_SAT},
        **{
            f"separate-cp-sat-{form}-core": partial(_solve_cp_sat, form, "core") for form in _CP_SAT
        },
    }
)

#: Methods that take any batch-time law; the others take the unit and the constant law.
ANY_LAW = ("separate-engine", "separate-s2", "separate-s2-strengthened")

#: Other names, for one method or several.
SHORT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "separate": (
            "separate-engine", "separate-s1", "separate-s1-aggregated", "separate-s2",
            BEST_CP_SAT, BEST_CP_SAT_CORE,
        ),
        "separate-cp-sat": (BEST_CP_SAT,),
        "separate-cp-sat-core": (BEST_CP_SAT_CORE,),
    }
)  # fmt: skip
