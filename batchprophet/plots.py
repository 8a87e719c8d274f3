"""Pictures of a schedule: Gantt chart, KV occupancy under its capacity, waiting times.

Every function draws into the axes that it is given, or into a new picture of its own, and returns
the figure. None of them touches pyplot or any global setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from . import palette
from .profiles import counts, kv_envelope

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from .models.instance import FloatArray, Instance, IntArray
    from .models.schedule import MixedSchedule

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

TIME = "time (rounds)"


def gantt(
    instance: Instance,
    schedule: MixedSchedule,
    *,
    ax: Axes | None = None,
    order: IntArray | None = None,
    until: int | None = None,
) -> Figure:
    """Draw when each request waits and runs.

    One row per request: a thin line from its arrival to its final start, a dark prompt round,
    light token rounds, and hatched runs that an eviction lost. With more than `MOST_ROWS`
    requests: how many run and wait, over time.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedule : MixedSchedule
        A schedule of it.
    ax : matplotlib Axes, optional
        Where to draw; a new picture by default.
    order : array_like of int, shape (n,), optional
        Requests from the top row down; by start (then arrival) by default. Give the same order to
        several schedules to find a request on the same row in all of them.
    until : int, optional
        Right end of the time axis, in rounds; the makespan by default.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    ax = _axes(ax, height=gantt_height(instance.n))
    if instance.n <= MOST_ROWS:
        _draw_rows(ax, instance, schedule, order)
    else:
        _draw_counts(ax, instance, schedule)
    _time_axis(ax, instance, schedule, until)
    palette.legend(ax)
    return _figure(ax)


def kv(
    instance: Instance,
    schedule: MixedSchedule,
    *,
    ax: Axes | None = None,
    until: int | None = None,
) -> Figure:
    """Draw the KV tokens held in each round, under the capacity line.

    Up to `MOST_WEDGES` runs, each run is a wedge that grows by one token a round, stacked on those
    that started before it. Beyond, only the total is drawn, with the least and the most of each
    bin (light and dark) where there are more than `MOST_BINS` rounds.

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
    span = int(schedule.completion(instance).max()) - int(instance.arrival.min())
    if instance.n + len(schedule.evicted) <= MOST_WEDGES and span <= MOST_BINS:
        _draw_wedges(ax, instance, schedule)
    else:
        _draw_envelope(ax, instance, schedule)
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
    palette.dress(ax, x_label=TIME, y_label="KV tokens held")
    return _figure(ax)


def waiting(
    instance: Instance, schedules: Mapping[str, MixedSchedule], *, ax: Axes | None = None
) -> Figure:
    """Draw the distribution of waiting times (arrival to final start) of several schedules.

    Parameters
    ----------
    instance : Instance
        The instance.
    schedules : mapping of str to MixedSchedule
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
        x, share = _distribution(schedule.start - instance.arrival)
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
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    palette.dress(ax, x_label="waiting time (rounds)", y_label="share of requests")
    palette.legend(ax, columns=2)
    return _figure(ax)


def gantt_height(n: int) -> float:
    """Height in inches at which the Gantt chart of `n` requests reads well."""
    return 3.0 if n > MOST_ROWS else float(np.clip(1.0 + 0.16 * n, 2.0, 5.0))


def _draw_rows(
    ax: Axes, instance: Instance, schedule: MixedSchedule, order: IntArray | None
) -> None:
    label = "request" if order is not None else "request (by start)"
    if order is None:
        order = np.lexsort((instance.arrival, schedule.start))
    row = np.empty(instance.n)
    row[order] = np.arange(instance.n)
    start, completion = schedule.start, schedule.completion(instance)
    separate = instance.n <= MOST_SEPARATE_ROWS
    height, thin, alpha = (0.8, 0.12, 1.0) if separate else (1.0, 1.0, 0.35)
    grey = {"color": palette.WAITING, "alpha": alpha, "label": "waiting"}
    _bars(ax, instance.arrival, start, row, thin, **grey)
    runs = schedule.evicted
    if runs:
        owner = np.array([run.request for run in runs])
        begin, end = np.array([(run.start, run.end) for run in runs]).T
        style = {"facecolor": "none", "edgecolor": palette.LOST, "hatch": "/////"}
        _bars(ax, begin, end, row[owner], height, label="evicted", linewidth=0.6, **style)
    _bars(ax, start, completion, row, height, color=palette.TOKENS, label="token rounds")
    # An edge keeps a round that is narrower than a pixel visible.
    edge = {"linewidth": 0.8 if separate else 0.0, "label": "prompt round"}
    _bars(ax, start, start + 1, row, height, color=palette.PROMPT, **edge)
    ax.set_ylim(instance.n - 0.4, -0.6)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    palette.dress(ax, x_label=TIME, y_label=label)
    if instance.n <= 15:
        names = [palette.writable(instance.request_id(int(i)), most=12) for i in order]
        ax.set_yticks(range(instance.n), names, parse_math=False)
        ax.set_ylabel("")


def _bars(
    ax: Axes, left: IntArray, right: IntArray, row: FloatArray, height: float, **style: Any
) -> None:
    """Draw one bar per row as a single path: small files, one legend entry."""
    drawn = right > left
    left, right, row = left[drawn], right[drawn], row[drawn]
    if not left.size:
        return
    low, high = row - height / 2, row + height / 2
    corners = np.array([(left, low), (right, low), (right, high), (left, high), (left, low)])
    vertices = corners.transpose(2, 0, 1).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY], left.size)
    ax.add_patch(
        PathPatch(Path(vertices, codes.astype(Path.code_type)), **{"linewidth": 0} | style)
    )


def _draw_counts(ax: Axes, instance: Instance, schedule: MixedSchedule) -> None:
    """Who waits as an area, who runs as a line, on an axis that shows tens beside thousands."""
    edges, running, queued = counts(instance, schedule, bins=MOST_BINS)
    ax.stairs(queued, edges, fill=True, color=palette.WAITING, label="waiting")
    ax.stairs(running, edges, color=palette.PROMPT, linewidth=1.4, label="running")
    ax.set_yscale("symlog", linthresh=LINEAR_COUNTS)
    ax.set_ylim(0, max(LINEAR_COUNTS, float(np.maximum(running, queued).max()) * 1.2))
    ax.yaxis.set_major_formatter("{x:,.0f}")
    palette.dress(ax, x_label=TIME, y_label="requests (log scale)")


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
        outline = _staircase(np.arange(k, end + 1), below, held[rounds])
        if lost:
            wedge = Polygon(outline, fill=False, edgecolor=palette.LOST, hatch="/////")
        else:
            colour = palette.WEDGES[position % len(palette.WEDGES)]
            wedge = Polygon(outline, facecolor=colour, edgecolor=palette.INK)
        wedge.set_linewidth(0.5)
        ax.add_patch(wedge)


def _staircase(edges: IntArray, low: IntArray, high: IntArray) -> NDArray[np.float64]:
    """Outline of the area between two step functions."""
    x = np.repeat(edges, 2)[1:-1]
    along = np.column_stack([x, np.repeat(high, 2)])
    back = np.column_stack([x, np.repeat(low, 2)])[::-1]
    return np.concatenate([along, back]).astype(np.float64)


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


def _time_axis(ax: Axes, instance: Instance, schedule: MixedSchedule, until: int | None) -> None:
    first = int(min(instance.arrival.min(), schedule.start.min()))
    last = int(schedule.completion(instance).max()) if until is None else until
    ax.set_xlim(first, max(last, first + 1))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _axes(ax: Axes | None, *, height: float) -> Axes:
    return palette.picture(7.2, height).add_subplot() if ax is None else ax


def _figure(ax: Axes) -> Figure:
    return cast(Figure, ax.get_figure(root=True))
