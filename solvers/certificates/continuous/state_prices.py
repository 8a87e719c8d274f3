"""What each request costs alone under prices of memory and seats, for the verifier's search.

The bound and its proof are those of `solvers.continuous.exact.potentials`; nothing here is shared
with it. ``cost[kind, i, g, k]`` is a lower bound on what request i with g tokens costs from the
k-th cell of time on, in units of 1/scale: with a complete cache (kind 1), or with the last token of
its prompt still to be read (kind 0).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ....models.durations import Durations
from ....models.instance import IntArray


class Requests(NamedTuple):
    """The instance in order of arrival, and what follows from its law.

    Attributes
    ----------
    arrival, prompt, output, elder : ndarray of int64, shape (n,)
        a, s, o, and the last request before of the same s and o, −1 for none.
    law : Durations
        Batch times.
    blocks, block, seats, tokens : int
        Limits.
    chunked, moves, cheapest : bool
        Whether prompts may be read in chunks; whether times are never rounded and there is one
        intercept; whether a token job takes no longer than to read the cache again.
    item : int
        Time of the largest item of work that may be moved.
    work, held : ndarray of int64, shape (n, longest output + 2)
        Of a request with g tokens and a complete cache: the least work of all token jobs to come,
        or of reading the cache again in their place, and the blocks held at the batches' ends.
    """

    arrival: IntArray
    prompt: IntArray
    output: IntArray
    elder: IntArray
    law: Durations
    blocks: int
    block: int
    seats: int
    tokens: int
    chunked: bool
    moves: bool
    cheapest: bool
    item: int
    work: IntArray
    held: IntArray


class Costs(NamedTuple):
    """Least costs under prices.

    Attributes
    ----------
    scale, cell : int
        Costs are multiples of 1/scale; cells have this length, from time 0 on.
    cost : ndarray of int64, shape (2, n, longest output, T + 1)
        As above.
    earned : ndarray of int64, shape (T + 1,)
        What the prices of all memory and seats are from a cell on.
    rest : ndarray of int64, shape (n, longest output + 1)
        Least time of the batches that emit the tokens from the g-th on.
    """

    scale: int
    cell: int
    cost: NDArray[np.int64]
    earned: IntArray
    rest: IntArray


@njit(cache=True)
def chunk_time(requests: Requests) -> int:
    """Least time of a batch with one prompt token."""
    law = requests.law
    return int(-(-(min(law.prompt, law.token) + law.per_prompt_token) // law.divisor))


@njit(cache=True)
def job_time(requests: Requests, i: int, g: int) -> int:
    """Least time of a batch with a token job of a request with g tokens."""
    law = requests.law
    h = requests.prompt[i] + g
    return int(-(-(law.token + law.per_token_job + law.per_kv_token * h) // law.divisor))


@njit(cache=True)
def reading(requests: Requests, left: int) -> int:
    """Least time that all but the last of so many prompt tokens take beside its batch."""
    return int(requests.law.per_prompt_token * (left - 1) // requests.law.divisor)


@njit(cache=True)
def cost_of(requests: Requests, costs: Costs, i: int, g: int, left: int, time: int) -> int:
    """Lower bound on the cost of a request from a time on, `left` prompt tokens to be read."""
    T = costs.earned.size - 1
    kind = 1
    if left > 0:
        kind = 0
        time += reading(requests, left)
    k = time // costs.cell
    late = costs.scale * (time + costs.rest[i, g])
    cost = costs.cost[kind, i, g, k] if k <= T else late
    if kind == 1 and not requests.cheapest:
        again = k + reading(requests, requests.prompt[i] + g) // costs.cell
        cost = min(cost, costs.cost[0, i, g, again] if again <= T else late)
    return int(cost)


@njit(cache=True, nogil=True)
def _fill(
    requests: Requests, costs: Costs, kv: IntArray, seat: IntArray, expired: IntArray
) -> None:
    """Fill the tables backward in the tokens and in time; `kv` and `seat` are sums up to a cell."""
    T = costs.earned.size - 1
    read = chunk_time(requests)
    for i in range(requests.prompt.size):
        o = requests.output[i]
        for g in range(o):
            t = o - 1 - g
            costs.rest[i, t] = costs.rest[i, t + 1] + min(read, job_time(requests, i, t))
        for t in range(o - 1, -1, -1):
            if expired[0]:
                return
            blocks = -(-(requests.prompt[i] + t) // requests.block)
            for kind in range(2):
                long = (job_time(requests, i, t) if kind else read) // costs.cell
                paid = min(long, read // costs.cell)
                best = np.int64(2**62)
                for k in range(T, -1, -1):
                    end = k + long
                    last, first = min(end, T), min(end - paid, T)
                    now = blocks * (kv[last] - kv[first]) + seat[last] - seat[first]
                    if t + 1 == o:
                        now += costs.scale * costs.cell * end
                    else:
                        now += cost_of(requests, costs, i, t + 1, 0, end * costs.cell)
                    best = min(best, now)
                    costs.cost[kind, i, t, k] = best


def costs_of(
    requests: Requests,
    scale: int,
    cell: int,
    kv: IntArray,
    seat: IntArray,
    expired: IntArray,
) -> Costs:
    """Return the tables for prices of a block and of a seat in each cell, per unit of time."""
    n, longest, T = requests.prompt.size, int(requests.output.max()), kv.size
    sums = np.zeros((2, T + 1), dtype=np.int64)
    sums[0, 1:], sums[1, 1:] = np.cumsum(kv * cell), np.cumsum(seat * cell)
    total = requests.blocks * sums[0] + requests.seats * sums[1]
    costs = Costs(
        scale=scale,
        cell=cell,
        cost=np.zeros((2, n, longest, T + 1), dtype=np.int64),
        earned=total[-1] - total,
        rest=np.zeros((n, longest + 1), dtype=np.int64),
    )
    _fill(requests, costs, sums[0], sums[1], expired)
    return costs
