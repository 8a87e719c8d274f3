"""Pictures of regret: curves against the horizon with their bands, and where it arises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from . import palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..online.coupling.compensation import Account
    from ..online.regret import Decomposition, RegretStudy

#: Up to this many parts are drawn by name, the largest ones.
MOST_PARTS = 8


def regret_curves(study: RegretStudy) -> Figure:
    """Draw mean regret against the horizon, one curve per policy with its 95 % band.

    Both axes are logarithmic: a constant is level, √T has slope one half. Means that are not
    positive have no place there and are left out.
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
        ax.plot(t[mine], paid[mine], "o", color=colour, markersize=4, label=palette.writable(name))
    ax.step(t, np.cumsum(paid), where="post", color=palette.INK, linewidth=1.2, label="running sum")
    palette.dress(ax, x_label="decision", y_label="compensation")
    palette.legend(ax)
    return figure


def decomposition_bars(decompositions: Sequence[Decomposition]) -> Figure:
    """Draw where regret arises at the longest horizon: by time (left) and by decision (right)."""
    longest = max(each.horizon for each in decompositions)
    shown = [each for each in decompositions if each.horizon == longest]
    figure = palette.picture(9.6, 1.2 + 1.5 * len(shown))
    axes = figure.subplots(len(shown), 2, squeeze=False)
    for row, each in zip(axes, shown, strict=True):
        edges = np.linspace(0, each.horizon, each.by_time.size + 1)
        row[0].stairs(each.by_time, edges, fill=True, color=palette.PROMPT)
        row[0].xaxis.set_major_formatter("{x:,.0f}")
        row[0].xaxis.set_major_locator(MaxNLocator(nbins=4))
        palette.dress(row[0], x_label="", y_label="compensation")
        palette.title(row[0], each.policy)
        parts = sorted(each.by_part.items(), key=lambda part: -abs(part[1]))[:MOST_PARTS]
        names = [palette.writable(name) for name, _ in reversed(parts)]
        row[1].barh(names, [value for _, value in reversed(parts)], color=palette.TOKENS)
        palette.dress(row[1], x_label="", y_label="")
    axes[-1][0].set_xlabel("time", fontsize=palette.TEXT, color=palette.INK)
    axes[-1][1].set_xlabel("compensation", fontsize=palette.TEXT, color=palette.INK)
    return figure
