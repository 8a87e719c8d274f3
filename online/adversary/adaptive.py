"""The adaptive adversary of order √n, played against a policy."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ...models.errors import BatchprophetError
from ...models.families import make_instance
from ...models.feasibility import check_mixed
from ...models.instance import Instance
from ...models.schedule import MixedSchedule
from ...models.schedules import schedule_value
from ...solvers.bounds.combinatorial import best_bound
from ..policy import Policy, make_policy
from ..simulator import simulate
from .witness import POLICY_SEED


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What the adversary made of a policy.

    Attributes
    ----------
    instance : Instance
        The instance, made for the round b at which the policy starts the long request.
    b : int
        That round.
    cost : int
        The policy's total latency.
    value : int
        Total latency of the best schedule known: ``optimum ≤ value``.
    bound : int or Fraction
        A proved lower bound on the optimum.
    """

    instance: Instance
    b: int
    cost: int
    value: int
    bound: int | Fraction

    @property
    def ratio(self) -> Fraction:
        """The ratio that is certain, ``cost / value``; the true one is at most ``cost / bound``."""
        return Fraction(self.cost, self.value)


def play_sqrt_adversary(policy: Policy | str, kv_capacity: int) -> Play:
    """Watch when the policy starts the long request, and send the burst accordingly.

    A deterministic policy that does not look ahead starts it at the same round again when the
    burst is there, since that comes later.

    Parameters
    ----------
    policy : Policy or str
        A policy of mixed batching.
    kv_capacity : int
        M ≥ 4; n = ⌊M/2⌋ + 1.

    Examples
    --------
    >>> [round(float(play_sqrt_adversary("mc-sf", M).ratio), 2) for M in (64, 256, 1024)]
    [1.21, 1.94, 3.41]

    References
    ----------
    arXiv 2502.07115, Theorem 4.1; `models.families.sqrt_adversary`.
    """
    made = make_policy(policy)
    unseen = make_instance("sqrt-adversary", settings={"kv_capacity": kv_capacity})
    b = int(simulate(unseen.take([0]), made, seed=POLICY_SEED).start[0])
    instance = make_instance("sqrt-adversary", settings={"kv_capacity": kv_capacity, "b": b})
    schedule = simulate(instance, made, seed=POLICY_SEED)
    known = [schedule, *_hindsight(instance)]
    return Play(
        instance=instance,
        b=b,
        cost=_cost(instance, schedule),
        value=min(_cost(instance, each) for each in known),
        bound=best_bound(instance, "latency"),
    )


def _hindsight(instance: Instance) -> list[MixedSchedule]:
    """Schedules of the proof: the long request after the burst, or at once if it is done by then.

    The burst is of ⌊M/2⌋ requests (1, 1): all fit into the round after their arrival.
    """
    after, at_once = instance.arrival.copy(), instance.arrival.copy()
    after[0] = instance.arrival[-1] + 1
    made = [MixedSchedule(after), MixedSchedule(at_once)]
    return [each for each in made if not check_mixed(instance, each)]


def _cost(instance: Instance, schedule: MixedSchedule) -> int:
    violations = check_mixed(instance, schedule)
    if violations:
        raise BatchprophetError(f"sqrt adversary: infeasible schedule: {violations[0].message}")
    return int(schedule_value(instance, schedule, "latency"))
