"""All batching regimes by name: the only place of this wing that names them."""

from __future__ import annotations

from typing import Any

from .continuous.regime import CONTINUOUS
from .errors import InputError
from .instance import Instance
from .mixed.regime import MIXED
from .objectives import Exact
from .regime import Regime, Schedule
from .separate.regime import SEPARATE
from .shown import alternatives
from .violation import Violation

#: The regimes by name.
REGIMES: dict[str, Regime[Any]] = {each.name: each for each in (MIXED, SEPARATE, CONTINUOUS)}


def regime(name: str) -> Regime[Any]:
    """Return a regime by its name.

    Raises
    ------
    InputError
        If there is none of this name.

    Examples
    --------
    >>> regime("separate").schedule.__name__
    'SeparateSchedule'
    """
    if name not in REGIMES:
        known = alternatives(map(repr, REGIMES))
        raise InputError(f"model: expected {known}, found {name!r}")
    return REGIMES[name]


def regime_of(schedule: Schedule) -> Regime[Any]:
    """Return the regime of a schedule.

    Raises
    ------
    InputError
        If it is a schedule of none.
    """
    found = REGIMES.get(getattr(schedule, "model", ""))
    if found is None or not isinstance(schedule, found.schedule):
        known = alternatives(each.schedule.__name__ for each in REGIMES.values())
        raise InputError(f"schedule: expected a {known}, found {type(schedule).__name__}")
    return found


def check(
    instance: Instance, schedule: Schedule, *, allow_rejected: bool = False
) -> list[Violation]:
    """List every rule that a schedule of any regime violates; an empty list means feasible.

    Parameters
    ----------
    instance : Instance
        What was to be scheduled.
    schedule : Schedule
        Anyone's schedule; its type says the regime.
    allow_rejected : bool
        As in `separate.feasibility.check_separate`; mixed batching serves every request.

    Raises
    ------
    InputError
        If the schedule is not one of this instance.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.mixed.schedule import MixedSchedule
    >>> from batchprophet.models.separate.schedule import SeparateSchedule
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[1])
    >>> check(instance, MixedSchedule([0])), check(instance, SeparateSchedule([]))[0].message
    ([], 'request r0 is in no batch')
    """
    return regime_of(schedule).check(instance, schedule, allow_rejected=allow_rejected)


def schedule_value(instance: Instance, schedule: Schedule, objective: str = "latency") -> Exact:
    """Value of a feasible schedule under a named objective, in exact arithmetic.

    Under the reward objective a request in no batch of a separate schedule counts as rejected, and
    one that is served counts as accepted: it pays its penalty if it is late
    (`objectives.admission_reward`). Mixed schedules serve every request and pay no penalties.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedule : Schedule
        A feasible schedule of it.
    objective : {"latency", "weighted", "tardiness", "makespan", "reward"}
        The objective.

    Raises
    ------
    InputError
        If the objective is unknown, or "reward" and the instance has no horizon.
    ValueError
        If the objective is not the reward and a request is not served, or a request is served in
        part.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu
    >>> from batchprophet.models.separate.schedule import Batch, SeparateSchedule
    >>> instance = Instance(
    ...     gpu=Gpu(kv_capacity=9), arrival=[0, 0], prompt=[3, 1], output=[1, 2], reward=[5, 2],
    ...     horizon=4,
    ... )
    >>> schedule_value(instance, SeparateSchedule([Batch("prompt", 0, (0,))]), "reward")
    5
    """
    return regime_of(schedule).value(instance, schedule, objective)
