"""What the verbs return: data with a summary, pictures, and a way to keep them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments.outputs import make_folder
from ..models.disk import write_atomically
from ..models.errors import InputError
from ..models.files import (
    SOLUTION_FORMAT,
    VERSION,
    json_number,
    schedule_record,
    write_instance,
    write_json,
)
from ..models.instance import Instance
from ..models.mixed.metrics import Metrics
from ..models.objectives import Exact
from ..models.regimes import Schedule
from ..models.separate.metrics import SeparateMetrics
from ..models.separate.schedule import SeparateSchedule
from ..models.violation import Violation
from ..report import table as tables
from ..report.sentences import price_reading, reading, units
from ..solvers.solution import Solution
from .shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..models.traces import ConversionReport
    from ..online.evaluation import Comparison
    from ..online.separate.latency_breakdown import TimeAccount
    from ..online.separate.price import Price
    from ..report.page import Origin
    from ..solvers.certificates.certificate import Certificate
    from ..solvers.certificates.verification import Verification

PathLike = str | os.PathLike[str]


class _Scheduled:
    """Pictures of what has an instance and a schedule."""

    __slots__ = ()

    instance: Instance
    schedule: Schedule

    def plot_gantt(self, *, ax: Axes | None = None) -> Figure:
        """Draw when each request waits and runs; see `batchprophet.pictures.plots.gantt`."""
        from ..pictures.plots import gantt

        return gantt(*self._served(), ax=ax)

    def plot_kv(self, *, ax: Axes | None = None) -> Figure:
        """Draw the KV tokens held under the capacity; see `batchprophet.pictures.plots.kv`."""
        from ..pictures.plots import kv

        return kv(*self._served(), ax=ax)

    def plot_modes(self, *, ax: Axes | None = None) -> Figure:
        """Draw what the GPU does over time; see `batchprophet.pictures.plots.modes`.

        Raises
        ------
        InputError
            If the schedule is one of mixed batching, where the GPU has no modes.
        """
        from ..pictures.plots import modes

        instance, schedule = self._served()
        if not isinstance(schedule, SeparateSchedule):
            raise InputError("plot_modes: expected a schedule of separate batching, found mixed")
        return modes(instance, schedule, ax=ax)

    def _served(self) -> tuple[Instance, Schedule]:
        """Instance and schedule of those who are served: under admission some are rejected."""
        if isinstance(self.schedule, SeparateSchedule):
            served = self.schedule.accepted()
            if 0 < served.size < self.instance.n:
                return self.instance.take(served), self.schedule.only(served)
        return self.instance, self.schedule


@dataclass(frozen=True, kw_only=True, repr=False)
class Solved(_Scheduled, Shown):
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
    def metrics(self) -> Metrics | SeparateMetrics:
        """Latencies, KV use and batch sizes of the schedule, over those whom it serves."""
        return tables.measure_any(self.instance, self.schedule)

    def facts(self) -> list[tuple[str, str]]:
        """Return what is to be known of the solution, as (term, value)."""
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
        """Return objective, bound, gap, status, method and seconds, one a line."""
        return _lines(f"hindsight on {self.instance.name}", self.facts())

    def save(self, path: PathLike) -> None:
        """Write ``solution.json``."""
        write_json(self.solution.to_record(), path)

    def certified(self) -> str:
        """Say which bound the certificate proves, and where that is not the solution's."""
        certificate = self.solution.certificate
        if certificate is None:
            return "no bound has a certificate"
        text = f"bound {tables.number_text(certificate.bound)}, proof: {certificate.proof.kind}"
        if certificate.bound == self.solution.bound:
            return text
        uncertified = tables.number_text(self.solution.bound)
        return f"{text} (the bound {uncertified} is a solver's word: it has no certificate)"

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


@dataclass(frozen=True, kw_only=True, repr=False)
class Simulated(_Scheduled, Shown):
    """The run of one policy on an instance.

    Attributes
    ----------
    instance : Instance
        The instance.
    policy : str
        The policy's specification.
    schedule : MixedSchedule or SeparateSchedule
        What it decided.
    metrics : Metrics or SeparateMetrics
        Latencies, KV use and batch sizes.
    seconds : float
        Wall-clock time of the simulation.
    account : TimeAccount or None
        Where the requests' time goes, under separate batching.
    """

    instance: Instance
    policy: str
    schedule: Schedule
    metrics: Metrics | SeparateMetrics
    seconds: float
    account: TimeAccount | None = None

    def facts(self) -> list[tuple[str, str]]:
        """Return the figures of the run, as (term, value)."""
        m = self.metrics
        facts = [
            ("total latency", f"{m.total_latency:,} {units(self.instance)}"),
            (
                "latency",
                f"mean {m.mean_latency:,.2f}, p50 {m.p50_latency:,.1f}, "
                f"p90 {m.p90_latency:,.1f}, p99 {m.p99_latency:,.1f}, "
                f"max {m.max_latency:,}",
            ),
            ("time to first token", f"mean {m.mean_ttft:,.2f}, p99 {m.p99_ttft:,.1f}"),
            ("makespan", f"{m.makespan:,}"),
            ("KV", f"{m.kv_utilisation:.1%} of the capacity used, peak {m.peak_kv:,}"),
        ]
        facts += _mixed_facts(m) if isinstance(m, Metrics) else _separate_facts(m)
        if self.account is not None:
            facts += _account_facts(self.account, m.total_latency)
        return [*facts, ("seconds", tables.seconds_text(self.seconds))]

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        return f"{self.policy} on {self.instance.name}", [], [*self.facts()]

    def summary(self) -> str:
        """Return latencies, KV use and batch sizes, one a line."""
        return _lines(f"{self.policy} on {self.instance.name}", self.facts())

    def to_record(self) -> dict[str, Any]:
        """Return the run as the object that is written to ``schedule.json``."""
        return {
            "format": SOLUTION_FORMAT,
            "version": VERSION,
            "instance": self.instance.name,
            "model": self.schedule.model,
            "objective_name": "latency",
            "objective": self.metrics.total_latency,
            "status": "feasible",
            "method": self.policy,
            "seconds": round(self.seconds, 6),
            "schedule": schedule_record(self.schedule),
        }

    def metrics_record(self) -> dict[str, Any]:
        """Return every figure by name, those of the account under its own."""
        record = asdict(self.metrics)
        return record if self.account is None else record | {"account": asdict(self.account)}

    def save(self, path: PathLike) -> None:
        """Write the schedule as a solution file without a bound."""
        write_json(self.to_record(), path)


@dataclass(frozen=True, kw_only=True, repr=False)
class CheckedBound(Shown):
    """A certificate of a bound, and the verdict on it.

    Attributes
    ----------
    certificate : Certificate
        The claim and its proof.
    verification : Verification
        Whether it was proved anew, and why not.
    """

    certificate: Certificate
    verification: Verification

    @property
    def verified(self) -> bool:
        """Whether the bound was proved anew."""
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
        return _lines("bound verified" if self.verified else "bound not verified", facts)

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
class Checked(_Scheduled, Shown):
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
    """

    instance: Instance
    schedule: Schedule
    violations: tuple[Violation, ...]
    values: dict[str, Exact]
    bound: CheckedBound | None = None

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
        """Return the verdict: the values of a feasible schedule, or every violation, one a line."""
        if self.bound is None:
            return self._schedule_summary()
        return f"{self._schedule_summary()}\n{self.bound.summary()}"

    def _schedule_summary(self) -> str:
        if self.feasible:
            values = [(name, tables.number_text(value)) for name, value in self.values.items()]
            return _lines("feasible", values)
        rules = "1 violation" if len(self.violations) == 1 else f"{len(self.violations)} violations"
        return _lines(f"infeasible: {rules}", [(v.rule, v.message) for v in self.violations])

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
        return record if self.bound is None else record | {"bound": self.bound.to_record()}


@dataclass(frozen=True, kw_only=True, repr=False)
class Converted(Shown):
    """An instance made of a real trace.

    Attributes
    ----------
    instance : Instance
        The instance.
    report : ConversionReport
        What was read, taken and left out.
    """

    instance: Instance
    report: ConversionReport

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        return self.instance.name, [], [(line,) for line in self.report.lines()]

    @property
    def round_ms(self) -> float:
        """Milliseconds that a round stands for."""
        assert self.instance.provenance is not None
        return float(self.instance.provenance["round_ms"])

    def summary(self) -> str:
        """Return what was read, taken and left out, and what is doubtful, one a line."""
        warnings = [f"warning: {warning}" for warning in self.report.warnings]
        return "\n".join([*self.report.lines(), *warnings])

    def save(self, path: PathLike) -> None:
        """Write ``instance.json``."""
        write_instance(self.instance, path)


@dataclass(frozen=True, kw_only=True, repr=False)
class Compared(Shown):
    """Hindsight and policies side by side on one instance.

    Attributes
    ----------
    comparison : Comparison
        The instance, the hindsight solution, and each policy's result.
    price : Price or None
        What separate batching costs, where mixed batching was asked as well.
    """

    comparison: Comparison
    price: Price | None = None

    @property
    def instance(self) -> Instance:
        """The instance."""
        return self.comparison.instance

    @property
    def solution(self) -> Solution[Any]:
        """The hindsight solution."""
        return self.comparison.solution

    @property
    def interrupted(self) -> bool:
        """Whether a keyboard interrupt ended the hindsight solve early."""
        return "interrupted" in self.solution.method

    def rows(self) -> list[tables.Row]:
        """Return the table: hindsight on top, then policies from best to worst."""
        return tables.rows(self.comparison)

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        return self.instance.name, [*tables.COLUMNS], [row.cells() for row in self.rows()]

    def summary(self) -> str:
        """Return the table and its reading as text."""
        cells = [tuple(tables.COLUMNS), *(row.cells() for row in self.rows())]
        widths = [max(len(row[c]) for row in cells) for c in range(len(tables.COLUMNS))]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in cells
        ]
        return "\n".join([self.instance.name, *lines, *self.reading()])

    def reading(self) -> list[str]:
        """Return what the comparison shows, sentence by sentence."""
        return [
            *([] if self.price is None else price_reading(self.price)),
            *reading(self.comparison),
        ]

    def to_record(self) -> dict[str, Any]:
        """Return the comparison as the object that ``--json`` prints."""
        record = tables.record(self.comparison)
        return record if self.price is None else record | {"price": self.price.to_record()}

    def schedules(self) -> dict[str, Schedule]:
        """Return every schedule by name, in the order of the table."""
        return tables.schedules(self.comparison)

    def plot_gantt(self) -> Figure:
        """Draw the Gantt charts of all schedules, one below the other on the same axes."""
        from ..pictures.panels import gantts

        return gantts(self.instance, self.schedules())

    def plot_kv(self) -> Figure:
        """Draw the KV occupancy of all schedules, one below the other on the same axes."""
        from ..pictures.panels import kvs

        return kvs(self.instance, self.schedules())

    def plot_waiting(self, *, ax: Axes | None = None) -> Figure:
        """Draw the distributions of waiting times; see `batchprophet.pictures.plots.waiting`."""
        from ..pictures.plots import waiting

        return waiting(self.instance, self.schedules(), ax=ax)

    def save(self, folder: PathLike) -> Path:
        """Write ``report.html`` and the data behind it into a folder; see `save_comparisons`."""
        return save_comparisons([self], folder)


@dataclass(frozen=True, kw_only=True, repr=False)
class ComparedBoth(Shown):
    """Both regimes on the same requests.

    Attributes
    ----------
    separate : Compared
        Separate batching, with its price.
    mixed : Compared
        Mixed batching in the shortest rounds, without batch limits.
    """

    separate: Compared
    mixed: Compared

    @property
    def price(self) -> Price:
        """What separate batching costs."""
        assert self.separate.price is not None
        return self.separate.price

    @property
    def interrupted(self) -> bool:
        """Whether a keyboard interrupt ended a hindsight solve early."""
        return self.separate.interrupted or self.mixed.interrupted

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        columns = ["batching", *tables.COLUMNS]
        sides = (("separate", self.separate), ("mixed", self.mixed))
        rows: list[tuple[Any, ...]] = [
            (name, *row.cells()) for name, side in sides for row in side.rows()
        ]
        return self.separate.instance.name, columns, rows

    def summary(self) -> str:
        """Return both tables and their readings as text."""
        return f"{self.separate.summary()}\n\n{self.mixed.summary()}"

    def save(self, folder: PathLike) -> Path:
        """Write ``report.html`` and the data behind it into a folder; see `save_comparisons`."""
        return save_comparisons([self.separate, self.mixed], folder)


def save_comparisons(
    compared: Sequence[Compared], folder: PathLike, *, origin: Origin | None = None
) -> Path:
    """Write one report on several comparisons, and the data behind it.

    Parameters
    ----------
    compared : sequence of Compared
        At least one.
    folder : path-like
        Made if it is not there. It gets ``report.html``, ``comparison.json`` (the tables) and,
        for each instance, ``instance.json`` and ``solution.json``, numbered from 1 where there
        are several.
    origin : Origin, optional
        What made the report; this version, today and "Python" by default.

    Returns
    -------
    Path
        The report.
    """
    from ..report.page import Origin, render

    if origin is None:
        origin = Origin.today(command="Compared.save() in Python")
    page = render(compared, origin)
    target = make_folder(folder)
    for each, number in zip(compared, _numbers(len(compared)), strict=True):
        write_instance(each.instance, target / f"instance{number}.json")
        write_json(each.solution.to_record(), target / f"solution{number}.json")
    write_json({"comparisons": [each.to_record() for each in compared]}, target / "comparison.json")
    write_atomically(target / "report.html", page.encode())
    return target / "report.html"


def comparison_files(count: int) -> list[str]:
    """Return the names of what `save_comparisons` writes for up to `count` comparisons.

    Examples
    --------
    >>> comparison_files(1)
    ['report.html', 'comparison.json', 'instance.json', 'solution.json']
    """
    numbers = dict.fromkeys([*_numbers(1), *_numbers(count)])
    pairs = [f"{name}{number}.json" for number in numbers for name in ("instance", "solution")]
    return ["report.html", "comparison.json", *pairs]


def _numbers(count: int) -> list[str]:
    """What tells the files of several comparisons apart."""
    return [""] if count == 1 else [f"-{position}" for position in range(1, count + 1)]


def _mixed_facts(m: Metrics) -> list[tuple[str, str]]:
    return [
        ("batch", f"mean {m.mean_batch:,.2f} requests, max {m.max_batch:,}"),
        ("evictions", f"{m.evictions:,} ({m.lost_rounds:,} rounds of work lost)"),
    ]


def _separate_facts(m: SeparateMetrics) -> list[tuple[str, str]]:
    busy = max(1, m.prompt_time + m.token_time + m.idle_time)
    return [
        ("prompt batches", f"{m.prompt_batches:,}, mean {m.mean_prompt_batch:,.2f} requests"),
        ("token batches", f"{m.token_batches:,}, mean {m.mean_token_batch:,.2f} requests"),
        (
            "GPU",
            f"{m.prompt_time / busy:.1%} prompts, {m.token_time / busy:.1%} tokens, "
            f"{m.idle_time / busy:.1%} idle; {m.mode_changes:,} changes",
        ),
    ]


def _account_facts(account: TimeAccount, total: int) -> list[tuple[str, str]]:
    """Say where the requests' time goes, as shares of the total latency."""

    def share(time: int) -> str:
        return f"{time / max(1, total):.1%}"

    a = account
    return [
        (
            "served",
            f"{share(a.prompt)} of the latency in prompt, {share(a.token)} in token batches",
        ),
        (
            "paused",
            f"{share(a.paused_prompts)} behind prompt batches, {share(a.paused_tokens)} left out "
            f"of token batches, {share(a.paused_idle)} idle",
        ),
        (
            "waiting",
            f"{share(a.waiting_prompts)} behind prompt batches, {share(a.waiting_tokens)} behind "
            f"token batches, {share(a.waiting_kv)} for KV, {share(a.waiting_idle)} idle",
        ),
        (
            "stalls",
            f"{a.blocked_kv:,} blocked by KV, {a.stalled_idle:,} idle though somebody waits",
        ),
    ]


def _lines(title: str, facts: Sequence[tuple[str, str]]) -> str:
    width = max((len(term) for term, _ in facts), default=0)
    return "\n".join([title, *(f"  {term.ljust(width)}  {value}" for term, value in facts)])
