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


#: Schedules that take longer than this many times the median one are cut off.
MOST_TIMES = 2


def last_completion(instance: Instance, schedules: Mapping[str, Schedule]) -> int:
    """Right end of the time axis that all schedules share."""
    return max(int(schedule.completion(instance).max()) for schedule in schedules.values())


def has_seats(instance: Instance, schedule: Schedule) -> bool:
    """Whether pictures of a schedule show how many requests run: where that is limited."""
    drawn = DRAWINGS[schedule.model].seats is not None
    return drawn and instance.gpu.running_requests is not None


def common_end(instance: Instance, schedules: Mapping[str, Schedule]) -> int:
    """Right end of a time axis on which most schedules are legible.

    The last completion of those that take at most `MOST_TIMES` as long as the median one; the
    others are cut off there.

    Examples
    --------
    >>> from batchprophet.models.instance import Gpu, Instance
    >>> from batchprophet.models.mixed.schedule import MixedSchedule
    >>> instance = Instance(gpu=Gpu(kv_capacity=9), arrival=[0], prompt=[3], output=[4])
    >>> slow = {f"policy {start}": MixedSchedule([start]) for start in (0, 1, 96)}
    >>> last_completion(instance, slow), common_end(instance, slow)
    (100, 5)
    """
    ends = [int(schedule.completion(instance).max()) for schedule in schedules.values()]
    first = int(instance.arrival.min())
    middle = float(np.median(ends)) - first
    return max(end for end in ends if end - first <= MOST_TIMES * middle)


def shared_order(instance: Instance, schedule: Schedule) -> IntArray:
    """Order of rows that all Gantt charts share: by start in `schedule`, then by arrival."""
    return np.lexsort((instance.arrival, starts(instance, schedule)))


def gantt_over_kv(
    instance: Instance, schedule: Schedule, *, order: IntArray, until: int, width: float
) -> Figure:
    """Draw a schedule's Gantt chart, and its KV occupancy below on the same time axis.

    Between them, where batches are of kinds: what the GPU does; and where the GPU limits the
    running requests, how many there are.
    """
    drawing = DRAWINGS[schedule.model]
    between = [
        (draw, height)
        for draw, shown, height in (
            (plots.modes, drawing.modes is not None, 1.4),
            (plots.seats, has_seats(instance, schedule), 1.1),
        )
        if shown
    ]
    heights = [plots.gantt_height(instance.n) * 0.9, *(height for _, height in between), 2.0]
    picture = palette.picture(width, sum(heights))
    upper, *lower = picture.subplots(len(heights), 1, height_ratios=heights, sharex=True)
    plots.gantt(instance, schedule, ax=upper, order=order, until=until)
    for (draw, _), ax in zip(between, lower[:-1], strict=True):
        draw(instance, schedule, ax=ax, until=until)
        ax.set_xlabel("")
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
