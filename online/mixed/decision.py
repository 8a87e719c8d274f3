"""What a policy answers: whom to start, whom to evict, when to be asked again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: ``wake_at`` of a policy that need not be asked before something happens.
NEXT_EVENT: Final = 2**62


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to happen at this round boundary.

    Attributes
    ----------
    start : tuple of int
        Waiting requests to start now, by index; their order is the order among running requests.
    evict : tuple of int
        Running requests to evict now: they lose all tokens and wait again.
    wake_at : int or None
        Next boundary at which to be asked, if nothing happens before (an arrival, a completion,
        KV about to overflow); `NEXT_EVENT` for no wake-up. None, the careful default, asks at
        every boundary while someone waits.

    Examples
    --------
    >>> Decision(start=(2, 0)).evict
    ()
    """

    start: tuple[int, ...] = ()
    evict: tuple[int, ...] = ()
    wake_at: int | None = None
