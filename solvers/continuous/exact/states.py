"""A state of the exhaustive search: a whole number for each request.

It holds the tokens emitted (10 bits), the tokens in the cache (14 bits) and flags. A request that
is complete has its output's tokens, no cache and no flags.
"""

from __future__ import annotations

from numba import njit

#: The prompt is complete: token jobs may follow.
READY = 1

#: What it got last: a chunk, or a token job that could as well be in a later batch; neither flag
#: for what could not.
CHUNK, JOB = 2, 4

#: A batch since then began at an arrival, or little after: earlier work would not let it begin
#: earlier.
HELD_UP = 8

#: It has skipped a batch since then.
SKIPPED = 16

#: Its cache was dropped, and no batch since then has needed the memory or the seat.
UNJUSTIFIED = 32

#: So it was, it is half read again, and a batch since then was held up.
IN_ADVANCE = 64


@njit(cache=True)
def state_of(tokens: int, cache: int, flags: int) -> int:
    """Return the number of a request's state."""
    return tokens | cache << 10 | flags << 24


@njit(cache=True)
def tokens_of(state: int) -> int:
    """Tokens emitted."""
    return state & 1023


@njit(cache=True)
def cache_of(state: int) -> int:
    """Tokens in the cache."""
    return state >> 10 & 16383


@njit(cache=True)
def flags_of(state: int) -> int:
    """All flags."""
    return state >> 24
