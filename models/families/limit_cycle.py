"""Identical requests under saturation, which fall into step."""

from __future__ import annotations

import numpy as np

from ..instance import Gpu, Instance, IntArray
from .family import Family
from .setting import Setting


def identical_requests(
    rng: np.random.Generator,
    *,
    kv_capacity: int,
    n: int,
    prompt: int,
    output: int,
    arrivals: str,
) -> Instance:
    """Return n equal requests, all at 0 or at the rate at which the KV memory can serve them.

    Each takes ``w = s·o + o(o + 1)/2`` token-rounds, so that no more than M/w complete in a round.
    That needs starts w/M rounds apart. A policy that admits whatever fits starts ⌊M/(s + o)⌋
    together, or more, which it then evicts: they stay in step, and of M·o only half is used where
    s is small beside o. ``arrivals=staggered`` begins in the other state, request i at ⌈i·w/M⌉; the
    same policies leave it, since a round that starts one request too many is never undone. There
    is nothing random in it.

    Examples
    --------
    >>> instance = identical_requests(
    ...     np.random.default_rng(0), kv_capacity=20, n=4, prompt=1, output=6, arrivals="staggered"
    ... )
    >>> instance.arrival.tolist()
    [0, 2, 3, 5]

    References
    ----------
    arXiv 2606.15555 (limit cycles with evictions, throughput lost up to one half).
    """
    w = prompt * output + output * (output + 1) // 2
    index: IntArray = np.arange(n, dtype=np.int64)
    arrival: IntArray = np.zeros(n, np.int64)
    if arrivals == "staggered":
        arrival = -(-index * w // kv_capacity)
    return Instance(
        gpu=Gpu(kv_capacity=kv_capacity),
        arrival=arrival,
        prompt=np.full(n, prompt, np.int64),
        output=np.full(n, output, np.int64),
    )


LIMIT_CYCLE = Family(
    name="limit-cycle",
    description="identical requests under saturation, which fall into step",
    source="arXiv 2606.15555",
    settings=(
        Setting(
            name="kv_capacity",
            kind="integer",
            description="M in tokens",
            default=1000,
            low=2,
            high=10**7,
        ),
        Setting(name="n", kind="integer", description="requests", default=300, low=1, high=10**7),
        Setting(
            name="prompt",
            kind="integer",
            description="s in tokens",
            default=1,
            low=1,
            high=10**6,
        ),
        Setting(
            name="output",
            kind="integer",
            description="o in tokens",
            default=60,
            low=1,
            high=10**6,
        ),
        Setting(
            name="arrivals",
            kind="choice",
            description="all at 0, or w/M rounds apart",
            default="together",
            choices=("together", "staggered"),
        ),
    ),
    make=identical_requests,
)
