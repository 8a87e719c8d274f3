"""An instance of separate batching, relaxed to one of continuous batching.

**Every schedule of the first is one of the second**, with the same completions:

- *Batches.* A prompt batch is a batch of whole prompts, each one chunk that emits token 1; a token
  batch is one of token jobs. A request gets its tokens in the same order, drops no cache, and
  may skip batches under both regimes.
- *Batch times.* Under the unit law every batch takes a round. Under the affine law a batch of one
  kind takes the same under both regimes: c0_prompt + c1·p, or c0 + c2·d + c3·kv, rounded up to
  whole microseconds. Under the constant law c0_prompt = τ_P and c0 = τ_D microseconds, and the rest
  is 0: a slot is called a microsecond, and all times keep their numbers.
- *Limits of a batch.* A prompt batch holds at most P = min(C_P, Σ of the B_P longest prompts)
  prompt tokens, a token batch at most D = min(B_D, n) jobs; so C = max(P, D). No prompt is longer
  than P, so that whole prompts stay possible. Seats have no limit.
- *KV.* After g tokens a cache counts s + g here and s + g − 1 there, and both regimes look at the
  ends of batches, before what completes is freed. So what is at most M here is at most M there.

Hence the optimum of the relaxed instance is at most that of the first, or for the reward at least:
requests, weights, rewards and deadlines are the same, and a request that is rejected in one is in
the other.
"""

from __future__ import annotations

import numpy as np

from ....models.batch_time import AffineTime, BatchTime, ConstantTime
from ....models.instance import Gpu, Instance

#: Slots, taken for microseconds, in a millisecond.
_PER_MILLISECOND = 1000


def as_continuous(instance: Instance) -> Instance:
    """Return an instance of continuous batching that has every schedule of a separate one.

    Examples
    --------
    >>> law = ConstantTime(prompt=3, token=1)
    >>> gpu = Gpu(kv_capacity=9, prompt_batch_requests=1, batch_time=law)
    >>> instance = Instance(gpu=gpu, arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> relaxed = as_continuous(instance).gpu
    >>> relaxed.batch_tokens, relaxed.batch_time
    (3, AffineTime(c0=0.001, c1=0.0, c2=0.0, c3=0.0, c0_prompt=0.003))
    """
    gpu, n = instance.gpu, instance.n
    longest = np.sort(instance.prompt)[::-1]
    prompts = int(longest[: gpu.prompt_batch_requests].sum())
    if gpu.prompt_batch_tokens is not None:
        prompts = min(prompts, gpu.prompt_batch_tokens)
    jobs = n if gpu.token_batch_requests is None else min(n, gpu.token_batch_requests)
    relaxed = Gpu(
        kv_capacity=gpu.kv_capacity,
        batch_tokens=max(prompts, jobs),
        chunked_prefill=False,
        batch_time=_law(gpu.batch_time),
    )
    return instance.replace(gpu=relaxed, provenance=None)


def _law(law: BatchTime) -> BatchTime:
    if not isinstance(law, ConstantTime):
        return law
    c0, c0_prompt = law.token / _PER_MILLISECOND, law.prompt / _PER_MILLISECOND
    return AffineTime(c0=c0, c1=0.0, c2=0.0, c3=0.0, c0_prompt=c0_prompt)
