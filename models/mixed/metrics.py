"""What operators read off a schedule: latencies, time to first token, KV use, batch sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..instance import Instance, IntArray
from .feasibility import kv_profile
from .schedule import MixedSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Figures of one schedule; times in rounds.

    Attributes
    ----------
    total_latency : int
        Total end-to-end latency ``Σ (c_i − a_i)``.
    mean_latency, p50_latency, p90_latency, p99_latency, max_latency : float
        Mean, percentiles (linear interpolation) and maximum of ``c_i − a_i``.
    mean_ttft, p99_ttft : float
        Time to first token: the first output token of the final run exists at ``start_i + 1``.
    mean_waiting : float
        Mean of ``start_i − a_i``, from arrival to the final start.
    makespan : int
        Completion of the last request, from time 0.
    kv_utilisation : float
        KV token-rounds held over ``M × (makespan − first arrival)``, in [0, 1].
    peak_kv : int
        Most KV tokens held in a round.
    mean_batch, max_batch : float, int
        Requests per non-empty batch: mean and maximum.
    evictions, lost_rounds : int
        Aborted runs, and the rounds of work that they lost.
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
    mean_batch: float
    max_batch: int
    evictions: int
    lost_rounds: int


def measure(instance: Instance, schedule: MixedSchedule) -> Metrics:
    """Compute the figures of a schedule.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedule : MixedSchedule
        A feasible schedule of it.

    Returns
    -------
    Metrics
        The figures.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> metrics = measure(instance, MixedSchedule([0, 4]))
    >>> metrics.total_latency, metrics.makespan, metrics.max_batch
    (8, 6, 1)
    """
    completion = schedule.completion(instance)
    latency = completion - instance.arrival
    first_token = schedule.start + 1 - instance.arrival
    boundary, alive, offset = kv_profile(instance, schedule)
    rounds = np.diff(boundary)
    busy = int(rounds[alive > 0].sum())
    span = int(completion.max()) - int(instance.arrival.min())
    area = _token_rounds(boundary, alive, offset)
    p50, p90, p99 = np.percentile(latency, [50, 90, 99])
    return Metrics(
        total_latency=int(latency.sum()),
        mean_latency=float(latency.mean()),
        p50_latency=float(p50),
        p90_latency=float(p90),
        p99_latency=float(p99),
        max_latency=int(latency.max()),
        mean_ttft=float(first_token.mean()),
        p99_ttft=float(np.percentile(first_token, 99)),
        mean_waiting=float((schedule.start - instance.arrival).mean()),
        makespan=int(completion.max()),
        kv_utilisation=area / (instance.gpu.kv_capacity * span),
        peak_kv=int((alive * boundary[1:] + offset).max()),
        mean_batch=float((alive * rounds).sum()) / busy,
        max_batch=int(alive.max()),
        evictions=len(schedule.evicted),
        lost_rounds=sum(run.end - run.start for run in schedule.evicted),
    )


def _token_rounds(boundary: IntArray, alive: IntArray, offset: IntArray) -> float:
    """Σ over rounds of the KV tokens held (an arithmetic series between boundaries)."""
    first, last = boundary[:-1] + 1, boundary[1:]
    middle = alive * ((first + last) / 2) + offset
    return float((middle * (last - first + 1)).sum())
