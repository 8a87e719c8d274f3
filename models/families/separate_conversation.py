"""Workloads like the Azure conversation trace, for a GPU with separate batching."""

from __future__ import annotations

import numpy as np

from ..batch_time import ConstantTime
from ..instance import Gpu, Instance
from .azure import AZURE_CONVERSATION, azure_like
from .azure_figures import CONVERSATION
from .family import Family
from .setting import Setting

#: Milliseconds of a slot.
SLOT_MS = 8.0


def separate_conversation(
    rng: np.random.Generator, *, n: int, kv_capacity: int, rate: float
) -> Instance:
    """Return n requests of `azure_like` on one GPU: a slot is 8 ms.

    Prompt batches of up to 8,192 prompt tokens take 14 slots, token batches of up to 64 requests
    take 1: about what Llama-3.1-8B takes on one H100 (docs/separate.md). Longer prompts are cut.

    Examples
    --------
    >>> instance = separate_conversation(
    ...     np.random.default_rng(0), n=50, kv_capacity=65536, rate=5.0
    ... )
    >>> instance.n, instance.gpu.batch_time.prompt, instance.gpu.prompt_batch_tokens
    (50, 14, 8192)
    """
    drawn = azure_like(
        rng,
        CONVERSATION,
        n=n,
        kv_capacity=kv_capacity,
        round_ms=SLOT_MS,
        arrivals="poisson",
        rate=rate,
        lengths="quantiles",
    )
    gpu = Gpu(
        kv_capacity=kv_capacity,
        prompt_batch_tokens=8192,
        token_batch_requests=64,
        batch_time=ConstantTime(prompt=14, token=1),
    )
    return drawn.replace(gpu=gpu, prompt=np.minimum(drawn.prompt, 8192))


SEPARATE_CONVERSATION = Family(
    name="separate-conversation",
    description="like the Azure conversation trace of 2023, for separate batching in slots of 8 ms",
    source=AZURE_CONVERSATION.source,
    settings=(
        Setting(name="n", kind="integer", description="requests", default=1000, low=1, high=10**6),
        Setting(
            name="kv_capacity",
            kind="integer",
            description="M in tokens",
            default=65536,
            low=16384,
            high=10**9,
        ),
        Setting(
            name="rate",
            kind="number",
            description="mean requests per second",
            default=5.0,
            low=1e-3,
            high=1e6,
        ),
    ),
    make=separate_conversation,
)
