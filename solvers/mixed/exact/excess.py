"""What a schedule costs beyond the bound of its prices, term by term.

With prices ``U_t(w, r) ≥ 0`` (see `bounds.configuration`), start costs and slacks

    rc_i(k) = SCALE·(k + o_i − a_i) + Σ_{j=1..o_i} U_{k+j}(s_i + j, o_i − j),
    σ_t     = max { U_t·C : C a configuration },

and ``LB = Σ_i min_k rc_i(k) − Σ_t σ_t``, **every** schedule with starts k_i and types C_t running
in round t has

    SCALE·latency = LB + Σ_i (rc_i(k_i) − min_k rc_i(k)) + Σ_t (σ_t − U_t·C_t),

since each price is paid once by a start and earned once by a round. All terms are integers ≥ 0: a
schedule of latency at most V has an *excess* ``SCALE·V − LB`` at most, however it is cut into
parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ..bounds.column_types import column_types
from ..bounds.configuration import SCALE, ConfigurationPrices
from ..bounds.configuration_pricing import heaviest_configuration, workspace

#: Cost of what cannot be: more than any budget, and 64 of it still fit 64 bits.
FAR = 2**55


class Excess(NamedTuple):
    """The terms of the excess, as arrays for compiled code.

    Attributes
    ----------
    prompt, output : ndarray of int64, shape (n,)
        s and o of each request.
    start : ndarray of int64, shape (n, K)
        ``rc_i(k) − min rc_i``; `FAR` for k < a_i. A start at K or later exceeds the budget.
    later : ndarray of int64, shape (n, K + 1)
        Its minimum over all starts ≥ k; `FAR` in the last column.
    cheapest : ndarray of int64, shape (n, K + 1)
        The k that attains it.
    earned : ndarray of int64, shape (n, K + 1, longest output)
        ``earned[i, t, j − 1] = U_t(s_i + j, o_i − j)``.
    slack : ndarray of int64, shape (K + 1,)
        σ_t; 0 in round 0 and after the last priced round.
    earlier_twin : ndarray of int64, shape (n,)
        The request with the same s and o that precedes in order of arrival, −1 for none.
    by_arrival : ndarray of int64, shape (n,)
        The requests in order of arrival.
    M : int
        KV capacity.
    """

    prompt: IntArray
    output: IntArray
    start: IntArray
    later: IntArray
    cheapest: IntArray
    earned: IntArray
    slack: IntArray
    earlier_twin: IntArray
    by_arrival: IntArray
    M: int


def excess_terms(
    instance: Instance,
    prices: ConfigurationPrices,
    value: int,
    between: Callable[[], None] = lambda: None,
) -> tuple[Excess, int]:
    """Return the terms of the excess, and LB in units of ``1 / SCALE``.

    Parameters
    ----------
    instance : Instance
        The instance.
    prices : ConfigurationPrices
        Any prices ≥ 0 on the instance's types, `bounds.column_types`.
    value : int
        Schedules of larger latency are of no interest.
    between : callable
        Called round by round; it may raise to end the computation.

    Raises
    ------
    InputError
        If the prices do not belong to the instance, or are negative.
    """
    types = column_types(instance)
    price = prices.price
    if price.ndim != 2 or price.shape[1] != types.size.size or bool((price < 0).any()):
        raise InputError(
            f"prices.price: expected numbers ≥ 0 for {types.size.size} types in each round, "
            f"found shape {price.shape} and smallest {price.min(initial=0)}"
        )
    M = instance.gpu.kv_capacity
    last = max(price.shape[0] - 1, int(instance.arrival.max()))
    slack = _heaviest(price, types.size, types.to_go, M, last, between)
    # A start at k ≥ last pays SCALE per round of delay and no price: excess ≥ SCALE·(k − last).
    costs = _start_costs(price, instance.arrival, instance.output, types.first, types.path, last)
    least = costs.min(axis=1)
    bound = int(least.sum()) - int(slack.sum())
    K = last + 2 + max(0, value * SCALE - bound) // SCALE
    start = np.full((instance.n, K), FAR, dtype=np.int64)
    start[:, : last + 1] = np.minimum(costs - least[:, None], FAR)
    beyond = np.arange(last + 1, K)
    per_round = SCALE * (beyond + (instance.output - instance.arrival)[:, None])
    start[:, last + 1 :] = per_round - least[:, None]
    later, cheapest = _least_from(start)
    earned = np.zeros((instance.n, K + 1, int(instance.output.max())), dtype=np.int64)
    for i in range(instance.n):
        path = types.path[types.first[i] : types.first[i + 1]]
        earned[i, : price.shape[0], : path.size] = price[:, path]
    earned[:, 0] = 0
    slacks = np.zeros(K + 1, dtype=np.int64)
    slacks[: slack.size] = slack
    by_arrival = np.argsort(instance.arrival, kind="stable")
    terms = Excess(
        prompt=instance.prompt,
        output=instance.output,
        start=start,
        later=later,
        cheapest=cheapest,
        earned=earned,
        slack=slacks,
        earlier_twin=_earlier_twin(instance, by_arrival),
        by_arrival=by_arrival,
        M=M,
    )
    return terms, bound


def _heaviest(
    price: IntArray,
    size: IntArray,
    to_go: IntArray,
    M: int,
    last: int,
    between: Callable[[], None],
) -> IntArray:
    """σ_t for t = 0 … last."""
    slack = np.zeros(last + 1, dtype=np.int64)
    work = workspace(size.size, M)
    for t in range(1, price.shape[0]):
        between()
        slack[t] = heaviest_configuration(price[t], size, to_go, M, work)[0]
    return slack


@njit(cache=True)
def _start_costs(
    price: IntArray,
    arrival: IntArray,
    output: IntArray,
    first: IntArray,
    path: IntArray,
    last: int,
) -> IntArray:
    """rc_i(k) for k = 0 … last; a large number for k < a_i."""
    costs = np.full((arrival.size, last + 1), 2**61, dtype=np.int64)
    for i in range(arrival.size):
        for k in range(arrival[i], last + 1):
            cost = SCALE * (k + output[i] - arrival[i])
            for t in range(k + 1, min(k + output[i], price.shape[0] - 1) + 1):
                cost += price[t, path[first[i] + t - k - 1]]
            costs[i, k] = cost
    return costs


def _least_from(start: IntArray) -> tuple[IntArray, IntArray]:
    """Minimum over the columns from k on, and the first column that attains it."""
    n, K = start.shape
    later = np.full((n, K + 1), FAR, dtype=np.int64)
    cheapest = np.full((n, K + 1), K, dtype=np.int64)
    for k in range(K - 1, -1, -1):
        better = start[:, k] <= later[:, k + 1]
        later[:, k] = np.where(better, start[:, k], later[:, k + 1])
        cheapest[:, k] = np.where(better, k, cheapest[:, k + 1])
    return later, cheapest


def _earlier_twin(instance: Instance, by_arrival: IntArray) -> IntArray:
    """Of requests with equal s and o, the one just before in order of (arrival, index)."""
    twin = np.full(instance.n, -1, dtype=np.int64)
    last_seen: dict[tuple[int, int], int] = {}
    for i in by_arrival.tolist():
        kind = (int(instance.prompt[i]), int(instance.output[i]))
        twin[i] = last_seen.get(kind, -1)
        last_seen[kind] = i
    return twin
