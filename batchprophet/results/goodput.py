"""Goodput of a schedule: requests within latency limits, as a share and per time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..arguments.slo import Slo
from ..models.latency_limits import LatencyLimits, within_limits
from ..models.regime import Shown
from ..models.regimes import regime_of

if TYPE_CHECKING:
    from ..models.instance import Instance
    from ..models.regime import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodput:
    """Requests of a schedule within latency limits.

    Attributes
    ----------
    slo : Slo
        The limits.
    unit : str
        Their unit: "ms", "rounds" or "slots".
    share : float
        Share of the requests that keep them.
    rate : float
        As many requests per second (per round or slot under laws without seconds), from the first
        arrival to the makespan.
    requests : int
        How many they are.
    """

    slo: Slo
    unit: str
    share: float
    rate: float
    requests: int

    def text(self) -> str:
        """Return the goodput in words."""
        per = "s" if self.unit == "ms" else self.unit.removesuffix("s")
        return (
            f"{self.share:.1%} of the requests within {self.slo.text(self.unit)} "
            f"({self.rate:,.3f}/{per})"
        )

    def to_record(self) -> dict[str, Any]:
        """Return the goodput as it stands in JSON; null for no limit."""
        limits = {key: getattr(self.slo, key) for key in ("ttft", "tpot")}
        given = {key: value if value < math.inf else None for key, value in limits.items()}
        figures = {"share": self.share, "requests_per_unit": self.rate, "requests": self.requests}
        return given | {"unit": self.unit} | figures


def limit_unit(instance: Instance) -> Shown:
    """Return the unit of latency limits: milliseconds under an affine law, else the law's own."""
    unit = instance.gpu.batch_time.time_unit
    return Shown("ms", 1000) if unit == "microsecond" else Shown(f"{unit}s")


def limits_of(instance: Instance, slo: Slo) -> LatencyLimits:
    """Return latency limits in the batch-time law's unit.

    Examples
    --------
    >>> from batchprophet.models.batch_time import AffineTime
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> gpu = Gpu(kv_capacity=9, batch_time=AffineTime(c0=9, c1=0, c2=0, c3=0))
    >>> instance = Instance(gpu=gpu, arrival=[0], prompt=[3], output=[1])
    >>> limits_of(instance, Slo(ttft=500))
    LatencyLimits(ttft=500000, tpot=inf)
    """
    per = limit_unit(instance).per
    return LatencyLimits(ttft=slo.ttft * per, tpot=slo.tpot * per)


def goodput_of(instance: Instance, schedule: Schedule, slo: Slo) -> Goodput:
    """Return the goodput of a schedule of any regime that serves all requests.

    The first token is there when the prompt has been read: under mixed batching a round after the
    start of the run that is not evicted.

    Examples
    --------
    >>> from batchprophet.models.continuous.schedule import Batch, ContinuousSchedule
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[1, 2])
    >>> first = Batch(0, prefill=((0, 2), (1, 1)))
    >>> schedule = ContinuousSchedule([first, Batch(1, prefill=((0, 1),), decode=(1,))])
    >>> goodput_of(instance, schedule, Slo(ttft=1)).text()
    '50.0% of the requests within 1 rounds to the first token (0.500/round)'
    """
    times = regime_of(schedule).service_times(instance, schedule)
    good = int(within_limits(instance, times, limits_of(instance, slo)).sum())
    span = int(times.completion.max()) - int(instance.arrival.min())
    unit = limit_unit(instance).unit
    return Goodput(
        slo=slo,
        unit=unit,
        share=good / instance.n,
        rate=good / (span / 10**6 if unit == "ms" else span),
        requests=good,
    )
