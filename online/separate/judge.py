"""The ratio of a policy of separate batching on one instance, as `judge` has it for mixed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...models.instance import Instance
from ...models.separate.schedule import SeparateSchedule
from ...solvers.best_so_far import BestSoFar
from ...solvers.separate.bounds.combinatorial import simple_bounds
from ...solvers.separate.compiled_instance import machine_of
from ...solvers.separate.exact.gpu_path_lookahead import search_proof
from ...solvers.separate.exact.search import is_applicable, search_states
from ...solvers.separate.search.list_encodings import list_encodings
from ...solvers.separate.search.recipe import improve_separate
from ...solvers.separate.search.schedule_builder import (
    REJECTED,
    schedule_of,
    total_latency,
    working_space,
)
from ..judged import PLACEMENTS, STATES, Judged, judged
from .policy import SeparatePolicy
from .rerun import Rerun
from .simulator import simulate_separate


def judge_separate(
    instance: Instance, policy: SeparatePolicy | str, *, seed: int = 0, above: float = 0.0
) -> Judged | None:
    """Run a policy and find the optimum; None as soon as the ratio is known to be below `above`.

    Quick bounds and list schedules, then the exhaustive search of states, as far as it takes to
    tell and up to a number of states. Where there are too many, annealing follows; then the ratio
    is to the best schedule known, and the true ratio is no lower.

    What the search proves goes into a certificate that an independent verifier searches again
    (`certificates.separate.walk_search`), unless batch times are affine or the GPU's path has too
    many states for it: then the proof is to run this search again.

    Parameters
    ----------
    instance : Instance
        The instance; any batch limits.
    policy : SeparatePolicy or str
        The policy under attack.
    seed : int
        Seed of the policy's draws.
    above : float
        Ratio of interest.

    Raises
    ------
    DoesNotFinish
        If the policy would go on forever.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 1], prompt=[1, 1], output=[2, 1])
    >>> found = judge_separate(instance, "decode-first")
    >>> found.ratio, found.proved, found.certificate().bound
    (Fraction(1, 1), True, 4)
    """
    schedule = simulate_separate(instance, policy, seed=seed)
    search = BestSoFar[SeparateSchedule](instance, "latency", math.inf)
    return judged(search, schedule, above, bounds=simple_bounds, begin=_begin, prove=_prove)


def _begin(search: BestSoFar[SeparateSchedule]) -> None:
    """Find the best list schedule.

    Bounds with certificates, as the recipe has them, would cost an adversary 13 % of its time; the
    search of states proves more.
    """
    instance = search.instance
    machine, space, no_log = machine_of(instance), working_space(instance.n), np.zeros(0, np.int64)
    codes = [code for _, code in list_encodings(instance)]
    best = min(codes, key=lambda code: total_latency(machine, space, code, float(REJECTED), no_log))
    search.offer(schedule_of(instance, best), "list schedules")


def _prove(
    search: BestSoFar[SeparateSchedule], enough: Callable[[int], bool]
) -> tuple[int, Rerun] | None:
    """Search all states up to a limit on work; where there are too many, improve the schedule."""
    instance, known = search.instance, search.schedule
    assert known is not None, "the list schedules come first"
    if not is_applicable(instance):
        known = improve_separate(instance, known, time_limit=0.0, work_limit=PLACEMENTS)
        search.offer(known, "annealing")
        cheap = max(bound for _, bound in simple_bounds(instance, "latency"))
        return math.ceil(cheap), Rerun(work_limit=1)
    told = False

    def look(_: SeparateSchedule, bound: int) -> None:
        nonlocal told
        told = enough(bound)

    outcome = search_states(instance, known, work_limit=STATES, stop=lambda: told, found=look)
    search.offer(outcome.schedule, "search of states")
    bound = max(outcome.bound, 1)
    proof = None if enough(bound) else search_proof(instance, None, bound)
    if proof is None:
        return bound, Rerun(work_limit=1000 + 10 * outcome.expanded)
    search.proved_bound("search of states", bound, proof)
    return None
