"""Latencies by class of requests: whose waiting a mean over all hides."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..models.instance import Instance
    from ..models.regime import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLatency:
    """Latencies of the requests of one class.

    Attributes
    ----------
    label : str
        The class, as the instance names it.
    requests : int
        How many there are.
    mean_latency, p99_latency : float
        In the instance's time unit; the percentile is interpolated linearly.
    """

    label: str
    requests: int
    mean_latency: float
    p99_latency: float

    def to_record(self) -> dict[str, Any]:
        """Return it as an object for JSON."""
        return asdict(self)


def by_class(instance: Instance, schedule: Schedule) -> list[ClassLatency]:
    """Return the latencies of each class, the worst mean first.

    Nothing where the instance names fewer than two classes.

    Parameters
    ----------
    instance : Instance
        Its `label` names the classes.
    schedule : Schedule
        A feasible schedule that serves all requests.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.models.mixed.schedule import MixedSchedule
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[4, 2],
    ...     label=["chat", "code"],
    ... )
    >>> worst, other = by_class(instance, MixedSchedule(start=[2, 0]))
    >>> worst.label, worst.mean_latency, other.mean_latency
    ('chat', 6.0, 2.0)
    """
    if instance.label is None or len(set(instance.label)) < 2:
        return []
    latency = schedule.completion(instance) - instance.arrival
    labels = np.array(instance.label)
    found = [
        ClassLatency(
            label=str(label),
            requests=int(latency[labels == label].size),
            mean_latency=float(latency[labels == label].mean()),
            p99_latency=float(np.percentile(latency[labels == label], 99)),
        )
        for label in dict.fromkeys(instance.label)
    ]
    return sorted(found, key=lambda each: -each.mean_latency)
