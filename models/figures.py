"""The figures that schedules of all regimes have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np

from .objectives import exact_sum

if TYPE_CHECKING:
    from .instance import Instance, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures of one schedule; times in the batch-time law's unit.

    Attributes
    ----------
    total_latency : int
        Total end-to-end latency ``Σ (c_i − a_i)``.
    mean_latency, p50_latency, p90_latency, p99_latency, max_latency : float
        Mean, percentiles (linear interpolation) and maximum of ``c_i − a_i``.
    mean_ttft, p99_ttft : float
        Time to first token.
    mean_waiting : float
        Mean time from arrival to the start of the prompt job (of the final run).
    makespan : int
        Completion of the last request, from time 0.
    kv_utilisation : float
        KV tokens held, over ``M`` and the time from the first arrival to the makespan, in [0, 1].
    peak_kv : int
        Most KV tokens held at once.
    """

    total_latency: int
    mean_latency: float
    p50_latency: float
    p90_latency: float
    p99_latency: float
    max_latency: int
    mean_ttft: float
    p99_ttft: float
    mean_waiting: float
    makespan: int
    kv_utilisation: float
    peak_kv: int

    def facts(self) -> list[tuple[str, str]]:
        """Return what only the schedule's regime has, as (term, value)."""
        return []


class ServiceTimes(NamedTuple):
    """When each request is served, in the batch-time law's unit, each of shape (n,).

    Attributes
    ----------
    start : ndarray of int64
        Start of the prompt job (of the final run, where runs are aborted).
    first_token, completion : ndarray of int64
        When its first and its last output token are there.
    """

    start: IntArray
    first_token: IntArray
    completion: IntArray


class LatencyFigures(TypedDict):
    """The figures of `Figures` that follow from when requests begin, get a token and complete."""

    total_latency: int
    mean_latency: float
    p50_latency: float
    p90_latency: float
    p99_latency: float
    max_latency: int
    mean_ttft: float
    p99_ttft: float
    mean_waiting: float
    makespan: int


def latency_figures(instance: Instance, times: ServiceTimes) -> LatencyFigures:
    """Return what `Figures` says of latency.

    Examples
    --------
    >>> import numpy as np
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> start = np.array([0, 4])
    >>> times = ServiceTimes(start, first_token=start + 1, completion=start + instance.output)
    >>> figures = latency_figures(instance, times)
    >>> figures["total_latency"], figures["mean_ttft"], figures["mean_waiting"]
    (8, 2.0, 1.0)
    """
    start, first_token, completion = times
    latency, ttft = completion - instance.arrival, first_token - instance.arrival
    p50, p90, p99 = np.percentile(latency, [50, 90, 99])
    return LatencyFigures(
        total_latency=exact_sum(latency),
        mean_latency=float(latency.mean()),
        p50_latency=float(p50),
        p90_latency=float(p90),
        p99_latency=float(p99),
        max_latency=int(latency.max()),
        mean_ttft=float(ttft.mean()),
        p99_ttft=float(np.percentile(ttft, 99)),
        mean_waiting=float((start - instance.arrival).mean()),
        makespan=int(completion.max()),
    )
