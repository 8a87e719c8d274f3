"""The verdict on a schedule and on a bound, as `check` returns it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..arguments.instances import located
from ..models.claims import Claims
from ..models.errors import InputError
from ..models.files.writing import json_number
from ..models.instance import Instance
from ..models.objectives import Exact
from ..models.regime import Schedule
from ..models.violation import Violation
from ..report import table as tables
from .regimes import speed_gap_of
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedClaims:
    """What a solution file says of its schedule but is not so.

    Attributes
    ----------
    wrong : tuple of str
        Claims that disagree with the schedule, with each other, or with the certificate.
    unproved : tuple of str
        The bound, where the file itself says that it has no certificate, and the one at hand proves
        less.
    """

    wrong: tuple[str, ...] = ()
    unproved: tuple[str, ...] = ()

    @classmethod
    def compare(
        cls,
        claims: Claims,
        instance: Instance,
        schedule: Schedule,
        *,
        values: Mapping[str, Exact],
        bound: CheckedBound | None,
    ) -> CheckedClaims:
        """Compare claims with the values of a feasible schedule and with a verified bound.

        Without values, that is of an infeasible schedule, nothing is compared.
        """
        if not values:
            return cls()
        wrong = claims.faults(values)
        if not wrong:
            wrong = _speed_faults(claims, instance, schedule)
        certificate = None if bound is None or not bound.verified else bound.certificate
        if certificate is None or certificate.objective_name != claims.name:
            return cls(wrong=tuple(wrong))
        unproved = claims.unproved(certificate.bound)
        if unproved is None:
            return cls(wrong=tuple(wrong))
        if claims.certified is False:
            return cls(wrong=tuple(wrong), unproved=(unproved,))
        return cls(wrong=(*wrong, unproved))


def _speed_faults(claims: Claims, instance: Instance, schedule: Schedule) -> list[str]:
    """Return what is wrong with the gap as speed of the GPU, where value and bound are right."""
    claimed = claims.speed_equivalent_gap
    if claimed is None:
        return []
    found = None
    if claims.bound is not None and claims.name == "latency":
        found = speed_gap_of(instance, schedule, claims.bound)
    if found is not None and math.isclose(claimed, found, rel_tol=1e-6, abs_tol=1e-9):
        return []
    said = "there is none" if found is None else f"it is {found:.6g}"
    return [f"speed_equivalent_gap: {claimed:.6g} is claimed, {said}"]


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
    claims : CheckedClaims
        What the schedule's file claims but is not so; nothing where the schedule came without one.
    goodput : Goodput or None
        Requests within latency limits, where limits are given and the schedule is feasible.
    """

    instance: Instance
    schedule: Schedule
    violations: tuple[Violation, ...]
    values: dict[str, Exact]
    bound: CheckedBound | None = None
    claims: CheckedClaims = CheckedClaims()
    goodput: Goodput | None = None

    @property
    def feasible(self) -> bool:
        """Whether no rule is violated."""
        return not self.violations

    @property
    def holds(self) -> bool:
        """Whether the schedule is feasible, its file claims nothing wrong, the bound is verified.

        Without a file or without a bound there is nothing that could be wrong with it.
        """
        sound = self.feasible and not self.claims.wrong
        return sound and (self.bound is None or self.bound.verified)

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        title, *facts = self._schedule_summary().splitlines()
        rows: list[tuple[Any, ...]] = [tuple(fact.strip().split(maxsplit=1)) for fact in facts]
        if self.bound is not None:
            rows.append(("bound", "verified" if self.bound.verified else "not verified"))
        rows += [tuple(each.split(": ", 1)) for each in self.claims.wrong]
        return title, [], rows

    def summary(self) -> str:
        """Return the verdict: values or violations, then what is claimed wrongly, and the bound."""
        parts = [self._schedule_summary(), *self._claims_summary()]
        if self.bound is not None:
            parts.append(self.bound.summary())
        return "\n".join(parts)

    def _claims_summary(self) -> list[str]:
        said = []
        for title, found in (
            ("claimed, but not so", self.claims.wrong),
            ("claimed without a certificate", self.claims.unproved),
        ):
            facts = [tuple(each.split(": ", 1)) for each in found]
            said += [lines(title, [(key, text) for key, text in facts])] if facts else []
        return said

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
        if self.claims.wrong or self.claims.unproved:
            record["claims"] = {
                "wrong": list(self.claims.wrong), "unproved": list(self.claims.unproved)
            }  # fmt: skip
        if self.goodput is not None:
            record["goodput"] = self.goodput.to_record()
        return record if self.bound is None else record | {"bound": self.bound.to_record()}
