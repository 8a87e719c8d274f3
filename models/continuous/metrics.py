"""What operators read off a schedule of continuous batching."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..batch_time import AffineTime
from ..figures import Figures, ServiceTimes, latency_figures
from ..instance import Instance
from ..latency_limits import LatencyLimits, within_limits
from .schedule import ContinuousSchedule
from .timeline import Timeline

#: Law units of a millisecond, under the affine law.
MILLISECOND = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuousMetrics(Figures):
    """Figures of one schedule; times in the batch-time law's unit. See `Figures` for the others.

    Time per output token is ``(completion − first token)/(o − 1)``, over requests with o ≥ 2.

    Attributes
    ----------
    p95_latency, p50_ttft, p90_ttft, p95_ttft : float
        More percentiles.
    tpot_requests : int
        Requests with o ≥ 2.
    mean_tpot, p50_tpot, p90_tpot, p95_tpot, p99_tpot : float
        Time per output token; 0 where no request has two tokens.
    batches : int
        Batches.
    mean_prompt_tokens, mean_token_jobs : float
        Prompt tokens and token jobs per batch.
    prompt_batches, token_batches, mixed_batches : int
        Batches of prompt chunks only, of token jobs only, and of both.
    mean_running, peak_running : float, int
        Requests that hold a cache at the ends of batches, weighted with their durations; and most.
    preemptions : int
        Caches dropped.
    recomputed_tokens : int
        Prompt tokens read beyond the prompts, after preemptions.
    output_tokens_per_unit, requests_per_unit : float
        Output tokens and requests over the time from the first arrival to the makespan.
    unit_is_microsecond : bool
        Whether the unit of time is a microsecond (affine law) or a round.
    """

    p95_latency: float
    p50_ttft: float
    p90_ttft: float
    p95_ttft: float
    tpot_requests: int
    mean_tpot: float
    p50_tpot: float
    p90_tpot: float
    p95_tpot: float
    p99_tpot: float
    batches: int
    mean_prompt_tokens: float
    mean_token_jobs: float
    prompt_batches: int
    token_batches: int
    mixed_batches: int
    mean_running: float
    peak_running: int
    preemptions: int
    recomputed_tokens: int
    output_tokens_per_unit: float
    requests_per_unit: float
    unit_is_microsecond: bool

    def facts(self) -> list[tuple[str, str]]:
        """Return what this regime has beside or in place of what all have, as (term, value)."""
        unit, scale, second = ("ms", MILLISECOND, 10**6) if self.unit_is_microsecond else (
            "rounds", 1, 1
        )  # fmt: skip
        per = "s" if self.unit_is_microsecond else "round"

        def times(mean: float, p50: float, p95: float, p99: float) -> str:
            named = {"mean": mean, "p50": p50, "p95": p95, "p99": p99}
            words = (f"{name} {value / scale:,.1f}" for name, value in named.items())
            return ", ".join(words) + f" {unit}"

        tpot = "no request has two output tokens"
        if self.tpot_requests:
            tpot = times(self.mean_tpot, self.p50_tpot, self.p95_tpot, self.p99_tpot)
            tpot += f" ({self.tpot_requests:,} requests with two tokens or more)"
        return [
            (
                "latency",
                times(self.mean_latency, self.p50_latency, self.p95_latency, self.p99_latency)
                + f", max {self.max_latency / scale:,.1f}",
            ),
            (
                "time to first token",
                times(self.mean_ttft, self.p50_ttft, self.p95_ttft, self.p99_ttft),
            ),
            ("time per output token", tpot),
            (
                "throughput",
                f"{self.output_tokens_per_unit * second:,.1f} output tokens/{per}, "
                f"{self.requests_per_unit * second:,.3f} requests/{per}",
            ),
            (
                "batches",
                f"{self.batches:,}, mean {self.mean_prompt_tokens:,.1f} prompt tokens and "
                f"{self.mean_token_jobs:,.1f} token jobs ({self.mixed_batches:,} of both, "
                f"{self.prompt_batches:,} of prompts, {self.token_batches:,} of tokens only)",
            ),
            (
                "running requests",
                f"mean {self.mean_running:,.1f}, at most {self.peak_running:,}",
            ),
            (
                "preemptions",
                f"{self.preemptions:,} ({self.recomputed_tokens:,} prompt tokens read again)",
            ),
        ]


def measure_continuous(instance: Instance, schedule: ContinuousSchedule) -> ContinuousMetrics:
    """Compute the figures of a feasible schedule that serves all requests.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.continuous.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[1, 2])
    >>> first = Batch(0, prefill=((0, 2), (1, 1)))
    >>> schedule = ContinuousSchedule([first, Batch(1, prefill=((0, 1),), decode=(1,))])
    >>> metrics = measure_continuous(instance, schedule)
    >>> metrics.total_latency, metrics.peak_kv, metrics.mixed_batches
    (4, 5, 1)
    """
    time = schedule.timeline(instance)
    latency = time.completion - instance.arrival
    ttft = time.first_token - instance.arrival
    many = instance.output >= 2
    tpot = time_per_output_token(instance, time)
    span = int(time.completion.max()) - int(instance.arrival.min())
    took = time.end - time.start
    busy = max(1, int(took.sum()))
    p, d = time.prompt_tokens > 0, time.jobs > 0
    f50, f90, f95 = np.percentile(ttft, [50, 90, 95])
    t50, t90, t95, t99 = np.percentile(tpot, [50, 90, 95, 99]) if tpot.size else [0.0] * 4
    return ContinuousMetrics(
        **latency_figures(instance, _service_times(time)),
        p95_latency=float(np.percentile(latency, 95)),
        p50_ttft=float(f50),
        p90_ttft=float(f90),
        p95_ttft=float(f95),
        tpot_requests=int(many.sum()),
        mean_tpot=float(tpot.mean()) if tpot.size else 0.0,
        p50_tpot=float(t50),
        p90_tpot=float(t90),
        p95_tpot=float(t95),
        p99_tpot=float(t99),
        kv_utilisation=_token_time(time) / (instance.gpu.kv_capacity * span),
        peak_kv=int(time.held.max()),
        batches=int(time.start.size),
        mean_prompt_tokens=float(time.prompt_tokens.mean()),
        mean_token_jobs=float(time.jobs.mean()),
        prompt_batches=int((p & ~d).sum()),
        token_batches=int((d & ~p).sum()),
        mixed_batches=int((p & d).sum()),
        mean_running=float((time.running * took).sum() / busy),
        peak_running=int(time.running.max()),
        preemptions=int(time.preemptions.sum()),
        recomputed_tokens=int(time.prompt_tokens.sum() - instance.prompt.sum()),
        output_tokens_per_unit=float(instance.output.sum() / span),
        requests_per_unit=instance.n / span,
        unit_is_microsecond=isinstance(instance.gpu.batch_time, AffineTime),
    )


def service_times(instance: Instance, schedule: ContinuousSchedule) -> ServiceTimes:
    """Return when each request is served; its first chunk is its start."""
    return _service_times(schedule.timeline(instance))


def _service_times(time: Timeline) -> ServiceTimes:
    return ServiceTimes(time.scheduled, time.first_token, time.completion)


def time_per_output_token(instance: Instance, time: Timeline) -> NDArray[np.float64]:
    """Time per output token of the requests with two tokens or more, in their order."""
    many = instance.output >= 2
    return (time.completion - time.first_token)[many] / (instance.output[many] - 1)


def goodput(
    instance: Instance,
    schedule: ContinuousSchedule,
    *,
    ttft: float = np.inf,
    tpot: float = np.inf,
) -> float:
    """Share of requests whose time to first token and per output token are within limits.

    A request with one output token has no time per output token, and keeps its limit.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedule : ContinuousSchedule
        A feasible schedule of it.
    ttft, tpot : float
        Limits in the batch-time law's unit, inclusive.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.continuous.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[1, 2])
    >>> first = Batch(0, prefill=((0, 2), (1, 1)))
    >>> schedule = ContinuousSchedule([first, Batch(1, prefill=((0, 1),), decode=(1,))])
    >>> goodput(instance, schedule, ttft=1)
    0.5
    """
    limits = LatencyLimits(ttft=ttft, tpot=tpot)
    return float(within_limits(instance, service_times(instance, schedule), limits).mean())


def _token_time(time: Timeline) -> float:
    """Tokens held over time, between batches too."""
    during = (time.held * (time.end - time.start)).sum(dtype=np.float64)
    between = (time.kept[:-1] * (time.start[1:] - time.end[:-1])).sum(dtype=np.float64)
    return float(during + between)
