"""Shapes that several pictures draw: bars, wedges, and the area between two step functions."""

from __future__ import annotations

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


def wedge(ax: Axes, edges: IntArray, low: IntArray, high: IntArray, position: int | None) -> None:
    """Draw the KV of a run between two step functions; hatched if it is lost (no position)."""
    outline = staircase(edges, low, high)
    if position is None:
        area = Polygon(outline, fill=False, edgecolor=palette.LOST, hatch="/////")
    else:
        colour = palette.WEDGES[position % len(palette.WEDGES)]
        area = Polygon(outline, facecolor=colour, edgecolor=palette.INK)
    area.set_linewidth(0.5)
    ax.add_patch(area)


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
