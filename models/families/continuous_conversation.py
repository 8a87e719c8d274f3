"""Workloads like the Azure conversation trace, on a measured GPU with continuous batching."""

from __future__ import annotations

import numpy as np

from ..continuous.gpus import MEASURED
from ..instance import Gpu, Instance
from .azure import AZURE_CONVERSATION, azure_like
from .azure_figures import CONVERSATION
from .family import Family
from .setting import MEASURED_GPU, Setting, integer_setting

#: Milliseconds of a microsecond.
MICROSECOND_MS = 0.001


def continuous_conversation(
    rng: np.random.Generator,
    *,
    n: int,
    gpu: str,
    kv_capacity: int,
    max_num_seqs: int,
    max_num_batched_tokens: int,
    block_size: int,
    rate: float,
) -> Instance:
    """Return n requests of `azure_like` on a GPU of `continuous.gpus.MEASURED`.

    Examples
    --------
    >>> instance = continuous_conversation(
    ...     np.random.default_rng(0), n=50, gpu="h100", kv_capacity=65536, max_num_seqs=256,
    ...     max_num_batched_tokens=2048, block_size=16, rate=5.0,
    ... )
    >>> instance.n, instance.gpu.batch_time.c0, instance.gpu.kv_block
    (50, 5.64, 16)
    """
    usable = kv_capacity - block_size  # a request takes whole blocks
    drawn = azure_like(
        rng,
        CONVERSATION,
        n=n,
        kv_capacity=usable,
        round_ms=MICROSECOND_MS,
        arrivals="poisson",
        rate=rate,
        lengths="quantiles",
    )
    return drawn.replace(
        gpu=Gpu(
            kv_capacity=kv_capacity,
            running_requests=max_num_seqs,
            batch_tokens=max_num_batched_tokens,
            kv_block=block_size,
            batch_time=MEASURED[gpu].law,
        )
    )


CONTINUOUS_CONVERSATION = Family(
    name="continuous-conversation",
    description="like the Azure conversation trace of 2023, on a measured GPU with continuous "
    "batching; arrivals in microseconds",
    source=AZURE_CONVERSATION.source,
    settings=(
        integer_setting("n", "requests", 300, 1, 10**6),
        MEASURED_GPU,
        integer_setting("kv_capacity", "M in tokens", 65536, 16384, 10**9),
        integer_setting("max_num_seqs", "running requests at most", 256, 1, 10**6),
        integer_setting("max_num_batched_tokens", "tokens in a batch at most", 2048, 1, 10**7),
        integer_setting("block_size", "tokens in a block of KV memory", 16, 1, 1024),
        Setting(
            name="rate",
            kind="number",
            description="mean requests per second",
            default=CONVERSATION.rate,
            low=1e-3,
            high=1e6,
        ),
    ),
    make=continuous_conversation,
)
