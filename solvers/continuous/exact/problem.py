"""An instance of continuous batching as numbers for the exhaustive search's compiled code.

**Which rules hold.** Two facts of an instance decide what the search may leave out.

*Work moves freely* if durations are never rounded, so that a batch that loses an item of work w
gets shorter by w and one that gains it gets longer by w: under the unit law, and where all
coefficients of the affine law are whole time units. Then the rules of lateness hold (`expansion`).

*A token job is the cheapest way to a token* if it takes no more than recomputing the cache in its
place: ``c2 + c3·h ≤ c1·h`` for all caches h, and ``c0 ≤ c0_prompt`` where a token job takes the
place of the only chunk. Then a cache need be dropped only where its memory or its seat is needed.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ....models.continuous.problem import limits
from ....models.durations import Durations, batch_durations
from ....models.instance import Instance, IntArray

#: Most tokens of a prompt with its output, most output tokens, most requests.
MOST_CACHE, MOST_OUTPUT, MOST_REQUESTS = 2**14 - 1, 2**10 - 1, 24


class Problem(NamedTuple):
    """Requests in the order of the search, limits, and what bounds need.

    Attributes
    ----------
    arrival, prompt, output, weight : ndarray of int64, shape (n,)
        Weights in the objective's smallest unit; 1 for latency and makespan.
    twin : ndarray of int64, shape (n,)
        The request before it that is equal but for its arrival, or −1.
    law : Durations
        Batch times.
    blocks, block, seats, tokens : int
        As in `problem.Limits`.
    chunked, scarce, moves, jobs_cheapest, drops, makespan : bool
        Whether prompts are read in chunks, the tokens of a batch are limited, work moves freely,
        token jobs are cheapest, dropping a cache can pay, and the makespan is the objective.
    least_intercept : int
        Of any batch.
    token_work, token_area : ndarray of int64, shape (n, most output + 1)
        Of a request with g tokens: least work, and blocks at the ends of batches, of all that it
        needs after a complete prompt.
    """

    arrival: IntArray
    prompt: IntArray
    output: IntArray
    weight: IntArray
    twin: IntArray
    law: Durations
    blocks: int
    block: int
    seats: int
    tokens: int
    chunked: bool
    scarce: bool
    moves: bool
    jobs_cheapest: bool
    drops: bool
    makespan: bool
    least_intercept: int
    token_work: IntArray
    token_area: IntArray


def is_applicable(instance: Instance) -> bool:
    """Whether a state of the instance fits the search's integers.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> is_applicable(Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4]))
    True
    """
    return (
        instance.n <= MOST_REQUESTS
        and int(instance.output.max()) <= MOST_OUTPUT
        and int(instance.peak.max()) <= MOST_CACHE
    )


def weights_in_units(instance: Instance, objective: str) -> tuple[IntArray, Fraction]:
    """Return whole weights and the unit that they are multiples of.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> two = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[4, 2],
    ...     weight=[0.5, 1.25])
    >>> weights_in_units(two, "weighted")
    (array([2, 5]), Fraction(1, 4))
    """
    if objective != "weighted":
        return np.ones(instance.n, dtype=np.int64), Fraction(1)
    exact = [Fraction(repr(w)) for w in instance.weight.tolist()]
    scale = math.lcm(*(w.denominator for w in exact))
    return np.array([int(w * scale) for w in exact], dtype=np.int64), Fraction(1, scale)


def problem_of(instance: Instance, objective: str, order: IntArray) -> Problem:
    """Return the numbers of an instance whose requests are taken in an order.

    Parameters
    ----------
    instance : Instance
        The instance, `is_applicable`.
    objective : {"latency", "weighted", "makespan"}
        The objective.
    order : ndarray of int64, shape (n,)
        A permutation of the requests.
    """
    law, bounds = _in_whole_units(batch_durations(instance)), limits(instance)
    s, o = instance.prompt[order], instance.output[order]
    weight = weights_in_units(instance, objective)[0][order]
    caches = np.arange(int(instance.prompt.min()) + 1, max(2, int(instance.peak.max())))
    job, read = law.per_token_job + law.per_kv_token * caches, law.per_prompt_token * caches
    cheapest = bool(law.token <= law.prompt and (job <= read).all())
    largest = -(-(s + o - 1) // bounds.block)
    ample = int(largest.sum()) <= bounds.blocks and bounds.running >= instance.n
    area = np.zeros((instance.n, int(o.max()) + 1), dtype=np.int64)
    work = np.zeros_like(area)
    for i in range(instance.n):
        h = s[i] + np.arange(1, o[i])  # caches that token jobs read: after g = 1 … o − 1 tokens
        token = law.per_token_job + law.per_kv_token * h
        if not cheapest:
            token = np.minimum(token, law.per_prompt_token * h)
        work[i, 1 : o[i]] = np.cumsum(token[::-1])[::-1]
        ends = -(-(s[i] + np.arange(o[i])) // bounds.block)
        area[i, : o[i]] = np.cumsum(ends[::-1])[::-1]
    return Problem(
        arrival=instance.arrival[order],
        prompt=s,
        output=o,
        weight=weight,
        twin=_twins(s, o, weight),
        law=law,
        blocks=bounds.blocks,
        block=bounds.block,
        seats=bounds.running,
        tokens=bounds.tokens,
        chunked=bounds.chunked,
        scarce=instance.gpu.batch_tokens is not None,
        moves=law.divisor == 1,
        jobs_cheapest=cheapest,
        drops=not (cheapest and ample),
        makespan=objective == "makespan",
        least_intercept=min(law.prompt, law.token),
        token_work=work,
        token_area=area,
    )


def _in_whole_units(law: Durations) -> Durations:
    """Return the same law with divisor 1 if its coefficients are whole time units."""
    if any(each % law.divisor for each in law[:5]):
        return law
    return Durations._make([*(each // law.divisor for each in law[:5]), 1])


def _twins(s: IntArray, o: IntArray, weight: IntArray) -> IntArray:
    last: dict[tuple[int, int, int], int] = {}
    twin = np.full(s.size, -1, dtype=np.int64)
    for i, kind in enumerate(zip(s.tolist(), o.tolist(), weight.tolist(), strict=True)):
        twin[i] = last.get(kind, -1)
        last[kind] = i
    return twin
