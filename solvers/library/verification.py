"""Verify the library: every instance, schedule and bound anew, without what found them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ...models.errors import InputError
from ...models.instance import Instance
from ...models.regime import Schedule
from ...models.regimes import check, schedule_value
from ..certificates.certificate import Certificate
from ..certificates.verification import verify
from ..replay import REPLAYS
from .catalogue import Library
from .record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of an entry.

    Attributes
    ----------
    name : str
        The entry.
    faults : tuple of str
        What does not hold, one line each; empty if everything does.
    seconds : float
        Time that it took.
    quick : int or None
        Where only the quick proof was verified, its bound: the record's own was left alone.
    """

    name: str
    faults: tuple[str, ...]
    seconds: float
    quick: int | None = None

    @property
    def verified(self) -> bool:
        """Whether instance, schedule and bound hold; where there is `quick`, that bound."""
        return not self.faults


def verify_entry(
    library: Library, name: str, *, time_limit: float | None = None, full: bool = False
) -> Verdict:
    """Make the instance, check the schedule, recompute the bound.

    Parameters
    ----------
    library : Library
        The library.
    name : str
        One of its entries.
    time_limit : float, optional
        Seconds for each bound.
    full : bool
        Verify the record's bound also where that takes long; otherwise its quick one there. Records
        of the user's own folder are always verified in full.

    Returns
    -------
    Verdict
        What does not hold, if anything.

    Raises
    ------
    InputError
        If there is no such entry.

    Examples
    --------
    >>> verify_entry(Library(), "arrival-model-1-n8-s1").verified
    True
    """
    entry = library.entry(name)
    began = time.perf_counter()
    quick = None
    try:
        instance, record = entry.instance(), library.record(name)
        if record.quick is not None and not (full or library.is_own(name)):
            quick = int(record.quick.bound)
        full = quick is None
        faults = schedule_faults(instance, entry.model, record.schedule, record.value)
        faults += bound_faults(instance, record, time_limit, feasible=not faults, full=full)
    except InputError as error:
        faults = [str(error)]
    seconds = time.perf_counter() - began
    return Verdict(name=name, faults=tuple(faults), seconds=seconds, quick=quick)


def schedule_faults(instance: Instance, model: str, schedule: Schedule, value: int) -> list[str]:
    """Say what is wrong with a schedule of claimed total latency: rules, or the value."""
    broken = broken_rules(instance, model, schedule)
    if broken:
        return broken
    found = schedule_value(instance, schedule, "latency")
    if found != value:
        return [f"schedule: its total latency is {found}, not the {value} that is claimed"]
    return []


def broken_rules(instance: Instance, model: str, schedule: Schedule) -> list[str]:
    """Say which rule of the regime a schedule breaks first, and how many more; empty if none."""
    if schedule.model != model:
        return [f"schedule: expected one of {model} batching, found one of {schedule.model}"]
    violations = check(instance, schedule)
    if not violations:
        return []
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return [f"schedule: {violations[0].message}{more}"]


def bound_faults(
    instance: Instance,
    record: Record,
    time_limit: float | None,
    *,
    feasible: bool,
    full: bool = True,
) -> list[str]:
    """Say what is wrong with the bound: the claim, the proof, or that a schedule contradicts it.

    Without `full` the proof of a record that has a quick one is left alone: its claim is compared
    only.
    """
    if record.proof.bound != record.bound:
        return [f"bound: {record.bound} is claimed, the certificate is of {record.proof.bound}"]
    faults = []
    if record.quick is not None:
        if feasible and record.bound > record.value:
            faults.append(
                f"bound: {record.bound} contradicts the schedule, whose latency is {record.value}"
            )
        quick = record.quick
        faults += _certificate_faults("quick bound", quick, instance, record, time_limit, feasible)
    if record.quick is None or full:
        faults += _certificate_faults("bound", record.proof, instance, record, time_limit, feasible)
    return faults


def _certificate_faults(
    place: str,
    certificate: Certificate,
    instance: Instance,
    record: Record,
    time_limit: float | None,
    feasible: bool,
) -> list[str]:
    model = record.schedule.model
    if (certificate.objective_name, certificate.model) != ("latency", model):
        return [f"{place}: expected a certificate of the total latency of {model} batching"]
    value = record.value if feasible else None
    verification = verify(
        certificate, instance, value=value, time_limit=time_limit, replays=REPLAYS
    )
    return [] if verification.verified else [f"{place}: {verification.reason}"]
