"""The contract of a batching regime: what the models' wing must have of each.

A regime is a room with files of known names (`schedule`, `problem`, `feasibility`, `metrics`,
`record`, `regime`), and a line in `models.regimes`. All other code takes a schedule of any regime
and asks its regime.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from .figures import Figures, ServiceTimes
from .instance import Gpu, Instance, IntArray
from .objectives import Exact
from .violation import Violation


class Schedule(Protocol):
    """What all schedules have: the name of their regime, and when each request is done."""

    model: ClassVar[str]

    def completion(self, instance: Instance) -> IntArray:
        """Completion of each request, in the batch-time law's unit, shape (n,)."""


#: The regime of what is generic in it.
ScheduleType = TypeVar("ScheduleType", bound=Schedule)


class Shown(NamedTuple):
    """A unit of time for people: its name in the plural, and how many of the law's units it has."""

    unit: str
    per: int = 1

    def text(self, value: float | Fraction) -> str:
        """Return a time in this unit, with one decimal unless it is the law's own.

        Examples
        --------
        >>> Shown("ms", 1000).text(1234567), Shown("rounds").text(47)
        ('1,234.6', '47')
        """
        return f"{value:,}" if self.per == 1 else f"{float(value) / self.per:,.1f}"


def _of_law(instance: Instance) -> Shown:
    return Shown(f"{instance.gpu.batch_time.time_unit}s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime(Generic[ScheduleType]):
    """One batching regime.

    Attributes
    ----------
    name : str
        The value of ``--model`` and of "model" in files.
    summary : str
        What a batch is, in one line.
    schedule : type
        The class of its schedules; the class attribute ``model`` is the regime's name.
    require : callable
        Refuses instances that the regime cannot express, by `InputError`.
    check : callable
        The independent checker: ``check(instance, schedule, allow_rejected=False)``.
    measure : callable
        Figures of a feasible schedule.
    service_times : callable
        ``service_times(instance, schedule)``: start, first token and completion of each request.
    accepted : callable
        ``accepted(instance, schedule)``: the requests that the schedule serves at all, in order.
    served : callable
        ``served(instance, schedule)`` gives both without the requests that the schedule leaves
        out (admission: they were rejected).
    value : callable
        Value of a feasible schedule under an objective: ``value(instance, schedule, objective)``.
    without_evictions : callable
        The schedule without aborted runs, if it has any: what is left is feasible too.
    takes_limits : bool
        Whether its GPUs have batch limits and a batch-time law.
    digest : callable
        What a certificate's digest has of a GPU beside its KV capacity.
    record : type
        A schedule in files, as a msgspec struct.
    from_record, to_record : callable
        ``from_record(where, record, instance)`` and its inverse, which gives plain JSON values.
    shown_in : callable
        The unit in which people read its times, and how many of the law's units it has:
        ``shown_in(instance)``, by default the law's own.
    time_alone : callable
        For each request, the longest that a schedule need spend on it alone, shape (n,): by it an
        instance falls apart into blocks (`models.blocks`).
    """

    name: str
    summary: str
    schedule: type[ScheduleType]
    require: Callable[[Instance], None]
    check: Callable[..., list[Violation]]
    measure: Callable[[Instance, ScheduleType], Figures]
    service_times: Callable[[Instance, ScheduleType], ServiceTimes]
    accepted: Callable[[Instance, ScheduleType], IntArray]
    served: Callable[[Instance, ScheduleType], tuple[Instance, ScheduleType]]
    value: Callable[[Instance, ScheduleType, str], Exact]
    without_evictions: Callable[[ScheduleType], ScheduleType]
    takes_limits: bool
    digest: Callable[[Gpu], dict[str, Any]]
    record: type[msgspec.Struct]
    from_record: Callable[[str, Any, Instance], ScheduleType]
    to_record: Callable[[ScheduleType], dict[str, Any]]
    time_alone: Callable[[Instance], IntArray]
    shown_in: Callable[[Instance], Shown] = _of_law
