"""Mean against 99th percentile of latency: who pays for a short mean, and what is proved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..models.figures import Figures
from . import palette
from .axes import TIME_UNITS, figure_of, given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..results.compared import Compared

#: Markers, one for each cycle of the colours.
MARKERS = ("o", "s", "^")

#: A schedule with a figure this many times the least is beyond the picture, and named as such.
BEYOND = 3.0


def mean_and_p99(compared: Compared, *, ax: Axes | None = None) -> Figure:
    """Draw a point for each schedule, and a line for each bound that no schedule crosses.

    Parameters
    ----------
    compared : Compared
        The comparison. Where the objective is not the total latency, the mean has no bound.
    ax : matplotlib Axes, optional
        Where to draw; a new picture by default.

    Returns
    -------
    matplotlib.figure.Figure
        Mean latency to the right, 99th percentile upwards; no schedule is in the grey area.
    """
    ax = given_or_new(ax, height=4.2)
    instance, solution = compared.instance, compared.solution
    per, unit = TIME_UNITS[instance.gpu.batch_time.time_unit]
    points = [
        (row.policy, row.metrics.mean_latency / per, row.metrics.p99_latency / per)
        for row in compared.rows()
        if isinstance(row.metrics, Figures)
    ]
    bounds: list[float | None] = [None, None]
    if solution.objective_name == "latency" and solution.bound is not None:
        bounds[0] = float(solution.bound) / instance.n / per
    if compared.tail_bound is not None:
        bounds[1] = compared.tail_bound / per
    ends = BEYOND * min(mean for _, mean, _ in points), BEYOND * min(p99 for *_, p99 in points)
    for position, (name, mean, p99) in enumerate(points):
        cycle, place = divmod(position - 1, 6)
        style: dict[str, Any] = (
            {"color": palette.INK, "marker": "*", "markersize": 11}
            if position == 0
            else {
                "color": palette.LINES[place][0],
                "marker": MARKERS[cycle % 3],
                "markersize": (7, 8, 9)[cycle % 3],
                "fillstyle": "full" if cycle == 0 else "none",
                "markeredgewidth": 1.6,
            }
        )
        label = palette.writable(name)
        if mean > ends[0] or p99 > ends[1]:
            ax.plot([], [], linestyle="none", label=f"{label} (beyond)", **style)
        else:
            ax.plot([mean], [p99], linestyle="none", label=label, zorder=3, **style)
    inside = [(mean, p99) for _, mean, p99 in points if mean <= ends[0] and p99 <= ends[1]]
    for axis, bound in enumerate(bounds):
        _set_range(ax, axis, [each[axis] for each in inside], bound)
    if bounds[0] is not None:
        ax.axvspan(ax.get_xlim()[0], bounds[0], color=palette.WAITING, alpha=0.35, linewidth=0)
    if bounds[1] is not None:
        ax.axhspan(ax.get_ylim()[0], bounds[1], color=palette.WAITING, alpha=0.35, linewidth=0)
    ax.grid(color=palette.INK, alpha=0.12, linewidth=0.6)
    palette.dress(ax, x_label=f"mean latency ({unit})", y_label=f"99th percentile ({unit})")
    palette.legend(ax, columns=3)
    return figure_of(ax)


def _set_range(ax: Axes, axis: int, values: list[float], bound: float | None) -> None:
    """Let an axis show all values and the bound, with room for the grey area below it."""
    low, high = min([*values, *([bound] if bound else [])]), max(values)
    room = 0.08 * (high - low) or 0.1 * high or 1.0
    (ax.set_xlim, ax.set_ylim)[axis](max(0.0, low - room), high + room)
    target = (ax.xaxis, ax.yaxis)[axis]
    target.set_major_locator(MaxNLocator(nbins=6))
    target.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,g}"))
