"""The report: one self-contained page with facts, table, findings and pictures of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from ..models.figures import Figures
from ..models.regimes import regime, regime_of
from ..pictures import palette, plots
from ..pictures.account import parts
from ..pictures.axes import MOST_BINS
from ..pictures.panels import (
    common_end,
    gantt_over_kv,
    has_seats,
    last_completion,
    level,
    shared_order,
)
from ..pictures.regimes import DRAWINGS, starts
from ..pictures.svg import to_svg
from ..pictures.tail import mean_and_p99
from . import table as tables
from .filled import filled
from .sentences import change_text, facts, judged_phrase, provenance

if TYPE_CHECKING:
    from ..models.instance import Instance
    from ..models.regime import Schedule, Shown
    from ..online.evaluation import Comparison
    from ..online.regime import LatencyBreakdown
    from ..results.compared import Compared


#: Width of a picture in inches: narrow, so that text stays legible where a phone shrinks it.
WIDTH = 5.0

#: Width of curves that many schedules share, where the screen has room for it.
BROAD = 11.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What made a report, shown below the title.

    Attributes
    ----------
    version : str
        Version of the package.
    date : str
        Day on which it was made.
    command : str
        Command, or call, that made it.
    """

    version: str
    date: str
    command: str

    @classmethod
    def today(cls, *, command: str) -> Origin:
        """Return this version and today's date, for a command."""
        return cls(version=version("batchprophet"), date=date.today().isoformat(), command=command)


def render(compared: Sequence[Compared], origin: Origin) -> str:
    """Return the report on one or more comparisons as an HTML page.

    Parameters
    ----------
    compared : sequence of Compared
        At least one; each becomes a section.
    origin : Origin
        What made the report.

    Returns
    -------
    str
        A page that needs no other file. The same arguments give the same characters.
    """
    sections = [_section(position, each) for position, each in enumerate(compared, start=1)]
    return filled(
        __package__,
        "report.html",
        title=_title(compared),
        origin=origin,
        sections=sections,
        summaries=_summaries(compared),
    )


def _title(compared: Sequence[Compared]) -> str:
    if len(compared) == 1:
        return f"{compared[0].instance.name}: hindsight and online policies"
    if any(each.price is not None for each in compared):
        return "Hindsight and online policies, separate and mixed batching"
    return f"Hindsight and online policies on {len(compared)} instances"


def _summaries(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return a table for each regime that has several instances."""
    from ..results.summarised import summaries

    return [
        {
            "name": each.name,
            "columns": each.columns(),
            "reading": each.reading(),
            "rows": [row.cells() for row in each.rows()],
        }
        for each in summaries(compared)
        if len(each.compared) > 1
    ]


def _section(position: int, compared: Compared) -> dict[str, Any]:
    comparison, instance = compared.comparison, compared.instance
    rows = compared.rows()
    shown = regime(comparison.model).shown_in(instance)
    schedules = tables.schedules(comparison)
    return {
        "key": f"instance-{position}",
        "name": instance.name,
        "facts": facts(instance),
        "provenance": provenance(instance),
        "reading": compared.reading(),
        "columns": compared.columns(),
        "changes": _changes(compared),
        "units": shown.unit,
        "shown": shown,
        "words": DRAWINGS[comparison.model],
        "evictions": any(hasattr(row.metrics, "evictions") for row in rows),
        "references": bool(comparison.references),
        "maximised": comparison.maximised,
        "rows": [
            {"cells": row.cells(), "finished": row.metrics is not None, "top": i == 0}
            for i, row in enumerate(rows)
        ],
        "tail": _tail_svg(position, compared),
        "account": _account_svg(position, comparison),
        "waiting": _waiting_svg(position, instance, schedules),
        "pictures": _pictures(position, instance, schedules, rows),
        "seats": has_seats(instance, comparison.solution.schedule),
        "counted": instance.n > plots.MOST_ROWS,
        "binned": last_completion(instance, schedules) > MOST_BINS,
    }


def _changes(compared: Compared) -> dict[str, Any] | None:
    """Return the table of policies on other GPUs; None where there is none."""
    if not compared.changes:
        return None
    headings = [each.change for each in next(iter(compared.changes.values()))]
    rows = [
        (policy, [change_text(each.relative) for each in found])
        for policy, found in compared.changes.items()
    ]
    judged = judged_phrase(compared.comparison.objective_name)
    return {"headings": headings, "rows": rows, "judged": judged}


def _waiting_svg(position: int, instance: Instance, schedules: Mapping[str, Schedule]) -> Markup:
    """Waiting times twice, of which the page shows one: that which fits the screen."""
    shown = regime_of(next(iter(schedules.values()))).shown_in(instance)
    medians = ", ".join(
        f"{name} {np.median(starts(instance, schedule) - instance.arrival) / shown.per:,.0f}"
        for name, schedule in schedules.items()
    )
    description = f"Distribution of waiting times. Median waiting time in {shown.unit}: {medians}."
    drawn = []
    for kind, width, height in (("narrow", WIDTH, 2.4), ("broad", BROAD, 3.2)):
        picture = palette.picture(width, height + 0.15 * (len(schedules) // 2))
        plots.waiting(instance, schedules, ax=picture.add_subplot())
        svg = to_svg(picture, name=f"waiting-{kind}-{position}", description=description)
        drawn.append(f'<div class="{kind}">{svg}</div>')
    return Markup("\n".join(drawn))


def _tail_svg(position: int, compared: Compared) -> Markup:
    picture = palette.picture(WIDTH, 3.4 + 0.15 * (len(compared.rows()) // 3))
    mean_and_p99(compared, ax=picture.add_subplot())
    points = "; ".join(
        f"{row.policy} {row.metrics.mean_latency / row.shown.per:,.1f} and "
        f"{row.metrics.p99_latency / row.shown.per:,.1f}"
        for row in compared.rows()
        if isinstance(row.metrics, Figures)
    )
    unit = regime(compared.comparison.model).shown_in(compared.instance).unit
    description = f"Mean and 99th percentile of latency in {unit}: {points}."
    return Markup(to_svg(picture, name=f"tail-{position}", description=description))


def _account_svg(position: int, comparison: Comparison) -> Markup | None:
    """Where the latency comes from, per schedule; None where the regime has no account of it."""
    accounts = _accounts(comparison)
    if not accounts:
        return None
    picture = palette.picture(WIDTH, plots.account_height(len(accounts)))
    model, n = comparison.model, comparison.instance.n
    shown = regime(model).shown_in(comparison.instance)
    plots.latency_account(comparison.instance, accounts, model=model, ax=picture.add_subplot())
    shares = "; ".join(
        f"{name}: "
        + ", ".join(
            f"{label} {time / n / shown.per:,.1f}"
            for label, time in parts(each, DRAWINGS[model].account).items()
            if time
        )
        for name, each in accounts.items()
    )
    description = f"Mean latency by what happens, in {shown.unit}. {shares}."
    return Markup(to_svg(picture, name=f"account-{position}", description=description))


def _accounts(comparison: Comparison) -> dict[str, LatencyBreakdown]:
    """Return the account of every schedule by name, in the order of the table."""
    from ..online.regimes import regime as online

    rules, schedules = online(comparison.model), tables.schedules(comparison)
    made = {name: rules.breakdown(comparison.instance, each) for name, each in schedules.items()}
    return {name: account for name, account in made.items() if account is not None}


def _pictures(
    position: int,
    instance: Instance,
    schedules: Mapping[str, Schedule],
    rows: Sequence[tables.Row],
) -> list[dict[str, Any]]:
    """Gantt chart over KV occupancy for each schedule, all with the same rows and axes."""
    until = common_end(instance, schedules)
    shown = regime_of(schedules[tables.HINDSIGHT]).shown_in(instance)
    order = shared_order(instance, schedules[tables.HINDSIGHT])
    figures = {
        row.policy: gantt_over_kv(
            instance, schedules[row.policy], order=order, until=until, width=WIDTH
        )
        for row in rows
        if row.policy in schedules
    }
    if instance.n > plots.MOST_ROWS:
        level([figure.axes[0] for figure in figures.values()])
    return [
        {
            "policy": row.cells()[0],
            "metrics": row.metrics,
            "cut": _cut(instance, schedules[row.policy], until, shown),
            "svg": Markup(
                to_svg(
                    figures[row.policy],
                    name=f"{position}-{row.policy}",
                    description=_description(instance, row),
                )
            ),
        }
        for row in rows
        if row.policy in schedules
    ]


def _cut(instance: Instance, schedule: Schedule, until: int, shown: Shown) -> str:
    """Say where the picture of a schedule that takes much longer than others is cut off."""
    if int(schedule.completion(instance).max()) <= until:
        return ""
    return f"cut off at {shown.text(until)} {shown.unit}"


def _description(instance: Instance, row: tables.Row) -> str:
    metrics, shown = row.metrics, row.shown
    assert isinstance(metrics, Figures)
    return (
        f"Gantt chart and KV occupancy of {row.policy}: total latency "
        f"{shown.text(metrics.total_latency)} {shown.unit}, makespan "
        f"{shown.text(metrics.makespan)} {shown.unit}, peak {metrics.peak_kv:,} of "
        f"{instance.gpu.kv_capacity:,} KV tokens."
    )
