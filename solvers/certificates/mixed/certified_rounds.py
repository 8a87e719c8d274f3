"""The bound that a price of memory in each round proves, for any objective, in exact integers.

**The bound.** Let a token held in round t cost ``u_t ≥ 0``. Request i, started at k, pays
``P_i(k) = Σ_{t=k+1}^{k+o_i} u_t·(s_i + t − k)``, and all requests of a feasible schedule together
pay at most ``M·Σ_t u_t``. So with ``c_i = k_i + o_i``

    Σ_i w_i·c_i ≥ Σ_i min_{k ≥ a_i} [ w_i·(k + o_i) + P_i(k) ] − M·Σ_t u_t,
    max_i c_i   ≥ Σ_i λ_i·c_i + (1 − Σ_i λ_i)·max_i (a_i + o_i), bounded likewise, for shares λ ≥ 0
                  with Σ λ_i ≤ 1,
    Σ_i r_i·1{i in time} ≤ Σ_i max(0, max_k [ r_i − P_i(k) ]) + M·Σ_t u_t,

the last maximum over the k ≥ a_i that complete in time. The total latency is the first with
w_i = 1, less Σ a_i; the tardiness is the first with ``w_i·max(0, k + o_i − d_i)`` in place of
``w_i·(k + o_i)``.

**The minimum over all k.** From the last priced round T on nothing is paid and no term falls, so no
start after ``max(a_i, T)`` is cheaper than the one there.

Nothing here is shared with the LP that the prices come from: a reader need trust only this file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate

from ....models.errors import InputError
from ....models.instance import FloatArray, Instance
from ....models.objectives import due_times, latest_completion
from ..clock import Clock

#: Starts from one look at the clock to the next.
CHECK_EVERY = 4096


def certified_value(
    instance: Instance,
    objective: str,
    *,
    scale: int,
    first: int,
    prices: Sequence[int],
    shares: Sequence[int] = (),
    clock: Clock | None = None,
) -> Fraction:
    """Bound on the optimum that the prices prove, exactly: for the reward an upper bound.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching).
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective.
    scale : int
        ≥ 1.
    first : int
        ≥ 1: ``u_t = prices[t − first] / scale`` in rounds ``first, first + 1, …``, 0 elsewhere.
    prices : sequence of int
        ≥ 0.
    shares : sequence of int, length n or 0
        ``scale·λ_i ≥ 0``, for the makespan only.
    clock : Clock, optional
        How long it may take; as long as it takes by default.

    Raises
    ------
    InputError
        If there are not as many shares as the objective needs, or they exceed 1 in sum.
    OutOfTime
        If the clock runs out.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> certified_value(instance, "latency", scale=8, first=4, prices=[3])
    Fraction(51, 8)
    >>> certified_value(instance, "makespan", scale=8, first=4, prices=[1], shares=[2, 6])
    Fraction(33, 8)
    """
    n = instance.n
    if len(shares) != (n if objective == "makespan" else 0) or sum(shares) > scale:
        raise InputError(
            f"shares: expected {n} of sum at most {scale} for the makespan, none for another "
            f"objective; found {len(shares)} of sum {sum(shares)} for {objective}"
        )
    paid = _Payments(first, prices, clock or Clock(None))
    budget = instance.gpu.kv_capacity * sum(prices)
    if objective == "reward":
        return Fraction(_most_reward(instance, scale, paid) + budget) / scale
    if objective == "makespan":
        factors = [Fraction(share, scale) for share in shares]
    elif objective in ("weighted", "tardiness"):
        factors = _decimals(instance.weight)
    else:
        factors = [Fraction(1)] * n
    due = due_times(instance).tolist() if objective == "tardiness" else [0] * n
    total = _least_completion(instance, scale, factors, due, paid) - budget
    if objective == "latency":
        total -= scale * sum(instance.arrival.tolist())
    if objective == "makespan":
        total += (scale - sum(shares)) * max(a + o for a, _, o in _rows(instance))
    return Fraction(total) / scale


class _Payments:
    """P_i(k) from running sums: ``(s − k)·Σ u_t + Σ t·u_t`` over the rounds of the run."""

    def __init__(self, first: int, prices: Sequence[int], clock: Clock) -> None:
        self.first, self.last, self.clock = first, first + len(prices) - 1, clock
        self.sums = [0, *accumulate(prices)]
        self.moments = [0, *accumulate(t * u for t, u in enumerate(prices, start=first))]

    def of(self, s: int, o: int, k: int) -> int:
        """``scale·P(k)`` of a request."""
        begin, end = self._position(k), self._position(k + o)
        held = self.sums[end] - self.sums[begin]
        return (s - k) * held + self.moments[end] - self.moments[begin]

    def starts(self, first: int, last: int) -> Iterator[int]:
        """Starts from the first to the last; the clock is asked now and then."""
        for k in range(first, last + 1):
            if k % CHECK_EVERY == 0 or k == first:
                self.clock.check()
            yield k

    def _position(self, t: int) -> int:
        """How many priced rounds there are up to round t."""
        return min(max(0, t - self.first + 1), len(self.sums) - 1)


def _least_completion(
    instance: Instance, scale: int, factors: list[Fraction], due: list[int], paid: _Payments
) -> Fraction:
    """``scale·Σ_i min_k [ factor_i·max(0, k + o_i − due_i) + P_i(k) ]``."""
    unit = math.lcm(*(factor.denominator for factor in factors))
    total = 0
    for (a, s, o), factor, d in zip(_rows(instance), factors, due, strict=True):
        whole = int(factor * unit) * scale
        total += min(
            whole * max(0, k + o - d) + unit * paid.of(s, o, k)
            for k in paid.starts(a, max(a, paid.last))
        )
    return Fraction(total, unit)


def _most_reward(instance: Instance, scale: int, paid: _Payments) -> Fraction:
    """``scale·Σ_i max(0, max_k [ r_i − P_i(k) ])``."""
    total = Fraction()
    latest: list[int] = latest_completion(instance).tolist()
    for (a, s, o), r, end in zip(_rows(instance), _decimals(instance.reward), latest, strict=True):
        last = min(end - o, max(a, paid.last))
        if a <= last:
            least = min(paid.of(s, o, k) for k in paid.starts(a, last))
            total += max(Fraction(), scale * r - least)
    return total


def _rows(instance: Instance) -> list[tuple[int, int, int]]:
    columns = (instance.arrival.tolist(), instance.prompt.tolist(), instance.output.tolist())
    return list(zip(*columns, strict=True))


def _decimals(values: FloatArray) -> list[Fraction]:
    """Return coefficients as the decimals that they print as, as the objectives take them."""
    return [Fraction(repr(x)) for x in values.tolist()]
