"""A hindsight solution, as `solve` returns it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.csv_text import write_csv
from ..models.disk import write_atomically
from ..models.errors import InputError
from ..models.figures import Figures
from ..models.files.writing import write_json
from ..models.instance import Instance
from ..models.objectives import Exact
from ..models.regime import Schedule
from ..models.regimes import regime_of
from ..report import table as tables
from ..report.sentences import speed_text
from ..solvers.solution import Solution
from .pictured import save_picture
from .regimes import speed_gap
from .scheduled import PathLike, Scheduled, lines
from .shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from ..solvers.constrained import Constrained


@dataclass(frozen=True, kw_only=True, repr=False)
class Solved(Scheduled, Shown):
    """A hindsight solution of an instance.

    Attributes
    ----------
    instance : Instance
        The instance.
    solution : Solution
        Schedule, exact objective, proved bound, status, method and seconds.
    constrained : Constrained or None
        What is known of a caller's constraints, where there were any: they are obeyed.
    """

    instance: Instance
    solution: Solution[Any]
    constrained: Constrained | None = None

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
        speed = self.speed_equivalent_gap
        return [
            ("objective", f"{self._text(solution.objective)} ({solution.objective_name})"),
            *self._mean(),
            ("bound", self._text(solution.bound)),
            ("gap", gap),
            *([] if not speed else [("gap as speed", speed_text(speed))]),
            ("status", solution.status),
            *self._constrained_facts(),
            ("method", solution.method),
            ("seconds", tables.seconds_text(solution.seconds)),
        ]

    def _constrained_facts(self) -> list[tuple[str, str]]:
        """Return what is known with a caller's constraints, and which bound has a certificate."""
        if self.constrained is None:
            return []
        certificate, bound = self.solution.certificate, self.solution.bound
        if certificate is None:
            said = f"no bound; the bound above is by {self.solution.bound_by}"
        else:
            said = f"{self._text(certificate.bound)} without the constraints, so with them too"
            if certificate.bound != bound:
                said += f"; the bound above is by {self.solution.bound_by}"
        return [*self.constrained.facts(), ("certified", said)]

    def _text(self, value: Exact | None) -> str:
        """Say a value of the objective, in milliseconds where times are shown in them."""
        return tables.value_text(value, self.instance, self.schedule, self.solution.objective_name)

    def _mean(self) -> list[tuple[str, str]]:
        """Return the mean latency where times are shown in milliseconds."""
        shown = regime_of(self.schedule).shown_in(self.instance)
        if shown.per == 1 or self.solution.objective_name != "latency":
            return []
        mean = float(self.solution.objective) / self.instance.n / shown.per
        return [("mean latency", f"{mean:,.2f} {shown.unit}")]

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        return f"hindsight on {self.instance.name}", [], [*self.facts()]

    def summary(self) -> str:
        """Return objective, bound, gap, status, method and seconds, one per line."""
        return lines(f"hindsight on {self.instance.name}", self.facts())

    @cached_property
    def speed_equivalent_gap(self) -> float | None:
        """How much faster a GPU closes the gap, 0.05 for 5 %; None where nothing tells.

        Under continuous batching; see `solvers.continuous.speed_gap`.
        """
        return speed_gap(self.instance, self.solution)

    def to_record(self) -> dict[str, Any]:
        """Return the solution as the object that is written, and that ``--json`` prints."""
        record, speed = self.solution.to_record(), self.speed_equivalent_gap
        schedule = record.pop("schedule")  # last, since it is long
        if speed is not None:
            record["speed_equivalent_gap"] = speed
        if self.constrained is not None:
            record["extension"] = self.constrained.to_record()
        return record | {"schedule": schedule}

    def history_frame(self) -> DataFrame:
        """Return one row a moment at which the schedule or the bound became better.

        Columns seconds, value, bound (before rounding) and gap.

        Raises
        ------
        InputError
            If pandas is not installed (``batchprophet[frames]``).
        """
        from .frames import progress_frame

        return progress_frame(self.solution.history)

    def plot_progress(self, *, ax: Axes | None = None) -> Figure:
        """Draw value and bound over time; see `batchprophet.pictures.progress.value_and_bound`."""
        from ..pictures.progress import value_and_bound

        return value_and_bound(self.solution, ax=ax)

    def save_history(self, path: PathLike) -> None:
        """Write the moments of the solve to a ``.csv`` file, or their picture as ``.png``.

        Raises
        ------
        InputError
            If the file has another ending or cannot be written.
        """
        ending = Path(path).suffix
        if ending == ".png":
            save_picture(self.plot_progress(), path)
        elif ending == ".csv":
            rows = [
                (f"{each.seconds:.3f}", *map(_number, (each.value, each.bound, each.gap)))
                for each in self.solution.history
            ]
            text = write_csv([("seconds", "value", "bound", "gap"), *rows])
            write_atomically(path, text.encode())
        else:
            raise InputError(f"{path}: expected a file that ends in .csv or .png")

    def save(self, path: PathLike) -> None:
        """Write ``solution.json``."""
        write_json(self.to_record(), path)

    def certified(self) -> str:
        """Say which bound the certificate proves, and whether the solution has a better one."""
        certificate = self.solution.certificate
        if certificate is None:
            return "no bound has a certificate"
        text = f"bound {tables.number_text(certificate.bound)}, proof: {certificate.proof.kind}"
        if self.solution.certified:
            return text
        uncertified = tables.number_text(self.solution.bound)
        return (
            f"{text} (the better bound {uncertified} has no certificate; found by "
            f"{self.solution.bound_by})"
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


def _number(value: float | Exact | None) -> str:
    """Write a number with its digits as far as they are exact; nothing for none."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{float(value):.10g}"
