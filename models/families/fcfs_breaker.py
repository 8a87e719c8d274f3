"""Instances on which first come, first served is arbitrarily bad."""

from __future__ import annotations

from math import isqrt

import numpy as np

from ..instance import Instance
from .blocks import BLOCKS, repeated
from .family import Family
from .setting import Setting


def wide_before_many(rng: np.random.Generator, *, kv_capacity: int, blocks: int) -> Instance:
    """Return blocks of one request that needs nearly all of M for long, just ahead of many.

    With L = ⌈√M⌉, a block is one request (s = M − L, o = L), and then ⌊M/2⌋ requests (1, 1) at the
    same time. First come, first served starts the wide one and fits at most (L − 1)/2 of the
    others in a round beside it: about half of them wait until it ends, of order M^1.5 rounds
    together. The other order serves all the small ones in the first round, and pays of order M.
    Blocks are 2(L + 1) rounds apart: even first come, first served is done by then. There is
    nothing random in it.

    Examples
    --------
    >>> wide_before_many(np.random.default_rng(0), kv_capacity=16, blocks=1).prompt.tolist()
    [12, 1, 1, 1, 1, 1, 1, 1, 1]
    """
    M = kv_capacity
    L = isqrt(M - 1) + 1
    block = [(1, M - L, L), (M // 2, 1, 1)]
    return repeated(block, blocks=blocks, period=2 * (L + 1), kv_capacity=M)


FCFS_BREAKER = Family(
    name="fcfs-breaker",
    description="a request that needs nearly all of the KV cache for long, just ahead of many",
    source="docs/model/mixed.md §6",
    settings=(
        Setting(
            name="kv_capacity",
            kind="integer",
            description="M in tokens; a block has ⌊M/2⌋ + 1 requests",
            default=400,
            low=4,
            high=10**7,
        ),
        BLOCKS,
    ),
    make=wide_before_many,
)
