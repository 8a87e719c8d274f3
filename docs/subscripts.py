"""Subscripts and superscripts of texts that write them as in TeX, outside of code and formulas."""

from __future__ import annotations

import re
from collections.abc import Callable

#: A symbol with a subscript: one letter (with its accent), or a word that has subscripts.
INDEXED = re.compile(
    r"(?<![\w.])(?P<base>(?:\w|max|min|rc|deadline|penalty|accepted)[\u0300-\u036f]?)"
    r"_(?P<index>\{(?:[^{}]|\{[^{}]*\})*\}|[^\W_]+)"
)
RAISED = re.compile(r"(?<=[\w)])\^(?P<power>\{[^{}]*\}|[−-]?[\d.]*\d|[a-zα-ω](?!\w))")


def indexed(text: str) -> str:
    """Set subscripts and superscripts that are written as in TeX: x_{i,t}, T^0.5."""

    def lowered(found: re.Match[str]) -> str:
        index = indexed(without_braces(found["index"])).replace("< ", "&lt; ")
        return f"{found['base']}<sub>{index}</sub>"

    raised = RAISED.sub(lambda found: f"<sup>{without_braces(found['power'])}</sup>", text)
    return INDEXED.sub(lowered, raised)


def without_braces(text: str) -> str:
    """Return what one pair of braces around a text holds, or the text if there are none."""
    return text[1:-1] if text.startswith("{") else text


def prose(markdown: str, change: Callable[[str], str], besides: str = "(?!)") -> str:
    """Change a text outside of code, formulas and whatever else matches `besides`."""
    code = r"^ *```.*?^ *```$|^(?: {4}|\t)[^\n]*$|`[^`\n]+`"
    formulas = r"\$\$.*?\$\$|\$[^$\n]+(?:\n[^$\n]+)?\$"  # the latter may go on in a second line
    kept = f"({code}|{formulas}|{besides})"
    parts = re.split(kept, markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if position % 2 else change(part) for position, part in enumerate(parts))


def with_subscripts(markdown: str) -> str:
    """Set the subscripts of a text, but for links, tags and directives."""
    return prose(markdown, indexed, besides=r"\]\([^)\n]*\)|<[^>\n]+>|^::: .*?$")
