r"""Costs to go of the GPU's path that knows how many requests run, not who.

For the unit and the constant law. A state of the path is (t, q, k): the time, how many prompts are
done, how many requests run. A batch changes these counts as it does in a schedule, within B_P, C_P
and B_D, and costs what it adds to the total latency: the time from arrival to the end of the batch
for each of its prompts, and its length for each of the k who run. Who is in it is not tied to the
batches before: it is chosen anew, at prices.

**Prices.** λ_i is earned by a prompt of request i. Π_{c,t}, which does not rise with t, is earned
by a request that comes into class c (`models.separate.milp.classes`) at time t, and paid by a token
job of class c at t. δ_t ≥ 0, which does not rise with t, is a deposit on KV: s_i + 1 times δ_t is
paid by a prompt, δ_t by a token job that starts at t, and ``(s_i + o_i)·δ_t`` is returned when a
request completes at t. M·δ_0 is returned at once.

**The bound** is Lagrangian. A schedule is such a path. Its prompts earn Σ λ_i once each. Each
request that comes into class c at time e leaves it by a token job at some t ≥ e, and pays ``Π_{c,t}
− Π_{c,e} ≤ 0``. Its deposits, with μ_t = δ_t − δ_{t+1} ≥ 0, come to ``Σ_t μ_t·h_t`` where h_t are
the KV tokens that it holds at the end of the batch that runs at t; all requests' h_t are at most M
together, so they pay at most ``Σ_t μ_t·M = M·δ_0``. So the cost of the path is at most total
latency − Σ λ_i, and ``(cheapest path) + Σ λ_i`` is a lower bound. ∎

Requests that are not done by the end T are late, at ``T + 1 − a_i`` (`class_bound`): a path may end
with n − q of them left out, the cheapest at ``T + 1 − a_i − λ_i``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from ....models.separate.problem import Problem
from .gpu_path_options import Classes, Options, tabulate
from .prompt_choices import IMPOSSIBLE

#: Prices and costs are in units of 1/SCALE of a time unit.
SCALE = 1000


class Prices(NamedTuple):
    """Prices in units of 1/`SCALE`; S is the end, from the first arrival.

    Attributes
    ----------
    prompt : ndarray of int64, shape (n,)
        λ.
    running : ndarray of int64, shape (classes, S + 1)
        Π; no row rises.
    kv : ndarray of int64, shape (S + 1,)
        δ ≥ 0; it does not rise.
    left_out : ndarray of int64, shape (n + 1,)
        Least cost by number of late requests; `IMPOSSIBLE` where a path must not end with it.
    """

    prompt: IntArray
    running: NDArray[np.int64]
    kv: IntArray
    left_out: IntArray


class Flow(NamedTuple):
    """What a path does: counts, hence a subgradient of the bound.

    Attributes
    ----------
    served : ndarray of int64, shape (n,)
        How often the prompt of each request is done.
    passing : ndarray of int64, shape (classes, S + 1)
        Token jobs of class c that start at t, less who comes into it then.
    deposits : ndarray of int64, shape (S + 1,)
        KV tokens that are taken at t, less those that are given back then.
    """

    served: IntArray
    passing: NDArray[np.int64]
    deposits: IntArray


@njit(cache=True, nogil=True)
def _costs_of(
    problem: Problem,
    classes: Classes,
    prices: Prices,
    t: int,
    prompt_cost: IntArray,
    job_cost: IntArray,
) -> None:
    """Write what a prompt of each request, and a token job of each class, costs at t."""
    S = prices.kv.size - 1
    first_arrival = problem.arrival.min()
    done = t + problem.law.prompt
    for i in range(problem.arrival.size if done <= S else 0):
        cost = (done + first_arrival - problem.arrival[i]) * SCALE - prices.prompt[i]
        cost += (problem.prompt[i] + 1) * prices.kv[t]
        entry = classes.entry[i]
        if entry >= 0:
            cost -= prices.running[entry, done]
        else:
            cost -= (problem.prompt[i] + 1) * prices.kv[done]
        prompt_cost[i] = cost
    done = t + problem.law.token
    for a in range(classes.held.size if done <= S else 0):
        cost = prices.kv[t] + prices.running[a, t]
        if classes.following[a] >= 0:
            cost -= prices.running[classes.following[a], done]
        else:
            cost -= (classes.held[a] + 1) * prices.kv[done]
        job_cost[a] = cost


@njit(cache=True, nogil=True)
def cheapest_path(
    problem: Problem,
    classes: Classes,
    prices: Prices,
    arrived: IntArray,
    options: Options,
    value: NDArray[np.int64],
) -> int:
    """Compute all costs to go under prices, from the end to the first arrival; return the bound.

    ``value[t, q, k]`` is that of (t, q, k), `IMPOSSIBLE` or about that where nothing can follow;
    ``arrived[t]`` is how many requests have arrived by t.
    """
    n = problem.arrival.size
    S, K = value.shape[0] - 1, value.shape[2] - 1
    tau_P, tau_D = problem.law.prompt, problem.law.token
    prompt_cost = np.empty(n, np.int64)
    job_cost = np.empty(classes.held.size, np.int64)
    value[:] = IMPOSSIBLE
    for q in range(n + 1):
        value[S, q, 0] = prices.left_out[n - q]
    for t in range(S - 1, -1, -1):
        _costs_of(problem, classes, prices, t, prompt_cost, job_cost)
        tabulate(problem, classes, t, prompt_cost, job_cost, options, False)
        for q in range(arrived[t] + 1):
            for k in range(min(q, K) + 1):
                best = value[t + 1, q, k] + k * SCALE
                if t + tau_D <= S:
                    then = value[t + tau_D, q]
                    least = IMPOSSIBLE
                    for m in range(1, min(k, options.jobs.shape[1] - 1) + 1):
                        for c in range(m + 1):
                            jobs = options.jobs[0, m - c] + options.jobs[1, c]
                            least = min(least, jobs + then[k - c])
                    best = min(best, least + k * tau_D * SCALE)
                if t + tau_P <= S:
                    least = IMPOSSIBLE
                    for m in range(1, min(options.prompts.shape[0] - 1, arrived[t] - q) + 1):
                        then = value[t + tau_P, q + m]
                        for r in range(min(m, K - k) + 1):
                            least = min(least, options.prompts[m, r] + then[k + r])
                    best = min(best, least + k * tau_P * SCALE)
                value[t, q, k] = best
        if arrived[t] == n:
            value[t, n, 0] = prices.left_out[0]
    bound: int = value[0, 0, 0] + prices.prompt.sum() - problem.M * prices.kv[0]
    return bound


@njit(cache=True, nogil=True)
def follow_path(
    problem: Problem,
    classes: Classes,
    prices: Prices,
    arrived: IntArray,
    options: Options,
    value: NDArray[np.int64],
    flow: Flow,
) -> int:
    """Go along a cheapest path, write what it does, and return how many prompts it has done."""
    n = problem.arrival.size
    S = value.shape[0] - 1
    tau_P, tau_D = problem.law.prompt, problem.law.token
    prompt_cost = np.empty(n, np.int64)
    job_cost = np.empty(classes.held.size, np.int64)
    flow.served[:] = 0
    flow.passing[:] = 0
    flow.deposits[:] = 0
    t = q = k = 0
    while t < S and (q < n or k > 0):
        if value[t, q, k] == value[t + 1, q, k] + k * SCALE:
            t += 1
            continue
        _costs_of(problem, classes, prices, t, prompt_cost, job_cost)
        tabulate(problem, classes, t, prompt_cost, job_cost, options, True)
        m, c = _token_batch_from(tau_D, options, value, t, q, k)
        if m > 0:
            _count_jobs(classes, options, m, c, t, t + tau_D, flow)
            t, k = t + tau_D, k - c
            continue
        m, r = _prompt_batch_from(tau_P, arrived, options, value, t, q, k)
        assert m > 0, "a path has a cheapest continuation"
        _count_prompts(problem, classes, options, m, r, t, t + tau_P, flow)
        t, q, k = t + tau_P, q + m, k + r
    return q


@njit(cache=True, nogil=True)
def _token_batch_from(
    tau_D: int, options: Options, value: NDArray[np.int64], t: int, q: int, k: int
) -> tuple[int, int]:
    """(m, c) of the token batch that a cheapest path goes on with; m = 0 if it is none."""
    if t + tau_D < value.shape[0]:
        for m in range(min(k, options.jobs.shape[1] - 1), 0, -1):
            for c in range(m + 1):
                cost = options.jobs[0, m - c] + options.jobs[1, c] + k * tau_D * SCALE
                if cost + value[t + tau_D, q, k - c] == value[t, q, k]:
                    return m, c
    return 0, 0


@njit(cache=True, nogil=True)
def _prompt_batch_from(
    tau_P: int,
    arrived: IntArray,
    options: Options,
    value: NDArray[np.int64],
    t: int,
    q: int,
    k: int,
) -> tuple[int, int]:
    """(m, r) of its prompt batch; m = 0 if it is none."""
    if t + tau_P < value.shape[0]:
        for m in range(1, min(options.prompts.shape[0] - 1, arrived[t] - q) + 1):
            for r in range(min(m, value.shape[2] - 1 - k) + 1):
                cost = options.prompts[m, r] + k * tau_P * SCALE
                if cost + value[t + tau_P, q + m, k + r] == value[t, q, k]:
                    return m, r
    return 0, 0


@njit(cache=True, nogil=True)
def _count_jobs(
    classes: Classes, options: Options, m: int, c: int, t: int, end: int, flow: Flow
) -> None:
    flow.deposits[t] += m
    for j in range(c):
        a = options.job_class[1, j]
        flow.passing[a, t] += 1
        flow.deposits[end] -= classes.held[a] + 1
    for j in range(m - c):
        a = options.job_class[0, j]
        flow.passing[a, t] += 1
        flow.passing[classes.following[a], end] -= 1


@njit(cache=True, nogil=True)
def _count_prompts(
    problem: Problem,
    classes: Classes,
    options: Options,
    m: int,
    r: int,
    t: int,
    end: int,
    flow: Flow,
) -> None:
    x = int(options.by_tokens[m, r].argmin())
    for i in range(problem.arrival.size):
        if options.members[m, r, x, i]:
            flow.served[i] += 1
            flow.deposits[t] += problem.prompt[i] + 1
            if classes.entry[i] >= 0:
                flow.passing[classes.entry[i], end] -= 1
            else:
                flow.deposits[end] -= problem.prompt[i] + 1
