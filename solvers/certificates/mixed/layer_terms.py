"""What a schedule costs beyond the bound of its prices, term by term, as tables.

The search that adds them up, and why the terms are these: `layer_search`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ..clock import Clock
from .certified_configurations import PricedTypes
from .certified_costs import Costs, last_completion

#: A cost that no budget allows; sums of n + 1 of them must fit 64 bits.
FAR = 2**54

#: Largest table of costs, requests × rounds.
LARGEST_TABLE = 2**26


class Terms(NamedTuple):
    """The instance and the terms of the excess; requests in order of arrival.

    Attributes
    ----------
    prompt, output : ndarray of int64, shape (n,)
        s and o.
    start : ndarray of int64, shape (n, K + 1)
        ``rc_i(k) − min rc_i`` for a start at ``origin + k``; `FAR` before the arrival, at K, and
        where the request had better be left out.
    later : ndarray of int64, shape (n, K + 1)
        The minimum of that over all starts from k on, and of leaving it out.
    left_out : ndarray of int64, shape (n,)
        What leaving it out costs; `FAR` where it must complete.
    gone : ndarray of int64, shape (n,)
        From this boundary on it can only be left out; K where it must complete.
    earned : ndarray of int64, shape (n, K + 1, longest output)
        Price of request i in its round j, for round ``origin + t``: ``earned[i, t, j − 1]``.
    slack : ndarray of int64, shape (K + 1,)
        σ of round ``origin + t``.
    elder : ndarray of int64, shape (n,)
        The last request before i that i may not overtake, −1 for none.
    M : int
        KV capacity.
    """

    prompt: IntArray
    output: IntArray
    start: IntArray
    later: IntArray
    left_out: IntArray
    gone: IntArray
    earned: IntArray
    slack: IntArray
    elder: IntArray
    M: int


def terms_of(
    cost: int, instance: Instance, priced: PricedTypes, clock: Clock
) -> tuple[Terms | None, int]:
    """Return the terms, and the budget of schedules of a cost; no terms where it is negative.

    Raises
    ------
    InputError
        If the instance or the prices are too large for the search.
    OutOfTime
        If the clock runs out.
    """
    costs = [priced.start_costs(i, clock) for i in range(instance.n)]
    slack = [0] + [priced.heaviest(t, clock) for t in range(1, priced.last + 1)]
    least = [min(each) for each in costs]
    budget = cost - sum(least) + sum(slack)
    if budget < 0:
        return None, budget
    origin = int(instance.arrival[0])
    longest = int(instance.output.max())
    K = _horizon(instance, priced, least, budget) - origin
    if (K + 1) * instance.n * longest > LARGEST_TABLE:
        raise InputError(
            f"proof: exhaustive search is for at most {LARGEST_TABLE} costs (requests × rounds × "
            f"outputs), found {instance.n} × {K + 1} × {longest}"
        )
    # Every number of the search is a sum of at most n + 1 costs of starts, the slack of a round
    # and the budget.
    dearest = max(each.at(origin + K + longest) for each in priced.costs.each)
    dearest += longest * int(priced.price.max(initial=0))
    if max(dearest, budget, *slack) >= FAR:
        raise InputError(f"proof: exhaustive search is for costs below {FAR}, found larger prices")
    start = np.full((instance.n, K + 1), FAR, dtype=np.int64)
    left_out, gone = np.full(instance.n, FAR), np.full(instance.n, K)
    for i, (a, o) in enumerate(zip(instance.arrival.tolist(), priced.output, strict=True)):
        own = priced.costs.each[i]
        for k in range(a, origin + K):
            paid = costs[i][k - a] if k - a < len(costs[i]) else own.at(k + o)
            start[i, k - origin] = paid - least[i]
        if own.at_last is not None:
            left_out[i] = own.at_last - least[i]
            gone[i] = min(K, max(0, own.last_start(o) + 1 - origin))
            start[i, gone[i] :] = FAR
    later = np.minimum.accumulate(start[:, ::-1], axis=1)[:, ::-1]
    later = np.minimum(later, left_out[:, None])
    slacks = np.zeros(K + 1, dtype=np.int64)
    shifted = slack[origin : origin + K + 1]
    slacks[: len(shifted)] = shifted
    terms = Terms(
        prompt=instance.prompt,
        output=instance.output,
        start=start,
        later=np.ascontiguousarray(later),
        left_out=left_out,
        gone=gone,
        earned=_earned(instance, priced, origin, K),
        slack=slacks,
        elder=np.array(_elders(instance, priced.costs)),
        M=instance.gpu.kv_capacity,
    )
    return terms, budget - sum(slack[: origin + 1])


def _horizon(instance: Instance, priced: PricedTypes, least: list[int], budget: int) -> int:
    """First boundary at which, and after which, nothing need start nor is priced."""
    horizon = int(instance.arrival[-1])
    for own, o, at_least in zip(priced.costs.each, priced.output, least, strict=True):
        if own.at_last is not None:
            horizon = max(horizon, own.last_start(o) + 1)
        else:
            beyond = own.due - o + max(0, budget + at_least - own.fixed) // own.rate + 1
            horizon = max(horizon, beyond)
    return max(priced.last, min(horizon, last_completion(instance)) + 1)


def _earned(instance: Instance, priced: PricedTypes, origin: int, K: int) -> IntArray:
    earned = np.zeros((instance.n, K + 1, int(instance.output.max())), dtype=np.int64)
    rounds = max(0, min(K, priced.last - origin))
    for i in range(instance.n):
        for j, column in priced.rounds_of(i):
            prices = priced.price[origin + 1 : origin + 1 + rounds, column]
            earned[i, 1 : 1 + rounds, j - 1] = prices
    return earned


def _elders(instance: Instance, costs: Costs) -> list[int]:
    """For each request the last before it, in order of arrival, that it may not overtake."""
    kinds = [
        (s, o, cost.rate, cost.fixed, cost.due if cost.fixed else 0)
        for s, o, cost in zip(
            instance.prompt.tolist(), instance.output.tolist(), costs.each, strict=True
        )
    ]
    return [
        max(
            (
                j
                for j in range(i)
                if kinds[j] == kinds[i] and costs.each[j].due <= costs.each[i].due
            ),
            default=-1,
        )
        for i in range(instance.n)
    ]
