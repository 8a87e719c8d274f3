"""What a schedule costs beyond the bound of its prices, term by term.

With prices ``U_t(w, r) ≥ 0`` (see `bounds.configuration`), start costs and slacks

    rc_i(k) = cost_i(k + o_i) + Σ_{j=1..o_i} U_{k+j}(s_i + j, o_i − j),
    σ_t     = max { U_t·C : C a configuration },

and ``LB = Σ_i min_k rc_i(k) − Σ_t σ_t``, **every** schedule with starts k_i and types C_t running
in round t has

    Σ_i cost_i(c_i) = LB + Σ_i (rc_i(k_i) − min_k rc_i(k)) + Σ_t (σ_t − U_t·C_t),

since each price is paid once by a start and earned once by a round. All terms are integers ≥ 0: a
schedule of cost at most V steps has an *excess* ``scale·V − LB`` at most, however it is cut into
parts.

**Left out.** A request whose cost ends at a fixed one (a reward that is lost) may start after
everything else, where nothing is priced: it is *left out*, at that cost. So it has no other start
from which it would be late.

**Horizon.** After the last arrival no round need be idle before all others have completed: what
follows could start earlier. So nobody starts after ``a_max + Σ o − o_i``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.errors import InputError
from ....models.instance import Instance, IntArray
from ..bounds.column_types import column_types
from ..bounds.configuration import ConfigurationPrices
from ..bounds.configuration_pricing import heaviest_configuration, workspace
from ..completion_costs import CompletionCosts, cost_at, latency_costs

#: Cost of what cannot be: more than any budget, and 64 of it still fit 64 bits.
FAR = 2**55


class Excess(NamedTuple):
    """The terms of the excess, as arrays for compiled code.

    Attributes
    ----------
    prompt, output : ndarray of int64, shape (n,)
        s and o of each request.
    start : ndarray of int64, shape (n, K)
        ``rc_i(k) − min rc_i``; `FAR` for k < a_i, and where the request had better be left out. No
        start at K or later is needed.
    later : ndarray of int64, shape (n, K + 1)
        The minimum of that over all starts ≥ k, and of leaving it out.
    cheapest : ndarray of int64, shape (n, K + 1)
        The k that attains it; after all rounds if that is to leave it out.
    owed : ndarray of int64, shape (n, K + 1)
        ``cost_i(k + o_i) − min rc_i``: what a start at k costs at least.
    left_out : ndarray of int64, shape (n,)
        What leaving it out costs; `FAR` where it must complete.
    gone : ndarray of int64, shape (n,)
        From this boundary on it can only be left out; K + 1 where it must complete.
    earned : ndarray of int64, shape (n, K + 1, longest output)
        ``earned[i, t, j − 1] = U_t(s_i + j, o_i − j)``.
    slack : ndarray of int64, shape (K + 1,)
        σ_t; 0 in round 0 and after the last priced round.
    earlier_twin : ndarray of int64, shape (n,)
        The request that it may not overtake (`_earlier_twin`), −1 for none.
    by_arrival : ndarray of int64, shape (n,)
        The requests in order of arrival.
    M : int
        KV capacity.
    scale : int
        That of the costs: a step of the objective.
    """

    prompt: IntArray
    output: IntArray
    start: IntArray
    later: IntArray
    cheapest: IntArray
    owed: IntArray
    left_out: IntArray
    gone: IntArray
    earned: IntArray
    slack: IntArray
    earlier_twin: IntArray
    by_arrival: IntArray
    M: int
    scale: int


def excess_terms(
    instance: Instance,
    prices: ConfigurationPrices,
    value: int,
    between: Callable[[], None] = lambda: None,
    *,
    costs: CompletionCosts | None = None,
) -> tuple[Excess, int]:
    """Return the terms of the excess, and LB in units of ``1 / scale``.

    Parameters
    ----------
    instance : Instance
        The instance.
    prices : ConfigurationPrices
        Any prices ≥ 0 on the instance's types, `bounds.column_types`.
    value : int
        Schedules that cost more steps are of no interest.
    between : callable
        Called round by round; it may raise to end the computation.
    costs : CompletionCosts, optional
        What completions cost, those of the prices; the total latency by default.

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
    if costs is None:
        costs = latency_costs(instance)
    M = instance.gpu.kv_capacity
    last = max(price.shape[0] - 1, int(instance.arrival.max()))
    slack = _heaviest(price, types.size, types.to_go, M, last, between)
    columns = (instance.arrival, instance.output, types.first, types.path)
    least = _start_costs(price, *columns, costs, last + 1).min(axis=1)
    least = np.where(costs.rate == 0, np.minimum(least, costs.fixed), least)
    bound = int(least.sum()) - int(slack.sum())
    gone = _gone(instance, costs, least, value * costs.scale - bound)
    K = max(last + 1, int(gone.max()))
    start = _start_costs(price, *columns, costs, K) - least[:, None]
    may_leave = costs.rate == 0
    start[may_leave[:, None] & (np.arange(K) >= gone[:, None])] = FAR
    left_out = np.where(may_leave, costs.fixed - least, FAR)
    later, cheapest = _least_from(np.minimum(start, FAR), left_out, K + int(instance.output.max()))
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
        start=np.minimum(start, FAR),
        later=later,
        cheapest=cheapest,
        owed=_owed(instance.output, costs, K) - least[:, None],
        left_out=left_out,
        gone=np.where(may_leave, gone, K + 1),
        earned=earned,
        slack=slacks,
        earlier_twin=_earlier_twin(instance, costs, by_arrival),
        by_arrival=by_arrival,
        M=M,
        scale=costs.scale,
    )
    return terms, bound


def _gone(instance: Instance, costs: CompletionCosts, least: IntArray, budget: int) -> IntArray:
    """First boundary at which each request need not start any more, nor at any later one.

    Where its cost rises for ever, since that is beyond the budget or the horizon; else since it is
    left out as well.
    """
    horizon = int(instance.arrival.max()) + int(instance.output.sum()) - instance.output + 1
    in_time = np.where(costs.fixed > 0, costs.due - instance.output + 1, 0)
    affordable = np.maximum(0, budget + least - costs.fixed) // np.maximum(costs.rate, 1)
    within_budget = costs.due - instance.output + affordable + 1
    return np.clip(np.where(costs.rate == 0, in_time, within_budget), 0, horizon)


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
    costs: CompletionCosts,
    boundaries: int,
) -> IntArray:
    """rc_i(k) for k = 0 … boundaries − 1; a large number for k < a_i."""
    start = np.full((arrival.size, boundaries), 2**61, dtype=np.int64)
    for i in range(arrival.size):
        for k in range(arrival[i], boundaries):
            cost = cost_at(costs, i, k + output[i])
            for t in range(k + 1, min(k + output[i], price.shape[0] - 1) + 1):
                cost += price[t, path[first[i] + t - k - 1]]
            start[i, k] = cost
    return start


@njit(cache=True)
def _owed(output: IntArray, costs: CompletionCosts, K: int) -> IntArray:
    """cost_i(k + o_i) for k = 0 … K."""
    owed = np.zeros((output.size, K + 1), dtype=np.int64)
    for i in range(output.size):
        for k in range(K + 1):
            owed[i, k] = cost_at(costs, i, k + output[i])
    return owed


def _least_from(start: IntArray, left_out: IntArray, never: int) -> tuple[IntArray, IntArray]:
    """Minimum over the columns from k on and `left_out`; the first column of it, or `never`."""
    n, K = start.shape
    later, cheapest = np.empty((n, K + 1), np.int64), np.full((n, K + 1), never, dtype=np.int64)
    later[:, K] = left_out
    for k in range(K - 1, -1, -1):
        better = start[:, k] <= later[:, k + 1]
        later[:, k] = np.where(better, start[:, k], later[:, k + 1])
        cheapest[:, k] = np.where(better, k, cheapest[:, k + 1])
    return later, cheapest


def _earlier_twin(instance: Instance, costs: CompletionCosts, by_arrival: IntArray) -> IntArray:
    """For each request the one before it in order of (arrival, index) that it may not overtake.

    That is one of equal s, o, rate and fixed cost, due no later (where there is a fixed cost, at
    the same time): then ``cost_j − cost_i`` of the earlier j and the later i does not fall with
    time, so that exchanging starts of which the later one is j's costs no more.
    """
    twin = np.full(instance.n, -1, dtype=np.int64)
    last_seen: dict[tuple[int, ...], int] = {}
    for i in by_arrival.tolist():
        fixed, due = int(costs.fixed[i]), int(costs.due[i])
        shape = (int(instance.prompt[i]), int(instance.output[i]))
        kind = (*shape, int(costs.rate[i]), fixed, due if fixed else 0)
        j = last_seen.get(kind, -1)
        twin[i] = j if j >= 0 and costs.due[j] <= due else -1
        last_seen[kind] = i
    return twin
