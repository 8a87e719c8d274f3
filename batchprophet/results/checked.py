"""The verdict on a schedule and on a bound, as `check` returns it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..arguments.instances import located
from ..models.errors import InputError
from ..models.files.writing import json_number
from ..models.instance import Instance
from ..models.objectives import Exact
from ..models.regime import Schedule
from ..models.violation import Violation
from ..report import table as tables
from .scheduled import PathLike, Scheduled, lines
from .shown import Shown

if TYPE_CHECKING:
    from ..solvers.certificates.certificate import Certificate
    from ..solvers.certificates.verification import Verification
    from .goodput import Goodput


#: Violations that the summary lists.
MOST_SHOWN = 20


@dataclass(frozen=True, kw_only=True, repr=False)
class CheckedBound(Shown):
    """A certificate of a bound, and the verdict on it.

    Attributes
    ----------
    certificate : Certificate
        The claim and its proof.
    verification : Verification
        Whether it was recomputed and holds, and if not, why.
    """

    certificate: Certificate
    verification: Verification

    @classmethod
    def verify(
        cls,
        certificate: Certificate | PathLike,
        instance: Instance,
        model: str,
        *,
        values: Mapping[str, Exact],
        time_limit: float | None = None,
    ) -> CheckedBound:
        """Verify a certificate of a regime, or its file.

        It must not contradict `values`, those of a feasible schedule by objective.
        """
        from ..solvers.certificates.certificate import Certificate
        from ..solvers.certificates.file import read_certificate
        from ..solvers.certificates.verification import verify
        from ..solvers.replay import REPLAYS

        read = certificate
        if not isinstance(read, Certificate):
            read = read_certificate(read)
        if read.model != model:
            raise InputError(
                f"bound: the certificate is of {read.model} batching, found a schedule of {model} "
                "batching"
            )
        value = values.get(read.objective_name)
        with located(certificate):
            found = verify(read, instance, value=value, time_limit=time_limit, replays=REPLAYS)
        return cls(certificate=read, verification=found)

    @property
    def verified(self) -> bool:
        """Whether the bound was recomputed and holds."""
        return self.verification.verified

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        title, *facts = self.summary().splitlines()
        return title, [], [tuple(fact.strip().split(maxsplit=1)) for fact in facts]

    def summary(self) -> str:
        """Return the verdict, the claim, its proof and the reason."""
        from ..solvers.certificates.registry import kind_text

        certificate = self.certificate
        facts = [
            ("claim", f"{tables.number_text(certificate.bound)} ({certificate.objective_name})"),
            ("proof", kind_text(certificate.proof.kind)),
            ("reason", self.verification.reason),
            ("seconds", tables.seconds_text(self.verification.seconds)),
        ]
        return lines("bound verified" if self.verified else "bound not verified", facts)

    def to_record(self) -> dict[str, Any]:
        """Return the verdict as the object that ``--json`` prints."""
        return {
            "objective_name": self.certificate.objective_name,
            "bound": json_number(self.certificate.bound),
            "proof": self.certificate.proof.kind,
            "verified": self.verified,
            "replayed": self.verification.replayed,
            "proved": json_number(self.verification.proved),
            "reason": self.verification.reason,
            "seconds": round(self.verification.seconds, 3),
        }


@dataclass(frozen=True, kw_only=True, repr=False)
class Checked(Scheduled, Shown):
    """The checker's verdict on a schedule, and on a bound where one is given.

    Attributes
    ----------
    instance : Instance
        The instance.
    schedule : MixedSchedule or SeparateSchedule
        The schedule.
    violations : tuple of Violation
        Every violated rule; empty for a feasible schedule.
    values : mapping of str to int or Fraction
        The schedule's value under each objective that the instance allows; empty unless feasible.
    bound : CheckedBound or None
        The verdict on the certificate of a bound.
    goodput : Goodput or None
        Requests within latency limits, where limits are given and the schedule is feasible.
    """

    instance: Instance
    schedule: Schedule
    violations: tuple[Violation, ...]
    values: dict[str, Exact]
    bound: CheckedBound | None = None
    goodput: Goodput | None = None

    @property
    def feasible(self) -> bool:
        """Whether no rule is violated."""
        return not self.violations

    @property
    def holds(self) -> bool:
        """Whether the schedule is feasible, and the bound, if there is one, is verified."""
        return self.feasible and (self.bound is None or self.bound.verified)

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        title, *facts = self._schedule_summary().splitlines()
        rows: list[tuple[Any, ...]] = [tuple(fact.strip().split(maxsplit=1)) for fact in facts]
        if self.bound is not None:
            rows.append(("bound", "verified" if self.bound.verified else "not verified"))
        return title, [], rows

    def summary(self) -> str:
        """Return the verdict: values of a feasible schedule, or violations, one per line."""
        if self.bound is None:
            return self._schedule_summary()
        return f"{self._schedule_summary()}\n{self.bound.summary()}"

    def _schedule_summary(self) -> str:
        if self.feasible:
            values = [
                (name, tables.value_text(value, self.instance, self.schedule, name))
                for name, value in self.values.items()
            ]
            if self.goodput is not None:
                values.append(("goodput", self.goodput.text()))
            return lines("feasible", values)
        rules = "1 violation" if len(self.violations) == 1 else f"{len(self.violations)} violations"
        facts = [(v.rule, v.message) for v in self.violations[:MOST_SHOWN]]
        if (rest := len(self.violations) - MOST_SHOWN) > 0:
            facts.append(("…", f"and {rest:,} more (--json has all)"))
        return lines(f"infeasible: {rules}", facts)

    def to_record(self) -> dict[str, Any]:
        """Return the verdict as the object that ``--json`` prints."""
        record: dict[str, Any] = {
            "instance": self.instance.name,
            "feasible": self.feasible,
            "objectives": {name: json_number(value) for name, value in self.values.items()},
            "violations": [
                {
                    "rule": each.rule,
                    "time": each.time,
                    "amount": each.amount,
                    "request": each.request,
                    "message": each.message,
                }
                for each in self.violations
            ],
        }
        if self.goodput is not None:
            record["goodput"] = self.goodput.to_record()
        return record if self.bound is None else record | {"bound": self.bound.to_record()}
