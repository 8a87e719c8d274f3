"""Latency limits of requests (service-level objectives), and which requests keep them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .figures import ServiceTimes
    from .instance import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyLimits:
    """Limits that a request should keep, inclusive, in the batch-time law's unit.

    Attributes
    ----------
    ttft, tpot : float
        Longest time to first token and per output token; infinite where there is no limit.
    """

    ttft: float = math.inf
    tpot: float = math.inf


def within_limits(
    instance: Instance, times: ServiceTimes, limits: LatencyLimits
) -> NDArray[np.bool_]:
    """Say which requests keep their latency limits, shape (n,).

    The time per output token is ``(completion − first token)/(o − 1)``. A request with one output
    token has none, and keeps its limit.

    Examples
    --------
    >>> from .figures import ServiceTimes
    >>> from .instance import Gpu, Instance
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[4, 1])
    >>> first = np.array([1, 5])
    >>> times = ServiceTimes(first - 1, first, completion=np.array([7, 5]))
    >>> within_limits(instance, times, LatencyLimits(ttft=3, tpot=2)).tolist()
    [True, False]
    """
    good: NDArray[np.bool_] = times.first_token - instance.arrival <= limits.ttft
    many = instance.output >= 2
    tokens = (times.completion - times.first_token)[many] / (instance.output[many] - 1)
    good[many] &= tokens <= limits.tpot
    return good
