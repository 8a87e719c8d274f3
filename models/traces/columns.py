"""Requests of a trace in compact columns: 24 bytes each, whatever their number."""

from __future__ import annotations

from array import array
from typing import NamedTuple


class TraceRequest(NamedTuple):
    """One row of a trace: its line in the file, arrival in nanoseconds, tokens, name if kept."""

    line: int
    arrival: int
    prompt: int
    output: int
    id: str | None = None


class Columns:
    """Columns that grow by one request at a time.

    Attributes
    ----------
    arrival : array of int64
        In nanoseconds.
    prompt, output : array of int64
        In tokens.
    ids : list of str
        Names; empty if the format keeps none.

    Examples
    --------
    >>> columns = Columns()
    >>> columns.append(TraceRequest(line=2, arrival=0, prompt=3, output=12))
    >>> len(columns), columns.prompt[0], columns.ids
    (1, 3, [])
    """

    __slots__ = ("arrival", "ids", "output", "prompt")

    def __init__(self) -> None:
        self.arrival = array("q")
        self.prompt = array("q")
        self.output = array("q")
        self.ids: list[str] = []

    def append(self, request: TraceRequest) -> None:
        """Add one request."""
        _, arrival, prompt, output, name = request
        self.arrival.append(arrival)
        self.prompt.append(prompt)
        self.output.append(output)
        if name is not None:
            self.ids.append(name)

    def __len__(self) -> int:
        return len(self.arrival)
