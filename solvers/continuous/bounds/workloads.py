r"""What requests take of a GPU under continuous batching: works of machines of speed 1.

A batch of length t has a fixed part, c0 or for prompts only c0_prompt, and the work of its members.
Let a machine work on each member for its own work, and for its *share* of the fixed part, in each
of three ways:

- **seats**: 1/B, since at most B requests hold a cache;
- **tokens**: p/C for a chunk of p tokens, 1/C for a token job, since they are C at most;
- **KV**: the blocks of its cache at the batch's end over those that there are.

The shares of a batch sum to at most 1, so the machine works no longer than t. A request has at
least ⌈s/C⌉ chunks, of s tokens in all, the last of which leaves a cache of s tokens. Output token
g + 1 is emitted by a token job on h = s + g tokens, or after a drop by the last of chunks that read
h tokens; in both cases the cache has h tokens at the batch's end. It is charged the cheaper of the
two; a chunk may be in a batch of prompts only, so its fixed part is the smaller one. Any mix of the
three ways, with weights that sum to 1, is a machine too.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit

from ....models.continuous.problem import Limits, limits
from ....models.durations import Durations, batch_durations
from ....models.instance import FloatArray, Instance, IntArray
from ...certificates.clock import Clock
from ...certificates.continuous.simple import own_times
from ...machines import FirstTokens, Machines

#: Weights of seats, tokens and KV memory.
MIXES = tuple((p / 4, c / 4, (4 - p - c) / 4) for p in range(5) for c in range(5 - p))


def machines(instance: Instance) -> Machines:
    """Return the times alone, and the works of each mix.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=10, running_requests=4)
    >>> instance = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> known = machines(instance)
    >>> [w.round(3).tolist() for w in known.works][0]  # by KV: (3 + 4 + 5 + 6)/10, (1 + 2)/10
    [1.8, 0.3]
    """
    law, most = batch_durations(instance), limits(instance)
    alone = np.array(own_times(instance, Clock(None)), dtype=np.int64)
    return Machines(alone, _works(instance, law, most))


def first_tokens(instance: Instance) -> FirstTokens:
    """Return what prompts take: the works above of their chunks alone.

    Nothing limits how many requests have a first token and wait, for caches can be dropped.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> gpu = Gpu(kv_capacity=10, running_requests=4, batch_tokens=2)
    >>> instance = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> found = first_tokens(instance)
    >>> found.alone.tolist(), found.decode.tolist()  # two chunks, then a round for each token
    ([2, 1], [3, 1])
    >>> [w.round(3).tolist() for w in found.works][4]  # by tokens: 3/2, 1/2
    [1.5, 0.5]
    """
    law, most = batch_durations(instance), limits(instance)
    whole = np.array(own_times(instance, Clock(None)), dtype=np.int64)
    chunks = -(-instance.prompt // most.tokens)
    least = min(law.prompt, law.token)
    alone = -(-(chunks * least + law.per_prompt_token * instance.prompt) // law.divisor)
    return FirstTokens(
        alone=alone,
        decode=whole - alone,
        works=_prompt_works(instance, law, most),
        most_between=instance.n,
        shortest=int(alone.min()),
        contiguous=False,
    )


def _prompt_works(instance: Instance, law: Durations, most: Limits) -> Iterator[FloatArray]:
    s, least = instance.prompt, min(law.prompt, law.token)
    chunks, blocks = -(-s // most.tokens), -(-s // most.block)
    for seats, tokens, memory in MIXES:
        share = seats * chunks / most.running + tokens * s / most.tokens
        share = share + memory * blocks / most.blocks
        yield (least * share + float(law.per_prompt_token) * s) / law.divisor


def _works(instance: Instance, law: Durations, most: Limits) -> Iterator[FloatArray]:
    for seats, tokens, memory in MIXES:
        yield _works_of(instance.prompt, instance.output, law, most, seats, tokens, memory)


@njit(cache=True)
def _works_of(
    prompt: IntArray,
    output: IntArray,
    law: Durations,
    most: Limits,
    seats: float,
    tokens: float,
    memory: float,
) -> FloatArray:
    """The works of one mix, in time units."""
    works = np.zeros(prompt.size)
    least = min(law.prompt, law.token)
    by_seat, by_token = seats / most.running, tokens / most.tokens
    by_block = memory / most.blocks
    for i in range(prompt.size):
        s = prompt[i]
        chunks, blocks = -(-s // most.tokens), -(-s // most.block)
        share = by_seat * chunks + by_token * s + by_block * blocks
        total = least * share + float(law.per_prompt_token * s)
        for h in range(s + 1, s + output[i]):
            share = by_seat + by_token + by_block * (-(-h // most.block))
            job = law.token * share + float(law.per_token_job + law.per_kv_token * h)
            total += min(job, least * share + float(law.per_prompt_token * h))
        works[i] = total / law.divisor
    return works
