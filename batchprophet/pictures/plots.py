"""Pictures of a schedule: Gantt chart, KV occupancy under its capacity, waiting times.

Every function draws into the axes that it is given, or into a new picture of its own, and returns
the figure. None of them touches pyplot or any global setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..models.mixed.schedule import MixedSchedule
from . import palette
from . import separate as separate_plots
from .mixed_profiles import counts, kv_envelope, starts
from .shapes import bars, staircase

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..models.instance import FloatArray, Instance, IntArray
    from ..models.regimes import Schedule
    from ..models.separate.schedule import SeparateSchedule
    from ..online.separate.latency_breakdown import TimeAccount

#: Up to here a Gantt chart has one row per request; beyond, it shows how many run and wait.
MOST_ROWS = 1200
#: Up to here every request is a wedge of its own in the KV picture; beyond, the total is drawn.
MOST_WEDGES = 60
#: Up to here rows have gaps between them; beyond, they would only shimmer.
MOST_SEPARATE_ROWS = 150
#: Up to here the total is exact in every round; beyond, rounds share bins.
MOST_BINS = 600
#: Where requests are counted, the axis is linear up to here and logarithmic beyond.
LINEAR_COUNTS = 10

#: Time units of the laws in one unit of the axis, and its name.
TIME_UNITS = {"round": (1, "rounds"), "slot": (1, "slots"), "microsecond": (1_000_000, "s")}


def gantt(
    instance: Instance,
    schedule: Schedule,
    *,
    ax: Axes | None = None,
    order: IntArray | None = None,
    until: int | None = None,
) -> Figure:
    """Draw when each request waits and runs.

    One row per request: a thin line from its arrival to its final start, a dark prompt round,
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
    ax = _axes(ax, height=gantt_height(instance.n))
    if instance.n <= MOST_ROWS:
        _draw_rows(ax, instance, schedule, order)
    elif isinstance(schedule, MixedSchedule):
        _draw_counts(ax, instance, schedule)
    else:
        separate_plots.draw_counts(ax, instance, schedule, linear=LINEAR_COUNTS)
        palette.dress(ax, x_label=time_label(instance), y_label="requests (log scale)")
    _time_axis(ax, instance, schedule, until)
    palette.legend(ax)
    return _figure(ax)


def kv(
    instance: Instance,
    schedule: Schedule,
    *,
    ax: Axes | None = None,
    until: int | None = None,
) -> Figure:
    """Draw the KV tokens held in each round or batch, under the capacity line.

    Up to `MOST_WEDGES` runs, each run is a wedge that grows by one token a round (or a batch that
    serves it), stacked on those that started before it. Beyond, only the total is drawn, with the
    least and the most of each bin (light and dark) where there are more than `MOST_BINS` rounds.

    Parameters
    ----------
    instance, schedule, ax, until
        As in `gantt`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    ax = _axes(ax, height=2.6)
    M = instance.gpu.kv_capacity
    if isinstance(schedule, MixedSchedule):
        _draw_kv(ax, instance, schedule)
    else:
        separate_plots.draw_kv(ax, instance, schedule)
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
    return _figure(ax)


def modes(
    instance: Instance,
    schedule: SeparateSchedule,
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
    """
    ax = _axes(ax, height=1.8)
    separate_plots.draw_modes(ax, instance, schedule)
    _time_axis(ax, instance, schedule, until)
    ax.set_xlabel(time_label(instance), fontsize=palette.TEXT, color=palette.INK)
    palette.legend(ax)
    return _figure(ax)


def latency_account(
    instance: Instance, accounts: Mapping[str, TimeAccount], *, ax: Axes | None = None
) -> Figure:
    """Draw where the mean latency comes from, a bar per schedule of separate batching.

    Parameters
    ----------
    instance : Instance
        The instance.
    accounts : mapping of str to TimeAccount
        By name, from the top down.
    ax : matplotlib Axes, optional
        Where to draw; a new picture by default.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    ax = _axes(ax, height=account_height(len(accounts)))
    scale, unit = TIME_UNITS[instance.gpu.batch_time.time_unit]
    separate_plots.draw_account(ax, accounts, instance.n, scale)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6))
    palette.dress(ax, x_label=f"mean latency ({unit})", y_label="")
    palette.legend(ax, columns=2)
    return _figure(ax)


def account_height(schedules: int) -> float:
    """Height in inches of the picture of that many accounts."""
    return 1.9 + 0.28 * schedules


def time_label(instance: Instance) -> str:
    """Name of the time axis, with its unit."""
    return f"time ({TIME_UNITS[instance.gpu.batch_time.time_unit][1]})"


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
    ax = _axes(ax, height=3.6)
    for position, (name, schedule) in enumerate(schedules.items()):
        x, share = _distribution(starts(instance, schedule) - instance.arrival)
        colour, dash = palette.LINES[(position - 1) % len(palette.LINES)]
        style: dict[str, Any] = (
            {"color": palette.INK, "linewidth": 2.4, "zorder": 3}
            if position == 0
            else {"color": colour, "linestyle": dash, "linewidth": 1.6}
        )
        ax.plot(x, share, drawstyle="steps-post", label=palette.writable(name), **style)
    ax.set_ylim(0, 1.02)
    ax.set_xlim(left=0)
    ax.grid(color=palette.INK, alpha=0.12, linewidth=0.6)
    _format_time(ax, instance)
    unit = TIME_UNITS[instance.gpu.batch_time.time_unit][1]
    palette.dress(ax, x_label=f"waiting time ({unit})", y_label="share of requests")
    palette.legend(ax, columns=2)
    return _figure(ax)


def gantt_height(n: int) -> float:
    """Height in inches at which the Gantt chart of `n` requests reads well."""
    return 3.0 if n > MOST_ROWS else float(np.clip(1.0 + 0.16 * n, 2.0, 5.0))


def _draw_rows(ax: Axes, instance: Instance, schedule: Schedule, order: IntArray | None) -> None:
    label = "request" if order is not None else "request (by start)"
    if order is None:
        order = np.lexsort((instance.arrival, starts(instance, schedule)))
    separate = instance.n <= MOST_SEPARATE_ROWS
    if isinstance(schedule, MixedSchedule):
        _draw_runs(ax, instance, schedule, order, separate=separate)
    else:
        separate_plots.draw_rows(ax, instance, schedule, order, separate=separate)
    ax.set_ylim(instance.n - 0.4, -0.6)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    palette.dress(ax, x_label=time_label(instance), y_label=label)
    if instance.n <= 15:
        names = [palette.writable(instance.request_id(int(i)), most=12) for i in order]
        ax.set_yticks(range(instance.n), names, parse_math=False)
        ax.set_ylabel("")


def _draw_runs(
    ax: Axes, instance: Instance, schedule: MixedSchedule, order: IntArray, *, separate: bool
) -> None:
    """Draw one row per request: waiting, its prompt round and token rounds, evicted runs."""
    row = np.empty(instance.n)
    row[order] = np.arange(instance.n)
    start, completion = schedule.start, schedule.completion(instance)
    height, thin, alpha = (0.8, 0.12, 1.0) if separate else (1.0, 1.0, 0.35)
    grey = {"color": palette.WAITING, "alpha": alpha, "label": "waiting"}
    bars(ax, instance.arrival, start, row, thin, **grey)
    runs = schedule.evicted
    if runs:
        owner = np.array([run.request for run in runs])
        begin, end = np.array([(run.start, run.end) for run in runs]).T
        style = {"facecolor": "none", "edgecolor": palette.LOST, "hatch": "/////"}
        bars(ax, begin, end, row[owner], height, label="evicted", linewidth=0.6, **style)
    bars(ax, start, completion, row, height, color=palette.TOKENS, label="token rounds")
    # An edge keeps a round that is narrower than a pixel visible.
    edge = {"linewidth": 0.8 if separate else 0.0, "label": "prompt round"}
    bars(ax, start, start + 1, row, height, color=palette.PROMPT, **edge)


def _draw_counts(ax: Axes, instance: Instance, schedule: MixedSchedule) -> None:
    """Who waits as an area, who runs as a line, on an axis that shows tens beside thousands."""
    edges, running, queued = counts(instance, schedule, bins=MOST_BINS)
    ax.stairs(queued, edges, fill=True, color=palette.WAITING, label="waiting")
    ax.stairs(running, edges, color=palette.PROMPT, linewidth=1.4, label="running")
    ax.set_yscale("symlog", linthresh=LINEAR_COUNTS)
    ax.set_ylim(0, max(LINEAR_COUNTS, float(np.maximum(running, queued).max()) * 1.2))
    ax.yaxis.set_major_formatter("{x:,.0f}")
    palette.dress(ax, x_label=time_label(instance), y_label="requests (log scale)")


def _draw_kv(ax: Axes, instance: Instance, schedule: MixedSchedule) -> None:
    span = int(schedule.completion(instance).max()) - int(instance.arrival.min())
    if instance.n + len(schedule.evicted) <= MOST_WEDGES and span <= MOST_BINS:
        _draw_wedges(ax, instance, schedule)
    else:
        _draw_envelope(ax, instance, schedule)


def _draw_wedges(ax: Axes, instance: Instance, schedule: MixedSchedule) -> None:
    """Stack the runs by start: round r spans the time from r − 1 to r."""
    final = zip(schedule.start.tolist(), schedule.completion(instance).tolist(), strict=True)
    runs = [(k, end, i, False) for i, (k, end) in enumerate(final)]
    runs += [(run.start, run.end, run.request, True) for run in schedule.evicted]
    origin = min(k for k, _, _, _ in runs)
    held = np.zeros(max(end for _, end, _, _ in runs) - origin, dtype=np.int64)
    for position, (k, end, i, lost) in enumerate(sorted(runs)):
        rounds = slice(k - origin, end - origin)
        below = held[rounds].copy()
        held[rounds] += int(instance.prompt[i]) + np.arange(1, end - k + 1)
        outline = staircase(np.arange(k, end + 1), below, held[rounds])
        if lost:
            wedge = Polygon(outline, fill=False, edgecolor=palette.LOST, hatch="/////")
        else:
            colour = palette.WEDGES[position % len(palette.WEDGES)]
            wedge = Polygon(outline, facecolor=colour, edgecolor=palette.INK)
        wedge.set_linewidth(0.5)
        ax.add_patch(wedge)


def _draw_envelope(ax: Axes, instance: Instance, schedule: MixedSchedule) -> None:
    edges, low, high = kv_envelope(instance, schedule, bins=MOST_BINS)
    ax.stairs(low, edges, fill=True, color=palette.TOKENS)
    if (high > low).any():
        ax.stairs(high, edges, baseline=low, fill=True, color=palette.PROMPT)


def _distribution(values: IntArray) -> tuple[FloatArray, FloatArray]:
    """Steps of the empirical distribution function, at most `MOST_BINS` of them."""
    x, count = np.unique(values, return_counts=True)
    share = np.cumsum(count) / values.size
    if x.size > MOST_BINS:
        keep = np.unique(np.linspace(0, x.size - 1, MOST_BINS).astype(np.int64))
        x, share = x[keep], share[keep]
    # The curve starts at the axis, and ends at 1 with a visible step.
    return np.concatenate([[0], x]).astype(np.float64), np.concatenate([[0.0], share])


def _time_axis(ax: Axes, instance: Instance, schedule: Schedule, until: int | None) -> None:
    first = int(min(instance.arrival.min(), starts(instance, schedule).min()))
    last = int(schedule.completion(instance).max()) if until is None else until
    ax.set_xlim(first, max(last, first + 1))
    _format_time(ax, instance)


def _format_time(ax: Axes, instance: Instance) -> None:
    """Write times in the axis' unit: whole rounds and slots, microseconds as seconds."""
    scale, _ = TIME_UNITS[instance.gpu.batch_time.time_unit]
    if scale == 1:
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    else:
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / scale:,g}"))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6))


def _axes(ax: Axes | None, *, height: float) -> Axes:
    return palette.picture(7.2, height).add_subplot() if ax is None else ax


def _figure(ax: Axes) -> Figure:
    return cast(Figure, ax.get_figure(root=True))
