"""What a run of separate batching has shown so far, as the laws of futures read it."""

from __future__ import annotations

from dataclasses import replace

from ..coupling.history import Past
from ..view import View
from .observation import SeparateObservation


class History:
    """All requests that have arrived, with what is known of their lengths by now.

    Call `look` at every decision: a request that arrives waits at the next one, and one that is no
    longer there has completed with the token of the batch between.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.durations import Durations
    >>> from batchprophet.online.separate.observation import SeparateView
    >>> def at(time, *running):
    ...     law = Durations(1, 1, 0, 0, 0, 1)
    ...     return SeparateObservation(time, Gpu(kv_capacity=9), law, (), running, None)
    >>> history = History()
    >>> _ = history.look(at(3, SeparateView(0, 0, 2, shortest=1, longest=7, tokens=3)))
    >>> history.look(at(4)).arrived[0].longest
    4
    """

    def __init__(self) -> None:
        self._seen: dict[int, View] = {}
        self._tokens: dict[int, int] = {}

    def look(self, observation: SeparateObservation) -> Past:
        """Take in a boundary; return the past."""
        here = (*observation.running, *observation.waiting)
        tokens = {view.index: view.tokens for view in here}
        for index, before in self._tokens.items():
            if index not in tokens:
                length = before + 1
                self._seen[index] = replace(self._seen[index], shortest=length, longest=length)
        self._tokens = tokens
        for view in here:
            self._seen.setdefault(
                view.index,
                View(view.index, view.arrival, view.prompt, view.shortest, view.longest),
            )
        return Past(observation.time, observation.gpu.kv_capacity, tuple(self._seen.values()))
