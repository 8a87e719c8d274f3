"""Separate batching, as `solvers.regimes` has it: list schedules, bounds, engine, MILP."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from ...models.batch_time import AffineTime
from ...models.errors import InputError
from ...models.instance import Instance
from ...models.objectives import latest_completion
from ...models.separate.problem import separate_problem
from ...models.separate.regime import SEPARATE as RULES
from ...models.separate.schedule import SeparateSchedule
from ..best_so_far import BestSoFar
from ..certificates.blocks import Part, SeparateBlocksProof
from ..certificates.clock import Clock
from ..certificates.relaxation import RelaxationProof
from ..certificates.separate.as_continuous import as_continuous
from ..extendable import Extendable
from ..recipe import Options, Recipe
from ..relaxation import Relaxation
from .bounds.combinatorial import simple_bounds
from .bounds.waits_and_stalls import MOST_MEMORY, waits_and_stalls, work_of
from .bounds.workloads import first_tokens, machines
from .engine import improve_and_prove
from .few_classes import by_class
from .parts import separate_parts
from .search.list_encodings import list_encodings
from .search.schedule_builder import REJECTED, schedule_of, total_latency, working_space

#: Most steps of the path from prompt batch to prompt batch before the engine begins: some 0.1 s.
MOST_STALL_STEPS = 20_000_000

#: With a limit on work: list schedules of this many batches in all, and one more for each unit;
#: and the first in any case.
MOST_LISTED_BATCHES = 50_000

#: Share of the time limit after which no other list schedule is begun.
LISTED_SHARE = 0.75

#: Fewest requests for which continuous batching is asked for a bound: below that it is lower than
#: the times alone.
LEAST_RELAXED = 24

#: The name of the bound that every instance has, as `simple_bounds` gives it.
ALONE = "times alone"

if TYPE_CHECKING:
    import pyomo.environ as pyo

Search = BestSoFar[SeparateSchedule]


def begin(search: Search, known: SeparateSchedule | None, options: Options) -> None:
    """List schedules, the known one first, and simple bounds."""
    _try_list_schedules(search, known, options.work_limit)
    for name, bound in simple_bounds(search.instance, search.objective):
        search.better_bound(name, bound)
    _count_each_alone(search)


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
    problem, space, no_log = (
        separate_problem(instance),
        working_space(instance.n),
        np.zeros(0, np.int64),
    )
    for name, encoding in list_encodings(instance):
        if search.schedule is not None and search.seconds_left <= kept:
            break
        if search.objective == "latency" and search.value is not None:
            limit = float(search.value - 1)
            if total_latency(problem, space, encoding, limit, no_log) == REJECTED:
                continue
        yield name, schedule_of(instance, encoding)


def wait_and_stall(search: Search) -> None:
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


def _prove(search: Search, options: Options) -> None:
    """Run the engine for the total latency, the MILP for the rest and where a form is asked for."""
    if search.objective == "latency":
        wait_and_stall(search)
    search.tell("simple bounds")
    if not options.ask_for_milp:
        by_class(search, options)
    if search.proved:
        return
    if options.ask_for_milp:
        from .milp import try_milp

        try_milp(search, options)
    elif search.seconds_left > 0:
        improve_and_prove(
            search,
            work_limit=options.work_limit,
            threads=options.threads,
            seed=options.seed,
            relaxations=RELAXATIONS,
        )


def _count_each_alone(search: Search) -> None:
    """Certify what every schedule costs at least: each request alone on the GPU."""
    every = tuple(range(search.instance.n))
    proof = SeparateBlocksProof(parts=(Part(requests=every, proof=None),))
    value = proof.bound(search.instance, search.objective, Clock(None))
    search.proved_bound(ALONE, value, proof)


def _prepare(instance: Instance, options: Options) -> None:
    """Refuse the forms that count whole slots where batches take microseconds."""
    form, law = options.formulation, instance.gpu.batch_time
    if form not in ("auto", "batch-sequence") and isinstance(law, AffineTime):
        raise InputError(
            f"formulation: {form} takes the unit and the constant law, found the affine law in "
            f"{instance.name!r}; use batch-sequence"
        )


def _load(instance: Instance) -> None:
    from .warm_up import load_compiled_code

    load_compiled_code()
    for each in RELAXATIONS:
        if each.applies(instance):
            each.recipe.load(instance)


def _compiled() -> bool:
    from .warm_up import is_compiled

    return is_compiled()


def _compile(instance: Instance | None, announce: Callable[[], None]) -> None:
    from .warm_up import compile_engine

    compile_engine(instance, announce)


def _extendable() -> Extendable[SeparateSchedule]:
    from .milp import EXTENDABLE

    return EXTENDABLE


def _build_model(instance: Instance, objective: str, formulation: str) -> pyo.ConcreteModel:
    from ...models.separate.milp.formulation import build_model, default_form

    form = default_form(instance) if formulation == "auto" else formulation
    return build_model(instance, objective=objective, formulation=form)


def _has_no_prices(instance: Instance) -> bool:
    """Whether there are no prices of the GPU's path: they count whole slots."""
    return isinstance(instance.gpu.batch_time, AffineTime) and instance.n >= LEAST_RELAXED


#: A batch of one kind is a batch of continuous batching.
RELAXATIONS = (
    Relaxation(
        regime="continuous",
        relaxed=as_continuous,
        proof=RelaxationProof,
        applies=_has_no_prices,
    ),
)

SEPARATE = Recipe(
    rules=RULES,
    formulations=("time-expanded", "stages", "classes", "batch-sequence"),
    begin=begin,
    prove=_prove,
    parts=separate_parts,
    relaxations=RELAXATIONS,
    machines=machines,
    first_tokens=first_tokens,
    load=_load,
    compiled=_compiled,
    compile=_compile,
    build_model=_build_model,
    extendable=_extendable,
    prepare=_prepare,
)
