"""Random instances of continuous batching at the scale at which optima can be proved."""

from __future__ import annotations

import numpy as np

from ..continuous.gpus import MEASURED
from ..durations import durations
from ..instance import Gpu, Instance
from .family import Family
from .setting import MEASURED_GPU, Setting, integer_setting


def continuous_random(
    rng: np.random.Generator,
    *,
    n: int,
    gpu: str,
    longest: int,
    kv_capacity: int,
    max_num_seqs: int,
    max_num_batched_tokens: int,
    span: int | None = None,
) -> Instance:
    """Requests with prompts and outputs of up to `longest` tokens on a measured GPU.

    Arrivals ~ U{0..span} in microseconds, s and o ~ U{1..longest}, each with a random stream of
    its own. Where no span is given, it is that of n/2 token jobs one after the other.

    Examples
    --------
    >>> instance = continuous_random(
    ...     np.random.default_rng(0), n=6, gpu="h100", longest=8, kv_capacity=24, max_num_seqs=4,
    ...     max_num_batched_tokens=16,
    ... )
    >>> instance.n, int(instance.peak.max()) <= 16, instance.gpu.running_requests
    (6, True, 4)
    """
    arrivals, prompts, outputs = rng.spawn(3)
    law = MEASURED[gpu].law
    last = n * durations(law).token_batch(1, 1) // 2 if span is None else span
    return Instance(
        gpu=Gpu(
            kv_capacity=kv_capacity,
            running_requests=max_num_seqs,
            batch_tokens=max_num_batched_tokens,
            batch_time=law,
        ),
        arrival=np.sort(arrivals.integers(0, last + 1, size=n)),
        prompt=prompts.integers(1, longest + 1, size=n),
        output=outputs.integers(1, longest + 1, size=n),
    )


CONTINUOUS_RANDOM = Family(
    name="continuous-random",
    description="short prompts and outputs on a measured GPU with continuous batching; arrivals in "
    "microseconds",
    source="this project's benchmark of continuous batching",
    settings=(
        integer_setting("n", "requests", 8, 1, 10**6),
        MEASURED_GPU,
        integer_setting("longest", "tokens of a prompt, and of an output, at most", 8, 1, 10**4),
        integer_setting("kv_capacity", "M in tokens; at least 2 × longest", 24, 2, 10**9),
        integer_setting("max_num_seqs", "running requests at most", 4, 1, 10**6),
        integer_setting("max_num_batched_tokens", "tokens in a batch at most", 16, 1, 10**7),
        Setting(
            name="span",
            kind="integer",
            description="arrivals are at 0 … span µs; n/2 token jobs unless set",
            low=0,
            high=10**9,
        ),
    ),
    make=continuous_random,
)
