"""Audits and calibrations, as `audit` and `calibrate` return them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments.outputs import PathLike, make_folder
from ..models.disk import write_atomically
from ..models.files.instance_file import write_instance
from ..models.files.writing import write_json
from ..models.instance import Instance
from ..report.sentences import signed
from ..results.shown import Shown
from ..results.solved import Solved
from .record import audit_record, fit_record, law_record
from .sentences import assumptions, explained, law_sentence, listed, reading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..online.audit.audit import Audit
    from ..online.audit.knobs import Knob
    from ..online.calibration.explanation import Explanation
    from ..online.calibration.fit import FittedLaw
    from ..online.calibration.steps import FittedSteps

#: Files that `Audited.save` writes.
FILES = ("instance.json", "solution.json", "certificate.json", "audit.json", "report.html")


@dataclass(frozen=True, kw_only=True, repr=False)
class Audited(Shown):
    """An engine's log against hindsight.

    Attributes
    ----------
    audit : Audit
        All that was found.
    assumed : tuple of str
        What neither the log nor the caller says.
    """

    audit: Audit
    assumed: tuple[str, ...] = ()

    @property
    def explained(self) -> bool:
        """Whether the engine's rule and the law explain the log."""
        return self.audit.explanation.explained

    @property
    def instance(self) -> Instance:
        """The log's requests on the GPU with the law, in microseconds."""
        return self.audit.instance

    @property
    def ratio(self) -> tuple[float, float | None] | None:
        """The engine's mean latency over the best possible, from below and above.

        None where the model does not explain the log.
        """
        return self.audit.ratio

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table: what, mean, p99, first token, per token; times in milliseconds."""
        audit, hindsight = self.audit, self.audit.hindsight
        table = [("the engine (log)", audit.logged)]
        table.append((f"{audit.engine.rule} (simulated)", audit.simulated))
        if hindsight is not None:
            table += [
                (each.policy, figures)
                for each, figures in hindsight.policies
                if figures is not None and each.policy != audit.engine.rule
            ]
            table.append(("best schedule known", hindsight.figures))
        cells: list[tuple[str, ...]] = [
            (
                name,
                f"{each.mean_latency_ms:,.1f}",
                f"{each.p99_latency_ms:,.1f}",
                f"{each.mean_ttft_ms:,.1f}",
                "" if each.mean_tpot_ms is None else f"{each.mean_tpot_ms:,.2f}",
                "" if each.goodput is None else f"{each.goodput:.1%}",
            )
            for name, each in table
        ]
        if hindsight is not None and hindsight.lower_bound_ms is not None:
            bounds = hindsight.lower_bound_ms, hindsight.p99_lower_bound_ms
            cells.append(("proved lower bound", *(_down(each) for each in bounds), *[""] * 3))
        return cells if audit.limits else [row[:-1] for row in cells]

    @property
    def columns(self) -> tuple[str, ...]:
        """Headings of `rows`."""
        names = ("ms", "mean latency", "p99", "first token", "per token", "goodput")
        return names if self.audit.limits else names[:-1]

    def knobs(self) -> list[Knob]:
        """Return the knobs, that with the least mean latency first."""
        found = self.audit.hindsight.knobs if self.audit.hindsight is not None else ()
        return sorted(found, key=lambda knob: knob.figures.mean_latency_ms)

    def knob_rows(self) -> list[tuple[str, ...]]:
        """Return the table of the knobs: what is turned, mean, p99, change, bound."""
        return [
            (
                f"{knob.name} {knob.change}",
                f"{knob.figures.mean_latency_ms:,.1f}",
                f"{knob.figures.p99_latency_ms:,.1f}",
                signed(knob.relative),
                "" if knob.lower_bound_ms is None else f"{knob.lower_bound_ms:,.1f}",
            )
            for knob in self.knobs()
        ]

    def plot_knobs(self, *, ax: Axes | None = None) -> Figure:
        """Draw mean, 99th percentile and bound for each knob; see `pictures.knobs`."""
        from .pictures import knobs

        return knobs(self.audit, self.knobs(), ax=ax)

    def reading(self) -> list[str]:
        """Return what the audit shows, sentence by sentence."""
        return reading(self.audit, list(self.assumed))

    def summary(self) -> str:
        """Return the sentences and the tables as text."""
        lines = [*self.reading(), "", *_aligned([self.columns, *self.rows()])]
        if knobs := self.knob_rows():
            headings = ("knob", "mean latency", "p99", "change", "lower bound")
            lines += ["", *_aligned([headings, *knobs])]
        return "\n".join(lines)

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        return self.audit.log.name, [*self.columns], [*self.rows()]

    def to_record(self) -> dict[str, Any]:
        """Return the audit as ``--json`` prints it."""
        return audit_record(self.audit, list(self.assumed))

    def save(self, folder: PathLike, *, command: str = "Audited.save() in Python") -> Path:
        """Write the instance, the solution, the certificate, the audit and the report.

        `batchprophet check instance.json solution.json --bound certificate.json` verifies them.
        """
        from ..report.page import Origin
        from .page import render

        target = make_folder(folder)
        write_instance(self.instance, target / FILES[0])
        if self.audit.hindsight is not None:
            solution = self.audit.hindsight.comparison.solution
            solved = Solved(instance=self.instance, solution=solution)
            solved.save(target / FILES[1])
            if solution.certificate is not None:
                solved.save_certificate(target / FILES[2])
        write_json(self.to_record(), target / FILES[3])
        page = render(self, Origin.today(command=command))
        write_atomically(target / FILES[4], page.encode())
        return target / FILES[4]


@dataclass(frozen=True, kw_only=True, repr=False)
class Calibrated(Shown):
    """A batch-time law fitted to a log.

    Attributes
    ----------
    fit : FittedLaw
        The law, with intervals.
    explanation : Explanation
        Whether it explains the log, with held-out errors.
    rule : str
        The policy that the engine follows.
    assumed : tuple of str
        What neither the log nor the caller says.
    """

    fit: FittedLaw
    explanation: Explanation
    rule: str
    assumed: tuple[str, ...] = ()

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        rows: list[tuple[Any, ...]] = [
            (each.name, f"{each.value:.5g}", f"{each.low:.5g}", f"{each.high:.5g}")
            for each in (*self.fit.coefficients, self.fit.token_job)
        ]
        return "batch times in ms", ["coefficient", "value", "low", "high"], rows

    def summary(self) -> str:
        """Return the law, and whether it explains the log, as text."""
        lines = [law_record(self.fit.law)["batch_time"], law_sentence(self.fit)]
        if any(sign.cause == "clock" for sign in self.explanation.signs):
            lines = ["No batch times explain the log."]  # those that are fitted are of no engine
        elif not self.explanation.explained:
            lines.append("The model does not explain the log.")
        lines += explained(self.explanation, self.rule, held_out=True)
        return "\n".join([*lines, *assumptions(self.assumed)])

    def to_record(self) -> dict[str, Any]:
        """Return the calibration as ``--json`` prints it."""
        return {
            "law": law_record(self.fit.law),
            "explained": self.explanation.explained,
            "why": self.explanation.why,
            "fit": {"errors": asdict(self.explanation.errors), **fit_record(self.fit)},
            "assumed": list(self.assumed),
        }


@dataclass(frozen=True, kw_only=True, repr=False)
class CalibratedSteps(Shown):
    """A batch-time law fitted to measured batches.

    Attributes
    ----------
    fit : FittedSteps
        The law, with intervals and errors.
    """

    fit: FittedSteps

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        rows: list[tuple[Any, ...]] = [
            (each.name, f"{each.value:.5g}", f"{each.low:.5g}", f"{each.high:.5g}")
            for each in self.fit.coefficients
        ]
        return "batch times in ms", ["coefficient", "value", "low", "high"], rows

    def summary(self) -> str:
        """Return the law and its errors as text."""
        fit = self.fit
        parts = [f"{c.name} {c.value:.4g} ({c.low:.4g} to {c.high:.4g})" for c in fit.coefficients]
        lines = [
            law_record(fit.law)["batch_time"],
            f"Fitted batch times in ms, with intervals of about 95 %: {', '.join(parts)}.",
            f"A batch held out of the fit is off by {100 * fit.mean_error:.1f} % on average, "
            f"{100 * fit.worst_error:.1f} % at worst, over {fit.batches:,} batches.",
        ]
        if fit.unseen:
            lines.append(
                f"These batches say nothing of {listed(fit.unseen)}: taken as 0, which makes them "
                "part of the other coefficients."
            )
        return "\n".join(lines)

    def to_record(self) -> dict[str, Any]:
        """Return the calibration as ``--json`` prints it."""
        fit = self.fit
        return {
            "law": law_record(fit.law),
            "fit": {
                "coefficients": [
                    {**asdict(each), "identified": each.identified} for each in fit.coefficients
                ],
                "unseen": list(fit.unseen),
                "batches": fit.batches,
                "mean_error": fit.mean_error,
                "worst_error": fit.worst_error,
            },
        }


def _down(bound: float) -> str:
    """Return a lower bound in milliseconds, rounded down."""
    return f"{math.floor(10 * bound) / 10:,.1f}"


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[c]) for row in cells) for c in range(len(cells[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in cells
    ]
