"""The hindsight optimum, certified: the recipe."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from ..models.errors import BatchprophetError, InfeasibleError, InputError
from ..models.feasibility import check_mixed
from ..models.instance import Instance, IntArray
from ..models.mixed.decode import decode, set_start
from ..models.mixed.formulation import FORMULATIONS, build_model
from ..models.mixed.horizon import latest_starts
from ..models.mixed.regime import require_mixed
from ..models.mixed.starts import offered_starts
from ..models.objectives import MAXIMISED, OBJECTIVES, Exact, evaluate, value_step
from ..models.schedule import MixedSchedule
from .bounds.combinatorial import all_bounds, best_bound
from .bounds.linear_relaxation import dual_bound
from .highs import HighsResult, SolverState, Status, solve_model
from .incumbents import list_schedules
from .matrix_form import MatrixForm, compile_model
from .progress import Progress, relative_gap
from .solution import Solution, certified

#: Beyond this many binaries the MILP is not tried: its root LP alone would take minutes, and its
#: bound would be weaker than the KV-area bounds.
MOST_BINARIES = 120_000

#: By itself the solve takes the dense form up to this many memory non-zeros: cuts and presolve find
#: much more in its knapsack rows. Beyond, the running-sum form has the root bound sooner.
MOST_DENSE_NONZEROS = 600_000

#: Beyond this many requests the horizon is derived without a bound per left-out request.
MOST_LEFT_OUT_BOUNDS = 2_000


def solve(
    instance: Instance,
    *,
    model: str = "mixed",
    objective: str = "latency",
    time_limit: float = 60.0,
    work_limit: int | None = None,
    threads: int | None = None,
    seed: int = 0,
    warm_start: MixedSchedule | None = None,
    formulation: str = "auto",
    progress: Callable[[Progress], None] | None = None,
) -> Solution:
    """Find the hindsight-optimal schedule, or the best within the limits, with a proved bound.

    List schedules and combinatorial bounds come first; then, if it is small enough
    (`MOST_BINARIES`), the MILP. A keyboard interrupt ends the search and returns what it has.

    Parameters
    ----------
    instance : Instance
        The instance (unit-time law, no batch limits).
    model : {"mixed"}
        The regime.
    objective : {"latency", "weighted", "makespan", "reward"}
        The objective.
    time_limit : float
        Seconds of wall-clock time for everything, ≥ 0. One list schedule and the combinatorial
        bounds are always computed, and a solver looks at its clock only between its steps.
    work_limit : int, optional
        Branch-and-bound nodes of the MILP, ≥ 0. With it the result does not depend on the clock:
        the time limit is not used, and the same seed and threads give the same schedule and bound.
    threads : int, optional
        Threads of the solver.
    seed : int
        Random seed of the solver.
    warm_start : MixedSchedule, optional
        A feasible schedule; the result is never worse.
    formulation : {"auto", "dense", "running-sum"}
        The form of the MILP; by itself dense if it has at most `MOST_DENSE_NONZEROS` there.
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
    _check_arguments(instance, model, objective, formulation, time_limit, work_limit)
    _check_warm_start(instance, warm_start)
    search = _Search(instance, objective, math.inf if work_limit is not None else time_limit)
    search.listen = progress
    try:
        _try_list_schedules(search, warm_start)
        _compute_bounds(search)
        if not search.proved:
            _try_milp(search, formulation, work_limit, threads, seed)
    except KeyboardInterrupt:
        if search.schedule is None:
            raise
        search.account.append("interrupted")
    return search.solution()


@dataclass(slots=True)
class _Search:
    """What the search knows so far."""

    instance: Instance
    objective: str
    time_limit: float
    listen: Callable[[Progress], None] | None = None
    began: float = field(default_factory=time.perf_counter)
    schedule: MixedSchedule | None = None
    value: Exact | None = None
    found_by: str = ""
    bounds: list[tuple[str, int | float | Fraction]] = field(default_factory=list)
    account: list[str] = field(default_factory=list)
    log: str = ""

    @property
    def maximised(self) -> bool:
        return self.objective in MAXIMISED

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.time_limit - self.seconds)

    @property
    def bound(self) -> int | float | Fraction | None:
        """The best bound so far, before rounding."""
        values = [value for _, value in self.bounds]
        return (min(values) if self.maximised else max(values)) if values else None

    @property
    def proved(self) -> bool:
        """Whether the combinatorial bounds prove the schedule optimal (values are multiples)."""
        if self.value is None or self.bound is None:
            return False
        return abs(self.value - Fraction(self.bound)) < value_step(self.instance, self.objective)

    def offer(self, schedule: MixedSchedule, found_by: str) -> None:
        """Keep the schedule if it is the best so far."""
        value = evaluate(self.instance, schedule.completion(self.instance), self.objective)
        better = self.value is None or (
            value > self.value if self.maximised else value < self.value
        )
        if better:
            self.schedule, self.value, self.found_by = schedule, value, found_by

    def tell(self, phase: str, bound: int | float | Fraction | None = None) -> None:
        if self.listen is not None:
            best = self.bound if bound is None else bound
            gap = relative_gap(self.value, best)
            self.listen(Progress(self.seconds, self.value, best, gap, phase))

    def solution(self) -> Solution:
        assert self.schedule is not None
        return certified(
            self.instance,
            self.schedule,
            objective_name=self.objective,
            bounds=tuple(self.bounds),
            method="; ".join([self.found_by, *self.account]),
            seconds=self.seconds,
            log=self.log,
        )


def _check_arguments(
    instance: Instance,
    model: str,
    objective: str,
    formulation: str,
    time_limit: float,
    work_limit: int | None,
) -> None:
    if model != "mixed":
        raise InputError(f"model: expected 'mixed', found {model!r}")
    for name, value, known in (
        ("objective", objective, OBJECTIVES),
        ("formulation", formulation, ("auto", *FORMULATIONS)),
    ):
        if value not in known:
            raise InputError(f"{name}: expected one of {', '.join(known)}; found {value!r}")
    if not time_limit >= 0:
        raise InputError(f"time_limit: expected at least 0 seconds, found {time_limit!r}")
    if work_limit is not None and not 0 <= work_limit < 2**31:
        raise InputError(f"work_limit: expected from 0 to 2^31 − 1 nodes, found {work_limit!r}")
    require_mixed(instance)


def _check_warm_start(instance: Instance, warm_start: MixedSchedule | None) -> None:
    violations = [] if warm_start is None else check_mixed(instance, warm_start)
    if violations:
        raise InputError(f"warm_start: expected a feasible schedule: {violations[0].message}")


def _try_list_schedules(search: _Search, warm_start: MixedSchedule | None) -> None:
    for name, schedule in list_schedules(search.instance, search.objective, warm_start):
        search.offer(schedule, name)
        search.tell("list schedules")
        if search.seconds_left == 0:
            break


def _compute_bounds(search: _Search) -> None:
    search.bounds += all_bounds(search.instance, search.objective)
    search.tell("combinatorial bounds")


def _try_milp(
    search: _Search, formulation: str, work_limit: int | None, threads: int | None, seed: int
) -> None:
    """Build the MILP, hand over the schedule, solve with the time left."""
    instance = search.instance
    latest = _latest_starts(search)
    limited = work_limit is None
    if not (latest >= instance.arrival).any():
        return  # no reward can be earned: the bound says so
    binaries = offered_starts(instance, latest).count
    if formulation == "auto":
        nonzeros = int(np.maximum(latest - instance.arrival + 1, 0) @ instance.output)
        formulation = "dense" if nonzeros <= MOST_DENSE_NONZEROS else "running-sum"
    if binaries > MOST_BINARIES or search.seconds_left == 0:
        reason = f"{binaries} binaries" if binaries > MOST_BINARIES else "no time left"
        search.account.append(f"MILP not tried ({reason})")
        return
    search.tell(f"building the MILP ({binaries} binaries)")
    milp = build_model(instance, objective=search.objective, formulation=formulation, latest=latest)
    assert search.schedule is not None
    started = set_start(instance, milp, search.schedule)
    try:
        form = compile_model(milp)
        _bound_by_lp(search, form, search.seconds_left if limited else None, threads)
        result = solve_model(
            form,
            time_limit=search.seconds_left if limited else None,
            work_limit=work_limit,
            threads=threads,
            seed=seed,
            absolute_gap=float(value_step(instance, search.objective)) / 2,
            warm_start=started,
            progress=lambda state: _tell_state(search, state),
        )
    except InfeasibleError as error:
        raise BatchprophetError(
            f"MILP ({formulation} form): proved infeasible although a schedule is known"
        ) from error
    _take_milp_result(search, result, formulation, lambda: decode(instance, milp, result.value))


def _latest_starts(search: _Search) -> IntArray:
    """Latest starts by the value of the schedule and, for the latency, a bound without each i."""
    instance = search.instance
    others: list[Exact] | None = None
    if search.objective == "latency" and 1 < instance.n <= MOST_LEFT_OUT_BOUNDS:
        everyone = np.arange(instance.n)
        others = [math.ceil(best_bound(instance.take(np.delete(everyone, i)))) for i in everyone]
    return latest_starts(instance, search.objective, value=search.value, others=others)


def _bound_by_lp(
    search: _Search, form: MatrixForm, time_limit: float | None, threads: int | None
) -> None:
    """The LP relaxation first: sooner than the root of the branch and bound, and exact duality."""
    relaxed = solve_model(form, relax=True, time_limit=time_limit, threads=threads)
    if relaxed.row_duals is not None:
        search.bounds.append(("LP relaxation", dual_bound(form, relaxed.row_duals)))
    if relaxed.interrupted:
        raise KeyboardInterrupt
    search.tell("LP relaxation")


def _tell_state(search: _Search, state: SolverState) -> None:
    bounds = [bound for bound in (search.bound, state.bound) if bound is not None]
    best = (min(bounds) if search.maximised else max(bounds)) if bounds else None
    search.tell(f"branch and bound ({state.nodes} nodes)", best)


def _take_milp_result(
    search: _Search,
    result: HighsResult,
    formulation: str,
    read_schedule: Callable[[], MixedSchedule],
) -> None:
    search.log = result.log
    name = f"MILP ({formulation} form)"
    if result.values is not None:
        search.offer(read_schedule(), name)
    if result.bound is not None and _says_something(search, result.bound):
        search.bounds.append((name, result.bound))
    outcome = "solved to optimality" if result.status is Status.OPTIMAL else "limit reached"
    outcome = "interrupted" if result.interrupted else outcome
    search.account.append(f"{name}: {outcome} after {result.nodes} nodes")
    search.tell("done")


def _says_something(search: _Search, bound: float) -> bool:
    """Whether a bound betters the first: a branch and bound stopped early may know nothing."""
    _, first = search.bounds[0]
    return bound < first if search.maximised else bound > first
