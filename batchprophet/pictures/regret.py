"""Pictures of regret: curves against the horizon with their bands, and where it arises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter

from . import charts, palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from ..online.coupling.compensation import Account
    from ..online.regret import Decomposition, RegretStudy

#: Up to this many parts are drawn by name, the largest ones.
MOST_PARTS = 8

#: What actions that are answers mean.
ANSWERS = {"True": "accepted against hindsight", "False": "rejected against hindsight"}


def regret_curves(study: RegretStudy) -> Figure:
    """Draw mean regret against the horizon, one curve per policy with its 95 % band.

    Both axes are logarithmic: a constant is level, √T has slope one half. Ticks are at the horizons
    that were run. Means that are not positive have no place there and are left out.
    """
    figure = palette.picture(7.2, 4.2)
    ax = figure.add_subplot()
    for position, (policy, fit) in enumerate(study.growth.items()):
        rows = [row for row in study.rows if row.policy == policy and row.regret > 0]
        colour, dash = palette.LINES[position % len(palette.LINES)]
        T = [row.horizon for row in rows]
        mean = np.array([row.regret for row in rows])
        half = np.array([row.half_width or 0.0 for row in rows])
        label = palette.writable(policy)
        if fit is not None:
            label += f" (T^{fit.exponent:.2f})"
        ax.plot(T, mean, color=colour, linestyle=dash, marker="o", markersize=3.5, label=label)
        low = np.maximum(mean - half, mean * 1e-2)
        ax.fill_between(T, low, mean + half, color=colour, alpha=0.2, linewidth=0)
    ax.set_xscale("log")
    ax.set_yscale("log")
    charts.tell_apart(ax)
    charts.mark_horizons(ax, sorted({row.horizon for row in study.rows}))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter("{x:,g}")
    ax.grid(color=palette.INK, alpha=0.12, linewidth=0.6)
    palette.dress(ax, x_label="horizon T", y_label="regret (95 % band)")
    palette.legend(ax, columns=3)
    return figure


def compensations(account: Account[Any]) -> Figure:
    """Draw one run's account: each disagreement with its compensation, and their running sum.

    The running sum ends at the regret (docs/coupling.md).
    """
    figure = palette.picture(7.2, 3.4)
    ax = figure.add_subplot()
    paid = np.array([float(d.compensation) for d in account.decisions])
    t = np.array([d.t for d in account.decisions])
    names = sorted({str(d.action) for d in account.disagreements})
    for position, name in enumerate(names):
        mine = np.array([d.disagrees and str(d.action) == name for d in account.decisions])
        colour, _ = palette.LINES[position % len(palette.LINES)]
        ax.vlines(t[mine], 0, paid[mine], color=colour, linewidth=1.6)
        label = palette.writable(ANSWERS.get(name, name))
        ax.plot(t[mine], paid[mine], "o", color=colour, markersize=4, label=label)
    ax.step(t, np.cumsum(paid), where="post", color=palette.INK, linewidth=1.2, label="running sum")
    palette.dress(ax, x_label="decision", y_label="compensation")
    palette.legend(ax, columns=3)
    return figure


def decomposition_bars(decompositions: Sequence[Decomposition]) -> Figure:
    """Draw where regret arises at the longest horizon: by time (left) and by decision (right).

    All policies share the axis of time, and that of the shares of their own compensation; the title
    of a row has its total.
    """
    longest = max(each.horizon for each in decompositions)
    shown = [each for each in decompositions if each.horizon == longest]
    figure = palette.picture(9.6, 0.8 + 1.75 * len(shown))
    axes = figure.subplots(len(shown), 2, squeeze=False, sharex="col")
    for (left, right), each in zip(axes, shown, strict=True):
        total = float(sum(each.by_part.values())) or 1.0
        edges = np.linspace(0, each.horizon, each.by_time.size + 1)
        left.stairs(each.by_time, edges, fill=True, color=palette.PROMPT)
        left.set_xlim(0, each.horizon)
        left.xaxis.set_major_locator(MaxNLocator(nbins=4))
        left.xaxis.set_major_formatter("{x:,.0f}")
        left.yaxis.set_major_locator(MaxNLocator(nbins=3))
        left.yaxis.set_major_formatter("{x:,g}")
        palette.dress(left, x_label="", y_label="compensation")
        left.set_title(
            f"{palette.writable(each.policy)}: {float(each.by_time.sum()):,.1f} in all", loc="left",
            fontsize=palette.TEXT, color=palette.INK, fontweight="bold", parse_math=False,
        )  # fmt: skip
        parts = sorted(each.by_part.items(), key=lambda part: -abs(part[1]))[:MOST_PARTS]
        names = [palette.writable(name) for name, _ in parts]
        right.barh(names, [float(value) / total for _, value in parts], color=palette.TOKENS)
        right.invert_yaxis()
        right.xaxis.set_major_formatter(PercentFormatter(1.0))
        palette.dress(right, x_label="", y_label="")
        for ax in (left, right):
            ax.tick_params(labelbottom=True)
    axes[-1][0].set_xlabel("time", fontsize=palette.TEXT, color=palette.INK)
    axes[-1][1].set_xlabel("share of it", fontsize=palette.TEXT, color=palette.INK)
    return figure


def work_and_time(work: ArrayLike, since: Sequence[float]) -> Figure:
    """Draw the work that arrives of the densest types, against the time of the GPU.

    Parameters
    ----------
    work : array_like, shape (T, k)
        Slots of work that have arrived by the end of each slot; column j is of the j + 1 densest.
    since : sequence of float, length k
        From when on each of these sets keeps the GPU busy: a vertical line.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Examples
    --------
    >>> figure = work_and_time([[1, 2], [1, 3], [2, 5]], since=[2, 0])
    >>> [line.get_label() for line in figure.axes[0].lines if line.get_label()[0] != "_"]
    ['work of the 1 densest', 'work of the 2 densest', 'GPU time']
    """
    work = np.asarray(work, dtype=np.float64)
    figure = palette.picture(7.2, 3.2)
    ax = figure.add_subplot()
    for k, (column, start) in enumerate(zip(work.T, since, strict=True)):
        colour, dash = palette.LINES[k % len(palette.LINES)]
        ax.plot(column, color=colour, linestyle=dash, label=f"work of the {k + 1} densest")
        ax.axvline(start, color=colour, linewidth=0.8, alpha=0.6)
    ax.plot([0, len(work)], [0, len(work)], color=palette.INK, linestyle="--", label="GPU time")
    palette.dress(ax, x_label="slot", y_label="slots of work")
    palette.legend(ax)
    return figure
