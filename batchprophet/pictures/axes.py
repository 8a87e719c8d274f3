"""Axes of pictures over time: unit, range, and counts of different magnitude."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from . import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from ..models.instance import FloatArray, Instance

#: Where requests are counted, the axis is linear up to here and logarithmic beyond.
LINEAR_COUNTS = 10

#: Up to here a total is exact at every time; beyond, times share bins.
MOST_BINS = 600

#: Time units of the laws in one unit of the axis, and its name.
TIME_UNITS = {"round": (1, "rounds"), "slot": (1, "slots"), "microsecond": (1_000_000, "s")}


def time_label(instance: Instance) -> str:
    """Name of the time axis, with its unit."""
    return f"time ({TIME_UNITS[instance.gpu.batch_time.time_unit][1]})"


def draw_counts(
    ax: Axes, instance: Instance, edges: ArrayLike, running: FloatArray, waiting: FloatArray
) -> None:
    """Draw waiting requests as an area and running ones as a line, from tens to thousands."""
    ax.stairs(waiting, edges, fill=True, color=palette.WAITING, label="waiting")
    ax.stairs(running, edges, color=palette.PROMPT, linewidth=1.4, label="running")
    ax.set_yscale("symlog", linthresh=LINEAR_COUNTS)
    ax.set_ylim(0, max(LINEAR_COUNTS, float(np.maximum(running, waiting).max()) * 1.2))
    ax.yaxis.set_major_formatter("{x:,.0f}")
    palette.dress(ax, x_label=time_label(instance), y_label="requests (log scale)")


def format_time(ax: Axes, instance: Instance) -> None:
    """Write times in the axis' unit: whole rounds and slots, microseconds as seconds."""
    scale, _ = TIME_UNITS[instance.gpu.batch_time.time_unit]
    if scale == 1:
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    else:
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / scale:,g}"))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6))


def given_or_new(ax: Axes | None, *, height: float) -> Axes:
    """Return the axes, or those of a new picture."""
    return palette.picture(7.2, height).add_subplot() if ax is None else ax


def figure_of(ax: Axes) -> Figure:
    """Return the picture of some axes."""
    return cast(Figure, ax.get_figure(root=True))
