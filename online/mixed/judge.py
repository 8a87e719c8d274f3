"""The ratio of a policy on one instance: its cost over the optimum, proved where possible."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...models.instance import Instance
from ...models.mixed.problem import without_limits
from ...models.mixed.schedule import MixedSchedule
from ...solvers.best_so_far import BestSoFar
from ...solvers.certificates.mixed.configuration_prices import ConfigurationPriceProof
from ...solvers.certificates.mixed.exhaustive_search import ExhaustiveSearch
from ...solvers.mixed.bounds.combinatorial import all_bounds
from ...solvers.mixed.bounds.configuration import configuration_prices
from ...solvers.mixed.bounds.configuration import is_applicable as priceable
from ...solvers.mixed.engine import MOST_EXHAUSTED
from ...solvers.mixed.exact.proof import is_applicable, prove
from ...solvers.mixed.hindsight import MIXED
from ...solvers.mixed.proofs.price_tables import price_table
from ...solvers.mixed.search.recipe import improve_schedule
from ...solvers.mixed.within_limits import within_limits
from ...solvers.recipe import Options
from ..judged import PLACEMENTS, STATES, Judged, judged, known_bound
from .policy import Policy
from .simulator import simulate

#: Steps of the prices.
PRICE_STEPS = 100


def judge(
    instance: Instance, policy: Policy | str, *, seed: int = 0, above: float = 0.0
) -> Judged | None:
    """Run a policy and find the optimum; None as soon as the ratio is known to be below `above`.

    Cheap filters first: list schedules and quick bounds, prices, and the exhaustive search only
    as far as it takes to tell. The work is limited by counts, never by the clock. Where it does not
    suffice, the ratio is to the best schedule known, and the true ratio is no lower.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching).
    policy : Policy or str
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
    >>> gpu = Gpu(kv_capacity=9)  # a wide request, ahead of three that fit together
    >>> instance = Instance(gpu=gpu, arrival=[0] * 4, prompt=[8, 1, 1, 1], output=[1, 2, 2, 2])
    >>> found = judge(instance, "mc-sf")
    >>> found.ratio, found.proved
    (Fraction(10, 9), True)
    >>> judge(instance, "mc-sf", above=1.2) is None
    True
    """
    schedule = simulate(instance, policy, seed=seed)
    search = BestSoFar[MixedSchedule](instance, "latency", math.inf)
    return judged(search, schedule, above, bounds=all_bounds, begin=_begin, prove=_prove)


def _begin(search: BestSoFar[MixedSchedule]) -> None:
    """Begin as every solve does."""
    MIXED.begin(search, None, Options(work_limit=PLACEMENTS))


def _prove(search: BestSoFar[MixedSchedule], enough: Callable[[int], bool]) -> None:
    """Raise the bound by prices, then by an exhaustive search, until it meets the schedule.

    Instances too large for prices of configurations keep the bound that they have.
    """
    instance, known = search.instance, search.schedule
    assert known is not None, "the list schedules come first"
    if instance.n > MOST_EXHAUSTED:
        known = improve_schedule(instance, known, time_limit=0.0, work_limit=PLACEMENTS)
        search.offer(known, "annealing")
    if search.proved or not priceable(instance, int(known.completion(instance).max())):
        return
    relaxed = without_limits(instance)  # what is proved of it holds for the instance
    prices = configuration_prices(relaxed, known, work_limit=PRICE_STEPS)
    table = price_table(relaxed, prices)
    bound = math.ceil(prices.bound)
    search.proved_bound("configuration prices", bound, ConfigurationPriceProof(table=table))
    exhaustible = instance.n <= MOST_EXHAUSTED and is_applicable(instance)
    if search.proved or enough(known_bound(search)) or not exhaustible:
        return
    told = False

    def look(_: MixedSchedule, bound: int) -> None:
        nonlocal told
        told = enough(bound)

    outcome = prove(relaxed, known, prices, work_limit=STATES, stop=lambda: told, found=look)
    kept = within_limits(instance, outcome.schedule)
    if kept is not None:
        search.offer(kept, "exhaustive search")
    proof = ExhaustiveSearch(value=outcome.bound, table=table)
    search.proved_bound("exhaustive search", outcome.bound, proof)
