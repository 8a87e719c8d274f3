"""Service objectives: the 99th percentile of latency, the mean time to first token, the goodput.

`compare` judges schedules by them; no solver minimises them.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from .errors import InputError
from .latency_limits import LatencyLimits, within_limits
from .objectives import MAXIMISED, OBJECTIVES, Exact, exact_sum
from .regimes import regime_of
from .shown import suggestion

if TYPE_CHECKING:
    from .instance import Instance, IntArray
    from .regime import Schedule

#: Service objectives by name, with whether they are maximised.
SERVICE = {"p99": False, "ttft": False, "goodput": True}

#: All that `compare` can judge schedules by.
COMPARABLE = (*OBJECTIVES, *SERVICE)


def is_maximised(objective: str) -> bool:
    """Say whether more of an objective, solved for or not, is better.

    Examples
    --------
    >>> is_maximised("goodput"), is_maximised("p99"), is_maximised("reward")
    (True, False, True)
    """
    return objective in MAXIMISED or SERVICE.get(objective, False)


def require_comparable(objective: str) -> None:
    """Refuse what is not one of `COMPARABLE`.

    Raises
    ------
    InputError
        As said.
    """
    if objective not in COMPARABLE:
        raise InputError(
            f"objective: expected one of {', '.join(COMPARABLE)}; found {objective!r}"
            f"{suggestion(objective, COMPARABLE)}"
        )


def percentile(values: IntArray, percent: int = 99) -> Exact:
    """Return a percentile, interpolated linearly between order statistics, exact.

    Examples
    --------
    >>> percentile(np.array([4, 1, 2]), 75), percentile(np.array([4, 1]), 99)
    (3, Fraction(397, 100))
    """
    ordered = np.sort(values)
    place = Fraction(percent * (ordered.size - 1), 100)
    low = int(place)
    high = min(low + 1, ordered.size - 1)
    return _exact(int(ordered[low]) + (place - low) * int(ordered[high] - ordered[low]))


def service_value(
    instance: Instance,
    schedule: Schedule,
    objective: str,
    limits: LatencyLimits | None = None,
) -> Exact:
    """Value of a feasible schedule, which serves all requests, under a service objective.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedule : Schedule
        A feasible schedule of it, of any regime.
    objective : {"p99", "ttft", "goodput"}
        The 99th percentile of latency, the mean time to first token, or the number of requests
        within the limits.
    limits : LatencyLimits, optional
        Of the goodput.

    Returns
    -------
    int or Fraction
        Times in the batch-time law's unit.

    Examples
    --------
    >>> from .instance import Gpu, Instance
    >>> from .mixed.schedule import MixedSchedule
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0, 2], prompt=[3, 1], output=[4, 2])
    >>> schedule = MixedSchedule([0, 3])
    >>> service_value(instance, schedule, "ttft"), service_value(instance, schedule, "p99")
    (Fraction(3, 2), Fraction(399, 100))
    >>> service_value(instance, schedule, "goodput", LatencyLimits(ttft=1))
    1
    """
    times = regime_of(schedule).service_times(instance, schedule)
    if objective == "p99":
        return percentile(times.completion - instance.arrival)
    if objective == "ttft":
        return _exact(Fraction(exact_sum(times.first_token - instance.arrival), instance.n))
    return int(within_limits(instance, times, limits or LatencyLimits()).sum())


def _exact(value: Fraction | int) -> Exact:
    return int(value) if Fraction(value).denominator == 1 else value
