"""The bound that prices on types of running requests prove, in exact integer arithmetic.

**Types.** A request that holds w tokens in a round and has r rounds to go after it is of type
(w, r): request i is of the types ``(s_i + j, o_i − j)`` in its rounds j = 1 … o_i. What runs in a
round of a feasible schedule is a *configuration*: a multiset of types such that for every member j

    Σ_{l: r_l ≥ r_j} (w_l + r_j) ≤ M,

the KV tokens that these members hold in the round in which j completes.

**The bound.** Let ``U_t(w, r) ≥ 0`` be prices, 0 after a last round T, and let C_t be what runs in
round t. Each price that a request pays in a round is earned by that round, so any schedule costs

    Σ_i (c_i − a_i) = Σ_i [ k_i + o_i − a_i + Σ_j U_{k_i+j}(s_i + j, o_i − j) ] − Σ_t U_t·C_t
                    ≥ Σ_i min_{k ≥ a_i} [ … ] − Σ_t σ_t,      σ_t = max { U_t·C : C configuration }.

**The minimum over all k.** A start at ``k ≥ T`` pays no price, so its cost grows with k: no start
after ``max(a_i, T)`` is cheaper than the one there.

**The maximum over all configurations.** Add members by falling r. Adding (w, r) to c members of
total size W keeps it a configuration iff ``W + w + (c + 1)·r ≤ M``: of the members' conditions only
those at r change, and the last member of that r has the strictest sum. So a dynamic program over
(c, W) finds the maximum. A type that no request takes has price 0, so every member holds 2 tokens
or more, and c is at most M/2.

Nothing here is shared with the search for good prices: a reader need trust only this file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit

from ...models.errors import InputError
from ...models.instance import Instance, IntArray

_LIMIT = 2**62

#: Largest table of the dynamic program, (M/2 + 1)·(M + 1) numbers.
LARGEST_TABLE = 2**27


def certified_value(
    instance: Instance,
    *,
    scale: int,
    types: Sequence[tuple[int, int]],
    price: IntArray,
    between: Callable[[], None] = lambda: None,
) -> Fraction:
    """Lower bound on the total latency that the prices prove, exactly.

    Parameters
    ----------
    instance : Instance
        The instance (mixed batching).
    scale : int
        ≥ 1.
    types : sequence of (int, int), length K
        (w, r) of each type, none twice.
    price : ndarray of int64, shape (T + 1, K)
        ``U_t(w, r) = price[t, q] / scale ≥ 0`` for types q; row 0 is not used.
    between : callable
        Called between the steps; it may raise to end the computation.

    Returns
    -------
    Fraction
        A bound with a denominator that divides `scale`; an integer objective may be rounded up to
        the next integer.

    Raises
    ------
    InputError
        If M is too large for the dynamic program, or the shapes disagree.

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
    Weak duality for the integer program of arXiv 2502.07115 (docs/model.md §2), with each round's
    memory row replaced by the convex hull of the configurations.
    """
    priced = PricedTypes(instance, scale=scale, types=types, price=price)
    total = 0
    for i in range(instance.n):
        between()
        total += min(priced.start_costs(i))
    for t in range(1, priced.last + 1):
        between()
        total -= priced.heaviest(t)
    return Fraction(total, scale)


class PricedTypes:
    """Prices as start costs and as weights of configurations, all times `scale`.

    Attributes
    ----------
    last : int
        T, the last priced round.
    column : list of list of int
        ``column[i][j − 1]``: where the price of request i in its round j stands in a row of
        `price`, −1 if it has none.
    price : list of list of int or ndarray of int64, shape (T + 1, K)
        Prices of the instance's types only, by falling r; an array if everything fits 64 bits.
    """

    def __init__(
        self,
        instance: Instance,
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
        self.scale, self.M, self.last = scale, M, int(price.shape[0]) - 1
        self.arrival: list[int] = instance.arrival.tolist()
        self.output: list[int] = instance.output.tolist()
        taken = [
            [(s + j, o - j) for j in range(1, o + 1)]
            for s, o in zip(instance.prompt.tolist(), self.output, strict=True)
        ]
        everyone = {pair for path in taken for pair in path}
        kept = sorted(
            (q for q, pair in enumerate(types) if pair in everyone), key=lambda q: -types[q][1]
        )
        position = {types[q]: c for c, q in enumerate(kept)}
        self.column = [[position.get(pair, -1) for pair in path] for path in taken]
        self.size, self.to_go = [types[q][0] for q in kept], [types[q][1] for q in kept]
        self.exact_in_64_bits = self._fits(int(price.max(initial=0)))
        self.price: Any = np.ascontiguousarray(price[:, kept])
        self._best: Any = np.empty((M // 2 + 1, M + 1), dtype=np.int64)
        if not self.exact_in_64_bits:
            self.price, self._best = self.price.tolist(), self._best.tolist()

    def _fits(self, largest: int) -> bool:
        """Whether no result below can reach 2^62, with all prices at most `largest`."""
        o = max(self.output)
        cost = self.scale * (self.last + o) + o * largest
        return max(cost, (self.M // 2 + 1) * largest) < _LIMIT

    def start_costs(self, i: int) -> list[int]:
        """Cost of request i for each start ``k = a_i … max(a_i, T)``."""
        rounds = max(0, self.last - self.arrival[i]) + 1
        numbers = (self.arrival[i], self.output[i], self.scale, self.last)
        if self.exact_in_64_bits:
            costs = np.empty(rounds, dtype=np.int64)
            _start_costs(*numbers, np.array(self.column[i]), self.price, costs)
            return costs.tolist()
        exact = [0] * rounds
        _start_costs.py_func(*numbers, self.column[i], self.price, exact)
        return exact

    def heaviest(self, t: int) -> int:
        """σ_t, for ``1 ≤ t ≤ T``."""
        if self.exact_in_64_bits:
            size, to_go = np.array(self.size, np.int64), np.array(self.to_go, np.int64)
            return int(_heaviest(self.price[t], size, to_go, self.M, self._best))
        weight: int = _heaviest.py_func(self.price[t], self.size, self.to_go, self.M, self._best)
        return weight


@njit(cache=True, nogil=True)
def _start_costs(
    arrival: int,
    output: int,
    scale: int,
    last: int,
    column: Sequence[int] | IntArray,
    price: Sequence[Sequence[int]] | IntArray,
    costs: list[int] | IntArray,
) -> None:
    """Fill `costs`; compiled for 64-bit integers, interpreted for unlimited ones."""
    for wait in range(len(costs)):
        k = arrival + wait
        cost = scale * (wait + output)
        for j in range(1, min(output, last - k) + 1):
            if column[j - 1] >= 0:
                cost += price[k + j][column[j - 1]]
        costs[wait] = cost


@njit(cache=True, nogil=True)
def _heaviest(
    weight: Sequence[int] | IntArray,
    size: Sequence[int] | IntArray,
    to_go: Sequence[int] | IntArray,
    M: int,
    best: list[list[int]] | IntArray,
) -> int:
    """Largest weight of a configuration of types by falling r.

    ``best[c][W]`` is the largest weight of c members of total size W, −1 if there are none.
    """
    for row in range(len(best)):
        for W in range(M + 1):
            best[row][W] = -1
    best[0][0] = 0
    heaviest, most = 0, 0
    for q in range(len(weight)):
        if weight[q] == 0:
            continue
        w, r = size[q], to_go[q]
        c = 0
        while c <= most and c + 1 < len(best):  # rising c: a type may be taken again and again
            for W in range(M - w - (c + 1) * r + 1):
                if best[c][W] >= 0 and best[c][W] + weight[q] > best[c + 1][W + w]:
                    best[c + 1][W + w] = best[c][W] + weight[q]
                    most = max(most, c + 1)
                    heaviest = max(heaviest, best[c][W] + weight[q])
            c += 1
    return heaviest
