"""What has been seen so far, as laws of futures read it: the same for every batching regime."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from ..view import ServedView, View


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


class History:
    """All requests that have arrived, with what is known of their lengths by now.

    Call `look` at every batch boundary: a request that arrives is there at the next one, and one
    that is no longer there has completed with the token of the batch between.

    Examples
    --------
    >>> from batchprophet.online.separate.observation import SeparateView
    >>> history = History()
    >>> running = SeparateView(0, 0, 2, shortest=1, longest=7, tokens=3)
    >>> history.look(3, 9, [running]).arrived[0].longest
    7
    >>> history.look(4, 9, []).arrived[0].longest
    4
    """

    def __init__(self) -> None:
        self._seen: dict[int, View] = {}
        self._tokens: dict[int, int] = {}

    def look(self, time: int, kv_capacity: int, here: Iterable[ServedView]) -> Past:
        """Take in a boundary, with all requests that run or wait; return the past."""
        tokens = {}
        for view in here:
            tokens[view.index] = view.tokens
            if view.index not in self._seen:
                self._seen[view.index] = View(
                    view.index, view.arrival, view.prompt, view.shortest, view.longest
                )
        for index in self._tokens.keys() - tokens.keys():
            length = self._tokens[index] + 1
            self._seen[index] = replace(self._seen[index], shortest=length, longest=length)
        self._tokens = tokens
        return Past(time, kv_capacity, tuple(self._seen.values()))
