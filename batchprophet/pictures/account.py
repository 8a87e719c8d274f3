"""Where the requests' time goes, a bar per schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from . import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..online.regime import LatencyBreakdown

#: A part of the latency: fields of the account that it adds up, colour, hatch, label.
Heading = tuple[tuple[str, ...], str, str, str]


def parts(account: LatencyBreakdown, headings: Sequence[Heading]) -> dict[str, int]:
    """Return the parts of a total latency by label, in the law's unit."""
    return {
        label: sum(getattr(account, field) for field in fields) for fields, _, _, label in headings
    }


def draw_account(
    ax: Axes,
    accounts: Mapping[str, LatencyBreakdown],
    headings: Sequence[Heading],
    n: int,
    scale: float,
) -> None:
    """Draw where the requests' time goes: a bar per schedule, mean latency split by what happens.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    accounts : mapping of str to LatencyBreakdown
        By name, from the top down.
    headings : sequence of Heading
        The parts, from left to right.
    n : int
        Requests, over which the mean is taken.
    scale : float
        Time units in one unit of the axis.
    """
    names = list(accounts)
    rows = np.arange(len(names))
    left = np.zeros(len(names))
    split = [parts(each, headings) for each in accounts.values()]
    for _, colour, hatch, label in headings:
        width = np.array([each[label] for each in split]) / (n * scale)
        if not width.any():
            continue
        ax.barh(
            rows, width, left=left, height=0.7, color=colour, hatch=hatch, label=label,
            edgecolor=palette.INK, linewidth=0.4,
        )  # fmt: skip
        left += width
    ax.set_yticks(rows, [palette.writable(name) for name in names], parse_math=False)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(0, float(left.max()) * 1.02)
