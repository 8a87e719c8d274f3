"""Blocks of requests that follow each other without overlapping."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..instance import Gpu, Instance
from .setting import Setting

MOST_REQUESTS = 10**8

BLOCKS = Setting(
    name="blocks",
    kind="integer",
    description="how often the block is repeated",
    default=3,
    low=1,
    high=10**6,
)


def repeated(
    groups: list[tuple[int, int, int]], *, blocks: int, period: int, kv_capacity: int
) -> Instance:
    """Return blocks of requests, one block every `period` rounds.

    Parameters
    ----------
    groups : list of (count, prompt, output)
        A block: its requests all arrive together, in this order.
    blocks : int
        Number of blocks, ≥ 1.
    period : int
        Rounds from one block to the next.
    kv_capacity : int
        M, in tokens.

    Raises
    ------
    InputError
        If that makes more than 10^8 requests.

    Examples
    --------
    >>> instance = repeated([(1, 5, 3), (2, 1, 1)], blocks=2, period=10, kv_capacity=8)
    >>> instance.arrival.tolist(), instance.prompt.tolist()
    ([0, 0, 0, 10, 10, 10], [5, 1, 1, 5, 1, 1])
    """
    count, prompt, output = np.array(groups, dtype=np.int64).T
    size = int(count.sum())
    if size * blocks > MOST_REQUESTS:
        raise InputError(f"blocks: expected at most 10^8 requests, found {blocks} blocks of {size}")
    return Instance(
        gpu=Gpu(kv_capacity=kv_capacity),
        arrival=np.repeat(np.arange(blocks) * period, size),
        prompt=np.tile(np.repeat(prompt, count), blocks),
        output=np.tile(np.repeat(output, count), blocks),
    )
