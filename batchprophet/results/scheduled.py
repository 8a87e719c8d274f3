"""Pictures of results that have an instance and a schedule."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..models.instance import Instance
from ..models.regime import Schedule
from ..models.regimes import regime_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

PathLike = str | os.PathLike[str]


class Scheduled:
    """Pictures of results that have an instance and a schedule."""

    __slots__ = ()

    instance: Instance
    schedule: Schedule

    def plot_gantt(self, *, ax: Axes | None = None) -> Figure:
        """Draw when each request waits and runs; see `batchprophet.pictures.plots.gantt`."""
        from ..pictures.plots import gantt

        return gantt(*self._served(), ax=ax)

    def plot_kv(self, *, ax: Axes | None = None) -> Figure:
        """Draw the KV tokens held under the capacity; see `batchprophet.pictures.plots.kv`."""
        from ..pictures.plots import kv

        return kv(*self._served(), ax=ax)

    def plot_modes(self, *, ax: Axes | None = None) -> Figure:
        """Draw what the GPU does over time; see `batchprophet.pictures.plots.modes`.

        Raises
        ------
        InputError
            If the schedule is one of mixed batching, where the GPU has no modes.
        """
        from ..pictures.plots import modes

        return modes(*self._served(), ax=ax)

    def to_frame(self) -> DataFrame:
        """Return one row a request: lengths, arrival, start, first token, completion, latency.

        See Also
        --------
        Compared.to_frame : One row a schedule.

        Raises
        ------
        InputError
            If pandas is not installed (``batchprophet[frames]``).
        """
        from .frames import requests_frame

        return requests_frame(self.instance, self.schedule)

    def _served(self) -> tuple[Instance, Schedule]:
        """Instance and schedule of the served requests: under admission some are rejected."""
        return regime_of(self.schedule).served(self.instance, self.schedule)


def lines(title: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return a title and facts below it, as text."""
    width = max((len(term) for term, _ in facts), default=0)
    return "\n".join([title, *(f"  {term.ljust(width)}  {value}" for term, value in facts)])
