"""Pictures as SVG for web pages: small, the same bytes every time, in the colours of the page."""

from __future__ import annotations

import io
import re
from html import escape

import matplotlib as mpl
from matplotlib.figure import Figure

from .palette import INK

#: An axis-parallel rectangle as matplotlib writes it: three lines from a corner, then home.
_RECTANGLE = re.compile(r"M (\S+) (\S+)L (\S+) \2L \3 (\S+)L \1 \4z")


def to_svg(figure: Figure, *, name: str, description: str) -> str:
    """Return a picture as an ``<svg>`` element to put into a page.

    Text stays text and is drawn, with the axes, in the page's own text colour; nothing else is
    needed to show it.

    Parameters
    ----------
    figure : matplotlib Figure
        The picture; what is drawn in `palette.INK` follows the page.
    name : str
        Unique on the page; keeps the identifiers of several pictures apart.
    description : str
        What the picture shows, for screen readers.

    Returns
    -------
    str
        The element. The same picture and name give the same characters.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = _with_page_style(text.replace(INK, "currentColor"))
    return _labelled(_shortened(text), description)


def _with_page_style(text: str) -> str:
    """Take fonts from the page, and drop names that nothing refers to."""
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    return re.sub(r'<g id="[^"]*"', "<g", text)


def _shortened(text: str) -> str:
    """Round coordinates to a hundredth of a point, close up paths, say rectangles briefly."""
    text = re.sub(r"\n\s+", "\n", text)
    return re.sub(r"<[^>]+>", lambda tag: _shortened_tag(tag[0]), text)


def _shortened_tag(tag: str) -> str:
    tag = re.sub(r"(\d\.\d\d)\d+", r"\1", tag)
    tag = re.sub(r"\s*\n(?=[LMz\"])", "", tag)
    return _RECTANGLE.sub(r"M\1 \2H\3V\4H\1z", tag)


def _labelled(text: str, description: str) -> str:
    """Make the element a labelled image that scales with its box."""
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    style = "stroke-linejoin: round; stroke-linecap: butt"
    opening = f'<svg role="img" aria-label="{escape(description)}" style="{style}"'
    return text.replace("<svg", opening, 1).rstrip()
