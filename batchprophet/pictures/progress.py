"""The gap over the time of a solve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..models.errors import InputError
from . import palette
from .axes import figure_of, given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..solvers.progress import Moment
    from ..solvers.solution import Solution


def value_and_bound(solution: Solution[Any], *, ax: Axes | None = None) -> Figure:
    """Draw the value of the best schedule and the proved bound over the seconds of a solve.

    Parameters
    ----------
    solution : Solution
        With its history.
    ax : matplotlib Axes, optional
        Where to draw; a new picture by default.

    Returns
    -------
    matplotlib.figure.Figure
        Two stairs that close the gap; the area between them is what is not known of the optimum.

    Raises
    ------
    InputError
        If the solution has no history.
    """
    moments = [each for each in solution.history if each.value is not None]
    if not moments:
        raise InputError("solution: expected a history of its solve, found none")
    ax = given_or_new(ax, height=3.2)
    end = max(solution.seconds, moments[-1].seconds)
    seconds = [*(each.seconds for each in moments), end]
    values = [float(each.value or 0) for each in moments]
    values.append(values[-1])
    ax.step(seconds, values, where="post", color=palette.PROMPT, label="best schedule")
    proved = [(each.seconds, float(each.bound)) for each in moments if each.bound is not None]
    if proved:
        proved.append((end, proved[-1][1]))
        times, bounds = zip(*proved, strict=True)
        ax.step(
            times, bounds, where="post", color=palette.LOST, linestyle=(0, (5, 2)), label="bound"
        )
        ax.fill_between(
            times,
            bounds,
            [_value_at(moments, time) for time in times],
            step="post",
            color=palette.WAITING,
            alpha=0.35,
            linewidth=0,
        )
    ax.yaxis.set_major_formatter("{x:,g}")
    palette.dress(ax, x_label="seconds", y_label=solution.objective_name)
    palette.legend(ax, columns=2)
    return figure_of(ax)


def _value_at(moments: list[Moment], time: float) -> float:
    known = [each.value for each in moments if each.seconds <= time and each.value is not None]
    return float(known[-1] if known else moments[0].value or 0)
