"""What operators read off a schedule of separate batching."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..figures import Figures, ServiceTimes, latency_figures
from ..instance import Instance
from .schedule import SeparateSchedule
from .timeline import Timeline, timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparateMetrics(Figures):
    """Figures of one schedule; times in the batch-time law's unit. See `Figures` for the others.

    The time from the first arrival to the makespan is ``prompt_time + token_time + idle_time``.

    Attributes
    ----------
    prompt_batches, token_batches : int
        Batches of each kind.
    mean_prompt_batch, mean_token_batch : float
        Requests per batch; 0 where there is no batch of the kind.
    prompt_time, token_time, idle_time : int
        Time that the GPU spends on each kind, and idles after the first arrival.
    mode_changes : int
        Batches whose kind is not that of the batch before.
    """

    prompt_batches: int
    token_batches: int
    mean_prompt_batch: float
    mean_token_batch: float
    prompt_time: int
    token_time: int
    idle_time: int
    mode_changes: int

    def facts(self) -> list[tuple[str, str]]:
        """Return what only this regime has, as (term, value)."""
        m = self
        busy = max(1, m.prompt_time + m.token_time + m.idle_time)
        return [
            ("prompt batches", f"{m.prompt_batches:,}, mean {m.mean_prompt_batch:,.2f} requests"),
            ("token batches", f"{m.token_batches:,}, mean {m.mean_token_batch:,.2f} requests"),
            (
                "GPU",
                f"{m.prompt_time / busy:.1%} prompts, {m.token_time / busy:.1%} tokens, "
                f"{m.idle_time / busy:.1%} idle; {m.mode_changes:,} changes",
            ),
        ]


def measure_separate(instance: Instance, schedule: SeparateSchedule) -> SeparateMetrics:
    """Compute the figures of a feasible schedule that serves every request.

    See Also
    --------
    models.separate.feasibility.check_separate : The independent checker.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[1, 2])
    >>> schedule = SeparateSchedule([Batch("prompt", 0, (0, 1)), Batch("token", 2, (1,))])
    >>> metrics = measure_separate(instance, schedule)
    >>> metrics.total_latency, metrics.idle_time, metrics.peak_kv
    (4, 1, 6)
    """
    time = timeline(instance, schedule)
    span = int(time.completion.max()) - int(instance.arrival.min())
    taken = time.end - time.start
    prompt_time, token_time = int(taken[time.prompt].sum()), int(taken[~time.prompt].sum())
    return SeparateMetrics(
        **latency_figures(instance, _service_times(time)),
        kv_utilisation=_token_time(time) / (instance.gpu.kv_capacity * span),
        peak_kv=int(time.held.max()),
        prompt_batches=int(time.prompt.sum()),
        token_batches=int((~time.prompt).sum()),
        mean_prompt_batch=float(time.size[time.prompt].mean()),
        mean_token_batch=float(time.size[~time.prompt].mean()) if (~time.prompt).any() else 0.0,
        prompt_time=prompt_time,
        token_time=token_time,
        idle_time=span - prompt_time - token_time,
        mode_changes=int((time.prompt[1:] != time.prompt[:-1]).sum()),
    )


def service_times(instance: Instance, schedule: SeparateSchedule) -> ServiceTimes:
    """Return when each request is served."""
    return _service_times(timeline(instance, schedule))


def _service_times(time: Timeline) -> ServiceTimes:
    return ServiceTimes(time.prompt_start, time.prompt_end, time.completion)


def _token_time(time: Timeline) -> float:
    """Tokens held over time, between batches too."""
    during = (time.held * (time.end - time.start)).sum(dtype=np.float64)
    between = (time.kept[:-1] * (time.start[1:] - time.end[:-1])).sum(dtype=np.float64)
    return float(during + between)
