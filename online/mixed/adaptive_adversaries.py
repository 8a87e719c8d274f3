"""Adaptive adversaries, played against a policy: they watch when it starts a long request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ...models.errors import BatchprophetError
from ...models.families import make_instance
from ...models.instance import Gpu, Instance
from ...models.mixed.feasibility import check_mixed
from ...models.mixed.schedule import MixedSchedule
from ...models.regimes import schedule_value
from ...solvers.mixed.bounds.combinatorial import best_bound
from ..judged import POLICY_SEED
from .policy import Policy, make_policy
from .simulator import simulate


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

    def make(b: int) -> Instance:
        return make_instance("sqrt-adversary", settings={"kv_capacity": kv_capacity, "b": b})

    return _play(policy, make, _after_or_before_the_burst)


def play_staircase(policy: Policy | str, n: int) -> Play:
    """Send, from the start of the long request on, one a round that just does not fit beside it.

    With M = 2(n − 1) the long request is (s = 1, o = M − 1), at 0. If it is started at b, requests
    k = 1 … n − 1 of (M − k − 2, 1) arrive at b + k. In round b + k + 1 the k-th would hold
    M − k − 1 tokens and the long one k + 2: one too many, then and ever after, since the long one
    grows. So all wait for its end at b + M − 1: the policy pays more than
    Σ_k (M − k) = (n − 1)(3n/2 − 2). Hindsight starts the long one at b + 1, and each of the others
    fits on its arrival: b + M + n − 1 in all; or, if b ≥ M − 1, the long one at 0: M + n − 2. So
    the ratio of every deterministic policy that does not evict is at least about 3n/10, and about
    n/2 where b = 0 or b ≥ M − 1.

    Parameters
    ----------
    policy : Policy or str
        A policy of mixed batching.
    n : int
        ≥ 4, number of requests.

    Examples
    --------
    >>> [round(float(play_staircase("sorted-f", n).ratio), 1) for n in (10, 100)]
    [6.0, 66.0]
    """

    def make(b: int) -> Instance:
        k = np.arange(1, n)
        M = 2 * (n - 1)
        return Instance(
            gpu=Gpu(kv_capacity=M),
            arrival=np.append(0, b + k),
            prompt=np.append(1, M - k - 2),
            output=np.append(M - 1, np.ones_like(k)),
        )

    return _play(policy, make, _a_round_later_or_at_once)


def _play(
    policy: Policy | str,
    make: Callable[[int], Instance],
    hindsight: Callable[[Instance], list[MixedSchedule]],
) -> Play:
    """Let the policy start the long request, request 0; make the instance for that round b."""
    made = make_policy(policy)
    b = int(simulate(make(0).take([0]), made, seed=POLICY_SEED).start[0])
    instance = make(b)
    schedule = simulate(instance, made, seed=POLICY_SEED)
    known = [schedule, *(each for each in hindsight(instance) if not check_mixed(instance, each))]
    return Play(
        instance=instance,
        b=b,
        cost=_cost(instance, schedule),
        value=min(_cost(instance, each) for each in known),
        bound=best_bound(instance, "latency"),
    )


def _after_or_before_the_burst(instance: Instance) -> list[MixedSchedule]:
    """The long request after the burst, all of which fits into a round; or at once."""
    after = instance.arrival.copy()
    after[0] = instance.arrival[-1] + 1
    return [MixedSchedule(after), MixedSchedule(instance.arrival)]


def _a_round_later_or_at_once(instance: Instance) -> list[MixedSchedule]:
    """The long request when the first of the others arrives, b + 1; or at once."""
    later = instance.arrival.copy()
    later[0] = instance.arrival[1]
    return [MixedSchedule(later), MixedSchedule(instance.arrival)]


def _cost(instance: Instance, schedule: MixedSchedule) -> int:
    violations = check_mixed(instance, schedule)
    if violations:
        raise BatchprophetError(f"adversary: infeasible schedule: {violations[0].message}")
    return int(schedule_value(instance, schedule, "latency"))
