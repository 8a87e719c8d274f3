"""Which instances the continuous regime takes, and its limits as numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..batch_time import ConstantTime
from ..durations import Durations, batch_durations
from ..errors import InputError
from ..instance import ARITHMETIC_LIMIT, Gpu, Instance, IntArray

#: Output tokens of a request, and of all: a schedule lists every token job.
MOST_OUTPUT, MOST_TOKENS = 2**24, 2**28


class Limits(NamedTuple):
    """Limits of a GPU under continuous batching, as integers that compiled code can take.

    Attributes
    ----------
    blocks : int
        Blocks of KV memory, ``⌊M / block⌋``.
    block : int
        Tokens in a block.
    running : int
        B, requests that hold a cache at once; the number of requests where there is no limit.
    tokens : int
        C, prompt tokens and token jobs in a batch; what all requests have where there is no limit.
    chunked : bool
        Whether prompts may be read in chunks.
    """

    blocks: int
    block: int
    running: int
    tokens: int
    chunked: bool


def limits(instance: Instance) -> Limits:
    """Return the limits of an instance's GPU, resolved to integers.

    Examples
    --------
    >>> gpu = Gpu(kv_capacity=40, kv_block=16, batch_tokens=6)
    >>> limits(Instance(gpu=gpu, arrival=[0], prompt=[3], output=[4]))
    Limits(blocks=2, block=16, running=1, tokens=6, chunked=True)
    """
    gpu, n = instance.gpu, instance.n
    everything = int(instance.peak.sum())
    return Limits(
        blocks=gpu.kv_capacity // gpu.kv_block,
        block=gpu.kv_block,
        running=n if gpu.running_requests is None else min(n, gpu.running_requests),
        tokens=everything if gpu.batch_tokens is None else min(everything, gpu.batch_tokens),
        chunked=gpu.chunked_prefill,
    )


def require_continuous(instance: Instance) -> None:
    """Refuse an instance that continuous batching cannot express or serve.

    Raises
    ------
    InputError
        If the GPU has limits of separate batching, the constant law (a batch of both kinds has no
        time under it), a request that does not fit its blocks, a prompt longer than a batch that
        cannot be read in chunks, more tokens than a schedule can list, or times that leave exact
        64-bit arithmetic.

    Examples
    --------
    >>> gpu = Gpu(kv_capacity=9, batch_tokens=2, chunked_prefill=False)
    >>> require_continuous(Instance(gpu=gpu, arrival=[0], prompt=[3], output=[4]))
    Traceback (most recent call last):
    ...
    batchprophet.models.errors.InputError: requests[0].prompt: must be at most gpu.batch_tokens = \
2, since prompts are not read in chunks, found 3
    """
    gpu = instance.gpu
    if isinstance(gpu.batch_time, ConstantTime):
        raise InputError(
            "gpu.batch_time: continuous batching takes the affine or the unit law, found the "
            f"constant law in {instance.name!r}"
        )
    if gpu.batch_limits:
        names = ", ".join(gpu.batch_limits)
        raise InputError(
            "gpu: continuous batching knows no limits of separate batching; drop "
            f"{names} from {instance.name!r}"
        )
    _require_fits(instance, gpu)
    longest, total = int(instance.output.max()), int(instance.output.sum())
    if longest > MOST_OUTPUT or total > MOST_TOKENS:
        raise InputError(
            f"requests: continuous batching lists every token job, so that outputs must be at most "
            f"{MOST_OUTPUT} tokens and {MOST_TOKENS} in sum, found {longest} and {total} in "
            f"{instance.name!r}"
        )
    law = batch_durations(instance)
    end = int(instance.arrival.max()) + int(sum(times_alone(instance, law)))
    if instance.n * end >= ARITHMETIC_LIMIT:
        raise InputError(
            "gpu.batch_time: n × the end of the serial schedule must stay below 2^62 for exact "
            f"arithmetic, found {instance.n} × {end} in {instance.name!r}; use a coarser time unit"
        )


def _require_fits(instance: Instance, gpu: Gpu) -> None:
    needed = -(-(instance.peak - 1) // gpu.kv_block)
    too_large = np.flatnonzero(needed > gpu.kv_capacity // gpu.kv_block)
    if too_large.size:
        i = int(too_large[0])
        raise InputError(
            f"requests[{i}]: prompt + output − 1 tokens must fit in the "
            f"{gpu.kv_capacity // gpu.kv_block} blocks of {gpu.kv_block} tokens that "
            f"gpu.kv_capacity = {gpu.kv_capacity} has, found {int(instance.peak[i]) - 1}"
        )
    if not gpu.chunked_prefill and gpu.batch_tokens is not None:
        too_long = np.flatnonzero(instance.prompt > gpu.batch_tokens)
        if too_long.size:
            i = int(too_long[0])
            raise InputError(
                f"requests[{i}].prompt: must be at most gpu.batch_tokens = {gpu.batch_tokens}, "
                f"since prompts are not read in chunks, found {int(instance.prompt[i])}"
            )


def times_alone(instance: Instance, law: Durations) -> IntArray:
    """Time of each request alone on the GPU, rounded up, shape (n,).

    Its prompt is read in chunks as large as allowed. Each token batch counts a unit for its own
    rounding, so that the sum is at least what the batches take.

    Examples
    --------
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> times_alone(instance, batch_durations(instance)).tolist()
    [4, 2]
    """
    C, s, o = limits(instance).tokens, instance.prompt, instance.output
    chunks, rest = np.divmod(s, C)
    last = -(-(law.prompt + law.per_prompt_token * rest) // law.divisor)
    prompt = chunks * law.prompt_batch(C) + np.where(rest > 0, last, 0)
    read = (o - 1) * s + (o - 1) * o // 2
    work = (o - 1) * (law.token + law.per_token_job) + law.per_kv_token * read
    rounding = 0 if law.divisor == 1 else o - 1
    taken: IntArray = prompt + -(-work // law.divisor) + rounding
    return taken
