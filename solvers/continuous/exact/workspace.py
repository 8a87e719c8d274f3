"""The numbers of a problem, and the room of a search, as a few arrays of whole numbers.

Compiled code gets arrays and numbers only: named tuples of many fields cost more to hand over than
a candidate batch may take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ....models.instance import IntArray
from .problem import Problem

if TYPE_CHECKING:
    from .potentials import Potentials

#: Places of the numbers of a problem in `Workspace.fact`: limits, the law, what holds (`problem`),
#: least intercept of a batch, first cell and length of a cell of the prices, and the weight of all
#: requests, 0 if they differ or the makespan counts.
(
    BLOCKS_LIMIT, BLOCK, SEATS_LIMIT, TOKENS_LIMIT, PROMPT_BATCH, TOKEN_BATCH, PER_PROMPT, PER_JOB,
    PER_KV, DIVISOR, CHUNKED, SCARCE, MOVES, CHEAPEST, DROPS, MAKESPAN, LEAST_BATCH, FIRST, CELL,
    EQUAL,
) = range(20)  # fmt: skip

#: Columns of `Workspace.request`: those of `Problem`; how many options the request has, the place
#: of the one that is tried, most tokens of it and of those after it, and the request whose turn it
#: is in the bound.
ARRIVAL, PROMPT, OUTPUT, WEIGHT, TWIN, COUNT, AT, MOST, TURN = range(9)

#: Columns of `Workspace.sums` and of an option: prompt tokens, token jobs, KV tokens read, blocks,
#: seats, chunks that do not complete a prompt, tokens that the batch must have, latest arrival of a
#: request that is begun, the set of those whose caches are dropped.
P, D, KV, BLOCKS, SEATS, PARTS, LEAST, ARRIVED, DROPPED = range(9)

#: Two more columns of an option: what it is, and 1 if a twin may come first.
CODE, BEGINS = 9, 10

#: Options of a request in a batch: rest, token job, drop; from here on chunks, and drop and chunk.
REST, TOKEN, DROP = 0, 1, 2
CHUNKS, DROP_AND_CHUNKS = 2**15, 2**16

#: Rows of `Workspace.rest`, see `Problem` and `Potentials`.
WORK, AREA, LATE = range(3)

#: Later than any time.
NEVER = 2**62


class Workspace(NamedTuple):
    """Arrays of one search; n requests.

    Attributes
    ----------
    fact : ndarray of int64, shape (20,)
        Numbers of the problem.
    request : ndarray of int64, shape (n + 1, 9)
        Numbers of each request; the last row is 0.
    rest : ndarray of int64, shape (3, n, most output + 1)
        Of a request with g tokens: least work, area, and time of all that it needs.
    options : ndarray of int64, shape (n, most options, 11)
        What each request may do in the batch.
    sums : ndarray of int64, shape (n + 1, 9)
        Of the options of the requests before each.
    before, after : ndarray of int64, shape (n,)
        The state before the batch and after it.
    space : ndarray of int64, shape (11, n)
        For the bound.
    stop : ndarray of int64, shape (1,)
        1 if the search has to end now.
    """

    fact: IntArray
    request: IntArray
    rest: IntArray
    options: IntArray
    sums: IntArray
    before: IntArray
    after: IntArray
    space: IntArray
    stop: IntArray


def workspace(problem: Problem, tables: Potentials) -> Workspace:
    """Return the arrays that a search of a problem needs."""
    n = problem.prompt.size
    request = np.zeros((n + 1, 9), dtype=np.int64)
    for column, values in enumerate(problem[: TWIN + 1]):
        request[:n, column] = values
    request[:n, TURN] = np.arange(n)
    most = 2 * int((problem.prompt + problem.output).max()) + 3
    sums = np.zeros((n + 1, 9), dtype=np.int64)
    sums[:, ARRIVED] = -NEVER
    return Workspace(
        fact=_facts(problem, tables),
        request=request,
        rest=np.stack([problem.token_work, problem.token_area, tables.after]),
        options=np.zeros((n, most, 11), dtype=np.int64),
        sums=sums,
        before=np.zeros(n, dtype=np.int64),
        after=np.zeros(n, dtype=np.int64),
        space=np.zeros((11, n), dtype=np.int64),
        stop=np.zeros(1, dtype=np.int64),
    )


def _facts(problem: Problem, tables: Potentials) -> IntArray:
    fact = np.zeros(EQUAL + 1, dtype=np.int64)
    fact[BLOCKS_LIMIT : TOKENS_LIMIT + 1] = (
        problem.blocks, problem.block, problem.seats, problem.tokens,
    )  # fmt: skip
    fact[PROMPT_BATCH : DIVISOR + 1] = problem.law
    fact[CHUNKED : MAKESPAN + 1] = (
        problem.chunked, problem.scarce, problem.moves, problem.jobs_cheapest, problem.drops,
        problem.makespan,
    )  # fmt: skip
    fact[LEAST_BATCH : CELL + 1] = problem.least_intercept, tables.first, tables.cell
    if not problem.makespan and (problem.weight == problem.weight[0]).all():
        fact[EQUAL] = problem.weight[0]
    return fact
