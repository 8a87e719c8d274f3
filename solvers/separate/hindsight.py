"""The hindsight optimum of separate batching, certified: the recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ...models.batch_time import AffineTime
from ...models.blocks import blocks
from ...models.errors import InputError
from ...models.instance import Instance
from ...models.objectives import OBJECTIVES, latest_completion
from ...models.separate.feasibility import check_separate
from ...models.separate.milp.from_variables import left_shifted
from ...models.separate.problem import require_separate
from ...models.separate.schedule import Kind, SeparateSchedule
from ..best_so_far import BestSoFar
from ..blocks import fall_apart, solve_blocks
from ..certificates.blocks import Part, SeparateBlocksProof
from ..certificates.clock import Clock
from ..progress import Progress
from ..solution import Solution
from .bounds.combinatorial import simple_bounds
from .bounds.waits_and_stalls import MOST_MEMORY, waits_and_stalls, work_of
from .compiled_instance import machine_of
from .engine import improve_and_prove, improve_and_prove_by_work, improve_by_work, price_by_work
from .exact.search import exhaust
from .parts import separate_parts
from .search.list_codes import list_codes
from .search.schedule_builder import REJECTED, decode, schedule_of, working_space

#: Most steps of the walk from prompt batch to prompt batch before the engine begins: some 0.1 s.
MOST_STALL_STEPS = 20_000_000

#: With a limit on work: list schedules of so many batches in all, and one for each unit; and the
#: first in any case.
MOST_LISTED_BATCHES = 50_000

#: Share of the time limit after which no other list schedule is begun.
LISTED_SHARE = 0.75

#: Work that is enough to run all of the engine's compiled code once.
WARM_UP_WORK = 400

#: The name of the bound that every instance has, as `simple_bounds` gives it.
ALONE = "times alone"

Search = BestSoFar[SeparateSchedule]


def solve_separate(
    instance: Instance,
    *,
    objective: str = "latency",
    time_limit: float = 60.0,
    work_limit: int | None = None,
    threads: int | None = None,
    seed: int = 0,
    warm_start: SeparateSchedule | None = None,
    formulation: str = "auto",
    progress: Callable[[Progress], None] | None = None,
) -> Solution[SeparateSchedule]:
    """Find the hindsight-optimal schedule of separate batching, or the best within the limits.

    List schedules and simple bounds come first. For the total latency the engine follows
    (`engine`: annealing, prices of a relaxation, beams, exhaustive search). For the other
    objectives, and where a formulation is asked for, the MILP follows if it is small enough
    (`milp.MOST_CELLS`). A keyboard interrupt ends the search and returns what it has.

    Parameters
    ----------
    instance : Instance
        Any batch-time law, any batch limits.
    objective : {"latency", "weighted", "makespan", "reward"}
        The objective. For the reward, requests may be rejected.
    time_limit : float
        Seconds of wall-clock time for everything, ≥ 0. One list schedule and the simple bounds are
        always computed.
    work_limit : int, optional
        Units of work, ≥ 0: about ten microseconds each in the engine, branch-and-bound nodes in the
        MILP (one whose root is too large for so few is not tried). With it the result does not
        depend on the clock: the time limit is not used.
    threads : int, optional
        Threads; with 1 the engine's parts run one after the other.
    seed : int
        Random seed of the annealing and the solver.
    warm_start : SeparateSchedule, optional
        A feasible schedule; the result is never worse.
    formulation : {"auto", "time-expanded", "stages", "classes", "batch-sequence"}
        A form of the MILP to solve (docs/model.md §3).
    progress : callable, optional
        Called with a `Progress` when a schedule or a bound gets better.

    Returns
    -------
    Solution
        The best schedule found, checked, with the best bound and what proved it.

    Raises
    ------
    InputError
        If an argument is unknown or out of range, or the warm start violates a rule.
    BatchprophetError
        If schedule and bound contradict each other: a defect of this package.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> solution = solve_separate(instance)
    >>> solution.objective, solution.status
    (7, 'optimal')
    """
    _check_arguments(instance, objective, formulation, time_limit, work_limit)
    _check_warm_start(instance, objective, warm_start)
    search = Search(instance, objective, math.inf if work_limit is not None else time_limit)
    search.listen = progress
    try:
        _search(search, warm_start, formulation, work_limit, threads, seed)
    except KeyboardInterrupt:
        if search.schedule is None:
            raise
        search.account.append("interrupted")
    return search.solution()


def _search(
    search: Search,
    known: SeparateSchedule | None,
    formulation: str,
    work_limit: int | None,
    threads: int | None,
    seed: int,
) -> None:
    """List schedules and simple bounds, then the blocks one by one, or all at once."""
    instance = search.instance
    _try_list_schedules(search, known, work_limit)
    for name, bound in simple_bounds(instance, search.objective):
        search.better_bound(name, bound)
    _count_each_alone(search)
    if search.proved:
        return
    regime = separate_parts(instance)
    parts = blocks(instance, regime.alone)
    if search.seconds_left == 0 or not fall_apart(instance, parts, regime.alone):
        if search.objective == "latency":
            _wait_and_stall(search)
        search.tell("simple bounds")
        if not search.proved:
            _prove(search, formulation, work_limit, threads, seed)
        return

    def solve_block(block: Search, known: SeparateSchedule, share: float) -> None:
        work = None if work_limit is None else int(share * work_limit)
        _search(block, known, formulation, work, threads, seed)

    solve_blocks(search, parts, regime, solve_block)


def _check_arguments(
    instance: Instance,
    objective: str,
    formulation: str,
    time_limit: float,
    work_limit: int | None,
) -> None:
    _require_among("objective", objective, OBJECTIVES)
    if formulation != "auto":
        from ...models.separate.milp.formulation import FORMULATIONS  # which loads Pyomo

        _require_among("formulation", formulation, ("auto", *FORMULATIONS))
    if formulation not in ("auto", "batch-sequence") and isinstance(
        instance.gpu.batch_time, AffineTime
    ):
        raise InputError(
            f"formulation: {formulation} takes the unit and the constant law, found the affine law "
            f"in {instance.name!r}; use batch-sequence"
        )
    if not time_limit >= 0:
        raise InputError(f"time_limit: expected at least 0 seconds, found {time_limit!r}")
    if work_limit is not None and not 0 <= work_limit < 2**31:
        raise InputError(f"work_limit: expected from 0 to 2^31 − 1 nodes, found {work_limit!r}")
    require_separate(instance)


def _require_among(name: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise InputError(f"{name}: expected one of {', '.join(known)}; found {value!r}")


def _check_warm_start(
    instance: Instance, objective: str, warm_start: SeparateSchedule | None
) -> None:
    if warm_start is None:
        return
    violations = check_separate(instance, warm_start, allow_rejected=objective == "reward")
    if violations:
        raise InputError(f"warm_start: expected a feasible schedule: {violations[0].message}")


def _try_list_schedules(
    search: Search, warm_start: SeparateSchedule | None, work_limit: int | None
) -> None:
    batches = 0
    for name, schedule in _list_schedules(search, warm_start):
        batches += schedule.starts.size
        search.offer(schedule, name)
        if search.objective == "reward":
            search.offer(_without_late(search.instance, schedule), name)
        search.tell("list schedules")
        if work_limit is not None and batches > MOST_LISTED_BATCHES + work_limit:
            break


def _list_schedules(
    search: Search, warm_start: SeparateSchedule | None
) -> Iterator[tuple[str, SeparateSchedule]]:
    """Yield the warm start and list schedules: for the total latency only such as are better."""
    instance = search.instance
    if warm_start is not None:
        yield "the warm start", warm_start
    kept = 0.0 if math.isinf(search.time_limit) else (1 - LISTED_SHARE) * search.time_limit
    machine, space, no_log = machine_of(instance), working_space(instance.n), np.zeros(0, np.int64)
    for name, code in list_codes(instance):
        if search.schedule is not None and search.seconds_left <= kept:
            break
        if search.objective == "latency" and search.value is not None:
            limit = float(search.value - 1)
            if decode(machine, space, code, limit, no_log) == REJECTED:
                continue
        yield name, schedule_of(instance, code)


def _wait_and_stall(search: Search) -> None:
    """Bound by waits and stalls as far as that takes no time to speak of."""
    for memory in range(MOST_MEMORY + 1):
        steps = work_of(search.instance, memory)
        if steps is not None and steps <= MOST_STALL_STEPS:
            found = waits_and_stalls(search.instance, memory)
            search.proved_bound("waits and stalls", found.bound, found.proof)


def _without_late(instance: Instance, schedule: SeparateSchedule) -> SeparateSchedule:
    """Reject what completes too late to earn its reward; the rest moves up."""
    accepted = schedule.accepted()
    if accepted.size == 0:
        return schedule
    completion = schedule.only(accepted).completion(instance.take(accepted))
    in_time = np.zeros(instance.n, np.bool_)
    in_time[accepted] = completion <= latest_completion(instance)[accepted]
    kept = schedule.columns.only(in_time[schedule.columns.member])
    return SeparateSchedule.left_shifted(instance, kept)


def _prove(
    search: Search, formulation: str, work_limit: int | None, threads: int | None, seed: int
) -> None:
    """Run the engine for the total latency, the MILP for the rest and where a form is asked for."""
    if search.objective != "latency" or formulation != "auto":
        from .milp import try_milp

        try_milp(search, formulation, work_limit, threads, seed)
    elif work_limit is not None:
        improve_and_prove_by_work(search, work_limit, seed)
    elif search.seconds_left > 0:
        improve_and_prove(search, threads=threads, seed=seed)


def load_compiled_code() -> None:
    """Run the engine on small instances for a moment, so that its code is compiled, or loaded."""
    from ...models.families.registry import make_instance

    search = first_steps(make_instance("separate-random", settings={"n": 12}))
    improve_and_prove_by_work(search, WARM_UP_WORK, seed=0)
    search.solution()


def begin_once() -> None:
    """Run all of the engine but the exhaustive search for a moment."""
    from ...models.families.registry import make_instance

    search = first_steps(make_instance("separate-random", settings={"n": 12}))
    improve_by_work(search, WARM_UP_WORK, seed=0)
    price_by_work(search, WARM_UP_WORK)


def exhaust_once() -> None:
    """Run the exhaustive search for a moment, from the schedule that serves one at a time."""
    from ...models.families.registry import make_instance

    instance = make_instance("separate-random", settings={"n": 12})
    one_by_one: list[tuple[Kind, tuple[int, ...]]] = []
    for i in np.argsort(instance.arrival, kind="stable").tolist():
        one_by_one.append(("prompt", (i,)))
        one_by_one.extend([("token", (i,))] * (int(instance.output[i]) - 1))
    exhaust(instance, left_shifted(instance, one_by_one), work_limit=WARM_UP_WORK)


def _count_each_alone(search: Search) -> None:
    """Certify what every schedule costs at least: each request alone on the GPU."""
    every = tuple(range(search.instance.n))
    proof = SeparateBlocksProof(parts=(Part(requests=every, proof=None),))
    value = proof.bound(search.instance, search.objective, Clock(None))
    search.proved_bound(ALONE, value, proof)


def first_steps(instance: Instance) -> Search:
    """Do what `solve_separate` does before the engine, without a limit."""
    search = Search(instance, "latency", math.inf)
    _try_list_schedules(search, None, None)
    for name, bound in simple_bounds(instance, "latency"):
        search.better_bound(name, bound)
    _wait_and_stall(search)
    return search
