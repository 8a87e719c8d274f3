"""Random instances small enough for exhaustive search, with every field the objectives look at."""

from __future__ import annotations

import numpy as np

from batchprophet.models.instance import Gpu, Instance

OBJECTIVES = ("latency", "weighted", "tardiness", "makespan", "reward")


def tiny_instance(seed, most_requests=4):
    rng = np.random.default_rng(seed)
    M, n = int(rng.integers(4, 11)), int(rng.integers(1, most_requests + 1))
    s = rng.integers(1, M, n)
    return Instance(
        gpu=Gpu(kv_capacity=M),
        arrival=rng.integers(0, 6, n),
        prompt=s,
        output=[int(rng.integers(1, M - size + 1)) for size in s],
        weight=rng.integers(0, 5, n) / 2,  # zeros too
        reward=rng.integers(0, 5, n) / 2,
        deadline=rng.integers(1, 16, n),
        horizon=int(rng.integers(4, 14)),
    )


def tiny_limited_instance(seed, most_requests=5):
    """One whose GPU limits the requests of a round, its tokens, or both."""
    rng = np.random.default_rng(seed)
    instance = tiny_instance(seed, most_requests)
    M, longest = int(rng.integers(14, 24)), int(instance.prompt.max())
    which = seed % 3
    gpu = Gpu(
        kv_capacity=M,
        running_requests=int(rng.integers(1, 3)) if which != 1 else None,
        batch_tokens=longest + int(rng.integers(0, 3)) if which != 0 else None,
    )
    earliest = int((instance.arrival + instance.output).min())  # for the reward
    return instance.replace(
        gpu=gpu,
        arrival=instance.arrival // 2,
        deadline=None,
        horizon=max(instance.horizon, earliest),
    )


def crowd(model):
    """A hundred and twenty short requests on a GPU that is too small for them."""
    rng = np.random.default_rng(1)
    gpus = {
        "mixed": Gpu(kv_capacity=60),
        "separate": Gpu(kv_capacity=60, prompt_batch_requests=2, token_batch_requests=4),
        "continuous": Gpu(kv_capacity=60, running_requests=4, batch_tokens=24),
    }
    return Instance(
        gpu=gpus[model],
        arrival=rng.integers(0, 90, 120),
        prompt=rng.integers(1, 12, 120),
        output=rng.integers(1, 12, 120),
    )
