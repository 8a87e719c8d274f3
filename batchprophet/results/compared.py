"""Comparisons, as `compare` returns them, and their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments.outputs import make_folder
from ..models.disk import write_atomically
from ..models.files.instance_file import write_instance
from ..models.files.writing import write_json
from ..models.instance import Instance
from ..models.objectives import MAXIMISED
from ..models.regime import Schedule
from ..models.regimes import regime
from ..report import table as tables
from ..report.sentences import (
    changes_reading,
    class_reading,
    price_reading,
    reading,
    speed_reading,
    tail_reading,
)
from ..solvers.solution import Solution
from .classes import ClassLatency, by_class
from .goodput import Goodput, goodput_of, limit_unit
from .regimes import speed_gap
from .scheduled import PathLike
from .shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from ..arguments.slo import Slo
    from ..online.continuous.counterfactuals import Counterfactual
    from ..online.evaluation import Comparison
    from ..online.separate.price import Price
    from ..report.page import Origin


@dataclass(frozen=True, kw_only=True, repr=False)
class Compared(Shown):
    """Hindsight and policies side by side on one instance.

    Attributes
    ----------
    comparison : Comparison
        The instance, the hindsight solution, and each policy's result.
    price : Price or None
        The price of separate batching, where mixed batching was compared as well.
    slo : Slo or None
        Latency limits; with them the table has the goodput.
    changes : mapping of str to sequence of Counterfactual
        What other GPUs would have given some policies by what is judged, under continuous
        batching.
    """

    comparison: Comparison
    price: Price | None = None
    slo: Slo | None = None
    changes: Mapping[str, Sequence[Counterfactual]] = field(default_factory=dict)

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
        rows = tables.rows(self.comparison)
        if self.slo is None:
            return rows
        known = self.goodputs()
        return [replace(row, goodput=known.get(row.policy), limited=True) for row in rows]

    def columns(self) -> Mapping[str, str]:
        """Return the headings of the table, with what each figure means."""
        limits = None if self.slo is None else self.slo.text(limit_unit(self.instance).unit)
        return tables.columns(limits, self.comparison.objective_name)

    def goodputs(self) -> dict[str, Goodput]:
        """Return the goodput of every schedule by name.

        Empty without limits, and where requests are rejected.
        """
        if self.slo is None or self.solution.objective_name in MAXIMISED:
            return {}
        return {
            name: goodput_of(self.instance, schedule, self.slo)
            for name, schedule in self.schedules().items()
        }

    def classes(self) -> dict[str, list[ClassLatency]]:
        """Return the latencies by class of every schedule by name, the worst class first.

        Empty where the instance names fewer than two classes, or requests are rejected.
        """
        if self.solution.objective_name in MAXIMISED:
            return {}
        found = {
            name: by_class(self.instance, schedule) for name, schedule in self.schedules().items()
        }
        return {name: each for name, each in found.items() if each}

    @cached_property
    def speed_equivalent_gap(self) -> float | None:
        """How much faster a GPU closes the gap, 0.05 for 5 %; None where nothing tells.

        Of the total latency, so None where the schedules are judged by something else.
        """
        if self.comparison.objective_name != "latency":
            return None
        return speed_gap(self.instance, self.solution)

    @cached_property
    def tail_bound(self) -> float | None:
        """Proved lower bound on the 99th percentile of latency; None where requests are rejected.

        In the instance's time unit; see `batchprophet.solvers.tail_latency`.
        """
        from ..solvers.tail_latency import tail_latency_bound

        if self.solution.objective_name in MAXIMISED:
            return None
        return tail_latency_bound(self.instance, model=self.comparison.model)

    def _shown(self) -> tuple[str, list[str], list[tuple[Any, ...]]]:
        return self.instance.name, [*self.columns()], [row.cells() for row in self.rows()]

    def summary(self) -> str:
        """Return the table and its reading as text."""
        cells = [tuple(self.columns()), *(row.cells() for row in self.rows())]
        widths = [max(len(row[c]) for row in cells) for c in range(len(cells[0]))]
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
            *tail_reading(
                self.tail_bound, self.rows(), judged=self.comparison.objective_name == "p99"
            ),
            *class_reading(self.classes(), regime(self.comparison.model).shown_in(self.instance)),
            *speed_reading(self.speed_equivalent_gap),
            *changes_reading(self.changes, self.comparison.objective_name),
        ]

    def to_record(self) -> dict[str, Any]:
        """Return the comparison as the object that ``--json`` prints."""
        record = tables.record(self.comparison)
        if self.speed_equivalent_gap is not None:
            record["hindsight"]["speed_equivalent_gap"] = self.speed_equivalent_gap
        if self.tail_bound is not None:
            record["hindsight"]["p99_lower_bound"] = self.tail_bound
        goodputs, classes = self.goodputs(), self.classes()
        for entry in (record["hindsight"], *record["policies"]):
            name = entry.get("policy", tables.HINDSIGHT)
            if name in goodputs:
                entry["goodput"] = goodputs[name].to_record()
            if name in classes:
                entry["classes"] = [each.to_record() for each in classes[name]]
            if name in self.changes:
                entry["counterfactuals"] = [asdict(each) for each in self.changes[name]]
        return record if self.price is None else record | {"price": self.price.to_record()}

    def to_frame(self) -> DataFrame:
        """Return one row a schedule: verdict, ratios, seconds and all figures.

        Times are in the batch-time law's unit.

        See Also
        --------
        Solved.to_frame, Simulated.to_frame : One row a request.

        Raises
        ------
        InputError
            If pandas is not installed (``batchprophet[frames]``).
        """
        from .frames import comparison_frame

        return comparison_frame(
            self.rows(), instance=self.instance.name, model=self.comparison.model
        )

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

    def plot_mean_and_p99(self, *, ax: Axes | None = None) -> Figure:
        """Draw each schedule's mean and 99th percentile of latency, beside what is proved.

        See `batchprophet.pictures.tail.mean_and_p99`.
        """
        from ..pictures.tail import mean_and_p99

        return mean_and_p99(self, ax=ax)

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
        """The price of separate batching."""
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
        Made if it does not exist. It gets ``report.html``, ``comparison.json`` (the tables; of
        several instances their summary, too) and, for each instance, ``instance.json`` and
        ``solution.json``, numbered from 1 where there are several.
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
    write_json(comparisons_record(compared), target / "comparison.json")
    write_atomically(target / "report.html", page.encode())
    return target / "report.html"


def comparisons_record(compared: Sequence[Compared]) -> dict[str, Any]:
    """Return comparisons as one object, with a summary for each regime where they are several."""
    from .summarised import summaries

    record: dict[str, Any] = {"comparisons": [each.to_record() for each in compared]}
    if len({each.comparison.model for each in compared}) < len(compared):
        record["summaries"] = [each.to_record() for each in summaries(compared)]
    return record


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
    """Suffixes that distinguish the files of several comparisons."""
    return [""] if count == 1 else [f"-{position}" for position in range(1, count + 1)]
