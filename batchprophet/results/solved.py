"""A hindsight solution, as `solve` returns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..models.errors import InputError
from ..models.figures import Figures
from ..models.files.writing import write_json
from ..models.instance import Instance
from ..models.regime import Schedule
from ..report import table as tables
from ..solvers.solution import Solution
from .scheduled import PathLike, Scheduled, lines
from .shown import Shown


@dataclass(frozen=True, kw_only=True, repr=False)
class Solved(Scheduled, Shown):
    """A hindsight solution of an instance.

    Attributes
    ----------
    instance : Instance
        The instance.
    solution : Solution
        Schedule, exact objective, proved bound, status, method and seconds.
    """

    instance: Instance
    solution: Solution[Any]

    @property
    def schedule(self) -> Schedule:  # type: ignore[override]  # read-only here
        """The best schedule found."""
        schedule: Schedule = self.solution.schedule
        return schedule

    @property
    def metrics(self) -> Figures:
        """Latencies, KV use and batch sizes of the schedule, over the requests that it serves."""
        return tables.measure_any(self.instance, self.schedule)

    def facts(self) -> list[tuple[str, str]]:
        """Return the facts of the solution, as (term, value)."""
        solution = self.solution
        gap = "unknown" if solution.gap is None else tables.percent(solution.gap)
        return [
            ("objective", f"{tables.number_text(solution.objective)} ({solution.objective_name})"),
            ("bound", tables.number_text(solution.bound)),
            ("gap", gap),
            ("status", solution.status),
            ("method", solution.method),
            ("seconds", tables.seconds_text(solution.seconds)),
        ]

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        return f"hindsight on {self.instance.name}", [], [*self.facts()]

    def summary(self) -> str:
        """Return objective, bound, gap, status, method and seconds, one per line."""
        return lines(f"hindsight on {self.instance.name}", self.facts())

    def save(self, path: PathLike) -> None:
        """Write ``solution.json``."""
        write_json(self.solution.to_record(), path)

    def certified(self) -> str:
        """Say which bound the certificate proves, and whether the solution has a better one."""
        certificate = self.solution.certificate
        if certificate is None:
            return "no bound has a certificate"
        text = f"bound {tables.number_text(certificate.bound)}, proof: {certificate.proof.kind}"
        if certificate.bound == self.solution.bound:
            return text
        uncertified = tables.number_text(self.solution.bound)
        return (
            f"{text} (the better bound {uncertified} is the MILP solver's and has no certificate)"
        )

    def save_certificate(self, path: PathLike) -> None:
        """Write ``certificate.json``, with as few digits as prove the same bound.

        Raises
        ------
        InputError
            If there is no certificate, or the file cannot be written.
        """
        from ..solvers.certificates.file import write_certificate
        from ..solvers.certificates.mixed.compact import compact

        certificate = self.solution.certificate
        if certificate is None:
            raise InputError(f"{path}: no bound of this solution has a certificate")
        write_certificate(compact(certificate, self.instance), path)
