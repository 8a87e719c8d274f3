"""The adversary that costs every deterministic online policy a factor of order √n."""

from __future__ import annotations

from math import isqrt

import numpy as np

from ..instance import Gpu, Instance
from .family import Family
from .setting import Setting


def long_then_burst(rng: np.random.Generator, *, kv_capacity: int, b: int) -> Instance:
    """Return one long request, and a burst just before it ends if it was started at `b`.

    The long request (s = 1, o = M − 1) arrives at 0. A policy that starts it at round boundary b
    holds almost all of M at ``r = b + M − ⌊√M/2⌋``, when ⌊M/2⌋ requests (1, 1) arrive: about √M/4
    of them fit per round until it ends, so they pay of order M^1.5 together. Hindsight runs the
    long request after the burst (b ≤ M) or at once (b > M), and pays of order M. n = ⌊M/2⌋ + 1.
    There is nothing random in it.

    Examples
    --------
    >>> instance = long_then_burst(np.random.default_rng(0), kv_capacity=16, b=3)
    >>> instance.arrival.tolist()
    [0, 17, 17, 17, 17, 17, 17, 17, 17]

    References
    ----------
    arXiv 2502.07115, Theorem 4.1.
    """
    M = kv_capacity
    burst = M // 2
    r = b + M - isqrt(M) // 2
    ones = np.ones(burst, dtype=np.int64)
    return Instance(
        gpu=Gpu(kv_capacity=M),
        arrival=np.append(0, r * ones),
        prompt=np.append(1, ones),
        output=np.append(M - 1, ones),
    )


SQRT_ADVERSARY = Family(
    name="sqrt-adversary",
    description="a long request, and a burst just before it ends if it was started at b",
    source="Jaillet et al., arXiv 2502.07115, Theorem 4.1",
    settings=(
        Setting(
            name="kv_capacity",
            kind="integer",
            description="M in tokens; the instance has ⌊M/2⌋ + 1 requests",
            default=400,
            low=4,
            high=10**7,
        ),
        Setting(
            name="b",
            kind="integer",
            description="round at which the policy under attack starts the long request",
            default=0,
            low=0,
            high=10**9,
        ),
    ),
    make=long_then_burst,
)
