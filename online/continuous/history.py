"""What a run of continuous batching has shown so far, as the laws of futures read it."""

from __future__ import annotations

from dataclasses import replace

from ..coupling.history import Past
from ..view import View
from .observation import ContinuousObservation


class History:
    """All requests that have arrived, with what is known of their lengths by now.

    Call `look` at every batch boundary: a request that arrives is there at the next one, and one
    that is no longer there has completed with the token of the batch between.

    Examples
    --------
    >>> from batchprophet.models.continuous.problem import Limits
    >>> from batchprophet.models.durations import Durations
    >>> from batchprophet.online.continuous.observation import ContinuousView
    >>> def at(time, *running):
    ...     gpu, law = Limits(9, 1, 4, 9, True), Durations(1, 1, 0, 0, 0, 1)
    ...     return ContinuousObservation(time, gpu, law, (), running)
    >>> history = History()
    >>> _ = history.look(at(3, ContinuousView(0, 0, 2, tokens=3, cached=4, ready=True)))
    >>> history.look(at(4)).arrived[0].longest
    4
    """

    def __init__(self) -> None:
        self._seen: dict[int, View] = {}
        self._tokens: dict[int, int] = {}

    def look(self, observation: ContinuousObservation) -> Past:
        """Take in a boundary; return the past."""
        here = (*observation.running, *observation.waiting)
        tokens = {view.index: view.tokens for view in here}
        for index, before in self._tokens.items():
            if index not in tokens:
                length = before + 1
                self._seen[index] = replace(self._seen[index], shortest=length, longest=length)
        self._tokens = tokens
        for view in here:
            if view.index not in self._seen:
                self._seen[view.index] = View(
                    view.index, view.arrival, view.prompt, view.shortest, view.longest
                )
        kv = observation.limits.blocks * observation.limits.block
        return Past(observation.time, kv, tuple(self._seen.values()))
