r"""The GPU time and the KV area that a request takes at least: works of one fluid machine.

Let a machine of speed 1 work on the requests of a schedule during its batches. In a prompt batch of
length τ let it work on request i at the rate of its *share*, in each of three ways:

- **places**: of the part of τ that does not depend on the content 1/B_P each, and what its s_i
  tokens add; the shares of at most B_P requests sum to no more than τ.
- **tokens**: of that part s_i/C_P each, and what its tokens add: no more than τ, since Σ s_i ≤ C_P.
- **KV**: τ/M per KV token that it holds at the end of the batch, in *every* batch, those that it is
  not in too: no more than τ, since no more than M are held.

In a token batch of length τ that part is shared by 1/B_D each in both of the first ways, and a
token job has what it adds. By its completion, and not before its arrival, the machine has worked on
i at least as much as in the batches that i is in: for the first two that is known, for KV at least
the area with these batches as short as they can be. What is more is thrown away. Any mix of the
three ways, with weights that sum to 1, is such a machine too. So every schedule is one of a single
machine with release dates a_i, works w_i and preemption, whose completions are no later. (Batch
times are rounded up: a batch is no shorter than the parts.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

import numpy as np

from ....models.durations import Durations, batch_durations
from ....models.instance import ARITHMETIC_LIMIT, FloatArray, Instance
from ....models.separate.problem import time_alone
from ...machines import FirstTokens, Machines

#: Weights of places, tokens and KV that are tried.
MIXES = tuple(
    (Fraction(p, 4), Fraction(c, 4), Fraction(4 - p - c, 4)) for p in range(5) for c in range(5 - p)
)


def works(instance: Instance, mix: tuple[Fraction, Fraction, Fraction]) -> tuple[list[int], int]:
    """Return the works under a mix of the three ways, in units of 1/unit time units, and the unit.

    A limit that is not set takes nothing: the shares of that part are 0.

    Parameters
    ----------
    instance : Instance
        The instance; any law, any limits.
    mix : tuple of Fraction
        Weights ≥ 0 of places, tokens and KV, which sum to 1.

    Returns
    -------
    works : list of int
        w_i · unit, exact.
    unit : int
        Units per time unit.

    Examples
    --------
    >>> from batchprophet.models.batch_time import ConstantTime
    >>> from batchprophet.models.instance import Gpu
    >>> law = ConstantTime(prompt=2, token=1)
    >>> gpu = Gpu(kv_capacity=9, prompt_batch_requests=4, token_batch_requests=4, batch_time=law)
    >>> instance = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 1])
    >>> places = (Fraction(1), Fraction(0), Fraction(0))
    >>> w, unit = works(instance, places)
    >>> [str(Fraction(x, unit)) for x in w]  # 2/4 + 3 · 1/4, and 2/4
    ['5/4', '1/2']
    """
    law, gpu = batch_durations(instance), instance.gpu
    quarters = math.lcm(*(weight.denominator for weight in mix))
    p, c, k = (int(weight * quarters) for weight in mix)
    limits = gpu.prompt_batch_requests, gpu.prompt_batch_tokens, gpu.token_batch_requests
    common = math.lcm(gpu.kv_capacity, *(limit for limit in limits if limit))
    unit = quarters * law.divisor * common  # of which everything below is a multiple
    by_place, by_token, by_job = (common // limit if limit else 0 for limit in limits)
    by_kv = law.divisor * common // gpu.kv_capacity
    exact = []
    for s, o in zip(instance.prompt.tolist(), instance.output.tolist(), strict=True):
        work = law.prompt * (p * by_place + c * s * by_token)
        if p or c:
            work += (p + c) * ((o - 1) * law.token * by_job + _added(law, s, o) * common)
        if k:
            work += k * by_kv * _kv_area(law, s, o)
        exact.append(work)
    shared = math.gcd(unit, *exact)
    return [work // shared for work in exact], unit // shared


def machines(instance: Instance) -> Machines:
    """Return the times alone, and the works of each mix in time units.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, prompt_batch_requests=1, token_batch_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 1])
    >>> [w.round(3).tolist() for w in machines(instance).works][-1]  # a batch for each job
    [4.0, 1.0]
    """
    return Machines(time_alone(instance), _works_in_time_units(instance))


def first_tokens(instance: Instance) -> FirstTokens:
    """Return what prompts take: the shares above of the prompt batch alone.

    A request holds ``s_i + 1`` tokens or more at the end of each batch from its prompt batch on,
    the one that completes it included, so that at the end of none do more requests than fit.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=9, prompt_batch_requests=1, token_batch_requests=1)
    >>> instance = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 1])
    >>> found = first_tokens(instance)
    >>> found.decode.tolist(), found.most_between
    ([3, 0], 2)
    >>> [w.round(3).tolist() for w in found.works][-1]
    [1.0, 1.0]
    """
    law = batch_durations(instance)
    prompts = law.prompt_batch(instance.prompt)
    held = np.cumsum(np.sort(instance.prompt + 1))
    return FirstTokens(
        alone=prompts,
        decode=time_alone(instance) - prompts,
        works=_prompt_works(instance, law),
        most_between=int(np.searchsorted(held, instance.gpu.kv_capacity, side="right")),
        shortest=int(prompts.min()),
        contiguous=False,
    )


def _prompt_works(instance: Instance, law: Durations) -> Iterator[FloatArray]:
    gpu, s = instance.gpu, instance.prompt
    own = law.per_prompt_token * s.astype(np.float64)
    by_place = law.prompt / gpu.prompt_batch_requests if gpu.prompt_batch_requests else 0.0
    by_token = law.prompt / gpu.prompt_batch_tokens if gpu.prompt_batch_tokens else 0.0
    kv = law.prompt_batch(s) * ((s + 1) / gpu.kv_capacity)
    for p, c, k in ((float(x) for x in mix) for mix in MIXES):
        yield (p * by_place + c * by_token * s + (p + c) * own) / law.divisor + k * kv


def _works_in_time_units(instance: Instance) -> Iterator[FloatArray]:
    for mix in MIXES:
        exact, unit = works(instance, mix)
        yield np.array([work / unit for work in exact])


def _added(law: Durations, s: int, o: int) -> int:
    """What the content of a request's jobs adds to its batches, in units of 1/divisor."""
    read = (o - 1) * s + (o - 1) * o // 2  # Σ over the token jobs of KV tokens read: s + g, g < o
    return s * law.per_prompt_token + (o - 1) * law.per_token_job + read * law.per_kv_token


@lru_cache(maxsize=2**16)
def _kv_area(law: Durations, s: int, o: int) -> int:
    """Σ over the batches of a request alone of their length times KV tokens held at the end.

    It is asked for by every mix.
    """
    area = law.prompt_batch(s) * (s + 1)
    if not law.per_kv_token:
        held = (o - 1) * s + (o - 1) * (o + 2) // 2
        return area + law.token_batch(1, s) * held
    if law.token_batch(1, s + o) * (s + o) * o >= ARITHMETIC_LIMIT:
        return area + sum(law.token_batch(1, s + g) * (s + g + 1) for g in range(1, o))
    read = s + np.arange(1, o)
    return area + int((law.token_batch(1, read) * (read + 1)).sum())
