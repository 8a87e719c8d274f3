"""Pages from templates: every report is a template that extends one page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

#: The page that templates extend.
BASE = "base.html"


def filled(package: str, name: str, **values: Any) -> str:
    """Return a template of a package with its values filled in.

    Parameters
    ----------
    package : str
        Where the folder ``templates`` is.
    name : str
        The template; it may extend ``base.html`` and include others of its folder.
    values
        What the template names. Text is escaped.
    """

    def source(wanted: str) -> str:
        room = __package__ if wanted == BASE else package
        return resources.files(room).joinpath("templates", wanted).read_text("utf-8")

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(source),
    )
    return environment.get_template(name).render(**values)


def script_data(data: Mapping[str, Any]) -> str:
    r"""Encode data for a script element: no character of it can end the element.

    Examples
    --------
    >>> script_data({"a": "</script>"})
    '{"a":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
