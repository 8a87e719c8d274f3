"""The ratio of a policy of separate batching on one instance, as `judge` has it for mixed."""

from __future__ import annotations

import math

import numpy as np

from ...models.instance import Instance
from ...models.separate.schedule import SeparateSchedule
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
from ..judged import PLACEMENTS, STATES, Judged, latency_of
from .policy import SeparatePolicy
from .rerun import Rerun
from .simulator import simulate_separate


def judge_separate(
    instance: Instance, policy: SeparatePolicy | str, *, seed: int = 0, above: float = 0.0
) -> Judged | None:
    """Run a policy and find the optimum; None as soon as the ratio is known to be below `above`.

    The best list schedule, then the exhaustive search of states, as far as it takes to tell and up
    to a number of states. Where there are too many, annealing follows, and the ratio is that to the
    best schedule known, which the true one is never below.

    What the search proves goes into a certificate that an independent verifier searches again
    (`certificates.separate.walk_search`), unless batch times are affine or the GPU's walk has too
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
        If the policy would go on for ever.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 1], prompt=[1, 1], output=[2, 1])
    >>> judged = judge_separate(instance, "decode-first")
    >>> judged.ratio, judged.proved, judged.certificate().bound
    (Fraction(1, 1), True, 4)
    """
    schedule = simulate_separate(instance, policy, seed=seed)
    cost = latency_of(instance, schedule)
    cheap = math.ceil(max(bound for _, bound in simple_bounds(instance, "latency")))
    if cost < above * cheap:
        return None
    known = _best_list_schedule(instance)
    if not is_applicable(instance):
        known = improve_separate(instance, known, time_limit=0.0, work_limit=PLACEMENTS)
        return Judged(
            instance=instance,
            schedule=schedule,
            cost=cost,
            hindsight=known,
            value=latency_of(instance, known),
            bound=cheap,
            proof=Rerun(work_limit=1),
        )
    enough = False

    def look(_: SeparateSchedule, bound: int) -> None:
        nonlocal enough
        enough = cost < above * bound

    outcome = search_states(instance, known, work_limit=STATES, stop=lambda: enough, found=look)
    bound = max(outcome.bound, 1)
    if cost < above * bound:
        return None
    certified = search_proof(instance, None, bound)
    return Judged(
        instance=instance,
        schedule=schedule,
        cost=cost,
        hindsight=outcome.schedule,
        value=outcome.latency,
        bound=bound,
        proof=certified or Rerun(work_limit=1000 + 10 * outcome.expanded),
    )


def _best_list_schedule(instance: Instance) -> SeparateSchedule:
    machine, space, no_log = machine_of(instance), working_space(instance.n), np.zeros(0, np.int64)
    codes = [code for _, code in list_encodings(instance)]
    best = min(codes, key=lambda code: total_latency(machine, space, code, float(REJECTED), no_log))
    return schedule_of(instance, best)
