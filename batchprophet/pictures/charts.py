"""Charts of numbers in the house style: lines, bars, dots, distributions, intervals.

Each makes a picture of its own and returns it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import palette
from .palette import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

#: The relative distance below which two curves are drawn on top of each other.
TOGETHER = 1e-3


def lines(
    x: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    x_label: str,
    y_label: str,
    levels: Mapping[str, float] | None = None,
    at: Mapping[str, float] | None = None,
    ticks: bool = True,
    height: float = 2.8,
) -> Picture:
    """Draw curves over the same abscissae, with a marker at each of them.

    Parameters
    ----------
    x : array_like, shape (k,)
        Abscissae, ascending.
    curves : mapping of str to array_like, shape (k,)
        Ordinates by name. Curves that coincide are told apart: see `tell_apart`.
    x_label, y_label : str
        What the axes show, with units.
    levels, at : mapping of str to float, optional
        Level lines by name, and vertical lines by name.
    ticks : bool
        Whether few abscissae have a tick each, so that none is shown where nothing was computed.
    height : float
        In inches.

    Returns
    -------
    Picture
        The picture.

    Examples
    --------
    >>> figure = lines([1, 2, 4], {"a": [1, 2, 3], "b": [3, 2, 1]}, x_label="x", y_label="y")
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['a', 'b']
    """
    figure = palette.picture(7.2, height)
    ax = figure.add_subplot()
    x = np.asarray(x, dtype=np.float64)
    for (name, values), (colour, dash) in zip(curves.items(), palette.LINES, strict=False):
        label = palette.writable(name, most=44)
        ax.plot(
            x, np.asarray(values), color=colour, linestyle=dash, marker="o", markersize=3,
            label=label,
        )  # fmt: skip
    tell_apart(ax)
    dashes = ("--", ":", "-.")
    for (name, level), dash in zip((levels or {}).items(), dashes, strict=False):
        ax.axhline(level, color=palette.INK, linestyle=dash, linewidth=1.0, label=name)
    for (name, place), dash in zip((at or {}).items(), reversed(dashes), strict=False):
        ax.axvline(place, color=palette.INK, linestyle=dash, linewidth=1.0, label=name)
    if ticks and x.size <= 10:
        ax.set_xticks(x)
    ax.xaxis.set_major_formatter("{x:,g}")
    palette.dress(ax, x_label=x_label, y_label=y_label)
    palette.legend(ax, columns=4 if len(curves) < 4 else 2)
    return figure


def log_lines(
    x: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    x_label: str,
    y_label: str,
    base: int = 10,
    log_y: bool = False,
    levels: Mapping[str, float] | None = None,
    height: float = 3.0,
) -> Picture:
    """Draw curves over a logarithmic axis, with a tick at each abscissa.

    Parameters
    ----------
    x, curves, x_label, y_label, levels, height
        As in `lines`; abscissae are positive.
    base : int
        Of the logarithm.
    log_y : bool
        Whether the other axis is logarithmic as well.

    Returns
    -------
    Picture
        The picture.

    Examples
    --------
    >>> figure = log_lines([1, 10, 100], {"a": [1, 2, 3]}, x_label="x", y_label="y")
    >>> figure.axes[0].get_xticks().tolist()
    [1.0, 10.0, 100.0]
    """
    figure = lines(
        x, curves, x_label=x_label, y_label=y_label, levels=levels, ticks=False, height=height
    )
    (ax,) = figure.axes
    ax.set_xscale("log", base=base)
    mark_horizons(ax, np.asarray(x, dtype=np.float64))
    if log_y:
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        marks = [m * 10.0**k for k in range(-6, 9) for m in (1, 2, 3, 5)]
        ax.set_yticks([mark for mark in marks if low <= mark <= high])
        ax.yaxis.set_major_formatter("{x:,g}")
        ax.minorticks_off()
    return figure


def mark_horizons(ax: Axes, x: ArrayLike) -> None:
    """Put the ticks of a logarithmic axis where something was computed, and nowhere else.

    Numbers that would touch those before them are left out; their ticks stay.
    """
    marks = np.unique(np.asarray(x, dtype=np.float64))
    ax.set_xticks(marks)
    ax.minorticks_off()
    figure = ax.get_figure(root=True)
    assert figure is not None
    inches = figure.get_figwidth() * ax.get_position().width
    span = np.log(marks[-1] / marks[0]) if marks.size > 1 else 1.0
    labels, last = [], -np.inf
    for mark in marks:
        text = f"{mark:,g}" if mark < 1e6 else f"{mark:,.0f}"
        half = 0.62 * palette.SMALL * len(text) / 72 / 2 + 0.04
        place = np.log(mark / marks[0]) / span * inches
        labels.append(text if place - half >= last else "")
        last = place + half if labels[-1] else last
    ax.set_xticklabels(labels)


def tell_apart(ax: Axes) -> None:
    """Let curves that coincide be seen: the one below wide and pale, the one on top narrow.

    Two curves coincide if they have the same abscissae, and ordinates that differ by less than a
    thousandth of the axis. The legend keeps the width that each is drawn with.
    """
    drawn = [line for line in ax.lines if np.size(line.get_xdata()) > 1]
    values = [np.asarray(line.get_ydata(), dtype=np.float64) for line in drawn]
    finite = np.concatenate([each[np.isfinite(each)] for each in values]) if values else np.ones(1)
    near = TOGETHER * max(float(np.ptp(finite)), 1e-12)
    below = [0] * len(drawn)
    for k, (line, own) in enumerate(zip(drawn, values, strict=True)):
        for j in range(k):
            same = np.array_equal(np.asarray(drawn[j].get_xdata()), np.asarray(line.get_xdata()))
            if same and np.allclose(values[j], own, rtol=0, atol=near, equal_nan=True):
                below[j] += 1
    for line, count in zip(drawn, below, strict=True):
        if count:
            line.set_linewidth(line.get_linewidth() + 3.0 * count)
            line.set_alpha(0.45)
            line.set_zorder(line.get_zorder() - 0.1 * count)
            line.set_linestyle("-")
            line.set_markersize(line.get_markersize() + 2.5 * count)


def bars(
    values: Mapping[str, float],
    *,
    label: str,
    base: float = 0.0,
    marked: Sequence[str] = (),
    across: str = "",
) -> Picture:
    """Draw a bar for each value, upright; or lying, with its name beside it.

    Parameters
    ----------
    values : mapping of str to float
        By name: from left to right, or from the top down.
    label : str
        What the values are, with their unit.
    base : float
        Where bars begin.
    marked : sequence of str
        Names whose bars are dark.
    across : str
        What the names are; bars stand upright if it is given, and lie otherwise.

    Returns
    -------
    Picture
        The picture.

    Examples
    --------
    >>> figure = bars({"a": 3, "b": 1}, label="rounds", marked=["b"])
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['a', 'b']
    """
    names = list(values)
    colours = [palette.PROMPT if name in marked else palette.TOKENS for name in names]
    sizes = [value - base for value in values.values()]
    places = range(len(names))
    figure = palette.picture(7.2, 2.6 if across else 0.9 + 0.26 * len(names))
    ax = figure.add_subplot()
    if across:
        ax.bar(places, sizes, bottom=base, color=colours)
        ax.set_xticks(places, [palette.writable(name) for name in names], parse_math=False)
        palette.dress(ax, x_label=across, y_label=label)
    else:
        ax.barh(places, sizes, left=base, color=colours)
        ax.set_yticks(places, [palette.writable(name) for name in names], parse_math=False)
        ax.invert_yaxis()
        palette.dress(ax, x_label=label, y_label="")
    return figure


def dots(values: Mapping[str, ArrayLike], *, label: str) -> Picture:
    """Draw a row of dots for each name, from the top down: one dot per value.

    Parameters
    ----------
    values : mapping of str to array_like
        Values by name.
    label : str
        What they are, with their unit.

    Returns
    -------
    Picture
        The picture.

    Examples
    --------
    >>> figure = dots({"a": [1.0, 1.2], "b": [1.1]}, label="ratio")
    >>> len(figure.axes[0].collections)
    2
    """
    figure = palette.picture(7.2, 1.0 + 0.4 * len(values))
    ax = figure.add_subplot()
    for row, own in enumerate(values.values()):
        own = np.asarray(own, dtype=np.float64)
        ax.scatter(own, np.full(own.shape, row), color=palette.PROMPT, alpha=0.5, s=30)
    ax.set_yticks(range(len(values)), [palette.writable(name) for name in values], parse_math=False)
    ax.set_ylim(len(values) - 0.5, -0.5)
    palette.dress(ax, x_label=label, y_label="")
    return figure


def scatter(
    x: ArrayLike, y: ArrayLike, *, x_label: str, y_label: str, zero: bool = False
) -> Picture:
    """Draw a dot for each pair of numbers, and the level of zero if it divides them.

    Parameters
    ----------
    x, y : array_like, shape (k,)
        The pairs.
    x_label, y_label : str
        What the axes show, with units.
    zero : bool
        Whether the level zero is drawn.

    Returns
    -------
    Picture
        The picture.

    Examples
    --------
    >>> len(scatter([1, 2], [3, -4], x_label="x", y_label="y", zero=True).axes[0].lines)
    1
    """
    figure = palette.picture(7.2, 2.6)
    ax = figure.add_subplot()
    ax.scatter(np.asarray(x), np.asarray(y), s=12, color=palette.PROMPT)
    if zero:
        ax.axhline(0, color=palette.INK, linewidth=0.8)
    ax.xaxis.set_major_formatter("{x:,g}")
    palette.dress(ax, x_label=x_label, y_label=y_label)
    return figure


def histograms(values: Mapping[str, ArrayLike], *, count: str = "requests") -> Picture:
    """Draw the distribution of positive numbers on logarithmic axes, side by side.

    Parameters
    ----------
    values : mapping of str to array_like
        Numbers of at least 1 by what they are; at most two of them.
    count : str
        What is counted.

    Returns
    -------
    Picture
        The picture.

    Examples
    --------
    >>> figure = histograms({"prompt tokens": [1, 10, 100], "output tokens": [5, 5, 7]})
    >>> [ax.get_xlabel() for ax in figure.axes]
    ['prompt tokens', 'output tokens']
    """
    figure = palette.picture(9.0, 2.6)
    axes = figure.subplots(1, len(values), squeeze=False)[0]
    colours = (palette.PROMPT, palette.TOKENS)
    for ax, (name, own), colour in zip(axes, values.items(), colours, strict=False):
        own = np.asarray(own, dtype=np.float64)
        ax.hist(own, bins=np.geomspace(1, max(2.0, float(own.max())), 40).tolist(), color=colour)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:,g}")
        palette.dress(ax, x_label=name, y_label=count)
    return figure


def intervals(
    bounds: Mapping[str, tuple[float, float]], marks: Mapping[str, float], *, label: str
) -> Picture:
    """Draw intervals in which a number is known to be, from the top down, and other numbers.

    Parameters
    ----------
    bounds : mapping of str to (float, float)
        Lower and upper ends by name.
    marks : mapping of str to float
        Numbers by name, a vertical line each. Names of one number share a line.
    label : str
        What all these are, with their unit.

    Returns
    -------
    Picture
        The picture.

    Examples
    --------
    >>> figure = intervals({"at once": (3, 9)}, {"a": 10, "b": 10, "c": 12}, label="rounds")
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['a, b', 'c']
    """
    figure = palette.picture(7.2, 1.2 + 0.3 * len(bounds))
    ax = figure.add_subplot()
    for row, (low, high) in enumerate(bounds.values()):
        ax.barh(row, high - low, left=low, color=palette.WAITING, height=0.5)
    shared: dict[float, list[str]] = {}
    for name, value in marks.items():
        shared.setdefault(float(value), []).append(name)
    for (value, names), (colour, dash) in zip(shared.items(), palette.LINES, strict=False):
        ax.axvline(value, color=colour, linestyle=dash, label=", ".join(names))
    ax.set_yticks(range(len(bounds)), list(bounds))
    ax.invert_yaxis()
    ax.xaxis.set_major_formatter("{x:,g}")
    palette.dress(ax, x_label=label, y_label="")
    palette.legend(ax, columns=3)
    return figure


def mean_and_worst(rows: Sequence[tuple[str, float, float]], *, label: str) -> Picture:
    """Draw the mean of each row as a dot and the worst as a bar, from the top down.

    Parameters
    ----------
    rows : sequence of (str, float, float)
        Name, mean and worst value.
    label : str
        What the values are.

    Returns
    -------
    Picture
        The picture.

    Examples
    --------
    >>> len(mean_and_worst([("a", 1.1, 1.4)], label="ratio").axes[0].lines)
    3
    """
    figure = palette.picture(7.2, 0.9 + 0.24 * len(rows))
    ax = figure.add_subplot()
    style: dict[str, Any] = {"linestyle": "none"}
    for row, (_, mean, worst) in enumerate(rows):
        ax.plot([mean, worst], [row, row], color=palette.WAITING, linewidth=3)
        ax.plot(mean, row, marker="o", color=palette.PROMPT, **style)
        ax.plot(worst, row, marker="|", color=palette.LOST, markersize=12, **style)
    ax.set_yticks(range(len(rows)), [palette.writable(row[0]) for row in rows], parse_math=False)
    ax.invert_yaxis()
    palette.dress(ax, x_label=f"{label}: mean (dot), worst (bar)", y_label="")
    return figure


def trade_offs(
    curves: Mapping[str, Sequence[tuple[float, float, float]]], *, x_label: str, y_label: str
) -> Picture:
    """Draw points with their intervals, joined to curves over a logarithmic abscissa.

    Parameters
    ----------
    curves : mapping of str to sequence of (float, float, float)
        By name: abscissa (positive), mean, and half of the interval around it (0 for none).
    x_label, y_label : str
        What the axes show, with units.

    Returns
    -------
    Picture
        The picture.

    Examples
    --------
    >>> points = [(1, 1.2, 0.1), (10, 1.1, 0.1)]
    >>> figure = trade_offs({"K = 1": points}, x_label="ms", y_label="ratio")
    >>> figure.axes[0].get_xscale()
    'log'
    """
    figure = palette.picture(7.2, 3.6)
    ax = figure.add_subplot()
    for (name, points), (colour, dash) in zip(curves.items(), palette.LINES, strict=False):
        x, mean, half = np.array(sorted(points), dtype=np.float64).T
        ax.plot(
            x, mean, color=colour, linestyle=dash, marker="o", markersize=4,
            label=palette.writable(name),
        )  # fmt: skip
        ax.vlines(x, mean - half, mean + half, color=colour, linewidth=1.0, alpha=0.7)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.grid(color=palette.INK, alpha=0.12, linewidth=0.6)
    palette.dress(ax, x_label=x_label, y_label=y_label)
    palette.legend(ax, columns=5)
    return figure
