"""The report: one self-contained page with facts, table, reading and pictures of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from . import palette, plots, tables
from .panels import gantt_over_kv, last_completion, level, shared_order
from .reading import facts, provenance, reading
from .svg import to_svg

if TYPE_CHECKING:
    from .models.instance import Instance
    from .models.metrics import Metrics
    from .models.schedule import MixedSchedule
    from .online.evaluation import Comparison


#: Width of a picture in inches: narrow, so that text stays legible where a phone shrinks it.
WIDTH = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What made a report; it stands below the title.

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


def render(comparisons: Sequence[Comparison], origin: Origin) -> str:
    """Return the report on one or more comparisons as an HTML page.

    Parameters
    ----------
    comparisons : sequence of Comparison
        At least one; each becomes a section.
    origin : Origin
        What made the report.

    Returns
    -------
    str
        A page that needs no other file. The same arguments give the same characters.
    """
    template = resources.files(__package__).joinpath("templates/report.html").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    sections = [_section(position, each) for position, each in enumerate(comparisons, start=1)]
    return environment.from_string(template).render(
        title=_title(comparisons), origin=origin, sections=sections, columns=tables.COLUMNS
    )


def _title(comparisons: Sequence[Comparison]) -> str:
    if len(comparisons) == 1:
        return f"{comparisons[0].instance.name}: hindsight and online policies"
    return f"Hindsight and online policies on {len(comparisons)} instances"


def _section(position: int, comparison: Comparison) -> dict[str, Any]:
    instance = comparison.instance
    rows = tables.rows(comparison)
    schedules = tables.schedules(comparison)
    return {
        "key": f"instance-{position}",
        "name": instance.name,
        "facts": facts(instance),
        "provenance": provenance(instance),
        "reading": reading(comparison),
        "rows": [
            {"cells": row.cells(), "finished": row.metrics is not None, "top": i == 0}
            for i, row in enumerate(rows)
        ],
        "waiting": _waiting_svg(position, instance, schedules),
        "pictures": _pictures(position, instance, schedules, rows),
        "counted": instance.n > plots.MOST_ROWS,
        "binned": last_completion(instance, schedules) > plots.MOST_BINS,
    }


def _waiting_svg(
    position: int, instance: Instance, schedules: Mapping[str, MixedSchedule]
) -> Markup:
    picture = palette.picture(WIDTH, 2.4 + 0.15 * (len(schedules) // 2))
    plots.waiting(instance, schedules, ax=picture.add_subplot())
    medians = ", ".join(
        f"{name} {np.median(schedule.start - instance.arrival):,.0f}"
        for name, schedule in schedules.items()
    )
    description = f"Distribution of waiting times. Median waiting time in rounds: {medians}."
    return Markup(to_svg(picture, name=f"waiting-{position}", description=description))


def _pictures(
    position: int,
    instance: Instance,
    schedules: Mapping[str, MixedSchedule],
    rows: Sequence[tables.Row],
) -> list[dict[str, Any]]:
    """Gantt chart over KV occupancy for each schedule, all with the same rows and axes."""
    until = last_completion(instance, schedules)
    order = shared_order(instance, schedules[tables.HINDSIGHT])
    figures = {
        row.policy: gantt_over_kv(
            instance, schedules[row.policy], order=order, until=until, width=WIDTH
        )
        for row in rows
        if row.metrics is not None
    }
    if instance.n > plots.MOST_ROWS:
        level([figure.axes[0] for figure in figures.values()])
    return [
        {
            "policy": row.cells()[0],
            "metrics": row.metrics,
            "svg": Markup(
                to_svg(
                    figures[row.policy],
                    name=f"{position}-{row.policy}",
                    description=_description(instance, row.policy, row.metrics),
                )
            ),
        }
        for row in rows
        if row.metrics is not None
    ]


def _description(instance: Instance, policy: str, metrics: Metrics) -> str:
    return (
        f"Gantt chart and KV occupancy of {policy}: total latency {metrics.total_latency:,} "
        f"rounds, makespan {metrics.makespan:,}, peak {metrics.peak_kv:,} of "
        f"{instance.gpu.kv_capacity:,} KV tokens."
    )
