"""Shapes that several pictures draw: bars, wedges, and the area between two step functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import PathPatch, Polygon
from matplotlib.path import Path

from . import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from ..models.instance import IntArray


def bars(
    ax: Axes, left: IntArray, right: IntArray, row: ArrayLike, height: ArrayLike, **style: Any
) -> None:
    """Draw bars around their rows as a single path: small files, one legend entry.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    left, right : ndarray of int64, shape (k,)
        Ends of the bars; those of no length are left out.
    row, height : array_like, shape (k,) or ()
        Middle and height of each.
    **style
        Of the patch.
    """
    drawn = right > left
    if not drawn.any():
        return
    middle = np.broadcast_to(np.asarray(row, dtype=np.float64), drawn.shape)[drawn]
    half = np.broadcast_to(np.asarray(height, dtype=np.float64), drawn.shape)[drawn] / 2
    left, right, low, high = left[drawn], right[drawn], middle - half, middle + half
    corners = np.array([(left, low), (right, low), (right, high), (left, high), (left, low)])
    vertices = corners.transpose(2, 0, 1).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY], left.size)
    patch = PathPatch(Path(vertices, codes.astype(Path.code_type)), **{"linewidth": 0} | style)
    ax.add_artist(patch)  # add_patch looks for extremes along each line, ten times as long
    ax.update_datalim([(left.min(), low.min()), (right.max(), high.max())])


@dataclass(frozen=True, slots=True)
class Wedge:
    """The KV of a run, as it is drawn: its request, and the two step functions between which it is.

    Attributes
    ----------
    request : int
        Whose it is.
    edges : ndarray of int64, shape (k + 1,)
        Times between which the functions are constant.
    low, high : ndarray of int64, shape (k,)
        Tokens held below it, and with it.
    lost : bool
        Whether an eviction lost it.
    """

    request: int
    edges: IntArray
    low: IntArray
    high: IntArray
    lost: bool = False


def wedges(ax: Axes, drawn: Sequence[Wedge]) -> None:
    """Draw wedges in the colours of their requests; those that are lost are pale and hatched."""
    for each in drawn:
        outline = staircase(each.edges, each.low, each.high)
        colour = palette.of_request(each.request)
        if each.lost:
            pale = (colour, 0.3)
            area = Polygon(outline, facecolor=pale, edgecolor=palette.LOST, hatch="/////")
        else:
            area = Polygon(outline, facecolor=colour, edgecolor=palette.INK)
        area.set_linewidth(0.5)
        ax.add_patch(area)


def name_wedges(ax: Axes, drawn: Sequence[Wedge], names: Sequence[str]) -> None:
    """Write ids into the wedges that have room for them, once the limits of the axes are set."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    place = ax.get_position()
    right, top = ax.get_xlim()[1] - ax.get_xlim()[0], ax.get_ylim()[1]
    # The layout, which is made when the picture is drawn, leaves axes wider than they are now.
    per_inch = (
        right / (figure.get_figwidth() * place.width * 1.15),
        top / (figure.get_figheight() * place.height),
    )
    for each in drawn:
        name = names[each.request]
        width = (0.62 * palette.TINY * len(name) / 72 + 0.04) * per_inch[0]
        middle = _roomiest(each, width, 1.15 * palette.TINY / 72 * per_inch[1])
        if middle is not None and middle[0] + width / 2 <= ax.get_xlim()[1]:
            ink = palette.INK if each.lost else palette.ink_on(palette.of_request(each.request))
            ax.text(
                *middle, name, ha="center", va="center_baseline", fontsize=palette.TINY, color=ink,
                parse_math=False,
            )  # fmt: skip


def _roomiest(wedge: Wedge, width: float, height: float) -> tuple[float, float] | None:
    """Middle of the highest box of a width that fits into a wedge; None if none is high enough."""
    best, found = height, None
    for left in (float(each) for each in wedge.edges[:-1]):
        if left + width > wedge.edges[-1]:
            break
        inside = (wedge.edges[1:] > left) & (wedge.edges[:-1] < left + width)
        low, high = int(wedge.low[inside].max()), int(wedge.high[inside].min())
        if high - low >= best:
            best, found = high - low, (left + width / 2, (low + high) / 2)
    return found


def envelope(ax: Axes, edges: ArrayLike, low: IntArray, high: IntArray) -> None:
    """Draw the least and the most of each bin, light and dark."""
    ax.stairs(low, edges, fill=True, color=palette.TOKENS)
    if (high > low).any():
        ax.stairs(high, edges, baseline=low, fill=True, color=palette.PROMPT)


def staircase(edges: IntArray, low: IntArray, high: IntArray) -> NDArray[np.float64]:
    """Outline of the area between two step functions, shape (corners, 2)."""
    x = np.repeat(edges, 2)[1:-1]
    along = np.column_stack([x, np.repeat(high, 2)])
    back = np.column_stack([x, np.repeat(low, 2)])[::-1]
    return np.concatenate([along, back]).astype(np.float64)
