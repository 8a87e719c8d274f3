"""Random instances of separate batching at the scale at which optima can be proved."""

from __future__ import annotations

import numpy as np

from ..batch_time import ConstantTime
from ..instance import Gpu, Instance
from .family import Family
from .setting import Setting


def separate_random(
    rng: np.random.Generator, *, n: int, kv_capacity: int, span: int | None = None
) -> Instance:
    """Requests that arrive within `span` slots, with short prompts and outputs.

    Arrivals ~ U{0..span}, s ~ U{1..5}, o ~ U{1..8}; prompt batches of up to 4 requests and 12
    prompt tokens take 2 slots, token batches of up to 4 requests take 1. Arrivals, prompts and
    outputs have random streams of their own.

    Examples
    --------
    >>> instance = separate_random(np.random.default_rng(0), n=20, kv_capacity=40)
    >>> instance.n, int(instance.arrival.max()) <= 20, int(instance.output.max()) <= 8
    (20, True, True)
    """
    arrivals, prompts, outputs = rng.spawn(3)
    last = n if span is None else span
    return Instance(
        gpu=Gpu(
            kv_capacity=kv_capacity,
            prompt_batch_requests=4,
            prompt_batch_tokens=12,
            token_batch_requests=4,
            batch_time=ConstantTime(prompt=2, token=1),
        ),
        arrival=np.sort(arrivals.integers(0, last + 1, size=n)),
        prompt=prompts.integers(1, 6, size=n),
        output=outputs.integers(1, 9, size=n),
    )


SEPARATE_RANDOM = Family(
    name="separate-random",
    description="short prompts and outputs, small prompt and token batches, constant batch times",
    source="this project's benchmark of separate batching",
    settings=(
        Setting(name="n", kind="integer", description="requests", default=20, low=1, high=10**6),
        Setting(
            name="kv_capacity",
            kind="integer",
            description="M in tokens",
            default=40,
            low=13,
            high=10**9,
        ),
        Setting(
            name="span",
            kind="integer",
            description="arrivals are at 0 … span; n unless set",
            low=0,
            high=10**9,
        ),
    ),
    make=separate_random,
)
