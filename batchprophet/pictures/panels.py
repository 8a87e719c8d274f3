"""Several schedules in one picture, on the same axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from . import palette, plots
from .regimes import DRAWINGS, starts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..models.instance import Instance, IntArray
    from ..models.regime import Schedule


def last_completion(instance: Instance, schedules: Mapping[str, Schedule]) -> int:
    """Right end of the time axis that all schedules share."""
    return max(int(schedule.completion(instance).max()) for schedule in schedules.values())


def shared_order(instance: Instance, schedule: Schedule) -> IntArray:
    """Order of rows that all Gantt charts share: by start in `schedule`, then by arrival."""
    return np.lexsort((instance.arrival, starts(instance, schedule)))


def gantt_over_kv(
    instance: Instance, schedule: Schedule, *, order: IntArray, until: int, width: float
) -> Figure:
    """Draw a schedule's Gantt chart, and its KV occupancy below on the same time axis.

    Between them, under separate batching: what the GPU does.
    """
    heights = [plots.gantt_height(instance.n) * 0.9, 2.0]
    has_modes = DRAWINGS[schedule.model].modes is not None
    if has_modes:
        heights.insert(1, 1.4)
    picture = palette.picture(width, sum(heights))
    upper, *lower = picture.subplots(len(heights), 1, height_ratios=heights, sharex=True)
    plots.gantt(instance, schedule, ax=upper, order=order, until=until)
    if has_modes:
        plots.modes(instance, schedule, ax=lower[0], until=until)
        lower[0].set_xlabel("")
    plots.kv(instance, schedule, ax=lower[-1], until=until)
    upper.set_xlabel("")
    picture.align_ylabels()
    return picture


def level(axes: Sequence[Axes]) -> None:
    """Give axes that count requests the same height."""
    top = max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(0, top)


def gantts(instance: Instance, schedules: Mapping[str, Schedule]) -> Figure:
    """Draw a Gantt chart per schedule, with the same rows (by the first one) and time axis."""
    until = last_completion(instance, schedules)
    order = shared_order(instance, next(iter(schedules.values())))
    height = plots.gantt_height(instance.n) + 0.2
    picture = palette.picture(7.2, height * len(schedules))
    column = picture.subplots(len(schedules), 1, squeeze=False)[:, 0]
    for ax, (name, schedule) in zip(column, schedules.items(), strict=True):
        plots.gantt(instance, schedule, ax=ax, order=order, until=until)
        palette.title(ax, name)
    if instance.n > plots.MOST_ROWS:
        level(list(column))
    return picture


def kvs(instance: Instance, schedules: Mapping[str, Schedule]) -> Figure:
    """Draw the KV occupancy of each schedule on the same axes."""
    until = last_completion(instance, schedules)
    picture = palette.picture(7.2, 2.2 * len(schedules))
    column = picture.subplots(len(schedules), 1, squeeze=False)[:, 0]
    for ax, (name, schedule) in zip(column, schedules.items(), strict=True):
        plots.kv(instance, schedule, ax=ax, until=until)
        palette.title(ax, name)
    return picture
