"""A schedule that every instance has: one request after the other."""

from __future__ import annotations

from collections.abc import Iterable

from .clock import Contradicted


def latency_one_by_one(arrival: Iterable[int], alone: Iterable[int]) -> int:
    """Total latency of the requests one after the other, in order of arrival.

    Parameters
    ----------
    arrival, alone : iterable of int
        Of each request: its arrival, and its time alone on the GPU.

    Examples
    --------
    >>> latency_one_by_one([2, 0], [2, 4])  # from 0 to 4, then to 6
    8
    """
    now = total = 0
    for a, d in sorted(zip(arrival, alone, strict=True)):
        now = max(now, a) + d
        total += now - a
    return total


def require_none_below(value: int, found: int | None) -> None:
    """Raise `Contradicted` if a schedule of a latency below the value was found.

    Examples
    --------
    >>> require_none_below(7, None)
    >>> require_none_below(8, 7)
    Traceback (most recent call last):
    ...
    batchprophet.solvers.certificates.clock.Contradicted: nothing is proved: there is a schedule \
of total latency 7, below the value 8 of the proof
    """
    if found is not None and found < value:
        raise Contradicted(
            f"nothing is proved: there is a schedule of total latency {found}, below the value "
            f"{value} of the proof"
        )
