"""Pictures of a schedule: Gantt chart, KV occupancy under its capacity, waiting times.

Every function draws into the axes that it is given, or into a new picture of its own, and returns
the figure. None of them touches pyplot or any global setting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..models.errors import InputError
from . import palette
from .account import draw_account
from .axes import MOST_BINS, TIME_UNITS, figure_of, format_time, given_or_new, time_label
from .charts import tell_apart
from .regimes import DRAWINGS, starts
from .shapes import name_wedges

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..models.instance import FloatArray, Instance, IntArray
    from ..models.regime import Schedule
    from ..online.regime import LatencyBreakdown

#: Up to here a Gantt chart has one row per request; beyond, it shows how many run and wait.
MOST_ROWS = 1200
#: Up to here rows have the ids of their requests.
MOST_NAMES = 30
#: Up to here rows have gaps between them; beyond, they would only shimmer.
MOST_SEPARATE_ROWS = 150


def gantt(
    instance: Instance,
    schedule: Schedule,
    *,
    ax: Axes | None = None,
    order: IntArray | None = None,
    until: int | None = None,
) -> Figure:
    """Draw when each request waits and runs.

    One row per request, marked with its colour on the left where there are few: a thin line from
    its arrival to its final start, a dark prompt round,
    light token rounds, and hatched runs that an eviction lost. Under separate batching: a dark
    prompt batch, light token batches, and a thin line of another colour where batches leave it
    out. With more than `MOST_ROWS` requests: how many run and wait, over time.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedule : MixedSchedule or SeparateSchedule
        A schedule of it that serves every request.
    ax : matplotlib Axes, optional
        Where to draw; a new picture by default.
    order : array_like of int, shape (n,), optional
        Requests from the top row down; by start (then arrival) by default. Give the same order to
        several schedules to find a request on the same row in all of them.
    until : int, optional
        Right end of the time axis, in the instance's unit; the makespan by default.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    ax = given_or_new(ax, height=gantt_height(instance.n))
    if instance.n <= MOST_ROWS:
        _draw_rows(ax, instance, schedule, order)
    else:
        DRAWINGS[schedule.model].counts(ax, instance, schedule)
    _time_axis(ax, instance, schedule, until)
    palette.legend(ax)
    return figure_of(ax)


def kv(
    instance: Instance,
    schedule: Schedule,
    *,
    ax: Axes | None = None,
    until: int | None = None,
) -> Figure:
    """Draw the KV tokens held in each round or batch, under the capacity line.

    Up to `MOST_WEDGES` runs, each run is a wedge that grows by one token a round (or a batch that
    serves it), stacked on those that started before it. It has the colour of its request, which is
    the same in every picture, and its id where there is room. Beyond, only the total is drawn, with
    the least and the most of each bin (light and dark) beyond `MOST_BINS` rounds.

    Parameters
    ----------
    instance, schedule, ax, until
        As in `gantt`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    ax = given_or_new(ax, height=2.6)
    M = instance.gpu.kv_capacity
    drawn = DRAWINGS[schedule.model].kv(ax, instance, schedule)
    ax.axhline(M, color=palette.INK, linewidth=1.4, linestyle=(0, (6, 2)))
    ax.annotate(
        f"capacity M = {M:,}",
        xy=(1.0, M),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=palette.SMALL,
        color=palette.INK,
    )
    ax.set_ylim(0, M * 1.22)
    _time_axis(ax, instance, schedule, until)
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    palette.dress(ax, x_label=time_label(instance), y_label="KV tokens held")
    if drawn:
        name_wedges(ax, drawn, [_name(instance, i) for i in range(instance.n)])
    return figure_of(ax)


def modes(
    instance: Instance,
    schedule: Schedule,
    *,
    ax: Axes | None = None,
    until: int | None = None,
) -> Figure:
    """Draw what the GPU does under separate batching: prompt batches, token batches, nothing.

    Up to `separate.MOST_BATCHES` batches, each is a bar as high as it has requests; beyond,
    the shares of time of both kinds are drawn.

    Parameters
    ----------
    instance, schedule, ax, until
        As in `gantt`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    InputError
        If the GPU has no modes in the schedule's regime.
    """
    draw = DRAWINGS[schedule.model].modes
    if draw is None:
        raise InputError(
            f"plot_modes: expected a schedule of separate batching, found {schedule.model}"
        )
    ax = _draw_strip(draw, instance, schedule, ax, until)
    palette.legend(ax)
    return figure_of(ax)


def seats(
    instance: Instance,
    schedule: Schedule,
    *,
    ax: Axes | None = None,
    until: int | None = None,
) -> Figure:
    """Draw how many requests hold a cache under continuous batching, and the limit on them.

    Parameters
    ----------
    instance, schedule, ax, until
        As in `gantt`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    InputError
        If the schedule's regime has no limit on them.
    """
    draw = DRAWINGS[schedule.model].seats
    if draw is None:
        raise InputError(
            f"plot_seats: expected a schedule of continuous batching, found {schedule.model}"
        )
    return figure_of(_draw_strip(draw, instance, schedule, ax, until))


def latency_account(
    instance: Instance,
    accounts: Mapping[str, LatencyBreakdown],
    *,
    model: str = "separate",
    ax: Axes | None = None,
) -> Figure:
    """Draw where the mean latency comes from, a bar per schedule of separate batching.

    Parameters
    ----------
    instance : Instance
        The instance.
    accounts : mapping of str to LatencyBreakdown
        By name, from the top down.
    model : str
        The regime of the schedules.
    ax : matplotlib Axes, optional
        Where to draw; a new picture by default.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    ax = given_or_new(ax, height=account_height(len(accounts)))
    scale, unit = TIME_UNITS[instance.gpu.batch_time.time_unit]
    draw_account(ax, accounts, DRAWINGS[model].account, instance.n, scale)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6))
    palette.dress(ax, x_label=f"mean latency ({unit})", y_label="")
    palette.legend(ax, columns=2)
    return figure_of(ax)


def account_height(schedules: int) -> float:
    """Height in inches of the picture of that many accounts."""
    return 1.9 + 0.28 * schedules


def waiting(
    instance: Instance, schedules: Mapping[str, Schedule], *, ax: Axes | None = None
) -> Figure:
    """Draw the distribution of waiting times of several schedules.

    A request waits from its arrival to its final start, or to the start of its prompt batch.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedules : mapping of str to MixedSchedule or SeparateSchedule
        Schedules by name; the first one is drawn in ink, wider than the others.
    ax : matplotlib Axes, optional
        Where to draw; a new picture by default.

    Returns
    -------
    matplotlib.figure.Figure
        The picture: for each waiting time, the share of requests that wait at most that long.
    """
    ax = given_or_new(ax, height=3.6)
    for position, (name, schedule) in enumerate(schedules.items()):
        x, share = _distribution(starts(instance, schedule) - instance.arrival)
        colour, dash = palette.LINES[(position - 1) % len(palette.LINES)]
        style: dict[str, Any] = (
            {"color": palette.INK, "linewidth": 2.4, "zorder": 3}
            if position == 0
            else {"color": colour, "linestyle": dash, "linewidth": 1.6}
        )
        ax.plot(x, share, drawstyle="steps-post", label=palette.writable(name), **style)
    tell_apart(ax)
    ax.set_ylim(0, 1.02)
    ax.set_xlim(left=0)
    ax.grid(color=palette.INK, alpha=0.12, linewidth=0.6)
    format_time(ax, instance)
    unit = TIME_UNITS[instance.gpu.batch_time.time_unit][1]
    palette.dress(ax, x_label=f"waiting time ({unit})", y_label="share of requests")
    palette.legend(ax, columns=2)
    return figure_of(ax)


def gantt_height(n: int) -> float:
    """Height in inches at which the Gantt chart of `n` requests reads well."""
    return 3.0 if n > MOST_ROWS else float(np.clip(1.0 + 0.16 * n, 2.0, 5.0))


def _draw_rows(ax: Axes, instance: Instance, schedule: Schedule, order: IntArray | None) -> None:
    label = "request" if order is not None else "request (by start)"
    if order is None:
        order = np.lexsort((instance.arrival, starts(instance, schedule)))
    separate = instance.n <= MOST_SEPARATE_ROWS
    DRAWINGS[schedule.model].rows(ax, instance, schedule, order, separate=separate)
    ax.set_ylim(instance.n - 0.4, -0.6)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    palette.dress(ax, x_label=time_label(instance), y_label=label)
    if instance.n <= MOST_NAMES:
        names = [_name(instance, int(i)) for i in order]
        ax.set_yticks(range(instance.n), names, parse_math=False)
        if instance.n > MOST_NAMES // 2:
            ax.tick_params(axis="y", labelsize=palette.TINY)
        ax.set_ylabel("")
    has_wedges = DRAWINGS[schedule.model].wedges
    if has_wedges is not None and has_wedges(instance, schedule):
        _mark_rows(ax, order)


def _mark_rows(ax: Axes, order: IntArray) -> None:
    """Mark rows with the colours of their requests, left of the axis."""
    lines = [[(-0.008, row - 0.4), (-0.008, row + 0.4)] for row in range(order.size)]
    marks = LineCollection(
        lines, colors=[palette.of_request(int(i)) for i in order], linewidths=5.0,
        capstyle="butt", transform=ax.get_yaxis_transform(), clip_on=False,
    )  # fmt: skip
    ax.add_collection(marks, autolim=False)
    ax.tick_params(axis="y", length=0, pad=8)


def _name(instance: Instance, i: int) -> str:
    """A request's id, as pictures write it."""
    return palette.writable(instance.request_id(i), most=12)


def _distribution(values: IntArray) -> tuple[FloatArray, FloatArray]:
    """Steps of the empirical distribution function, at most `MOST_BINS` of them."""
    x, count = np.unique(values, return_counts=True)
    share = np.cumsum(count) / values.size
    if x.size > MOST_BINS:
        keep = np.unique(np.linspace(0, x.size - 1, MOST_BINS).astype(np.int64))
        x, share = x[keep], share[keep]
    # The curve starts at the axis, and ends at 1 with a visible step.
    return np.concatenate([[0], x]).astype(np.float64), np.concatenate([[0.0], share])


def _draw_strip(
    draw: Callable[..., None],
    instance: Instance,
    schedule: Schedule,
    ax: Axes | None,
    until: int | None,
) -> Axes:
    """Draw a low picture over the schedule's time, with the time written below it."""
    ax = given_or_new(ax, height=1.8)
    draw(ax, instance, schedule)
    _time_axis(ax, instance, schedule, until)
    ax.set_xlabel(time_label(instance), fontsize=palette.TEXT, color=palette.INK)
    return ax


def _time_axis(ax: Axes, instance: Instance, schedule: Schedule, until: int | None) -> None:
    first = int(min(instance.arrival.min(), starts(instance, schedule).min()))
    last = int(schedule.completion(instance).max()) if until is None else until
    ax.set_xlim(first, max(last, first + 1))
    format_time(ax, instance)
