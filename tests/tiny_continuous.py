"""Random instances of continuous batching, small enough for exhaustive search, and schedules."""

from __future__ import annotations

import numpy as np

from batchprophet.models.batch_time import AffineTime, UnitTime
from batchprophet.models.continuous.schedule import Batch, ContinuousSchedule
from batchprophet.models.durations import batch_durations
from batchprophet.models.instance import NO_DEADLINE, Gpu, Instance

#: How often each kind of law occurs in `continuous_law`.
LAWS = ("unit", "whole", "quarters", "cheap prompts", "own intercept")


def tiny_continuous(seed, *, most_requests=3, most_prompt=4, most_output=3, law=None):
    """One tiny instance: any limits or none, any KV tightness, all fields of the objectives.

    `law` is a batch-time law, or None for a random one. Equal requests occur.
    """
    rng = np.random.default_rng([21, seed])
    n = int(rng.integers(1, most_requests + 1))
    prompt = rng.integers(1, most_prompt + 1, n)
    output = rng.integers(1, most_output + 1, n)
    if n > 1 and rng.random() < 0.4:  # requests of one type
        prompt[-1], output[-1] = prompt[0], output[0]
    if law is None:
        law = continuous_law(rng)
    scale = 1 if isinstance(law, UnitTime) else 4
    last_arrival = int(rng.choice([0, 2, 5])) * scale
    return Instance(
        gpu=continuous_gpu(rng, prompt, output, law),
        arrival=rng.integers(0, last_arrival + 1, n),
        prompt=prompt,
        output=output,
        weight=rng.integers(0, 5, n) / 2,
        reward=rng.integers(0, 5, n) / 2,
        penalty=rng.integers(0, 3, n),
        deadline=[
            NO_DEADLINE if rng.random() < 0.5 else int(rng.integers(1, 16)) * scale
            for _ in range(n)
        ],
        horizon=int(rng.integers(3, 12)) * scale,
    )


def continuous_law(rng, kind=None):
    """A law of a few microseconds a batch, of a random kind or of one of `LAWS`."""
    kind = str(rng.choice(LAWS)) if kind is None else kind
    if kind == "unit":
        return UnitTime()
    c0, c1, c2, c3 = rng.integers([2, 0, 0, 0], [9, 4, 4, 3]).tolist()
    if kind == "cheap prompts":  # to drop a cache and read it again beats a token job
        c1, c2 = int(rng.integers(0, 2)), int(rng.integers(4, 9))
    own = int(rng.integers(1, 12)) if kind == "own intercept" else None
    unit = 4000 if kind == "quarters" else 1000
    return AffineTime(
        c0=c0 / unit, c1=c1 / unit, c2=c2 / unit, c3=c3 / unit,
        c0_prompt=None if own is None else own / unit,
    )  # fmt: skip


def continuous_gpu(rng, prompt, output, law):
    """M from the largest peak to all peaks, blocks of 1 to 3; each limit absent, tight or wide."""
    peak = prompt + output
    M = int(rng.integers(peak.max(), peak.sum() + 1)) if rng.random() < 0.8 else 50
    chunked = bool(rng.random() < 0.6)
    block = int(rng.choice([1, 1, 1, 2, 3]))
    tokens = None
    if rng.random() < 0.6:
        tokens = int(rng.integers(1 if chunked else prompt.max(), prompt.sum() + 2))
    return Gpu(
        kv_capacity=M if block == 1 else -(-M // block) * block,
        running_requests=None if rng.random() < 0.5 else int(rng.integers(1, len(prompt) + 1)),
        batch_tokens=tokens,
        kv_block=block,
        chunked_prefill=chunked,
        batch_time=law,
    )


def random_continuous(instance, seed, *, drops=0.1, most_batches=60):
    """Random batches, as early as possible, with chunks, skips and drops.

    Limits of the batch, seats and KV may be violated; all requests are served unless
    `most_batches` come first.
    """
    rng = np.random.default_rng([22, seed])
    law = batch_durations(instance)
    a, s, o = (x.tolist() for x in (instance.arrival, instance.prompt, instance.output))
    n, now, batches = instance.n, 0, []
    emitted, cache, ready = [0] * n, [0] * n, [False] * n
    while any(g < x for g, x in zip(emitted, o, strict=True)) and len(batches) < most_batches:
        start, p, kv, chunks, jobs, dropped = now, 0, 0, [], [], []
        for i in rng.permutation(n).tolist():
            if emitted[i] == o[i] or rng.random() < 0.3:
                continue
            if cache[i] and rng.random() < drops:
                dropped.append(i)
                cache[i], ready[i] = 0, False
            if ready[i]:
                jobs.append(i)
                kv += s[i] + emitted[i]
                cache[i] += 1
                emitted[i] += 1
            else:
                left = s[i] + emitted[i] - cache[i]
                chunked = instance.gpu.chunked_prefill and rng.random() < 0.5
                tokens = int(rng.integers(1, left + 1)) if chunked else left
                chunks.append((i, tokens))
                p += tokens
                start = max(start, a[i])
                cache[i] += tokens
                if tokens == left:
                    ready[i] = True
                    emitted[i] += 1
            if emitted[i] == o[i]:
                cache[i], ready[i] = 0, False
        if chunks or jobs:
            batches.append(Batch(start, tuple(chunks), tuple(jobs), tuple(dropped)))
            now = start + law.batch(p, len(jobs), kv)
        else:
            for (
                i
            ) in dropped:  # no batch, so that nothing was dropped; the cache is gone all the same
                batches.append(Batch(now, ((i, 1),), (), (i,)))
                return ContinuousSchedule(batches)
    return ContinuousSchedule(batches)
