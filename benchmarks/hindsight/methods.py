"""What is compared: each method gets the same case and returns a certified solution.

- ``engine``: `batchprophet.solvers.hindsight.solve`.
- ``milp-dense``, ``milp-running-sum``: the plain Pyomo MILP in HiGHS: its own incumbent and its own
  bound, from the warm start on. Nothing that `solve` adds (list schedules, combinatorial bounds,
  LP beforehand) has a part in it.
- ``cp-sat-FORMULATION``, ``cp-sat-FORMULATION-core``: the formulations and searches of `cp_sat`;
  ``cp-sat`` and ``cp-sat-core`` mean the formulation `BEST_CP_SAT`.

MILP and CP-SAT have the same windows of starts, by default from the value of the warm start alone
(`models.mixed.horizon`). A method that finds no schedule of its own keeps the warm start.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from batchprophet.models.errors import BatchprophetError, InputError
from batchprophet.models.instance import Instance, IntArray
from batchprophet.models.mixed.decode import decode, set_start
from batchprophet.models.mixed.formulation import FORMULATIONS, build_model
from batchprophet.models.mixed.horizon import latest_starts
from batchprophet.models.objectives import total_latency
from batchprophet.models.schedule import MixedSchedule
from batchprophet.solvers.bounds.combinatorial import best_bound
from batchprophet.solvers.highs import solve_model
from batchprophet.solvers.hindsight import solve
from batchprophet.solvers.incumbents import list_schedules
from batchprophet.solvers.matrix_form import compile_model
from batchprophet.solvers.solution import Solution, certified

#: The formulation that ``cp-sat`` and ``cp-sat-core`` mean, by measurement:
#: docs/hindsight-benchmark.md.
BEST_CP_SAT = "completions"

_CP_SAT = ("steps", "layers", "completions", "completions+layers", "starts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a method gets.

    Attributes
    ----------
    instance : Instance
        The instance.
    warm_start : MixedSchedule
        The schedule that every method begins with.
    time_limit : float
        Seconds for building and solving.
    threads : int
        Threads or workers.
    tight_windows : bool
        Whether MILP and CP-SAT get windows of starts from KV-area bounds of the instance without
        each request (the windows that `solve` gives its MILP) instead of the plain ones.
    """

    instance: Instance
    warm_start: MixedSchedule
    time_limit: float
    threads: int
    tight_windows: bool = False

    def clock(self) -> Callable[[], float]:
        """Start a clock that tells the seconds left, and 0 after the end."""
        end = time.perf_counter() + self.time_limit
        return lambda: max(0.0, end - time.perf_counter())

    def latest_starts(self) -> IntArray:
        """Latest start of each request in at least one optimal schedule, shape (n,)."""
        instance = self.instance
        value = total_latency(instance, self.warm_start.completion(instance))
        others = None
        if self.tight_windows and instance.n > 1:
            everyone = np.arange(instance.n)
            others = [
                math.ceil(best_bound(instance.take(np.delete(everyone, i)))) for i in everyone
            ]
        return latest_starts(instance, value=value, others=others)


def first_schedule(instance: Instance) -> MixedSchedule:
    """Return the best list schedule: what every method starts from."""

    def value(schedule: MixedSchedule) -> int:
        return total_latency(instance, schedule.completion(instance))

    return min((schedule for _, schedule in list_schedules(instance, "latency")), key=value)


def _solve_by_engine(case: Case) -> Solution:
    return solve(
        case.instance,
        time_limit=case.time_limit,
        threads=case.threads,
        warm_start=case.warm_start,
    )


def _solve_milp(formulation: str, case: Case) -> Solution:
    began, left = time.perf_counter(), case.clock()
    instance = case.instance
    milp = build_model(instance, formulation=formulation, latest=case.latest_starts())
    if not set_start(instance, milp, case.warm_start):
        raise BatchprophetError(f"MILP ({formulation}): the windows leave out the warm start")
    result = solve_model(
        compile_model(milp),
        time_limit=left(),
        threads=case.threads,
        absolute_gap=0.5,  # total latencies are integers
        warm_start=True,
    )
    own = None if result.values is None else decode(instance, milp, result.value)
    account = f"HiGHS: {result.status.value}, {result.nodes} nodes"
    return _certify(case, own, result.bound, account, time.perf_counter() - began)


def _solve_cp_sat(formulation: str, search: str, case: Case) -> Solution:
    from cp_sat import solve_cp_sat

    began, left = time.perf_counter(), case.clock()
    result = solve_cp_sat(
        case.instance,
        case.latest_starts(),
        case.warm_start,
        formulation=formulation,
        search=search,
        time_limit=left,
        threads=case.threads,
    )
    account = f"CP-SAT: {result.account}"
    return _certify(case, result.schedule, result.bound, account, time.perf_counter() - began)


def _certify(
    case: Case, own: MixedSchedule | None, bound: float | int | None, account: str, seconds: float
) -> Solution:
    """Check and round; keep the warm start where there is no schedule of the method's own."""
    return certified(
        case.instance,
        case.warm_start if own is None else own,
        bounds=() if bound is None else (("its own", bound),),
        method=account if own is not None else f"{account}, the warm start kept",
        seconds=seconds,
    )


#: Methods by name.
METHODS: Mapping[str, Callable[[Case], Solution]] = MappingProxyType(
    {
        "engine": _solve_by_engine,
        **{f"milp-{form}": partial(_solve_milp, form) for form in FORMULATIONS},
        **{f"cp-sat-{form}": partial(_solve_cp_sat, form, "default") for form in _CP_SAT},
        **{f"cp-sat-{form}-core": partial(_solve_cp_sat, form, "core") for form in _CP_SAT},
    }
)

_SHORT: Mapping[str, str] = MappingProxyType(
    {"cp-sat": f"cp-sat-{BEST_CP_SAT}", "cp-sat-core": f"cp-sat-{BEST_CP_SAT}-core"}
)

#: What is run where no methods are named.
DEFAULT = ("engine", "milp-dense", "milp-running-sum", "cp-sat", "cp-sat-core")


def parse_methods(text: str) -> list[str]:
    """Parse a list of methods separated by commas.

    Raises
    ------
    InputError
        If a method is unknown, or CP-SAT is asked for and not installed.
    """
    names = list(dict.fromkeys(_full_names(text)))
    if any(map(_is_cp_sat, names)) and importlib.util.find_spec("ortools") is None:
        raise InputError(
            "--methods: CP-SAT needs ortools, which is not installed; install the extra "
            '"batchprophet[benchmarks]" or leave cp-sat out of --methods'
        )
    return names


def _full_names(text: str) -> Iterator[str]:
    for name in text.split(","):
        full = _SHORT.get(name.strip(), name.strip())
        if full not in METHODS:
            known = ", ".join([*_SHORT, *METHODS])
            raise InputError(f"--methods: expected some of {known}; found {name.strip()!r}")
        yield full


def _is_cp_sat(name: str) -> bool:
    return name.startswith("cp-sat")
