"""Warnings: what may be meant otherwise, such as nanoseconds that are read as seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from .clock import DATE_TIME
from .columns import Columns, TraceRequest
from .format import TraceFormat

#: A window that lasts longer is doubted, in nanoseconds.
YEAR = 31_557_600 * 10**9

#: A timestamp column with a longer mean gap is doubted, in nanoseconds.
LONGEST_MEAN_GAP = 600 * 10**9

#: A window of which one gap takes a larger share is doubted.
LARGEST_GAP = 0.9

_WAY_OUT = (
    "; if the times are in another unit, map them with --columns "
    "arrival=…,prompt=…,output=…,unit=ms|us|ns"
)


class Span:
    """First and last arrival of all requests that pass, taken or not, and their number."""

    __slots__ = ("count", "first", "last")

    def __init__(self) -> None:
        self.count = self.first = self.last = 0

    def watch(self, requests: Iterable[TraceRequest]) -> Iterator[TraceRequest]:
        """Pass requests on, in the order of their arrivals."""
        for request in requests:
            if not self.count:
                self.first = request.arrival
            self.last = request.arrival
            self.count += 1
            yield request


def doubts(known: TraceFormat, span: Span, taken: Columns) -> tuple[str, ...]:
    """Say what about the times of a trace is unlikely to be meant.

    Parameters
    ----------
    known : TraceFormat
        The format, with a column of arrivals.
    span : Span
        Of all requests read.
    taken : Columns
        The requests in the window, by arrival.

    Returns
    -------
    tuple of str
        A sentence for each doubt: the window lasts longer than a year; the column makes less than
        one request in ten minutes; one gap between (at least three) requests takes more than
        nine tenths of the window.

    Examples
    --------
    >>> span, taken = Span(), Columns()
    >>> for request in span.watch([TraceRequest(2, 0, 3, 4), TraceRequest(3, 10**12, 3, 4)]):
    ...     taken.append(request)
    >>> from .splitwise_sim import SPLITWISE_SIM
    >>> doubts(SPLITWISE_SIM, span, taken)[0].partition(";")[0]
    'column arrival_timestamp makes one request in 1,000 s on average, less than one in ten minutes'
    """
    found = []
    way_out = "" if known.clock is DATE_TIME else _WAY_OUT
    length = taken.arrival[-1] - taken.arrival[0]
    if length > YEAR:
        found.append(f"the window lasts {length / YEAR:,.1f} years{way_out}")
    gaps = span.count - 1
    if gaps and span.last - span.first > LONGEST_MEAN_GAP * gaps:
        mean = (span.last - span.first) / gaps / 1e9
        found.append(
            f"column {known.arrival} makes one request in {mean:,.0f} s on average, less than one "
            f"in ten minutes{way_out}"
        )
    if len(taken) > 2:
        apart = np.diff(np.frombuffer(taken.arrival, dtype=np.int64))
        i = int(apart.argmax())
        if apart[i] > LARGEST_GAP * length:
            found.append(
                f"one gap, before request {i + 2:,} of the window, takes {apart[i] / length:.1%} "
                "of it; --start and --count take a part without it"
            )
    return tuple(found)
