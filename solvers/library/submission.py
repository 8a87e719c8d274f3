"""Submit a better schedule or bound: it is checked, and kept in your own copy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ...models.errors import InputError
from ...models.regime import Schedule
from ...models.regimes import regime_of, schedule_value
from ..certificates.certificate import Certificate
from .catalogue import Library
from .record import Made
from .verification import bound_faults, broken_rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What a submission has improved.

    Attributes
    ----------
    lines : tuple of str
        What is better, and by how much.
    path : Path
        The record of the user's copy.
    """

    lines: tuple[str, ...]
    path: Path


def submit(
    library: Library,
    name: str,
    *,
    schedule: Schedule | None = None,
    certificate: Certificate | None = None,
    by: str = "submitted",
    time_limit: float | None = None,
) -> Accepted:
    """Check a schedule, a certificate or both, and keep what is better than what is known.

    Parameters
    ----------
    library : Library
        A library with a folder of the user's own.
    name : str
        The entry.
    schedule : MixedSchedule, SeparateSchedule or ContinuousSchedule, optional
        A schedule of the entry's instance.
    certificate : Certificate, optional
        A bound with its proof.
    by : str
        Who or what found it.
    time_limit : float, optional
        Seconds for verifying the certificate.

    Raises
    ------
    InputError
        If nothing is submitted, a rule is violated, the proof does not hold, or what is known is
        as good already. Nothing is changed then.
    """
    entry, record = library.entry(name), library.record(name)
    if schedule is None and certificate is None:
        raise InputError("submit: expected a schedule, a certificate or both, found neither")
    instance, lines = entry.instance(), []
    if schedule is not None:
        schedule = regime_of(schedule).without_evictions(schedule)  # aborted runs only cost
        _refuse(broken_rules(instance, entry.model, schedule))
        value = int(schedule_value(instance, schedule, "latency"))
        if value >= record.value:
            raise InputError(
                f"submit: expected a total latency below {record.value}, which is known for "
                f"{name}; found {value}"
            )
        lines.append(f"schedule: total latency {value}, before {record.value}")
        made = Made.now("submitted")
        record = replace(record, schedule=schedule, value=value, schedule_by=by, schedule_made=made)
    if certificate is not None:
        bound = certificate.bound
        if not isinstance(bound, int) or bound <= record.bound:
            raise InputError(
                f"submit: expected a bound above {record.bound}, which is proved for {name}; "
                f"found {bound}"
            )
        lines.append(f"bound: {bound}, before {record.bound}")
        made = Made.now("submitted")
        record = replace(
            record, bound=bound, proof=certificate, bound_by=by, bound_made=made, quick=None
        )
    # Also where only the schedule is new: it must not contradict the bound.
    full = certificate is not None or library.is_own(name)
    _refuse(bound_faults(instance, record, time_limit, feasible=True, full=full))
    return Accepted(lines=tuple(lines), path=library.replace(name, record))


def _refuse(faults: list[str]) -> None:
    if faults:
        raise InputError(f"submit: {faults[0]}")
