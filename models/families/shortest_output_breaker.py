"""Instances on which shortest output first is arbitrarily bad."""

from __future__ import annotations

from math import isqrt

import numpy as np

from ..instance import Instance
from .blocks import BLOCKS, repeated
from .family import Family
from .setting import Setting


def wide_and_narrow(
    rng: np.random.Generator,
    *,
    kv_capacity: int,
    wide: int | None = None,
    narrow: int | None = None,
    blocks: int = 1,
) -> Instance:
    """Return blocks of wide requests with one output token and narrow ones with two.

    A block has n_A = ⌊√M⌋ requests (s = M − 1, o = 1) and n_B = ⌊M/3⌋ requests (1, 2), all at
    once. Shortest output first serves the wide ones singly, while the narrow ones wait n_A rounds:
    of order M^1.5 together. Narrow ones first are done after two rounds, and all is of order M.
    (Shortest s + o is not broken by it.) Blocks do not overlap under either. There is nothing
    random in it.

    Examples
    --------
    >>> instance = wide_and_narrow(np.random.default_rng(0), kv_capacity=9)
    >>> instance.prompt.tolist(), instance.output.tolist()
    ([8, 8, 8, 1, 1, 1], [1, 1, 1, 2, 2, 2])

    References
    ----------
    That unequal prompts break it: arXiv 2508.06133.
    """
    M = kv_capacity
    n_A = isqrt(M) if wide is None else wide
    n_B = M // 3 if narrow is None else narrow
    batches = -(-n_B // (M // 3))
    block = [(n_A, M - 1, 1), (n_B, 1, 2)]
    return repeated(block, blocks=blocks, period=n_A + 2 * batches, kv_capacity=M)


SHORTEST_OUTPUT_BREAKER = Family(
    name="shortest-output-breaker",
    description="wide requests with one output token, many narrow ones with two",
    source="docs/model/mixed.md §6; arXiv 2508.06133",
    settings=(
        Setting(
            name="kv_capacity",
            kind="integer",
            description="M in tokens",
            default=400,
            low=3,
            high=10**7,
        ),
        Setting(
            name="wide",
            kind="integer",
            description="wide requests in a block; ⌊√M⌋ unless set",
            low=1,
            high=10**7,
        ),
        Setting(
            name="narrow",
            kind="integer",
            description="narrow requests in a block; ⌊M/3⌋ unless set",
            low=1,
            high=10**7,
        ),
        BLOCKS,
    ),
    make=wide_and_narrow,
)
