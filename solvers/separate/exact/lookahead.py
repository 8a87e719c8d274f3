"""Lower bounds on the sum of all completions, from what a state has done: two relaxations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ....models.instance import IntArray
from ....models.separate.problem import Problem
from ..bounds.profile_costs import SCALE, CostTable
from ..bounds.profiles import Profiles, drop_longest, profile_number
from ..compiled_instance import prompt_time, token_time
from .gpu_path_lookahead import PathTable

#: Tables of costs to go that are looked up, each under prices of its own.
TABLES = 4


class Lookahead(NamedTuple):
    """What bounds need besides the problem.

    Attributes
    ----------
    has_tables : bool
        Whether there are tables of costs to go of the profile relaxation.
    profiles, tables : Profiles, tuple of `TABLES` CostTable
        If so: its profiles, and the tables; the prices are those of the problem's requests.
    path : PathTable
        Costs to go of the GPU's path, of the problem's requests; of no times where there are none.
    shortest_prompt, shortest_token : int
        Least time of a prompt batch of each request alone, shape (n,), and of any token batch.
    space : ndarray of int64, shape (R,)
        Working space.
    """

    has_tables: bool
    profiles: Profiles
    tables: tuple[CostTable, ...]
    path: PathTable
    shortest_prompt: IntArray
    shortest_token: int
    space: IntArray


@njit(cache=True, nogil=True)
def least_times(problem: Problem) -> tuple[IntArray, int]:
    """Time of each request's prompt batch alone, and of the shortest token batch."""
    n = problem.prompt.size
    prompts = np.empty(n, np.int64)
    for i in range(n):
        prompts[i] = prompt_time(problem.law, problem.prompt[i])
    return prompts, token_time(problem.law, 1, problem.prompt.min() + 1)


#: Slots of `Rest.counts` and of `Rest.sums`.
DONE, RUN, ARRIVALS = 0, 1, 0


class Rest(NamedTuple):
    """What the costs to go depend on, kept up to date from job to job.

    Attributes
    ----------
    profile : ndarray of int64, shape (R,)
        How many run with r = 1 … R tokens to go.
    sums : ndarray of int64, shape (1 + TABLES,)
        Over the requests whose prompt is not done: Σ `ARRIVALS`, and Σ prices of each table.
    counts : ndarray of int64, shape (2,)
        Prompts done (`DONE`), and requests that run (`RUN`).
    space : ndarray of int64, shape (R,)
        Working space.
    """

    profile: IntArray
    sums: IntArray
    counts: IntArray
    space: IntArray


def empty_rest(problem: Problem) -> Rest:
    """Return room for what remains of a problem's requests."""
    R = max(1, int(problem.output.max()) - 1)
    return Rest(
        profile=np.zeros(R, np.int64),
        sums=np.zeros(1 + TABLES, np.int64),
        counts=np.zeros(2, np.int64),
        space=np.zeros(R, np.int64),
    )


@njit(cache=True, nogil=True)
def count_rest(problem: Problem, lookahead: Lookahead, rest: Rest, g: IntArray) -> None:
    """Set the counts and sums from the tokens of all requests."""
    rest.profile[:] = 0
    rest.sums[:] = 0
    rest.counts[:] = 0
    for i in range(g.size):
        if g[i] == 0:
            _add_waiting(problem, lookahead, rest, i, 1)
        else:
            rest.counts[DONE] += 1
            if g[i] < problem.output[i]:
                rest.profile[problem.output[i] - g[i] - 1] += 1
                rest.counts[RUN] += 1


@njit(cache=True, nogil=True)
def _add_waiting(problem: Problem, lookahead: Lookahead, rest: Rest, i: int, sign: int) -> None:
    rest.sums[ARRIVALS] += sign * problem.arrival[i]
    if lookahead.has_tables:
        k = 1
        for table in lookahead.tables:
            rest.sums[k] += sign * table.price[i]
            k += 1


@njit(cache=True, nogil=True)
def count_prompt(problem: Problem, lookahead: Lookahead, rest: Rest, i: int, sign: int) -> None:
    """Do the prompt job of a request, or undo it (sign −1)."""
    _add_waiting(problem, lookahead, rest, i, -sign)
    rest.counts[DONE] += sign
    if problem.output[i] > 1:
        rest.counts[RUN] += sign
        rest.profile[problem.output[i] - 2] += sign


@njit(cache=True, nogil=True)
def count_token(rest: Rest, to_go: int, sign: int) -> None:
    """Give a token to a request with `to_go` to go, or take it back (sign −1)."""
    rest.profile[to_go - 1] -= sign
    if to_go > 1:
        rest.profile[to_go - 2] += sign
    else:
        rest.counts[RUN] -= sign


@njit(cache=True, nogil=True)
def bound_by_profiles(
    problem: Problem, lookahead: Lookahead, rest: Rest, time: int, cost: int
) -> int:
    """Lower bound on Σ completions from costs to go, given the Σ of those that are complete.

    Time for those that run, arrivals of the others, and the costs to go of the profile.
    """
    profiles, tables = lookahead.profiles, lookahead.tables
    rest.space[:] = rest.profile
    dropped = drop_longest(rest.space, profiles.most, problem.B_D)
    profile = profiles.rank[profile_number(rest.space, profiles.most, profiles.binomial)]
    late = max(0, time - tables[0].last)
    best, k = np.int64(0), 1
    for table in tables:
        if time - late >= table.first:
            row = table.row[time - late - table.first] + rest.counts[DONE]
            best = max(best, table.value[row, profile] + rest.sums[k])
        k += 1
    waiting = problem.output.size - rest.counts[DONE]
    best += (late * waiting + dropped * problem.law.token) * SCALE
    return int(cost + rest.counts[RUN] * time + rest.sums[ARRIVALS] - (-best // SCALE))


@njit(cache=True, nogil=True)
def bound_alone(problem: Problem, lookahead: Lookahead, g: IntArray, time: int) -> int:
    """Lower bound on Σ completions of the incomplete, given the tokens of all.

    Each request goes on alone, and those that run share token batches of B_D, shortest first.

    With the running requests in order of their tokens to go, the k-th of them to complete does so
    after at least ``⌈(Σ of the k smallest) / B_D⌉`` token batches.
    """
    to_go, running = lookahead.space, 0
    total = 0
    for i in range(g.size):
        left = problem.output[i] - g[i]
        if g[i] == 0:
            begin = max(time, problem.arrival[i])
            total += begin + lookahead.shortest_prompt[i]
            total += (left - 1) * lookahead.shortest_token
        elif left > 0:
            k = running
            while k > 0 and to_go[k - 1] > left:
                to_go[k] = to_go[k - 1]
                k -= 1
            to_go[k] = left
            running += 1
    tokens = 0
    for k in range(running):
        tokens += to_go[k]
        batches = max(to_go[k], -(-tokens // problem.B_D))
        total += time + batches * lookahead.shortest_token
    return total
