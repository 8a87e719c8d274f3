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
#: Batches of both prompts and token jobs.
BOTH = "#cc79a7"
#: Requests by number, the same in all pictures and pages: hues that stand for nothing else, of the
#: "muted" scheme of P. Tol (*Colour schemes*, SRON technical note, 2021). Ids are written as well.
REQUESTS = ("#44aa99", "#cc6677", "#ddcc77", "#882255", "#117733", "#aa4499", "#999933")
#: One line per policy: colour and dash change together.
LINES = tuple(
    (colour, dash)
    for dash in ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
    for colour in ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7")
)

#: Font sizes in points.
TEXT = 9.0
SMALL = 8.0
TINY = 7.0

#: Signs beyond Latin letters that the font has.
SIGNS = "√−≤≥ατωλ"


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


def of_request(i: int) -> str:
    """Return the colour of a request, by its number in the instance.

    Examples
    --------
    >>> of_request(0) == of_request(7), of_request(0) == of_request(1)
    (True, False)
    """
    return REQUESTS[i % len(REQUESTS)]


def ink_on(colour: str) -> str:
    """Return black or white, whichever is read better on a colour, whatever the page's ink is.

    Examples
    --------
    >>> ink_on("#ddcc77"), ink_on("#882255")
    ('#000000', '#ffffff')
    """
    red, green, blue = (_linear(int(colour[k : k + 2], 16) / 255) for k in (1, 3, 5))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if luminance > 0.179 else "#ffffff"


def _linear(value: float) -> float:
    """Intensity of an sRGB component, as WCAG 2 defines it."""
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)


def writable(name: str, *, most: int = 30) -> str:
    """Return a name as every picture can write it: short, and in letters that the font has.

    Examples
    --------
    >>> writable("mc-sf:skip=true"), writable("日本"), writable("a" * 40, most=5)
    ('mc-sf:skip=true', '??', 'aaaa…')
    """
    known = (c.isprintable() and (ord(c) < 0x250 or c in SIGNS) for c in name)
    letters = "".join(c if drawn else "?" for c, drawn in zip(name, known, strict=True))
    shown = letters if len(letters) <= most else f"{letters[: most - 1]}…"
    return f" {shown}" if shown.startswith("_") else shown  # legends hide names with "_" in front
