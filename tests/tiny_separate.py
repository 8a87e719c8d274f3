"""Random instances of separate batching, small enough for exhaustive search, and schedules."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np

from batchprophet.models.batch_time import AffineTime, ConstantTime, UnitTime
from batchprophet.models.durations import batch_durations
from batchprophet.models.instance import NO_DEADLINE, Gpu, Instance
from batchprophet.models.separate.schedule import Batch, SeparateSchedule


def tiny_separate(seed, *, most_requests=3, law=None, most_output=4):
    """One tiny instance: any limits or none, any KV tightness, all fields of the objectives.

    `law` is a batch-time law, or None for the unit and constant laws in turn. Equal requests
    occur; times of the affine law of `random_laws` are a few microseconds.
    """
    rng = np.random.default_rng([11, seed])
    n = int(rng.integers(1, most_requests + 1))
    prompt = rng.integers(1, 5, n)
    output = rng.integers(1, most_output + 1, n)
    if n > 1 and rng.random() < 0.4:  # requests of one type
        prompt[-1], output[-1] = prompt[0], output[0]
    if law is None:
        law = constant_law(rng)
    last_arrival = int(rng.choice([0, 3, 8]))
    if isinstance(law, AffineTime):
        last_arrival *= 4
    equal = rng.random() < 0.3
    weight = rng.integers(0, 5, n) / 2
    reward = rng.integers(0, 5, n) / 2
    return Instance(
        gpu=_gpu(rng, prompt, output, law),
        arrival=rng.integers(0, last_arrival + 1, n),
        prompt=prompt,
        output=output,
        weight=np.full(n, 1.5) if equal else weight,
        reward=np.full(n, 2.0) if equal else reward,
        penalty=rng.integers(0, 3, n),
        deadline=[_deadline(rng, law) for _ in range(n)],
        horizon=int(rng.integers(4, 22)) * (4 if isinstance(law, AffineTime) else 1),
    )


def constant_law(rng):
    """The unit law or a constant one, τ_P and τ_D of 1 to 4."""
    if rng.random() < 0.25:
        return UnitTime()
    return ConstantTime(prompt=int(rng.integers(1, 5)), token=int(rng.integers(1, 4)))


def affine_law(rng):
    """An affine law of a few microseconds a batch, in steps of 1/4 µs; some coefficients 0."""
    c0, c1, c2, c3 = rng.integers([4, 0, 0, 0], [20, 9, 9, 4]) / 4000
    return AffineTime(c0=float(c0), c1=float(c1), c2=float(c2), c3=float(c3))


def random_laws(seed):
    """Any law: affine in half of the cases."""
    rng = np.random.default_rng([12, seed])
    return affine_law(rng) if rng.random() < 0.5 else constant_law(rng)


def _gpu(rng, prompt, output, law):
    """M from the largest peak to all peaks; each batch limit absent, tight or wide."""
    peak = prompt + output
    M = int(rng.integers(peak.max(), peak.sum() + 1)) if rng.random() < 0.8 else 50

    def limit(least, most):
        return None if rng.random() < 0.35 else int(rng.integers(least, most + 1))

    return Gpu(
        kv_capacity=M,
        prompt_batch_requests=limit(1, len(prompt)),
        prompt_batch_tokens=limit(int(prompt.max()), int(prompt.sum())),
        token_batch_requests=limit(1, len(prompt)),
        batch_time=law,
    )


def _deadline(rng, law):
    if rng.random() < 0.5:
        return NO_DEADLINE
    return int(rng.integers(1, 30)) * (4 if isinstance(law, AffineTime) else 1)


@st.composite
def separate_instances(draw, most_requests=3, affine=False):
    """Hypothesis strategy over `tiny_separate`."""
    seed = draw(st.integers(0, 2**32))
    law = affine_law(np.random.default_rng([13, seed])) if affine else None
    return tiny_separate(seed, most_requests=most_requests, law=law)


def random_schedule(instance, seed):
    """All jobs in random batches, as early as possible: limits and KV may be violated."""
    rng = np.random.default_rng([14, seed])
    law = batch_durations(instance)
    s, o, a = (column.tolist() for column in (instance.prompt, instance.output, instance.arrival))
    tokens, now, batches = [0] * instance.n, 0, []
    while any(tokens[i] < o[i] for i in range(instance.n)):
        waiting = [i for i in range(instance.n) if tokens[i] == 0]
        running = [i for i in range(instance.n) if 0 < tokens[i] < o[i]]
        kind = "prompt" if not running or (waiting and rng.random() < 0.5) else "token"
        pool = waiting if kind == "prompt" else running
        members = sorted(rng.permutation(pool)[: rng.integers(1, len(pool) + 1)].tolist())
        if kind == "prompt":
            now = max([now, *(a[i] for i in members)])
            length = law.prompt_batch(sum(s[i] for i in members))
        else:
            length = law.token_batch(len(members), sum(s[i] + tokens[i] for i in members))
        batches.append(Batch(kind, now, tuple(members)))
        now += length
        for i in members:
            tokens[i] += 1
    return SeparateSchedule(batches)
