"""Prices of memory and seats, and what each request costs from a state on under them.

**The bound.** At each moment of a batch its members hold, at its end, at most ``blocks`` blocks and
``seats`` seats. So with prices ν(t), σ(t) ≥ 0 of a block and of a seat per unit of time, zero after
some time, a schedule's cost from time t on is at least

    Σ_i min over what i can do alone of [w_i·c_i + its charges] − ∫_t (blocks·ν + seats·σ),

where a member of a batch is charged ν·(its blocks at the batch's end) + σ as long as the batch
takes. Alone, a request needs a batch for each token: a token job, of at least the time that it
takes alone, or a last chunk, of at least that of one prompt token; the chunks before take at least
their work, and are not charged. Of each batch only the last part is charged, as long as a last
chunk at most. So where token jobs are cheapest (`problem`) to read a cache again costs no less than
a token job.

**Cells of time.** Prices are constant on cells of length D, and durations are counted in whole
cells, rounded down: q. Let H(k) be the least cost of a request from time k·D on, if its batches
begin and end at multiples of D. From a time between k·D and (k+1)·D on its cost is at least the
linear interpolation of H: the charges of a window of q cells are the interpolation of those at
multiples of D, and H grows. So H at the time rounded down is a lower bound.

Any prices give a bound; `prices` finds good ones by the subgradients of the bound at the beginning.
All numbers are integers, in `UNIT` of the cost's unit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.instance import IntArray
from .prices import SCALE
from .problem import Problem
from .workspace import CELL, CHEAPEST, DIVISOR, FIRST, LATE, PER_PROMPT, PROMPT, WEIGHT

#: Prices and costs are multiples of 1 / UNIT.
UNIT = SCALE

#: Costs beyond this do not add up in 64 bits.
MOST_COST = 2**58


class Potentials(NamedTuple):
    """Least costs of requests under prices.

    Attributes
    ----------
    first, cell : int
        Time of the first cell, and D.
    job, read : ndarray of int64, shape (n, longest output, T + 1)
        Cost of a request with g tokens from a cell on, if its cache is complete, and if the last
        token of its prompt is to be read; T = 0 where there are no prices.
    after : ndarray of int64, shape (n, longest output + 1)
        Least time that the last tokens take.
    charge : ndarray of int64, shape (T + 1,)
        What all prices collect at most from a cell on.
    """

    first: int
    cell: int
    job: NDArray[np.int64]
    read: NDArray[np.int64]
    after: IntArray
    charge: IntArray


@njit(cache=True)
def job_time(problem: Problem, i: int, g: int) -> int:
    """Least time of a batch with a token job of a request with g tokens."""
    law = problem.law
    work = law.per_token_job + law.per_kv_token * (problem.prompt[i] + g)
    time: int = -(-(law.token + work) // law.divisor)
    return time


@njit(cache=True)
def read_time(problem: Problem) -> int:
    """Least time of a batch with a chunk."""
    time: int = -(-(problem.least_intercept + problem.law.per_prompt_token) // problem.law.divisor)
    return time


@njit(cache=True)
def _shift(problem: Problem, tokens: int) -> int:
    """Least time of chunks of so many tokens beside the last token's batch."""
    time: int = problem.law.per_prompt_token * (tokens - 1) // problem.law.divisor
    return time


@njit(cache=True, nogil=True)
def fill(
    problem: Problem, tables: Potentials, block_price: IntArray, seat_price: IntArray, width: int
) -> None:
    """Fill the tables for prices of blocks and seats on intervals of `width` cells."""
    T = tables.charge.size - 1
    D = tables.cell
    memory, seats = np.zeros(T + 1, np.int64), np.zeros(T + 1, np.int64)
    for k in range(T):
        memory[k + 1] = memory[k] + block_price[k // width] * D
        seats[k + 1] = seats[k] + seat_price[k // width] * D
    for k in range(T + 1):
        tables.charge[k] = problem.blocks * (memory[T] - memory[k])
        tables.charge[k] += problem.seats * (seats[T] - seats[k])
    for i in range(problem.prompt.size):
        weight = problem.weight[i] * UNIT
        for g in range(problem.output[i] - 1, -1, -1):
            held = (problem.prompt[i] + g + problem.block - 1) // problem.block
            later = tables.after[i, g + 1]
            for kind in range(2):
                rows = tables.job if kind else tables.read
                charged = read_time(problem) // D
                q = job_time(problem, i, g) // D if kind else charged
                charged = min(q, charged)
                back = _shift(problem, problem.prompt[i] + g + 1)
                least = MOST_COST
                for k in range(T, -1, -1):
                    end = k + q
                    stop = min(end, T)
                    start = min(end - charged, T)
                    cost = held * (memory[stop] - memory[start]) + seats[stop] - seats[start]
                    if g + 1 == problem.output[i] or end > T:
                        cost += weight * (tables.first + end * D + later)
                    elif problem.jobs_cheapest:
                        cost += tables.job[i, g + 1, end]
                    else:
                        again = (end * D + back) // D
                        other = weight * (tables.first + end * D + later)
                        if again <= T:
                            other = tables.read[i, g + 1, again]
                        cost += min(tables.job[i, g + 1, end], other)
                    least = min(least, cost)
                    rows[i, g, k] = least


@njit(cache=True)
def least_of(
    fact: IntArray,
    rest: IntArray,
    job: IntArray,
    read: IntArray,
    charge: IntArray,
    request: IntArray,
    i: int,
    g: int,
    left: int,
    time: int,
) -> int:
    """Least cost of a request from a time on: its cache is complete (`left` 0) or misses tokens."""
    if left > 0:
        time += fact[PER_PROMPT] * (left - 1) // fact[DIVISOR]
    k = (time - fact[FIRST]) // fact[CELL]
    if k >= charge.size:
        return int(request[i, WEIGHT] * UNIT * (time + rest[LATE, i, g]))
    if left > 0:
        return int(read[i, g, k])
    best: int = job[i, g, k]
    if not fact[CHEAPEST]:
        tokens = request[i, PROMPT] + g - 1  # the cache may be read again
        again = k + (fact[PER_PROMPT] * tokens // fact[DIVISOR]) // fact[CELL]
        other = request[i, WEIGHT] * UNIT * (time + rest[LATE, i, g])
        if again < charge.size:
            other = read[i, g, again]
        best = min(best, other)
    return best


@njit(cache=True)
def collected(fact: IntArray, charge: IntArray, time: int) -> int:
    """What all prices collect at most from a time on."""
    k = (time - fact[FIRST]) // fact[CELL]
    total: int = charge[k] if k < charge.size else 0
    return total


@njit(cache=True, nogil=True)
def bound_and_use(
    problem: Problem,
    tables: Potentials,
    fact: IntArray,
    request: IntArray,
    rest: IntArray,
    width: int,
    memory: IntArray,
    seats: IntArray,
) -> int:
    """Return the bound at the beginning; fill in what is held beyond the limits, by interval."""
    T, D = tables.charge.size - 1, tables.cell
    bound = -tables.charge[0]
    memory[:] = 0
    seats[:] = 0
    for k in range(T):
        memory[k // width] -= problem.blocks * D
        seats[k // width] -= problem.seats * D
    for i in range(problem.prompt.size):
        time = problem.arrival[i] + _shift(problem, problem.prompt[i])
        k = (time - tables.first) // D
        bound += least_of(
            fact, rest, tables.job, tables.read, tables.charge,
            request, i, 0, problem.prompt[i], problem.arrival[i],
        )  # fmt: skip
        for g in range(problem.output[i]):
            if k > T:
                break
            rows = tables.job if g else tables.read
            while k < T and rows[i, g, k] == rows[i, g, k + 1]:
                k += 1
            charged = read_time(problem) // D
            q = job_time(problem, i, g) // D if g else charged
            held = (problem.prompt[i] + g + problem.block - 1) // problem.block
            k += q
            for at in range(k - min(q, charged), min(k, T)):
                memory[at // width] += held * D
                seats[at // width] += D
    return int(bound)


def empty_tables(problem: Problem, first: int, cell: int, T: int) -> Potentials:
    """Return tables for prices on T cells from a time on, not filled."""
    n, longest = problem.prompt.size, int(problem.output.max())
    after = np.zeros((n, longest + 1), dtype=np.int64)
    for i in range(n):
        for g in range(int(problem.output[i]) - 1, -1, -1):
            time = read_time(problem)
            if g > 0:
                time = min(time, job_time(problem, i, g))
            after[i, g] = after[i, g + 1] + time
    return Potentials(
        first=first,
        cell=cell,
        job=np.zeros((n, longest, T + 1), dtype=np.int64),
        read=np.zeros((n, longest, T + 1), dtype=np.int64),
        after=after,
        charge=np.zeros(T + 1, dtype=np.int64),
    )
