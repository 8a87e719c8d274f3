"""Lower bound on what a state of the exhaustive search costs in the end.

**Own time.** A request needs a batch per token, more if its prompt exceeds C, each of the least
intercept at least, and its own work.

**The k-th completion.** Let k requests be complete at a time. Their batches since the state were at
least N_k: the k-th smallest number of own batches; the k smallest sums of batches, tokens and areas
over B, C and M, since a batch holds B requests, C tokens, and M tokens of caches at its end, where
a request that emits in it holds all of its cache, dropped before or not. Their work was at least
W_k, the sum of the k smallest. Hence the k-th completion is no earlier than N_k intercepts and W_k.

The k-th smallest completion is at least the k-th smallest own time, and what N_k and W_k say; the
largest weights go to the earliest of them.

The prices of memory and seats give another bound (`potentials`); the larger of both counts.
"""

from __future__ import annotations

from numba import njit

from ....models.instance import IntArray
from .potentials import UNIT, Potentials, collected, least_of
from .problem import Problem
from .states import READY, cache_of, flags_of, tokens_of


@njit(cache=True)
def least_cost(
    problem: Problem, tables: Potentials, state: IntArray, time: int, cost: int, space: IntArray
) -> int:
    """Lower bound on the cost of all that follows a state at a time, its cost so far included.

    `space` has shape (6, n): workspace.
    """
    n, law = problem.prompt.size, problem.law
    own, count, work, area, tokens, weight = (
        space[0], space[1], space[2], space[3], space[4], space[5],
    )  # fmt: skip
    m = 0
    priced = -collected(tables, time)
    for i in range(n):
        g = tokens_of(state[i])
        o = problem.output[i]
        if g == o:
            continue
        batches = o - g
        needed = o - g
        mine = problem.token_work[i, g]
        begin = max(time, problem.arrival[i])
        left = 0
        if flags_of(state[i]) & READY == 0:
            left = problem.prompt[i] + g - cache_of(state[i])
            batches += (left + problem.tokens - 1) // problem.tokens - 1
            needed += left - 1
            # the chunk that completes the prompt emits token g + 1, in place of its token job
            after = problem.token_work[i, g + 1] if g + 1 < o else 0
            mine = law.per_prompt_token * left + after
        _insert(own, begin - (-(batches * problem.least_intercept + mine) // law.divisor), m)
        _insert(count, batches, m)
        _insert(work, mine, m)
        _insert(area, problem.token_area[i, g], m)
        _insert(tokens, needed, m)
        _insert(weight, problem.weight[i], m)
        priced += least_of(problem, tables, i, g, left, begin)
        m += 1
    best = cost
    batches = needed = held = works = 0
    last = 0
    for k in range(m):
        batches += count[k]
        needed += tokens[k]
        held += area[k]
        works += work[k]
        most = max(count[k], (batches + problem.seats - 1) // problem.seats)
        most = max(most, (needed + problem.tokens - 1) // problem.tokens)
        most = max(most, (held + problem.blocks - 1) // problem.blocks)
        end = time - (-(most * problem.least_intercept + works) // law.divisor)
        last = max(last, max(end, own[k]))
        best += weight[m - 1 - k] * last
    if problem.makespan:
        return last
    return max(best, cost - (-priced // UNIT))


@njit(cache=True)
def _insert(row: IntArray, value: int, count: int) -> None:
    """Put a value into a row of so many that grow."""
    at = count
    while at > 0 and row[at - 1] > value:
        row[at] = row[at - 1]
        at -= 1
    row[at] = value
