"""What operators read off a schedule: latencies, time to first token, KV use, batch sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..figures import Figures, ServiceTimes, latency_figures
from ..instance import Instance, IntArray
from .feasibility import kv_profile
from .schedule import MixedSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics(Figures):
    """Figures of one schedule; times in rounds. Those of all regimes are documented in `Figures`.

    The first output token of the final run exists a round after its start.

    Attributes
    ----------
    mean_batch, max_batch : float, int
        Requests per non-empty batch: mean and maximum.
    evictions, lost_rounds : int
        Aborted runs, and the rounds of work that they lost.
    """

    mean_batch: float
    max_batch: int
    evictions: int
    lost_rounds: int

    def facts(self) -> list[tuple[str, str]]:
        """Return what only this regime has, as (term, value)."""
        return [
            ("batch", f"mean {self.mean_batch:,.2f} requests, max {self.max_batch:,}"),
            ("evictions", f"{self.evictions:,} ({self.lost_rounds:,} rounds of work lost)"),
        ]


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
    boundary, alive, offset = kv_profile(instance, schedule)
    rounds = np.diff(boundary)
    busy = int(rounds[alive > 0].sum())
    span = int(completion.max()) - int(instance.arrival.min())
    area = _token_rounds(boundary, alive, offset)
    return Metrics(
        **latency_figures(instance, service_times(instance, schedule)),
        kv_utilisation=area / (instance.gpu.kv_capacity * span),
        peak_kv=int((alive * boundary[1:] + offset).max()),
        mean_batch=float((alive * rounds).sum()) / busy,
        max_batch=int(alive.max()),
        evictions=len(schedule.evicted),
        lost_rounds=sum(run.end - run.start for run in schedule.evicted),
    )


def service_times(instance: Instance, schedule: MixedSchedule) -> ServiceTimes:
    """Return when each request is served."""
    return ServiceTimes(schedule.start, schedule.start + 1, schedule.completion(instance))


def _token_rounds(boundary: IntArray, alive: IntArray, offset: IntArray) -> float:
    """Σ over rounds of the KV tokens held (an arithmetic series between boundaries)."""
    first, last = boundary[:-1] + 1, boundary[1:]
    middle = alive * ((first + last) / 2) + offset
    return float((middle * (last - first + 1)).sum())
