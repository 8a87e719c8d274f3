"""What has been seen so far, as laws of futures read it: the same for every batching regime."""

from __future__ import annotations

from typing import NamedTuple

from ..view import View


class Past(NamedTuple):
    """All that has arrived up to now.

    Attributes
    ----------
    time : int
        Now.
    kv_capacity : int
        M, in tokens.
    arrived : tuple of View
        In order of arrival; of complete requests the output length is known.
    """

    time: int
    kv_capacity: int
    arrived: tuple[View, ...]
