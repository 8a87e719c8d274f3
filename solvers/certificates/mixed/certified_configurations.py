"""The bound that prices on types of running requests prove, in exact integer arithmetic.

**Types.** A request that holds w tokens in a round and has r rounds to go after it is of type
(w, r): request i is of the types ``(s_i + j, o_i − j)`` in its rounds j = 1 … o_i. What runs in a
round of a feasible schedule is a *configuration*: a multiset of types such that for every member j

    Σ_{l: r_l ≥ r_j} (w_l + r_j) ≤ M,

the KV tokens that these members hold in the round in which j completes.

**The bound.** Let ``U_t(w, r) ≥ 0`` be prices, 0 after a last round T, and let C_t be what runs in
round t. Each price that a request pays in a round is earned by that round, so any schedule costs

    Σ_i cost_i(c_i) = Σ_i [ cost_i(k_i + o_i) + Σ_j U_{k_i+j}(s_i + j, o_i − j) ] − Σ_t U_t·C_t
                    ≥ Σ_i min_{k ≥ a_i} [ … ] − Σ_t σ_t,      σ_t = max { U_t·C : C configuration },

with the objective's costs of completions (`certified_costs`; ``c − a_i`` for the total latency).

**The minimum over all k.** A start at ``k ≥ T`` pays no price, and no cost falls with k: no start
after ``max(a_i, T)`` is cheaper than the one there.

**The maximum over all configurations.** Add members by falling r. Adding (w, r) to c members of
total size W keeps it a configuration iff ``W + w + (c + 1)·r ≤ M``: of the members' conditions only
those at r change, and the last member of that r has the strictest sum. So a dynamic program over
(c, W) finds the maximum. A type that no request takes has price 0, so every member holds 2 tokens
or more, and c is at most M/2.

Nothing here is shared with the search for good prices: a reader need trust only this file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit

from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ..clock import Clock
from .certified_costs import costs_of

_LIMIT = 2**62

#: Largest table of the dynamic program, (M/2 + 1)·(M + 1) numbers.
LARGEST_TABLE = 2**27

#: Most prices that are summed in unlimited integers.
MOST_UNLIMITED = 2**22


def certified_value(
    instance: Instance,
    objective: str = "latency",
    *,
    scale: int,
    types: Sequence[tuple[int, int]],
    price: IntArray,
    clock: Clock | None = None,
) -> Fraction:
    """Bound on the optimum that the prices prove, exactly: for the reward an upper bound.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching).
    objective : {"latency", "weighted", "tardiness", "reward"}
        The objective.
    scale : int
        ≥ 1.
    types : sequence of (int, int), length K
        (w, r) of each type, none twice.
    price : ndarray of int64, shape (T + 1, K)
        ``U_t(w, r) = price[t, q] / scale ≥ 0`` for types q, in steps of the objective (rounds for
        the total latency); row 0 is not used.
    clock : Clock, optional
        How long it may take; as long as it takes by default.

    Returns
    -------
    Fraction
        For the total latency of a denominator that divides `scale`; it may be rounded up to the
        next integer.

    Raises
    ------
    InputError
        If M is too large for the dynamic program, the shapes disagree, or the instance lacks what
        the objective needs.
    OutOfTime
        If the clock runs out.

    Examples
    --------
    Two requests that do not fit together in round 4 pay 1 and 1/3 there; of the smaller one, of
    which three would fit, the configurations may take as many.

    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> price = np.zeros((5, 2), dtype=np.int64)
    >>> price[4] = [3, 1]
    >>> certified_value(instance, scale=3, types=[(7, 0), (3, 0)], price=price)
    Fraction(19, 3)

    References
    ----------
    Weak duality for the integer program of arXiv 2502.07115 (docs/model/mixed.md §2), with each
    round's memory row replaced by the convex hull of the configurations.
    """
    clock = clock or Clock(None)
    priced = PricedTypes(instance, objective, scale=scale, types=types, price=price)
    total = 0
    for i in range(instance.n):
        total += min(priced.start_costs(i, clock))
    for t in range(1, priced.last + 1):
        total -= priced.heaviest(t, clock)
    return priced.costs.value(total)


class PricedTypes:
    """Prices as start costs and as weights of configurations, in the units of `costs`.

    Attributes
    ----------
    costs : Costs
        What completions cost.
    last : int
        T, the last priced round.
    size, to_go : list of int, length K
        w and r of the types that some request takes, by falling r.
    price : ndarray, shape (T + 1, K)
        Their prices: 64-bit integers if everything fits them, else Python's.
    """

    def __init__(
        self,
        instance: Instance,
        objective: str = "latency",
        *,
        scale: int,
        types: Sequence[tuple[int, int]],
        price: IntArray,
    ) -> None:
        if price.ndim != 2 or price.shape[1] != len(types) or not price.shape[0]:
            raise InputError(f"price: expected rows of {len(types)} prices, found {price.shape}")
        M = instance.gpu.kv_capacity
        if (M // 2 + 1) * (M + 1) > LARGEST_TABLE:
            raise InputError(
                f"kv_capacity: configuration prices are for (M/2 + 1)·(M + 1) ≤ {LARGEST_TABLE}, "
                f"found M = {M}"
            )
        self.costs, self.M, self.last = costs_of(instance, objective, scale), M, len(price) - 1
        self.arrival: list[int] = instance.arrival.tolist()
        self.prompt: list[int] = instance.prompt.tolist()
        self.output: list[int] = instance.output.tolist()
        shortest: dict[int, int] = {}  # prompt of the requests of a peak s + o
        for s, o in zip(self.prompt, self.output, strict=True):
            shortest[s + o] = min(s, shortest.get(s + o, s))
        kept = [q for q, (w, r) in enumerate(types) if shortest.get(w + r, w) < w]
        kept.sort(key=lambda q: -types[q][1])
        self.size, self.to_go = [types[q][0] for q in kept], [types[q][1] for q in kept]
        self._of_peak: dict[int, list[int]] = defaultdict(list)
        for column, q in enumerate(kept):
            self._of_peak[sum(types[q])].append(column)
        self.exact_in_64_bits = self._fits(int(price.max(initial=0)))
        self.price: Any = np.ascontiguousarray(price[:, kept])
        self._best: Any = np.empty((M // 2 + 1, M + 1), dtype=np.int64)
        if not self.exact_in_64_bits:
            if self.price.size > MOST_UNLIMITED:
                raise InputError(
                    f"price: expected at most {MOST_UNLIMITED} prices whose sums exceed 64 bits, "
                    f"found {self.price.size}"
                )
            self.price, self._best = self.price.astype(object), self._best.tolist()

    def _fits(self, largest: int) -> bool:
        """Whether no result below can reach 2^62, with all prices at most `largest`."""
        o = max(self.output)
        last = max(self.last, *self.arrival) + o
        cost = max(cost.at(last) for cost in self.costs.each) + o * largest
        return max(cost, (self.M // 2 + 1) * largest) < _LIMIT

    def rounds_of(self, i: int) -> list[tuple[int, int]]:
        """Round j of request i and its column in `price`, for the rounds that may have a price."""
        s = self.prompt[i]
        columns = self._of_peak.get(s + self.output[i], [])
        return [(self.size[c] - s, c) for c in columns if self.size[c] > s]

    def start_costs(self, i: int, clock: Clock) -> list[int]:
        """Cost of request i for each start ``k = a_i … max(a_i, T)``."""
        a, o, cost = self.arrival[i], self.output[i], self.costs.each[i]
        completions = range(a + o, max(a, self.last) + o + 1)
        costs: Any = np.array([cost.at(c) for c in completions], dtype=self.price.dtype)
        for j, column in self.rounds_of(i):
            clock.check()
            paid = self.price[a + j :, column]
            costs[: paid.size] += paid
        values: list[int] = costs.tolist()
        return values

    def heaviest(self, t: int, clock: Clock) -> int:
        """σ_t, for ``1 ≤ t ≤ T``."""
        clock.check()
        heaviest: Any = _heaviest if self.exact_in_64_bits else _heaviest.py_func
        size, to_go = np.array(self.size, np.int64), np.array(self.to_go, np.int64)
        weight = int(heaviest(self.price[t], size, to_go, self.M, self._best, clock.expired))
        if clock.expired[0]:
            clock.check()
        return weight


def heaviest_weight(weight: IntArray, size: IntArray, to_go: IntArray, M: int, clock: Clock) -> int:
    """Largest weight of a configuration of types by falling r; no sum may reach 2^62.

    Raises
    ------
    InputError
        If M is too large for the dynamic program.
    OutOfTime
        If the clock runs out.
    """
    if (M // 2 + 1) * (M + 1) > LARGEST_TABLE:
        raise InputError(
            f"kv_capacity: configuration prices are for (M/2 + 1)·(M + 1) ≤ {LARGEST_TABLE}, "
            f"found M = {M}"
        )
    best = np.empty((M // 2 + 1, M + 1), dtype=np.int64)
    found = int(_heaviest(weight, size, to_go, M, best, clock.expired))
    clock.check()
    return found


@njit(cache=True, nogil=True)
def _heaviest(
    weight: Sequence[int] | IntArray,
    size: Sequence[int] | IntArray,
    to_go: Sequence[int] | IntArray,
    M: int,
    best: list[list[int]] | IntArray,
    expired: IntArray,
) -> int:
    """Largest weight of a configuration of types by falling r.

    ``best[c][W]`` is the largest weight of c members of total size W, −1 if there are none.
    Compiled for 64-bit integers, interpreted for unlimited ones. Returns early once `expired`.
    """
    best[0][0] = 0
    for W in range(1, M + 1):
        best[0][W] = -1
    heaviest, most = 0, 0
    for q in range(len(weight)):
        if weight[q] == 0:
            continue
        w, r = size[q], to_go[q]
        c = 0
        while c <= most and c + 1 < len(best):  # rising c: a type may be taken again and again
            if expired[0]:
                return 0
            if c == most:
                for W in range(M + 1):
                    best[c + 1][W] = -1
            for W in range(M - w - (c + 1) * r + 1):
                if best[c][W] >= 0 and best[c][W] + weight[q] > best[c + 1][W + w]:
                    best[c + 1][W + w] = best[c][W] + weight[q]
                    most = max(most, c + 1)
                    heaviest = max(heaviest, best[c][W] + weight[q])
            c += 1
    return heaviest
