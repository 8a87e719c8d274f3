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
