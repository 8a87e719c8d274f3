"""A schedule that every instance has: one request after the other."""

from __future__ import annotations

from collections.abc import Sequence

from ...models.objectives import MAXIMISED, Exact
from .clock import Contradicted


def completions_one_by_one(arrival: Sequence[int], alone: Sequence[int]) -> list[int]:
    """Completions of the requests one after the other, in order of arrival.

    Parameters
    ----------
    arrival, alone : sequence of int
        Of each request: its arrival, and its time alone on the GPU.

    Examples
    --------
    >>> completions_one_by_one([2, 0], [2, 4])
    [6, 4]
    """
    completions, now = [0] * len(arrival), 0
    for i in sorted(range(len(arrival)), key=lambda i: (arrival[i], alone[i])):
        now = completions[i] = max(now, arrival[i]) + alone[i]
    return completions


def latency_one_by_one(arrival: Sequence[int], alone: Sequence[int]) -> int:
    """Total latency of the requests one after the other, in order of arrival.

    Parameters
    ----------
    arrival, alone : sequence of int
        Of each request: its arrival, and its time alone on the GPU.

    Examples
    --------
    >>> latency_one_by_one([2, 0], [2, 4])  # from 0 to 4, then to 6
    8
    """
    return sum(completions_one_by_one(arrival, alone)) - sum(arrival)


#: What a proof of an objective speaks of.
_NAMES = {
    "latency": "total latency",
    "weighted": "weighted completion",
    "tardiness": "tardiness",
    "reward": "reward",
}


def require_none_better(value: Exact, found: Exact | None, objective: str = "latency") -> None:
    """Raise `Contradicted` if a schedule that is better than the value was found.

    Examples
    --------
    >>> require_none_better(7, None)
    >>> require_none_better(8, 7)
    Traceback (most recent call last):
    ...
    batchprophet.solvers.certificates.clock.Contradicted: nothing is proved: there is a schedule \
of total latency 7, below the value 8 of the proof
    """
    if found is None:
        return
    side = "above" if objective in MAXIMISED else "below"
    if found > value if objective in MAXIMISED else found < value:
        raise Contradicted(
            f"nothing is proved: there is a schedule of {_NAMES[objective]} {found}, {side} the "
            f"value {value} of the proof"
        )
