"""Figures of a service, logged or simulated, in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...models.engine_logs.log import EngineLog
from ...models.instance import Instance, IntArray
from ..calibration.replay import Engine, Replay

#: Microseconds of a millisecond.
_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Latencies that a request should keep, in milliseconds; None for no limit."""

    ttft: float | None = None
    tpot: float | None = None

    def __bool__(self) -> bool:
        return self.ttft is not None or self.tpot is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFigures:
    """What users of a service feel, in milliseconds.

    Attributes
    ----------
    mean_latency_ms, p99_latency_ms : float
        From arrival to last token.
    mean_ttft_ms : float
        From arrival to first token.
    mean_tpot_ms : float or None
        Time per output token after the first, over requests with two or more; None without any.
    goodput : float or None
        Share of the requests within limits, where there are any.
    """

    mean_latency_ms: float
    p99_latency_ms: float
    mean_ttft_ms: float
    mean_tpot_ms: float | None
    goodput: float | None = None


def figures(
    arrival: IntArray,
    first: IntArray,
    last: IntArray,
    output: IntArray,
    limits: Limits | None = None,
) -> ServiceFigures:
    """Compute the figures of requests; their times are in microseconds, shape (n,) each.

    Examples
    --------
    >>> one = np.array([0])
    >>> figures(one, one + 3000, one + 9000, one + 3, Limits(tpot=2.0)).mean_tpot_ms
    3.0
    """
    latency, ttft = (last - arrival) / _MS, (first - arrival) / _MS
    many = output >= 2
    tpot = (last - first)[many] / (output[many] - 1) / _MS
    goodput = None
    if limits:
        good = np.ones(arrival.size, dtype=bool)
        if limits.ttft is not None:
            good &= ttft <= limits.ttft
        if limits.tpot is not None:
            good[many] &= tpot <= limits.tpot
        goodput = float(good.mean())
    return ServiceFigures(
        mean_latency_ms=float(latency.mean()),
        p99_latency_ms=float(np.percentile(latency, 99)),
        mean_ttft_ms=float(ttft.mean()),
        mean_tpot_ms=float(tpot.mean()) if tpot.size else None,
        goodput=goodput,
    )


def logged(log: EngineLog, limits: Limits | None = None) -> ServiceFigures:
    """Figures of what an engine did."""
    return figures(log.arrival, log.first_token, log.last_token, log.output, limits)


def simulated(played: Replay, limits: Limits | None = None) -> ServiceFigures:
    """Figures of a schedule."""
    instance, times = played.instance, played.times
    return figures(instance.arrival, times.first_token, times.completion, instance.output, limits)


def of_schedule(
    instance: Instance, schedule: Any, engine: Engine, limits: Limits | None = None
) -> ServiceFigures:
    """Figures of a feasible schedule of an engine's regime."""
    times = engine.kind.times(instance, schedule)
    return figures(instance.arrival, times.first_token, times.completion, instance.output, limits)
