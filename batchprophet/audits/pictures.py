"""Pictures of an audit: the engine, the best schedule and every knob on one axis of latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..pictures import palette
from ..pictures.axes import figure_of, given_or_new
from ..pictures.plots import account_height, latency_account
from ..report.sentences import signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..online.audit.audit import Audit
    from ..online.audit.figures import ServiceFigures
    from ..online.audit.knobs import Knob
    from ..online.regime import LatencyBreakdown

#: The axis ends at this many times the 99th percentile of the engine: what is beyond is an arrow.
MOST = 1.5

#: Where the changes end, in points to the right of the axis.
CHANGES = 48

#: Above this many milliseconds the axis counts seconds.
SECONDS_FROM = 2000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the picture, in milliseconds; `bound` and `change` may be missing."""

    name: str
    mean: float
    p99: float
    bound: float | None = None
    change: str = ""
    colour: str = palette.INK


def knobs(audit: Audit, turned: Sequence[Knob], *, ax: Axes | None = None) -> Figure:
    """Draw mean, 99th percentile and proved bound of the latency for each knob.

    The first rows are the engine as it was, and the best schedule known.

    Parameters
    ----------
    audit : Audit
        An audit; without an explanation of the log, only the engine is drawn.
    turned : sequence of Knob
        Its knobs, from the top row down.
    ax : matplotlib Axes, optional
        Where to draw; a new picture by default.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    rows = _rows(audit, turned)
    ax = given_or_new(ax, height=knobs_height(len(rows)))
    end = MOST * max(row.p99 for row in rows[:2])
    unit, scale = ("s", 1000.0) if end >= SECONDS_FROM else ("ms", 1.0)
    for y, row in enumerate(rows):
        _draw_row(ax, y, row, end, scale)
    _name_marks(ax)
    ax.axvline(rows[0].mean / scale, color=palette.LOST, linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(rows)), [row.name for row in rows], parse_math=False)
    ax.set_ylim(len(rows) - 0.4, -0.7)
    ax.set_xlim(0, end / scale)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6))
    palette.dress(ax, x_label=f"latency ({unit})", y_label="")
    ax.tick_params(axis="y", length=0)
    palette.legend(ax, columns=3)
    return figure_of(ax)


def knobs_height(rows: int) -> float:
    """Height in inches of the picture of that many rows."""
    return 1.0 + 0.24 * rows


def accounts(audit: Audit, width: float) -> Figure | None:
    """Draw where the requests' time goes; None where the regime has no account of it."""
    found = named_accounts(audit)
    if not found:
        return None
    picture = palette.picture(width, account_height(len(found)))
    latency_account(audit.instance, found, model=audit.engine.regime, ax=picture.add_subplot())
    return picture


def named_accounts(audit: Audit) -> Mapping[str, LatencyBreakdown]:
    """Return the accounts of the engine's rule and of the best schedule by name."""
    names = {"simulated": f"{audit.engine.rule} (simulated)", "hindsight": "best schedule known"}
    return {names[whose]: account for whose, account in audit.accounts().items()}


def _rows(audit: Audit, turned: Sequence[Knob]) -> list[Row]:
    rows = [_row("the engine (log)", audit.logged, colour=palette.LOST)]
    hindsight = audit.hindsight
    if hindsight is None:
        return rows
    rows.append(
        _row(
            "best schedule known", hindsight.figures, bound=hindsight.lower_bound_ms,
            colour=palette.PROMPT,
        )
    )  # fmt: skip
    for knob in turned:
        name, change = f"{knob.name} {knob.change}", signed(knob.relative)
        rows.append(_row(name, knob.figures, bound=knob.lower_bound_ms, change=change))
    return rows


def _row(
    name: str,
    figures: ServiceFigures,
    *,
    bound: float | None = None,
    change: str = "",
    colour: str = palette.INK,
) -> Row:
    return Row(
        name=palette.writable(name), mean=figures.mean_latency_ms, p99=figures.p99_latency_ms,
        bound=bound, change=change, colour=colour,
    )  # fmt: skip


def _draw_row(ax: Axes, y: int, row: Row, end: float, scale: float) -> None:
    """A bar from the bound to the mean, and a line from there to the 99th percentile."""
    mean, p99 = min(row.mean, end) / scale, min(row.p99, end) / scale
    if row.bound is not None:
        bound = min(row.bound, end) / scale
        ax.barh(y, mean - bound, left=bound, height=0.5, color=palette.TOKENS, alpha=0.6)
        ax.plot([bound] * 2, [y - 0.3, y + 0.3], color=palette.PROMPT, linewidth=1.6)
    ax.plot([mean, p99], [y, y], color=palette.WAITING, linewidth=1.0, zorder=1)
    for value, filled in ((row.mean, row.colour), (row.p99, "none")):
        within = value <= end
        ax.plot(
            min(value, end) / scale, y, marker="o" if within else ">", markersize=4.5,
            color=row.colour, markerfacecolor=filled, clip_on=False, zorder=3,
        )  # fmt: skip
    ax.annotate(
        row.change, xy=(1.0, y), xycoords=ax.get_yaxis_transform(), xytext=(CHANGES, 0),
        textcoords="offset points", ha="right", va="center", fontsize=palette.SMALL,
        color=palette.INK,
    )  # fmt: skip


def _name_marks(ax: Axes) -> None:
    """Say in the legend what the marks are."""
    marks: dict[str, dict[str, Any]] = {
        "lower bound": {"marker": "|", "markersize": 9, "color": palette.PROMPT},
        "mean": {"marker": "o", "markersize": 4.5, "color": palette.INK},
        "p99": {
            "marker": "o", "markersize": 4.5, "color": palette.INK, "markerfacecolor": "none",
        },
    }  # fmt: skip
    for name, look in marks.items():
        ax.plot([], [], linestyle="", label=name, **look)
