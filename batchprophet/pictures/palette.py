"""The one visual language of every picture: colours, inks, axes, and what a picture is.

Colours are those of Okabe and Ito ("Color Universal Design", 2008), which people with any of the
common colour-vision deficiencies can tell apart; what matters is shown by lightness, hatching or
line style as well.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Text, axes and the capacity line. No other colour has this value: on a web page it becomes the
#: text colour of the page.
INK = "#1b1f23"
#: What waits: between the background and every other colour, on light and dark pages.
WAITING = "#9aa1a9"
#: The prompt job (first round of a run), prompt batches: dark.
PROMPT = "#0072b2"
#: Token jobs (all later rounds of a run), token batches: light.
TOKENS = "#56b4e9"
#: Work that an eviction lost: hatched as well.
LOST = "#d55e00"
#: A request that holds KV while batches leave it out: between waiting and served.
PAUSED = "#e69f00"
#: Neighbouring requests in a stack of KV wedges.
WEDGES = ("#56b4e9", "#0072b2", "#cc79a7", "#009e73")
#: One line per policy: colour and dash change together.
LINES = tuple(
    (colour, dash)
    for dash in ("-", (0, (5, 2)), (0, (1.5, 1.5)))
    for colour in ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7")
)

#: Font sizes in points.
TEXT = 9.0
SMALL = 8.0


class Picture(Figure):
    """A matplotlib figure that belongs to no window, and that a notebook shows by itself."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=144)
        return buffer.getvalue()


def picture(width: float, height: float) -> Picture:
    """Return an empty picture of `width` × `height` inches, laid out without clipped labels."""
    return Picture(figsize=(width, height), layout="constrained")


def dress(ax: Axes, *, x_label: str, y_label: str) -> None:
    """Give axes their labels, ink and frame."""
    ax.set_xlabel(x_label, fontsize=TEXT, color=INK)
    ax.set_ylabel(y_label, fontsize=TEXT, color=INK)
    ax.tick_params(labelsize=SMALL, colors=INK, length=3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(INK)
    ax.patch.set_alpha(0.0)
    ax.title.set_color(INK)


def legend(ax: Axes, *, columns: int = 4) -> None:
    """Put the legend above the axes, outside of the data."""
    drawn = ax.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        labelcolor=INK,
        handlelength=1.6,
        columnspacing=1.2,
        borderaxespad=0.2,
    )
    for text in drawn.get_texts():
        text.set_parse_math(False)  # a name is a name, whatever signs it has


def title(ax: Axes, name: str) -> None:
    """Name the axes, at the right end where neither legend nor labels are."""
    ax.set_title(
        writable(name), loc="right", fontsize=TEXT, color=INK, fontweight="bold", parse_math=False
    )


def writable(name: str, *, most: int = 30) -> str:
    """Return a name as every picture can write it: short, and in letters that the font has.

    Examples
    --------
    >>> writable("mc-sf:skip=true"), writable("日本"), writable("a" * 40, most=5)
    ('mc-sf:skip=true', '??', 'aaaa…')
    """
    letters = "".join(c if c.isprintable() and ord(c) < 0x250 else "?" for c in name)
    shown = letters if len(letters) <= most else f"{letters[: most - 1]}…"
    return f" {shown}" if shown.startswith("_") else shown  # legends hide names with "_" in front
