"""Pictures of a study: performance profiles, and box plots of ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..models.errors import InputError
from . import palette
from .axes import figure_of, given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..online.study.table import Row

#: Profiles end at this factor, or where the last one rises, if that is earlier.
LAST_FACTOR = 10.0

#: Where the axis of factors has ticks.
FACTORS = (1, 1.1, 1.2, 1.5, 2, 3, 5, 10)

#: The name of the hindsight schedule in tables.
HINDSIGHT = "hindsight"


def profiles(rows: Sequence[Row], *, ax: Axes | None = None) -> Figure:
    """Draw for each policy the share of instances within a factor of the best known value.

    Parameters
    ----------
    rows : sequence of Row
        A study's table; all sources and limits count together. Policies that are told different
        things of lengths are told apart.
    ax : matplotlib Axes, optional
        Where to draw; a new picture by default.

    Returns
    -------
    matplotlib.figure.Figure
        Factors to the right, on a logarithmic axis; a line that ends below 1 is of a policy that
        does not finish on all instances, or is beyond the last factor on some.

    Raises
    ------
    InputError
        If no policy has a ratio.

    References
    ----------
    Dolan, Moré, *Benchmarking optimization software with performance profiles*, Mathematical
    Programming 91 (2002).
    """
    found = ratios(rows)
    ax = given_or_new(ax, height=3.8)
    finite = [ratio for values in found.values() for ratio in values if ratio < np.inf]
    last = min(LAST_FACTOR, 1.05 * max([*finite, 1.05]))
    for place, (name, values) in enumerate(found.items()):
        factors = np.sort(np.array([ratio for ratio in values if ratio <= last]))
        shares = np.arange(1, factors.size + 1) / len(values)
        colour, dash = palette.LINES[place % len(palette.LINES)]
        ax.step(
            [1.0, *factors, last],
            [0.0, *shares, shares[-1] if shares.size else 0.0],
            where="post",
            color=colour,
            linestyle=dash,
            label=palette.writable(_counted(name, values)),
        )
    ax.set_xscale("log")
    ax.set_xlim(1.0, last)
    ax.set_ylim(0, 1.02)
    ax.set_xticks([factor for factor in FACTORS if factor <= last])
    ax.minorticks_off()
    ax.xaxis.set_major_formatter("{x:g}")
    palette.dress(ax, x_label="factor of the best known value (log scale)", y_label="share")
    palette.legend(ax, columns=3)
    return figure_of(ax)


def ratio_boxes(rows: Sequence[Row], *, ax: Axes | None = None) -> Figure:
    """Draw for each policy a box plot of its ratios to the best known value.

    Parameters
    ----------
    rows, ax
        As in `profiles`.

    Returns
    -------
    matplotlib.figure.Figure
        The box from the first to the third quartile with the median, whiskers to the least and the
        greatest ratio. A name says on how many instances its policy finishes, if not on all.

    Raises
    ------
    InputError
        If no policy has a ratio.
    """
    found = ratios(rows)
    done = {
        _counted(name, values): [ratio for ratio in values if ratio < np.inf]
        for name, values in found.items()
    }
    kept = {name: values for name, values in done.items() if values}
    ax = given_or_new(ax, height=1.2 + 0.3 * len(kept))
    ax.boxplot(
        list(kept.values()),
        orientation="horizontal",
        whis=(0, 100),
        widths=0.55,
        patch_artist=True,
        boxprops={"facecolor": palette.TOKENS, "edgecolor": palette.PROMPT},
        medianprops={"color": palette.INK, "linewidth": 1.6},
        whiskerprops={"color": palette.PROMPT},
        capprops={"color": palette.PROMPT},
    )
    ax.set_yticks(range(1, len(kept) + 1), [palette.writable(name) for name in kept])
    ax.invert_yaxis()
    palette.dress(ax, x_label="ratio to the best known value", y_label="")
    return figure_of(ax)


def ratios(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Return the ratios to the best known value by policy; infinite where one does not finish.

    For the reward, which is maximised, the best known value over the policy's.

    Raises
    ------
    InputError
        If there are none.
    """
    told: dict[str, set[str]] = {}
    for row in rows:
        told.setdefault(row.policy, set()).add(row.predictions)
    found: dict[str, list[float]] = {}
    for row in rows:
        if row.policy == HINDSIGHT or not row.best_known:
            continue
        name = f"{row.policy}, {row.predictions}" if len(told[row.policy]) > 1 else row.policy
        found.setdefault(name, []).append(_ratio(row))
    if not any(ratio < np.inf for values in found.values() for ratio in values):
        raise InputError(
            "study: expected a policy with a ratio to the best known value, found none"
        )
    return found


def _ratio(row: Row) -> float:
    """At least 1, whatever the objective."""
    if not row.value or not row.best_known:
        return float("inf")
    ratio = float(row.value / row.best_known)
    return ratio if ratio >= 1 else 1 / ratio


def _counted(name: str, values: Sequence[float]) -> str:
    finished = sum(ratio < np.inf for ratio in values)
    return name if finished == len(values) else f"{name} ({finished} of {len(values)})"
