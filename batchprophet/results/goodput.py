"""Goodput of a schedule: requests within latency limits, as a share and per time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..arguments.slo import Slo
from ..models.continuous.metrics import goodput
from ..models.regimes import regime_of

if TYPE_CHECKING:
    from ..models.continuous.schedule import ContinuousSchedule
    from ..models.instance import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodput:
    """Requests of a schedule within latency limits.

    Attributes
    ----------
    slo : Slo
        The limits.
    unit : str
        Their unit: "ms" or "rounds".
    share : float
        Share of the requests that keep them.
    rate : float
        As many requests per second (per round under the unit law), from the first arrival to the
        makespan.
    """

    slo: Slo
    unit: str
    share: float
    rate: float

    def text(self) -> str:
        """Return the goodput in words."""
        per = "s" if self.unit == "ms" else "round"
        return (
            f"{self.share:.1%} of the requests within {self.slo.text(self.unit)} "
            f"({self.rate:,.3f}/{per})"
        )

    def to_record(self) -> dict[str, Any]:
        """Return the goodput as it stands in JSON; null for no limit."""
        limits = {key: getattr(self.slo, key) for key in ("ttft", "tpot")}
        given = {key: value if value < math.inf else None for key, value in limits.items()}
        return given | {"unit": self.unit, "share": self.share, "requests_per_unit": self.rate}


def goodput_of(instance: Instance, schedule: ContinuousSchedule, slo: Slo) -> Goodput:
    """Return the goodput of a schedule that serves all requests.

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
    shown = regime_of(schedule).shown_in(instance)
    share = goodput(instance, schedule, ttft=slo.ttft * shown.per, tpot=slo.tpot * shown.per)
    span = int(schedule.completion(instance).max()) - int(instance.arrival.min())
    seconds = span / 10**6 if shown.unit == "ms" else float(span)
    return Goodput(slo=slo, unit=shown.unit, share=share, rate=share * instance.n / seconds)
