"""A random stream whose state is one word: compiled code can stop and go on where it was.

The generator is SplitMix64.

References
----------
Steele, Lea, Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Stream = NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_11, _27, _30, _31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)


def random_stream(seed: int) -> Stream:
    """Return the stream of a seed, shape (1,): its state, which each draw moves on.

    Examples
    --------
    >>> stream = random_stream(1)
    >>> 0 <= uniform(stream) < 1, below(stream, 3) in (0, 1, 2)
    (True, True)
    """
    return np.random.SeedSequence(seed).generate_state(1, np.uint64).astype(np.uint64)


@njit(cache=True, nogil=True)
def uniform(stream: Stream) -> float:
    """Draw from [0, 1), in steps of 2⁻⁵³."""
    stream[0] += _STEP
    z = stream[0]
    z = (z ^ (z >> _30)) * _FIRST
    z = (z ^ (z >> _27)) * _SECOND
    z ^= z >> _31
    return float(z >> _11) * 2.0**-53


@njit(cache=True, nogil=True)
def below(stream: Stream, n: int) -> int:
    """Draw from 0 … n − 1 (n up to 2³²: the bias stays below 2⁻²⁰)."""
    return int(uniform(stream) * n)
