"""The ratio of a policy on one instance: its cost over the optimum, proved where possible."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...models.instance import Instance
from ...models.mixed.schedule import MixedSchedule
from ...solvers.certificates.mixed.combinatorial import CombinatorialBound
from ...solvers.certificates.mixed.configuration_prices import ConfigurationPriceProof
from ...solvers.certificates.mixed.exhaustive_search import ExhaustiveSearch
from ...solvers.certificates.proof import Proof
from ...solvers.mixed.bounds.combinatorial import all_bounds
from ...solvers.mixed.bounds.configuration import configuration_prices
from ...solvers.mixed.bounds.configuration import is_applicable as priceable
from ...solvers.mixed.engine import MOST_EXHAUSTED
from ...solvers.mixed.exact.proof import is_applicable, prove
from ...solvers.mixed.list_scheduling.incumbents import list_schedules
from ...solvers.mixed.proofs.price_tables import price_table
from ...solvers.mixed.search.recipe import improve_schedule
from ..judged import PLACEMENTS, STATES, Judged, latency_of
from .policy import Policy
from .simulator import simulate

#: Steps of the prices.
PRICE_STEPS = 100


def judge(
    instance: Instance, policy: Policy | str, *, seed: int = 0, above: float = 0.0
) -> Judged | None:
    """Run a policy and find the optimum; None as soon as the ratio is known to be below `above`.

    Cheap filters first: combinatorial bounds on the optimum, prices, and the exhaustive search only
    as far as it takes to tell. The work is limited by counts, never by the clock. Where it does not
    suffice the ratio is that to the best schedule known, which the true one is never below.

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
        If the policy would go on for ever.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9)  # a wide request, ahead of three that fit together
    >>> instance = Instance(gpu=gpu, arrival=[0] * 4, prompt=[8, 1, 1, 1], output=[1, 2, 2, 2])
    >>> judged = judge(instance, "mc-sf")
    >>> judged.ratio, judged.proved
    (Fraction(10, 9), True)
    >>> judge(instance, "mc-sf", above=1.2) is None
    True
    """
    schedule = simulate(instance, policy, seed=seed)
    cost = latency_of(instance, schedule)
    name, cheap = max(all_bounds(instance, "latency"), key=lambda each: each[1])
    bound, proof = math.ceil(cheap), CombinatorialBound(name=name)
    if cost < above * bound:
        return None
    known = _best_list_schedule(instance)
    if instance.n > MOST_EXHAUSTED and latency_of(instance, known) > bound:
        known = improve_schedule(instance, known, time_limit=0.0, work_limit=PLACEMENTS)
    found = _Optimum(instance, known, latency_of(instance, known), bound, proof)
    if found.value > bound:
        found.search(cost, above)
    if cost < above * found.bound:
        return None
    return Judged(
        instance=instance,
        schedule=schedule,
        cost=cost,
        hindsight=found.schedule,
        value=found.value,
        bound=found.bound,
        proof=found.proof,
    )


@dataclass(slots=True)
class _Optimum:
    """What is known of an optimum, between schedule and bound."""

    instance: Instance
    schedule: MixedSchedule
    value: int
    bound: int
    proof: Proof

    def search(self, cost: int, above: float) -> None:
        """Raise the bound by prices, then by an exhaustive search, until it meets the schedule.

        It stops as soon as ``cost / bound`` is below `above`. Instances too large for prices of
        configurations keep the bound that they have.
        """
        if not priceable(self.instance, int(self.schedule.completion(self.instance).max())):
            return
        prices = configuration_prices(self.instance, self.schedule, work_limit=PRICE_STEPS)
        table = price_table(self.instance, prices)
        self._raise(math.ceil(prices.bound), ConfigurationPriceProof(table=table))
        exhaustible = self.instance.n <= MOST_EXHAUSTED and is_applicable(self.instance)
        if self.bound == self.value or cost < above * self.bound or not exhaustible:
            return
        enough = False

        def look(_: MixedSchedule, bound: int) -> None:
            nonlocal enough
            enough = cost < above * bound

        outcome = prove(
            self.instance,
            self.schedule,
            prices,
            work_limit=STATES,
            stop=lambda: enough,
            found=look,
        )
        self.schedule = outcome.schedule
        self.value = latency_of(self.instance, self.schedule)
        self._raise(outcome.bound, ExhaustiveSearch(value=outcome.bound, table=table))

    def _raise(self, bound: int, proof: Proof) -> None:
        if bound > self.bound:
            self.bound, self.proof = bound, proof


def _best_list_schedule(instance: Instance) -> MixedSchedule:
    made = (schedule for _, schedule in list_schedules(instance, "latency"))
    return min(made, key=lambda schedule: latency_of(instance, schedule))
