"""The ratio of a policy of continuous batching on one instance, as `judge` has it for mixed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...models.continuous.schedule import ContinuousSchedule
from ...models.instance import Instance
from ...solvers.best_so_far import BestSoFar
from ...solvers.certificates.continuous.continuous_search import ContinuousSearch
from ...solvers.continuous.bounds.simple import simple_bounds
from ...solvers.continuous.engine import MOST_EXACT
from ...solvers.continuous.exact.prices import SCALE, Prices
from ...solvers.continuous.exact.problem import is_applicable
from ...solvers.continuous.hindsight import CONTINUOUS
from ...solvers.recipe import Options
from ...solvers.stages import Limits
from ..judged import Judged, judged
from .policy import ContinuousPolicy
from .simulator import simulate_continuous

#: Labels of the exhaustive search, which cost up to a millisecond each.
LABELS = 2_000

#: Tokens of a request up to which it is run: a label has as many successors as chunks.
MOST_TOKENS = 100

#: Units of annealing before it: its schedule is where the search begins.
ANNEALING = 200


def judge_continuous(
    instance: Instance, policy: ContinuousPolicy | str, *, seed: int = 0, above: float = 0.0
) -> Judged | None:
    """Run a policy and find the optimum; None as soon as the ratio is known to be below `above`.

    Quick bounds, the search for schedules, then the exhaustive search of states, as far as it takes
    to tell and up to a number of labels. Where they do not suffice, the ratio is to the best
    schedule known, and the true ratio is no lower. The bound has a certificate in any case.

    Parameters
    ----------
    instance : Instance
        The instance; any limits, the unit or an affine law.
    policy : ContinuousPolicy or str
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
    >>> gpu = Gpu(kv_capacity=9, running_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[0, 0], prompt=[1, 1], output=[5, 1])
    >>> found = judge_continuous(instance, "vllm")
    >>> found.ratio, found.proved, found.certificate().bound
    (Fraction(11, 7), True, 7)
    >>> judge_continuous(instance, "vllm", above=1.6) is None
    True
    """
    schedule = simulate_continuous(instance, policy, seed=seed)
    search = BestSoFar[ContinuousSchedule](instance, "latency", math.inf)

    def begin(search: BestSoFar[ContinuousSchedule]) -> None:
        """Begin as every solve does; the policy's schedule may be better than list rules."""
        CONTINUOUS.begin(search, schedule, Options(work_limit=ANNEALING))

    return judged(search, schedule, above, bounds=_quick_bounds, begin=begin, prove=_prove)


def _quick_bounds(instance: Instance, objective: str) -> list[tuple[str, Any]]:
    return [(proof.name, bound) for bound, proof in simple_bounds(instance, objective)]


def _prove(search: BestSoFar[ContinuousSchedule], enough: Callable[[int], bool]) -> None:
    """Search for schedules, then go through all states up to a limit on work."""
    from ...solvers.continuous.exact import search as exact  # compiled code
    from ...solvers.continuous.search.recipe import Search

    instance = search.instance
    schedules = Search(instance, "latency", 0, search.offer)
    schedules.try_rules(search.schedule, Limits(work=ANNEALING))
    schedules.improve(Limits(work=ANNEALING))
    small = instance.n <= MOST_EXACT and int(instance.peak.max()) <= MOST_TOKENS
    if search.proved or not small or not is_applicable(instance):
        return
    told = False

    def look(_: ContinuousSchedule | None, bound: Any, __: Prices) -> None:
        nonlocal told
        told = enough(math.ceil(bound))

    outcome = exact.search(instance, search.value, work_limit=LABELS, stop=lambda: told, found=look)
    if outcome.schedule is not None:
        search.offer(outcome.schedule, "search of states")
    prices = outcome.prices
    proof = ContinuousSearch(
        value=int(outcome.bound),
        scale=SCALE,
        cell=prices.cell,
        width=prices.width,
        kv=tuple(prices.block.tolist()),
        seat=tuple(prices.seat.tolist()),
    )
    search.proved_bound("search of states", proof.value, proof)
